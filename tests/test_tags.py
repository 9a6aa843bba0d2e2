"""Free text with structured parts: exact by its definition, cheap in free text, in every form that requests have."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from grammars import (
    Grammar,
    GrammarSyntaxError,
    LimitExceeded,
    Limits,
    SchemaOptions,
    Tag,
    UnsatisfiableGrammar,
    UnsupportedFeature,
    Vocabulary,
    choice,
    lark,
    literal,
    regex,
    structural_tag,
    tags,
)
from tests.conftest import real_vocabulary
from tests.naive.tagged_reader import PlainTag, Reader

END = b"<end>"


def texts(letters: str, longest: int) -> list[bytes]:
    return ["".join(word).encode() for n in range(longest + 1) for word in product(letters, repeat=n)]


def word(rng: random.Random, low: int, high: int) -> bytes:
    return bytes(rng.choices(b"ab", k=rng.randint(low, high)))


def random_reader(rng: random.Random, longest: int) -> Reader:
    """Triggers and begins that overlap in every way, and contents that may be empty."""
    triggers = [word(rng, 1, longest) for _ in range(rng.randint(1, 3))]
    structures = [
        PlainTag(rng.choice(triggers) + word(rng, 0, 1), {word(rng, 0, 2), word(rng, 0, 1)}, word(rng, 0, 1))
        for _ in range(rng.randint(0, 3))
    ]
    return Reader(triggers, structures, *(rng.random() < 0.3 for _ in range(2)), parallel=rng.random() < 0.7)


def grammar_of(reader: Reader) -> Grammar:
    structures = [Tag(tag.begin, choice(tag.contents), tag.end) for tag in reader.tags]
    return tags(
        list(reader.triggers),
        structures,
        at_least_one=reader.at_least_one,
        stop_after_first=reader.stop_after_first,
        parallel=reader.parallel,
    )


# -- the language -----------------------------------------------------------------------------------------------------


def accepted(grammar: Grammar, universe: list[bytes]) -> list[bytes]:
    try:
        return [text for text in universe if grammar.matches(text)]
    except UnsatisfiableGrammar:
        return []


@pytest.mark.parametrize("block", range(6))
def test_the_language_is_the_one_of_the_definition(block: int) -> None:
    universe = texts("ab", 9)
    for seed in range(25 * block, 25 * block + 25):
        reader = random_reader(random.Random(seed), longest=3)
        expected = [text for text in universe if reader.accepts(text)]
        assert accepted(grammar_of(reader), universe) == expected, (seed, reader)


@pytest.mark.parametrize("seed", range(60))
def test_a_mask_holds_exactly_the_tokens_that_can_be_completed(seed: int) -> None:
    rng = random.Random(seed)
    reader = random_reader(rng, longest=2)._replace(stop_after_first=seed % 5 == 0)
    reader = reader._replace(tags=[PlainTag(t.begin[:2], {c[:1] for c in t.contents}, t.end) for t in reader.tags])
    language = [text for text in texts("abé", 8) if reader.accepts(text)]
    prefixes = {text[:n] for text in language for n in range(len(text) + 1)}
    if not prefixes:
        return
    tokens = [b"a", b"b", b"\xc3", b"\xa9", "é".encode(), b"ab", b"ba", b"aa", b"bb", b"\xa9a", b"aba", b"b", END, b"a"]
    vocabulary = Vocabulary(tokens, eos=[12], special=[13])
    automaton = grammar_of(reader).compile(vocabulary)
    for prefix in [p for p in texts("ab", 2) if p in prefixes] + ["é".encode(), b"\xc3"]:
        state = automaton.start
        for byte in prefix:
            state = automaton.advance(state, tokens.index(bytes([byte])))
        if prefix not in prefixes:
            assert state == automaton.DEAD
            continue
        mask = np.zeros((1, vocabulary.words), np.uint32)
        automaton.fill_masks([state], mask)
        allowed = {t for t in range(len(tokens)) if mask[0, 0] >> t & 1}
        expected = {t for t, token in enumerate(tokens) if t < 12 and prefix + token in prefixes}
        assert allowed == expected | ({12} if prefix in language else set()), prefix


def says(grammar: Grammar, *given: str) -> list[bool]:
    return [grammar.matches(text.encode()) for text in given]


def test_a_trigger_is_followed_by_its_grammar_and_then_text_is_free_again() -> None:
    sums = tags({"<<": regex("[0-9]+>>")})
    assert says(sums, "", "x < y", "a <<12>> b <<3>>", "é<<1>>é") == [True] * 4
    assert says(sums, "<<", "<<x>>", "<<12>", "a <<1>> <<") == [False] * 4


def test_a_trigger_of_two_equal_bytes_ends_the_text_at_the_second() -> None:
    assert says(tags({"<<": literal("x")}), "<<x", "<<<x", "<x") == [True, False, True]


def test_the_shorter_of_two_triggers_ends_the_text() -> None:
    grammar = tags(["<a", "<a>"], [Tag("<a>", literal("1")), Tag("<ab>", literal("2"))])
    assert says(grammar, "<a>1", "<ab>2", "<a>2", "<ac>", "<a") == [True, True, False, False, False]


def test_triggers_that_are_ends_of_each_other_are_complete_together() -> None:
    grammar = tags({"xy": literal("1"), "y": literal("2")})
    assert says(grammar, "xy1", "xy2", "y2", "y1", "zy1") == [True, True, True, False, False]


def test_a_begin_that_contains_another_trigger_is_read_in_one_piece() -> None:
    grammar = tags({"bc": literal("1"), "abcd": literal("2")})
    assert says(grammar, "abcd2", "abc1", "abcd1", "bcd2") == [True, True, False, False]


def test_a_trigger_without_a_tag_never_occurs() -> None:
    assert says(tags(["<x>", "<y>"], [Tag("<x>", literal("1"))]), "<x>1", "<y>", "a<y>1") == [True, False, False]


def test_tags_that_begin_alike_are_told_apart_by_their_content() -> None:
    grammar = tags(["<"], [Tag("<", {"type": "integer"}, ">"), Tag("<", {"type": "boolean"}, "!")])
    assert says(grammar, "<1>", "<true!", "<true>", "<1!") == [True, True, False, False]


def test_how_many_tags_there_may_be() -> None:
    one = {"!": literal("x")}
    assert says(tags(one, at_least_one=True), "a", "a!x", "!x!x.") == [False, True, True]
    assert says(tags(one, stop_after_first=True), "a", "a!x", "a!x.", "!x!x") == [True, True, False, False]
    assert says(tags(one, parallel=False), "a", "a!x.", "!x!x") == [True, True, False]
    only = tags(one, at_least_one=True, stop_after_first=True)
    assert says(only, "a", "a!x", "a!x.") == [False, True, False]


def test_free_text_is_utf_8_unless_said_otherwise() -> None:
    assert tags({"!": literal("x")}).matches(b"\xff!x") is False
    letters = tags({"!": literal("x")}, free=regex("[a-z]*"))
    assert says(letters, "abc!xde", "Abc!x", "a!xB") == [True, False, False]
    balanced = tags({"!": literal("x")}, free=lark('start: ("(" start ")")*'))
    assert says(balanced, "(())!x()", "(!x)") == [True, False]


def test_contents_may_be_recursive_and_share_rule_names() -> None:
    nested = lark('start: "(" start ")" | "x"')
    other = lark('start: "[" start "]" | "y"')
    grammar = tags(["#"], [Tag("#1", nested), Tag("#2", other)])
    assert says(grammar, "#1((x)) #2[[y]]", "#1[y]", "#2((x))") == [True, False, False]


def test_triggers_may_be_bytes() -> None:
    grammar = tags({b"\xff": literal("x")}, free=Grammar(regex("(?s:.*)").start))
    assert grammar.matches(b"a\xffx")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: tags("<a>"), "a list of texts"),
        (lambda: tags([""]), "not empty"),
        (lambda: tags(["<a>"], [Tag("<b>", literal("x"))]), "starts with no trigger"),
        (lambda: tags(["<a>"], [Tag("<a>", {"type": "no"})]), "tag '<a>'"),
        (lambda: tags(["\ud800"]), "lone surrogate"),
        (lambda: tags([1]), "must be text"),  # type: ignore[list-item]
    ],
)
def test_what_is_wrong_is_told(call: Callable[[], Grammar], told: str) -> None:
    with pytest.raises(GrammarSyntaxError, match=told):
        call()


def test_the_report_names_the_tag() -> None:
    grammar = tags(["<a>"], [Tag("<a>", {"type": "string", "maxLength": 3})])
    lines = [str(note) for note in grammar.compile(Vocabulary([b"a", END], eos=[1])).report()]
    assert "tag '<a>' # maxLength: a counter" in lines
    assert any(line.startswith("free text '<a>'") for line in lines)


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_in_free_text_masks_are_found_and_not_computed() -> None:
    vocabulary = real_vocabulary("qwen")
    grammar = tags(["<tool_call>"], [Tag("<tool_call>", {"type": "object"}, "</tool_call>")])
    automaton = grammar.compile(vocabulary)
    state, states = automaton.start, set[int]()
    rng = random.Random(1)
    for _ in range(400):
        automaton.mask(state)
        token = rng.randrange(vocabulary.size)
        after = automaton.advance(state, token) if token not in vocabulary.eos else automaton.DEAD
        state = after if after != automaton.DEAD else state
        states.add(state)
    partial = 3 * 4  # a character may be cut after its first, second or third byte, in a few ways
    assert automaton.stats()["masks_computed"] <= len("<tool_call>") + partial
    assert len(states) <= len("<tool_call>") + partial


def test_many_tags_stay_within_the_limits() -> None:
    structures = [Tag(f"<function=f{i}>", {"type": "object"}, "</function>") for i in range(200)]
    grammar = tags(["<function="], structures)
    assert says(grammar, 'a <function=f150>{"x": 1}</function> b', "<function=f200>{}</function>") == [True, False]
    with pytest.raises(LimitExceeded):
        tags(["<function="], structures).compile(Vocabulary([b"a", END], eos=[1]), Limits(states=50))


def test_thousands_of_triggers_are_read_or_refused() -> None:
    many = {f"<call:{i}>": literal("x") for i in range(2_000)}
    assert says(tags(many), "<call:1999>x", "<call:1999>", "<call:2000>") == [True, False, True]
    with pytest.raises(LimitExceeded, match="too many or too long"):
        tags(["<" * 5_000])


# -- structural tags --------------------------------------------------------------------------------------------------


def form(**fields: Any) -> Grammar:
    return structural_tag({"type": "structural_tag", "format": fields})


CONST = {"type": "const_string", "value": "x"}
TAG = {"type": "tag", "begin": "<a>", "content": {"type": "regex", "pattern": "[0-9]"}, "end": "</a>"}
FREE = {"type": "any_text"}


def test_the_older_form_means_tags() -> None:
    grammar = structural_tag(
        '{"type": "structural_tag", "triggers": ["<f="], "structures": '
        '[{"begin": "<f=g>", "schema": {"type": "integer"}, "end": "</f>"}]}'
    )
    assert says(grammar, "hi <f=g>1</f> and <f=g>2</f>.", "<f=h>1</f>", "<f=g>x</f>") == [True, False, False]


@pytest.mark.parametrize(
    ("grammar", "inside", "outside"),
    [
        (form(**CONST), ["x"], ["", "xx"]),
        (form(type="json_schema", json_schema={"type": "integer"}), ["1"], ["x"]),
        (form(type="regex", pattern="a+"), ["aa"], ["b"]),
        (form(type="grammar", grammar='root ::= "a" root?'), ["aa"], ["b"]),
        (form(**FREE), ["", "é"], []),
        (form(type="any_text", excludes=["no"]), ["n o"], ["no", "I know"]),
        (form(type="any_text", max_chars=2), ["éé"], ["abc"]),
        (form(type="sequence", elements=[CONST, CONST]), ["xx"], ["x"]),
        (form(type="sequence", elements=[]), [""], ["x"]),
        (form(type="or", elements=[CONST, {"type": "const_string", "value": "y"}]), ["x", "y"], ["xy"]),
        (form(type="optional", content=CONST), ["", "x"], ["xx"]),
        (form(type="plus", content=CONST), ["x", "xxx"], [""]),
        (form(type="star", content=CONST), ["", "xxx"], ["y"]),
        (form(type="repeat", min=2, max=3, content=CONST), ["xx", "xxx"], ["x", "xxxx"]),
        (form(type="repeat", min=2, max=-1, content=CONST), ["xx", "xxxxx"], ["x"]),
        (form(**TAG), ["<a>1</a>"], ["<a>1", "1"]),
        (form(type="tag", begin="<t>", content=FREE, end="</t>"), ["<t>a</t>"], ["<t></t></t>", "<t>"]),
        (form(type="tag", begin="<", content=FREE, end=[">", "!"]), ["<a>", "<a!"], ["<a>!", "<a!>"]),
        (form(type="tag", begin="<", content=FREE, end=""), ["<a>"], ["a"]),
        (form(type="tag", begin="<", content=CONST, end=["", ">"]), ["<x", "<x>"], ["<x>>"]),
        (form(type="tags_with_separator", tags=[TAG], separator=","), ["", "<a>1</a>,<a>2</a>"], ["<a>1</a>,"]),
        (form(type="tags_with_separator", tags=[TAG], separator=",", at_least_one=True), ["<a>1</a>"], [""]),
        (
            form(type="tags_with_separator", tags=[TAG], separator=",", stop_after_first=True),
            ["", "<a>1</a>"],
            ["<a>1</a>,<a>2</a>"],
        ),
        (form(type="triggered_tags", triggers=["<a"], tags=[TAG]), ["", "x<a>1</a>y<a>2</a>"], ["<a", "<ab"]),
        (
            form(type="triggered_tags", triggers=["<a"], tags=[TAG], at_least_one=True),
            ["<a>1</a>", "<a>1</a>y<a>2</a>z"],
            ["", "x<a>1</a>"],
        ),
        (
            form(type="triggered_tags", triggers=["<a"], tags=[TAG], at_least_one=True, stop_after_first=True),
            ["<a>1</a>"],
            ["", "<a>1</a>y"],
        ),
        (
            form(type="triggered_tags", triggers=["<a"], tags=[TAG], excludes=["no"], stop_after_first=True),
            ["n", "x<a>1</a>"],
            ["no", "no<a>1</a>", "<a>1</a>y"],
        ),
        (form(type="dispatch", rules=[["!", CONST]]), ["a!xb!x"], ["!", "!y"]),
        (form(type="dispatch", rules=[["!", CONST]], loop=False, excludes=["b"]), ["a!x"], ["b", "a!x!x"]),
        (
            form(
                type="tag",
                begin="<r>",
                content={"type": "triggered_tags", "triggers": ["<a"], "tags": [TAG]},
                end="</r>",
            ),
            ["<r></r>", "<r>x<a>1</a>y</r>"],
            ["<r></r></r>", "<r>x<a></r>", "<r>x<a>1</a>"],
        ),
        (
            form(type="sequence", elements=[{"type": "tag", "begin": "<t>", "content": FREE, "end": "</t>"}, CONST]),
            ["<t>?</t>x"],
            ["<t>?</t>", "<t></t>x</t>x"],
        ),
    ],
)
def test_every_format_has_its_language(grammar: Grammar, inside: list[str], outside: list[str]) -> None:
    assert says(grammar, *inside) == [True] * len(inside)
    assert says(grammar, *outside) == [False] * len(outside)


def test_an_end_that_overlaps_itself_ends_the_text_where_it_is_first_complete() -> None:
    universe = texts("ab", 8)
    for end in texts("ab", 4)[1:]:
        grammar = form(type="tag", begin="<", content=FREE, end=end.decode())
        found = [text for text in universe if grammar.matches(b"<" + text)]
        assert found == [text for text in universe if text.find(end) == len(text) - len(end) >= 0], end


def test_any_order_admits_every_order() -> None:
    schema = {"properties": {"a": {}, "b": {}}, "type": "object"}
    assert form(type="json_schema", json_schema=schema, any_order=True).matches(b'{"b": 1, "a": 2}')
    assert not form(type="json_schema", json_schema=schema).matches(b'{"b": 1, "a": 2}')


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"type": "token", "token": 5}, "speaks of tokens"),
        ({"type": "any_tokens"}, "speaks of tokens"),
        ({"type": "tag", "begin": {"type": "token", "token": "<x>"}, "content": FREE, "end": "y"}, "is a token"),
        ({"type": "json_schema", "json_schema": {}, "style": "qwen_xml"}, "style"),
        ({"type": "any_text", "max_tokens": 5}, "counts tokens"),
        ({"type": "poem"}, "no format 'poem'"),
        ({"type": "const_string", "value": "x", "colour": "red"}, "'colour'"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(UnsupportedFeature, match=told):
        form(**fields)


@pytest.mark.parametrize(
    ("description", "told"),
    [
        ("{", "not JSON"),
        ("[]", "an object"),
        ({"type": "text"}, "structural_tag"),
        ({"type": "structural_tag"}, "no 'structures'"),
        ({"type": "structural_tag", "format": 3}, "a format is an object"),
        ({"type": "structural_tag", "format": {"type": "sequence"}}, "no 'elements'"),
        ({"type": "structural_tag", "format": {"type": "regex", "pattern": "("}}, "regex: "),
        ({"type": "structural_tag", "format": {"type": "repeat", "min": 3, "max": 1, "content": CONST}}, "min <= max"),
        ({"type": "structural_tag", "format": {"type": "repeat", "min": 0.5, "max": 1, "content": CONST}}, "whole"),
        ({"type": "structural_tag", "structures": [{"begin": "x"}], "triggers": ["x"]}, "no 'schema'"),
        ({"type": "structural_tag", "format": {"type": "triggered_tags", "triggers": ["b"], "tags": [TAG]}}, "trigger"),
        ({"type": "structural_tag", "format": {"type": "dispatch", "rules": [["x"]]}}, "a text and a format"),
    ],
)
def test_a_wrong_description_is_told(description: Any, told: str) -> None:
    with pytest.raises(GrammarSyntaxError, match=told):
        structural_tag(description)


def test_formats_may_nest_deeply() -> None:
    deep: dict[str, Any] = CONST
    for _ in range(400):
        deep = {"type": "optional", "content": deep}
    assert says(form(**deep), "x", "", "xx") == [True, True, False]
    for _ in range(100_000):
        deep = {"type": "optional", "content": deep}
    with pytest.raises(LimitExceeded):
        form(**deep)


def test_schema_options_reach_the_contents() -> None:
    value = {"type": "structural_tag", "format": {"type": "json_schema", "json_schema": {"const": [1, 2]}}}
    assert says(structural_tag(value, SchemaOptions(whitespace="compact")), "[1,2]", "[1, 2]") == [True, False]
