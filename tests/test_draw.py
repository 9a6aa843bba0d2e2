"""Pictures: they show what is true, stay on their paper, and can be read by programs that know SVG."""

from __future__ import annotations

import math
import re
import sys
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import numpy as np
import pytest

from decoding.comparison import compared, masking_law
from decoding.pictures.automaton import automaton_picture
from decoding.pictures.drawing import Box, Curve, Drawing, Text, visible, width_of
from decoding.pictures.graph import Graph, graph_of, token_graph_of
from decoding.pictures.html import html
from decoding.pictures.layered import layout, spread
from decoding.pictures.mass import places
from decoding.pictures.palette import DARK, LIGHT
from decoding.pictures.particles import particles_picture
from decoding.pictures.svg import svg
from decoding.pictures.trace import traced
from grammars import Vocabulary, choice, lark, regex
from samplers import CARS, SMC, InvalidOption, Masking, Problem, enumerate_texts, sample
from samplers.models import Tabulated
from tests.command import scansion

__all__ = ["scansion"]

SVG = "{http://www.w3.org/2000/svg}"
V = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])


def world(pattern: str = "a+b?|bb", **more) -> Problem:
    table = {(): [4, 2, 1, 1], (0,): [1, 1, 1, 3]}
    return Problem(Tabulated(V, table, otherwise=[3, 2, 1, 2]), regex(pattern), **more)


# -- the graph --------------------------------------------------------------------------------------------------------


def accepted(graph: Graph, text: str) -> bool:
    """Whether a graph whose labels are plain words or character sets leads a text to a double ring."""
    at = {(0, 0)}
    for _ in range(4 * len(text) + 4):
        at |= {
            (b, i + len(found.group()))
            for node, i in at
            for (a, b), label in graph.labels.items()
            if a == node and (found := re.compile(label.replace("␣", " ").replace(" | ", "|")).match(text, i))
        }
    return any(node in graph.accepting and i == len(text) for node, i in at)


@pytest.mark.parametrize("pattern", ["(ab)+c?", "[a-c]+(x[a-c]*)*", "yes|no|maybe", "a{2,4}b", "(a|b)*abb", "", "a?"])
def test_a_graph_tells_the_language(pattern):
    graph, rng = graph_of(regex(pattern)), Random(0)
    texts = ["", *("".join(rng.choices("abcxyesnom", k=rng.randint(1, 6))) for _ in range(300))]
    texts += ["ab", "abab", "abc", "yes", "no", "maybe", "aab", "aaaab", "abb", "babb", "axb", "a", "aa"]
    for text in texts:
        assert accepted(graph, text) == regex(pattern).matches(text.encode()), text


def test_states_that_no_text_tells_apart_are_one():
    assert len(graph_of(regex("(a|b)*abb")).nodes) == 4  # the minimal automaton of the dragon book
    assert len(graph_of(regex("ax|bx|cx")).nodes) == 2


def test_characters_are_drawn_whole():
    assert graph_of(regex("é|ü")).labels == {(0, 1): "non-ASCII"}
    assert graph_of(regex('[^"]')).labels == {(0, 1): '[^"]'}


def test_an_infinite_language_is_cut_and_says_so():
    graph = graph_of(lark('start: "(" start ")" | "x"'), 6)
    assert graph.open
    assert "more states follow" in automaton_picture(graph).subtitle


def test_edges_over_tokens_count_them():
    graph = token_graph_of(choice(["ab", "a"]), V)
    assert set(graph.labels.values()) == {"a", "ab", "b"}
    assert graph_of(choice(["ab", "a"])).accepting


# -- the layout -------------------------------------------------------------------------------------------------------


def test_edges_run_to_the_right_and_neighbours_keep_their_distance():
    rng = Random(1)
    for _ in range(40):
        nodes = list(range(rng.randint(1, 14)))
        edges = sorted({(rng.choice(nodes), rng.choice(nodes)) for _ in range(2 * len(nodes))})
        placed = layout(nodes, edges)
        for (a, b), way in placed.bends.items():
            assert [placed.layer[n] for n in way] == list(range(placed.layer[a], placed.layer[b] + 1))
        assert {*placed.bends, *placed.backward} == {(a, b) for a, b in edges if a != b}
        layers: dict[int, list[float]] = {}
        for node, layer in placed.layer.items():
            layers.setdefault(layer, []).append(placed.height[node])
        assert all(y - x >= 1 - 1e-9 for row in layers.values() for x, y in pairwise(sorted(row)))


def test_heights_are_the_closest_to_what_is_wished():
    rng = np.random.default_rng(0)
    for _ in range(50):
        wishes = rng.uniform(0, 3, rng.integers(1, 6))
        found = np.array(spread(wishes.tolist()))
        cost = ((found - wishes) ** 2).sum()
        for _ in range(200):  # no allowed neighbour is better
            other = np.sort(found + rng.normal(0, 0.3, len(found)))
            other = np.maximum.accumulate(other - np.arange(len(other))) + np.arange(len(other))
            assert ((other - wishes) ** 2).sum() >= cost - 1e-9


# -- what was computed ------------------------------------------------------------------------------------------------


def test_the_law_of_masking_is_the_law_that_masking_has():
    problem = world(max_tokens=4)
    law = masking_law(enumerate_texts(problem))
    n = 40_000
    drawn = sample(problem, Masking(), n, seed=0)
    counts: dict[tuple[int, ...], int] = {}
    for tokens in drawn.tokens:
        counts[tuple(tokens.tolist())] = counts.get(tuple(tokens.tolist()), 0) + 1
    # at the token budget masking may be cut, so that a little of its mass is on no text
    assert sum(law.values()) <= 1 + 1e-12
    for tokens, q in law.items():
        if len(tokens) < 4:
            z = (counts.get(tokens, 0) - n * q) / math.sqrt(n * q * (1 - q))
            assert abs(z) < 5.5


def test_exact_samplers_come_closer_to_the_truth_than_masking():
    both = compared(world("a|bb", max_tokens=4), {"CARS": (CARS(), 2000), "SMC": (SMC(), 2000)})
    assert sum(both.laws["truth"].values()) == pytest.approx(1)
    assert both.distance("truth") == 0
    assert max(both.distance("CARS"), both.distance("SMC")) < both.distance("masking") / 2


def test_a_record_changes_no_draw_and_counts_every_proposal():
    problem = world(max_tokens=6)
    trace = traced(problem, SMC(ess=0.9), 32, seed=4)
    plain = sample(problem, SMC(32, ess=0.9), 32, seed=4)
    assert trace.samples.text == plain.text
    assert trace.samples.log_weights.tolist() == plain.log_weights.tolist()
    assert any(step.resampled for step in trace.steps)
    assert sum(branch.count for branch in trace.root.children.values()) == 32
    assert sum(branch.weight for branch in trace.root.children.values()) == pytest.approx(1)


def test_only_samplers_of_particles_have_particles():
    assert len(traced(world(), Masking(), 5, seed=0).samples) == 5
    with pytest.raises(InvalidOption, match="CARS"):
        traced(world(), CARS(), 5)


def test_the_masses_along_a_text_multiply_to_its_weight():
    problem = world(max_tokens=6)
    drawn = sample(problem, Masking(), 1, seed=3)
    along = places(problem, drawn.tokens[0].tolist())
    assert math.prod(place.mass for place in along) == pytest.approx(math.exp(drawn.log_weights[0]))
    assert math.prod(place.probability for place in along) == pytest.approx(math.exp(drawn.log_probs[0]))


# -- the pictures -----------------------------------------------------------------------------------------------------


@cache
def pictures() -> dict[str, Drawing]:
    trace = traced(world(max_tokens=8), SMC(ess=0.9), 12, seed=1)
    return {
        "automaton": automaton_picture(graph_of(regex(r"[a-z]+(\.[a-z]+)*@[a-z]+\.(com|org)")), "An address"),
        "recursive": automaton_picture(graph_of(lark('start: "(" start ")" start | "x"'), 9), "Brackets"),
        "particles": particles_picture(trace, V, "A run"),
    }


@pytest.mark.parametrize("name", ["automaton", "recursive", "particles"])
def test_everything_is_on_the_paper(name):
    drawing = pictures()[name]
    for shape in drawing.shapes:
        if isinstance(shape, Curve):
            corners = list(shape.points)
        elif isinstance(shape, Text):
            width = width_of(shape.text, shape.size, shape.mono)
            left = shape.x - {"start": 0, "middle": width / 2, "end": width}[shape.anchor]
            corners = [(left, shape.y - shape.size), (left + width, shape.y)]
        elif isinstance(shape, Box):
            corners = [(shape.x, shape.y), (shape.x + shape.width, shape.y + shape.height)]
        else:
            corners = [(shape.x - shape.radius, shape.y - shape.radius), (shape.x + shape.radius, shape.y)]
        for x, y in corners:
            assert -1 <= x <= drawing.width + 1, shape
            assert -1 <= y <= drawing.height + 1, shape


@pytest.mark.parametrize("name", ["automaton", "recursive", "particles"])
def test_nodes_and_tokens_do_not_cover_each_other(name):
    boxes = [s for s in pictures()[name].shapes if isinstance(s, Box) and s.fill == "wash"]
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            apart_x = one.x + one.width <= other.x + 0.1 or other.x + other.width <= one.x + 0.1
            apart_y = one.y + one.height <= other.y + 0.1 or other.y + other.height <= one.y + 0.1
            assert apart_x or apart_y


def test_an_svg_is_well_formed_whatever_the_text_is():
    nasty = "<&>\"'\0\x1b\ud800\uffff]]>"
    drawing = Drawing(nasty.replace("\ud800", ""), width=10, height=10)
    drawing.add(Text(1, 1, nasty, tip="<b>"), Box(0, 0, 1, 1, tip="a & b"))
    drawing.title = "<&>"
    root = ElementTree.fromstring(svg(drawing).encode())
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text == "<&>"


def test_bytes_that_are_no_text_can_be_read():
    assert visible(b"\xff \n\0") == "\\xff␣⏎\\x00"


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_legible_on_light_and_on_dark_paper(colours):
    """WCAG 2: a contrast of 4.5 for text."""
    for paper in ("paper", "wash"):
        for role in ("ink", "soft", "accent", "second", "third", "fourth"):
            low, high = sorted((luminance(colours[paper]), luminance(colours[role])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (paper, role)


def test_every_colour_has_a_dark_twin():
    assert LIGHT.keys() == DARK.keys()


class Sources(HTMLParser):
    """What a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.loads += [tag] if tag in ("script", "link", "iframe", "object") else []


def test_a_page_loads_nothing_and_escapes_its_figures():
    page = html(automaton_picture(graph_of(regex("a<b>")), "a<b>"), [["<i>", "P"], ["</table>", 0.25]])
    parser = Sources()
    parser.feed(page)
    assert parser.loads == []
    assert "<td>&lt;/table&gt;</td>" in page
    assert "url(http" not in page


# -- the command ------------------------------------------------------------------------------------------------------

PROMPT = "How old is Ada? 36.\nAnswer: "
AGE = "1[89]|2[0-9]|30"


@pytest.mark.parametrize(
    "arguments",
    [
        ["automaton", "--regex", "[a-z]+@[a-z]+"],
        ["automaton", "--choice", "yes", "--choice", "no", "--tokens"],
        ["automaton", "--lark", 'start: "(" start ")" | "x"', "--states", "5"],
        ["particles", PROMPT, "--regex", AGE, "--sampler", "smc:n=8"],
        ["mass", PROMPT, "--regex", AGE, "--sampler", "smc:n=8"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("ending", ["svg", "html"])
def test_a_picture_is_written_where_it_was_asked_for(scansion, tmp_path, arguments, ending):
    file = tmp_path / f"picture.{ending}"
    outcome = scansion("draw", *arguments, "-O", str(file))
    assert (outcome.code, outcome.err) == (0, "")
    assert str(file) in outcome.out
    text = file.read_text("utf-8")
    drawn = text if ending == "svg" else text[text.index("<svg") : text.index("</svg>") + 6]
    assert ElementTree.fromstring(drawn.encode()).tag == f"{SVG}svg"


def test_without_a_name_it_goes_to_the_working_directory(scansion, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert scansion("draw", "automaton", "--regex", "a").code == 0
    assert (tmp_path / "automaton.svg").exists()


def test_a_dash_prints_the_picture(scansion):
    outcome = scansion("draw", "automaton", "--regex", "a", "-O", "-")
    assert ElementTree.fromstring(outcome.out).tag == f"{SVG}svg"


def test_a_png_is_a_png(scansion, tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "a.png"
    assert scansion("draw", "automaton", "--regex", "(a|b)*", "-O", str(file)).code == 0
    assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_png_without_matplotlib_names_the_extra(scansion, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = scansion("draw", "automaton", "--regex", "a", "-O", str(tmp_path / "a.png"))
    assert outcome.code == 2
    assert "scansion[draw]" in outcome.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["automaton"],
        ["automaton", "--regex", "a", "-O", "picture.gif"],
        ["automaton", "--regex", "a", "-O", "/nowhere/at/all/a.svg"],
        ["particles", PROMPT, "--regex", AGE, "--sampler", "cars"],
        ["mass", PROMPT, "--regex", "a(b"],
        ["mass"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_told_and_leaves_no_file(scansion, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    outcome = scansion("draw", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback" not in outcome.err
    assert not list(Path().iterdir())


def test_a_language_too_large_for_the_truth_is_drawn_without_it(scansion, tmp_path):
    outcome = scansion(
        "draw", "mass", "x", "--regex", "[a-z ]{1,20}", "--prefixes", "50", "-O", str(tmp_path / "m.svg")
    )
    assert outcome.code == 0
    assert "the truth is not shown" in outcome.err
    assert "Where it leads" not in (tmp_path / "m.svg").read_text("utf-8")
