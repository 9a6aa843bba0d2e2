"""The page in Chromium: type a form, watch an answer come, compare samplers, see the tree of particles.

Skipped where there is no Chromium: it is looked for on the path, or where the environment variable CHROMIUM says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from chromium import Page, executable, page_of
from server_thread import served

from decoding.server.app import create_app
from decoding.server.models import BuiltIn

pytestmark = pytest.mark.skipif(executable() is None, reason="there is no Chromium here")

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "year": {"enum": [1815, 1843]}},
    "required": ["city", "year"],
    "additionalProperties": False,
}


class Unhurried(BuiltIn):
    """The built-in model, slow enough to be watched."""

    def log_probs(self, sequences: Any) -> Any:
        time.sleep(0.02)
        return super().log_probs(sequences)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with (
        served(create_app(Unhurried())) as address,
        page_of(f"{address}/", tmp_path_factory.mktemp("profile")) as page,
    ):
        page.wait("document.querySelectorAll('#samplers option').length > 3")
        yield page
        assert not page.complaints
        assert all(url.startswith((address, "data:", "about:")) for url in page.asked_for), "it asks elsewhere"


def rows(page: Page) -> list[list[str]]:
    return page.value("[...document.querySelectorAll('#steps tr')].map(row => [...row.cells].map(c => c.textContent))")


def test_it_says_which_model_answers(page: Page):
    assert page.text("h1") == "scansion"
    assert f"built-in, {BuiltIn().vocabulary.size} tokens" in page.text("#about")


def test_a_typed_schema_is_streamed_as_an_answer(page: Page):
    page.type("#form", json.dumps(SCHEMA))
    page.click("#write")
    begun = len(page.wait("document.querySelector('#answer').textContent"))
    counted = page.wait("document.querySelectorAll('#steps tr').length")
    answer = page.wait(
        "(() => { try { return JSON.parse(document.querySelector('#answer').textContent) } catch { return null } })()"
    )
    assert set(answer) == {"city", "year"}
    assert answer["year"] in (1815, 1843)
    assert begun < len(json.dumps(answer)), "the answer came in one piece"
    assert counted < len(rows(page)), "the steps came in one piece"
    assert page.text("#error") == ""


def test_each_step_tells_what_the_mask_left_and_what_it_removed(page: Page):
    steps = rows(page)
    text = "".join(json.loads(f'"{token}"') for token, *_ in steps)
    assert json.loads(text) == json.loads(page.value("document.querySelector('#answer').textContent"))
    assert all(1 <= int(allowed) <= BuiltIn().vocabulary.size for _, allowed, *_ in steps)
    assert all(0 <= float(removed.removesuffix(" %")) <= 100 for _, _, removed, _ in steps)
    assert any(float(removed.removesuffix(" %")) > 1 for _, _, removed, _ in steps)
    assert page.value("document.querySelector('#steps .bar').getBoundingClientRect().height") > 2


def test_two_samplers_are_compared_side_by_side(page: Page):
    page.choose("#kind", "choice")
    page.type("#form", " yes\n no")
    page.type("#left", "masking")
    page.type("#right", "smc:n=8")
    page.click("#compare")
    page.wait("document.querySelectorAll('#first table, #second table').length === 2")
    for place, name in (("#first", "masking"), ("#second", "smc:n=8")):
        assert page.text(f"{place} p").startswith(f"{name}: log Z ≈ ")
        cells = f"[...document.querySelectorAll('{place} tr')].map(row => [...row.cells].map(c => c.textContent))"
        shares = {text: float(share.removesuffix(" %")) for text, share, _ in page.value(cells)}
        assert set(shares) <= {" yes", " no"}
        assert sum(shares.values()) == pytest.approx(100, abs=0.2)
    left, right = (
        page.value(f"document.querySelector('{p}').getBoundingClientRect().x") for p in ("#first", "#second")
    )
    assert left < right


def test_the_tree_of_particles_is_seen(page: Page):
    page.choose("#kind", "regex")
    page.click("#grow")
    page.wait("document.querySelector('#tree svg') !== null")
    box = page.value("(r => [r.width, r.height])(document.querySelector('#tree svg').getBoundingClientRect())")
    assert min(box) > 40
    assert page.value("document.querySelectorAll('#tree svg text').length") > 3
    drawn = "[...document.querySelectorAll('#tree svg path, #tree svg line, #tree svg circle, #tree svg rect')]"
    assert (
        page.value(
            f"{drawn}.filter(e => e.getBoundingClientRect().width + e.getBoundingClientRect().height > 0).length"
        )
        > 8
    )


def test_what_is_wrong_is_told_and_then_forgotten(page: Page):
    page.choose("#kind", "regex")
    page.type("#form", "(a")
    for button in ("#write", "#compare", "#grow"):
        page.click(button)
        page.wait("document.querySelector('#error').textContent.includes('unclosed group')")
        page.value("document.querySelector('#error').textContent = ''")
    page.complaints[:] = [each for each in page.complaints if "400" not in json.dumps(each)]
    page.type("#form", "a{3}")
    page.click("#write")
    page.wait("document.querySelector('#answer').textContent === 'aaa'")
    assert page.text("#error") == ""
