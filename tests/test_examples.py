"""Every example runs, prints something, and stays short; the demo keeps what it promises."""

from __future__ import annotations

import io
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NUMBERED = sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))


@cache
def printed(name: str) -> str:
    """What an example prints."""
    with redirect_stdout(io.StringIO()) as out:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return out.getvalue()


def shares(line: str) -> list[float]:
    return [float(share) for share in re.findall(r"([\d.]+)%", line)]


def test_there_are_thirteen_of_them():
    assert [path.name[:2] for path in NUMBERED] == [f"{number:02}" for number in range(1, 14)]


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_its_idea_in_three_lines(path: Path):
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= 80
    idea = source.split('"""')[1]
    assert len([line for line in idea.splitlines() if line.strip()]) == 3


@pytest.mark.parametrize("name", [*(path.stem for path in NUMBERED), "allowed_tokens"])
def test_an_example_runs_and_prints_something(name: str):
    if name == "02_pydantic":
        pytest.importorskip("pydantic")
    if name in ("11_train_sums", "12_match_the_truth"):
        pytest.importorskip("transformers")
    if name == "13_openai_client":
        pytest.importorskip("openai")
        pytest.importorskip("fastapi")
    assert len(printed(name)) > 80


def test_the_phone_numbers_are_phone_numbers():
    assert len(re.findall(r"[2-9]\d\d[-)] ?\d{3}-\d{4} +log P", printed("01_phone_number"))) == 5


def test_the_probabilities_of_classes_sum_to_one():
    lines = printed("05_classification").splitlines()[1:]
    assert len(lines) == 4
    for line in lines:
        *labels, on_topic = shares(line)
        assert sum(labels) == pytest.approx(100, abs=0.25)
        assert 0 < on_topic <= 100


def test_masking_is_further_from_the_truth_than_every_aligned_sampler():
    truth, masking, *others = shares(printed("06_grammar_aligned").splitlines()[-1])
    assert truth == 0
    assert others
    assert all(other < masking for other in others)


def test_the_soft_wish_is_heard():
    without, wished = re.findall(r"([\d.]+) letters e", printed("08_soft_potential"))
    assert float(wished) < float(without)


def test_the_form_is_guaranteed_from_the_first_step_and_learned_on_the_way():
    pytest.importorskip("transformers")
    rows = [line.split() for line in printed("11_train_sums").splitlines() if "%" in line]
    assert all(valid == "100%" for _, valid, _, _ in rows)
    (_, _, earned, mass), (_, _, later, more) = rows[0], rows[-1]
    assert float(mass) < 1e-6 < 0.5 < float(more)
    assert float(later) > float(earned) + 0.3


def test_matching_is_nearer_to_the_truth_than_the_mask():
    pytest.importorskip("transformers")
    likeliest = next(line for line in printed("12_match_the_truth").splitlines() if line.startswith("  26"))
    truth, mask, trained, guarded = shares(likeliest)
    assert abs(mask - truth) > 50
    assert abs(trained - truth) < 15
    assert abs(guarded - truth) < 12


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo prints where there is no torch and no matplotlib, and the folder it writes to."""
    folder = tmp_path_factory.mktemp("demo")
    script, root = str(EXAMPLES / "demo.py"), str(EXAMPLES.parent)
    blocked = "import sys, runpy; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'matplotlib']));"
    code = f"{blocked} sys.path.insert(0, {root!r}); runpy.run_path({script!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, folder / "demo"


def test_the_demo_extracts_json(demo):
    assert '{"name": "Ada Lovelace", "age": 36, "city": "London"}' in demo[0]


def test_the_demo_shows_how_masking_differs_from_the_truth(demo):
    table = demo[0].partition("age    truth")[2]
    truth, masking, *others = shares(re.findall(r"wrong .*", table)[0])
    assert truth == 0
    assert len(others) == 3
    assert all(other < masking for other in others)
    # what it says in words: masking mostly writes 30, the truth mostly does not
    of_30 = shares(re.findall(r"^ +30 .*", table, re.M)[0])
    assert of_30[0] < 10 < 50 < of_30[1]


def test_the_demo_draws_two_pictures_and_says_where(demo):
    shown, folder = demo
    pictures = sorted(folder.iterdir())
    assert [path.name for path in pictures] == ["masking.svg", "particles.svg"]
    for path in pictures:
        assert path.name in shown
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
