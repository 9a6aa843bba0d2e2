"""JSON Schema: what is accepted is what the standard calls valid, and what cannot be enforced is refused."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from schema_suite import BYTES, DRAFTS, Orders, run_folder

from grammars import (
    DEAD,
    Grammar,
    GrammarSyntaxError,
    LimitExceeded,
    SchemaOptions,
    UnsatisfiableGrammar,
    UnsupportedFeature,
    json_schema,
)

RESULTS = json.loads((Path(__file__).parent / "schema_results.json").read_text())


def accepts(schema: Any, *texts: str, options: SchemaOptions | None = None) -> list[bool]:
    grammar = json_schema(schema, options or SchemaOptions())
    return [grammar.matches(text.encode()) for text in texts]


# -- the official suite and real schemas ----------------------------------------------------------------------------


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_official_suite_is_never_answered_wrongly_and_no_worse_than_before(draft: str, shared_data: Path) -> None:
    counts, wrong = run_folder(shared_data / "json-schema-test-suite", draft)
    assert wrong == []
    assert counts["agree"] >= RESULTS["suite"][draft]["agree"]


@pytest.mark.parametrize("draft", DRAFTS)
def test_formats_accept_nothing_invalid_and_no_less_than_before(draft: str, shared_data: Path) -> None:
    counts, wrong = run_folder(shared_data / "json-schema-test-suite", draft, "optional/format")
    assert [name for name in wrong if not name.endswith("rejects valid")] == []
    assert counts["agree"] >= RESULTS["suite"][f"{draft}/optional/format"]["agree"]


# -- soundness: what can be generated is valid ----------------------------------------------------------------------

SCHEMAS: list[Any] = [
    {"type": ["integer", "null"], "minimum": -3, "exclusiveMaximum": 20, "multipleOf": 3},
    {"type": "number", "minimum": -0.5, "maximum": 1.25, "not": {"multipleOf": 0.5}},
    {"enum": [1, "a", None, [1, {"x": 2}], {"b": True, "c": []}]},
    {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-c]+$"},
    {"type": "string", "pattern": "a.b", "not": {"pattern": "ab"}, "maxLength": 6},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3, "contains": {"const": True}},
    {"type": "array", "prefixItems": [{"type": "null"}, {"type": "integer"}], "items": False, "minItems": 1},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True},
    {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "boolean"}}, "required": ["b"]},
    {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 2, "additionalProperties": False},
    {"type": "object", "patternProperties": {"^x": {"type": "null"}, "y$": {"enum": [None, 1]}}},
    {"type": "object", "propertyNames": {"maxLength": 2}, "additionalProperties": {"type": "null"}, "minProperties": 1},
    {"oneOf": [{"type": "integer"}, {"minimum": 2, "type": "number"}]},
    {
        "type": "object",
        "properties": {"kind": {"enum": ["p", "q"]}, "n": {"type": "null"}, "m": {"type": "boolean"}},
        "required": ["kind"],
        "additionalProperties": False,
        "if": {"properties": {"kind": {"const": "p"}}},
        "then": {"required": ["n"]},
        "else": {"required": ["m"], "not": {"required": ["n"]}},
    },
    {
        "type": "object",
        "properties": {"a": {"type": "null"}},
        "anyOf": [{"properties": {"b": {"type": "null"}}, "required": ["b"]}, {"required": ["a"]}],
        "unevaluatedProperties": False,
    },
    {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}}, "$ref": "#/$defs/tree"},
    {"type": "string", "format": "date"},
]


def random_text(grammar: Grammar, rng: random.Random, calm: int) -> bytes | None:
    """A random walk over bytes; after `calm` steps it ends as soon as it can, None if that takes too long."""
    automaton = grammar.compile(BYTES)
    state, text = automaton.start, bytearray()
    for step in range(400):
        if automaton.accepts(state) and (step > calm or rng.random() < 0.3):
            return bytes(text)
        moves = [byte for byte in range(256) if automaton.allows(state, byte)]
        if not moves and automaton.accepts(state):
            return bytes(text)
        assert moves, f"nothing can follow {bytes(text)!r}"
        closing = [byte for byte in moves if byte in b'"]}']
        byte = rng.choice(closing if closing and step > calm else moves)
        text.append(byte)
        state = automaton.advance(state, byte)
        assert state != DEAD
    return None


@pytest.mark.parametrize("number", range(len(SCHEMAS)))
def test_whatever_can_be_generated_is_valid(number: int) -> None:
    schema = SCHEMAS[number]
    grammar = json_schema(schema, SchemaOptions(max_whitespace=1, numbers="decimal"))
    rng = random.Random(number)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    finished = 0
    for _ in range(12):
        text = random_text(grammar, rng, 20)
        if text is not None:
            validator.validate(json.loads(text))
            finished += 1
    assert finished >= 4


VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2, 3, -3, 0.5, 0.25, 1.5, 18, 1e3, "", "a", "ab", "abc", "acb", "xy", "2024-02-29"),
    *([], [[]], [[], [[]]], [None], [None, 1], [True], [False], [1, 2], [2, 2], [1, {"x": 2}]),
    *({}, {"a": None}, {"b": True}, {"a": None, "b": None}, {"a": None, "b": True}, {"x": None}, {"y": 1}, {"xy": 1}),
    *({"kind": "p", "n": None}, {"kind": "q", "m": True}, {"kind": "p"}, {"kind": "q", "n": None, "m": True}),
    *({"a": 1, "b": 2, "c": 3}, {"a": None, "z": 1}, {"abc": None}),
]


@pytest.mark.parametrize("number", range(len(SCHEMAS)))
def test_a_value_is_accepted_in_some_order_exactly_if_it_is_valid(number: int) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMAS[number], format_checker=jsonschema.FormatChecker())
    orders = Orders(json_schema(SCHEMAS[number]).compile(BYTES))
    for value in VALUES:
        assert orders.accept(value) == validator.is_valid(value), value


# -- spellings ------------------------------------------------------------------------------------------------------


def test_equal_numbers_are_accepted_in_all_their_spellings() -> None:
    assert accepts({"const": 1}, "1", "1.0", "1.00", "1e0", "1E-00", "10e-1", "1.5") == [True] * 5 + [False, False]
    assert accepts({"const": 0}, "0", "-0", "-0.0", "0e0") == [True] * 4


def test_exponents_are_admitted_where_they_can_be_followed() -> None:
    assert accepts({"type": "number"}, "1e5", "-2.5E-7") == [True, True]
    assert accepts({"type": "number", "exclusiveMinimum": 0}, "1e5", "0e5", "-1e5") == [True, False, False]
    assert accepts({"type": "number"}, "1e5", options=SchemaOptions(numbers="decimal")) == [False]


def test_bounds_are_exact_far_beyond_floating_point() -> None:
    bound = "1" + "0" * 400
    assert accepts(f'{{"maximum": {bound}, "type": "integer"}}', bound, bound[:-1] + "1") == [True, False]
    assert accepts('{"multipleOf": 0.01}', "0.29", "0.291", "1.1") == [True, False, True]
    assert accepts('{"minimum": 0.1}', "0.1", "0.10000000000000000000000000001", "0.0999999999999999999999") == [
        True,
        True,
        False,
    ]


def test_numbers_of_many_digits_are_told_apart() -> None:
    """Python's decimals round to 28 digits wherever one is not careful."""
    first, second = "1" + "0" * 40 + "1", "1" + "0" * 40 + "2"
    assert accepts(f'{{"const": {first}}}', first, second, f"{first}.0") == [True, False, True]
    assert accepts(f'{{"minimum": {second}}}', first, second) == [False, True]
    assert accepts(f'{{"enum": [{first}, {second}]}}', first, second, second[:-1] + "3") == [True, True, False]
    assert accepts(f'{{"maximum": -0.{second}}}', f"-0.{first}", f"-0.{second}") == [False, True]
    with pytest.raises(UnsatisfiableGrammar):
        accepts(f'{{"allOf": [{{"const": {first}}}, {{"const": {second}}}]}}', first)


def test_multiples_of_steps_with_many_digits_are_exact() -> None:
    step = {"type": "number", "multipleOf": 0.123456789}
    texts = ("0", "123456789", "0.1", "-0.246913578", "0.123456789000", "0.1234567891")
    assert accepts(step, *texts) == [True, True, False, True, True, False]
    assert accepts({**step, "type": "integer"}, "123456789.0e0", "0.123456789", "-246913578") == [True, False, True]


def test_characters_are_accepted_in_all_their_spellings_and_counted_once() -> None:
    assert accepts({"const": "é"}, '"é"', r'"\u00e9"', r'"\u00E9"', r'"\u00ea"') == [True, True, True, False]
    assert accepts({"type": "string", "maxLength": 1}, '"😀"', r'"\uD83D\uDE00"', r'"\n"', '"ab"', r'"\uD83D"') == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert accepts({"type": "string", "pattern": "^a/b$"}, r'"a\/b"', r'"\u0061/b"', '"a-b"') == [True, True, False]
    assert accepts({"const": "a"}, r'"\u0061"', options=SchemaOptions(escapes="minimal")) == [False]


def test_declared_keys_in_disguise_are_declared_keys() -> None:
    schema = {"type": "object", "properties": {"ab": {"type": "null"}}}
    assert accepts(schema, r'{"\u0061b": null}', r'{"\u0061b": 1}', r'{"\u0061c": 1}') == [True, False, True]


def test_whitespace_is_bounded_unless_asked_otherwise() -> None:
    schema = {"type": "array", "items": {"type": "null"}}
    twenty = " " * 20
    assert accepts(schema, f"[{twenty}null]", f"[{twenty} null]", "[ ]", " []", "[] ") == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert accepts(schema, "[null,null]", "[null, null]", options=SchemaOptions(whitespace="compact")) == [True, False]
    assert accepts(schema, "[null,null]", "[ null, null]", options=SchemaOptions(whitespace=" ?")) == [True, True]


def test_properties_stand_in_the_order_of_the_schema_or_in_any() -> None:
    schema = {"properties": {"a": {}, "b": {}}, "required": ["c"], "type": "object"}
    texts = ('{"a":1,"b":2,"c":3,"d":4}', '{"b":1,"a":2,"c":3}', '{"c":1,"b":2}', '{"d":1,"c":2}')
    assert accepts(schema, *texts) == [True, False, False, False]
    assert accepts(schema, *texts, options=SchemaOptions(property_order="any")) == [True] * 4
    twice = '{"a":1,"a":2,"c":3}'
    assert accepts(schema, twice, options=SchemaOptions(property_order="any")) == [False]


def test_many_properties_may_stand_in_any_order_too() -> None:
    names = [f"p{number}" for number in range(30)]
    schema = {"properties": {key: {"type": "null"} for key in names}, "required": names[:15], "type": "object"}
    closed = {**schema, "additionalProperties": False}
    rng = random.Random(1)
    for _ in range(5):
        rng.shuffle(names)
        whole = json.dumps(dict.fromkeys(names))
        more, fewer = json.dumps(dict.fromkeys([*names, "q"])), json.dumps(dict.fromkeys(sorted(names)[5:]))
        options = SchemaOptions(property_order="any")
        assert accepts(schema, whole, more, fewer, options=options) == [True, True, False]
        assert accepts(closed, whole, more, fewer, options=options) == [True, False, False]


# -- what is left out if the caller wants it so ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "accepted", "rejected"),
    [
        ({"type": "string", "pattern": r"(a)\1", "maxLength": 3}, ['"aa"', '"b"'], ['"abcd"', "1"]),
        ({"type": "string", "not": {"pattern": r"(a)\1"}, "maxLength": 3}, ['"aa"', '"b"'], ['"abcd"']),
        ({"propertyNames": {"pattern": r"(a)\1", "maxLength": 2}, "type": "object"}, ['{"b":1}'], ['{"abc":1}']),
        (
            {
                "type": "object",
                "patternProperties": {r"(a)\1": {"type": "null"}},
                "properties": {"b": {"type": "null"}},
                "additionalProperties": False,
            },
            ['{"aa":1}', '{"c":1}', '{"b":null}'],
            ['{"b":1}'],
        ),
    ],
)
def test_lenient_schemas_are_wider_and_say_so(schema: Any, accepted: list[str], rejected: list[str]) -> None:
    with pytest.raises(UnsupportedFeature):
        json_schema(schema)
    options = SchemaOptions(lenient=True)
    assert accepts(schema, *accepted, *rejected, options=options) == [True] * len(accepted) + [False] * len(rejected)
    assert any(not note.enforced for note in json_schema(schema, options).notes)


# -- what a schema may be -------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    colour: Colour = Colour.RED


def test_python_types_are_schemas() -> None:
    pytest.importorskip("pydantic")
    assert accepts(list[int], "[1, 2]", '["a"]') == [True, False]
    assert accepts(Literal["a", 1], '"a"', "1", "2") == [True, True, False]
    assert accepts(Point, '{"x": 1, "colour": "blue"}', '{"x": 1}', '{"x": 1, "colour": "green"}') == [
        True,
        True,
        False,
    ]


def test_the_draft_decides_what_keywords_mean() -> None:
    old = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True, "const": 9}
    assert accepts(old, "3", "4") == [False, True]
    assert accepts({"type": "integer"}, "1.0", options=SchemaOptions(draft="4")) == [False]
    assert accepts({"type": "integer"}, "1.0", "1.5") == [True, False]
    assert accepts({"items": [{"type": "null"}], "type": "array"}, "[null, 1]", "[1]") == [True, False]


def test_references_are_found_in_the_document_and_the_registry_only() -> None:
    registry = {"https://example.com/s": {"$defs": {"n": {"$anchor": "here", "type": "null"}}}}
    schema = {"$ref": "https://example.com/s#here"}
    assert accepts(schema, "null", "1", options=SchemaOptions(registry=registry)) == [True, False]
    with pytest.raises(UnsupportedFeature, match="leaves the document"):
        json_schema(schema)
    with pytest.raises(GrammarSyntaxError, match="points nowhere"):
        json_schema({"$ref": "#/$defs/missing"})


def test_a_report_names_every_enforced_keyword_and_where_it_stands() -> None:
    grammar = json_schema({"properties": {"a": {"maxLength": 3}, "b": {"format": "colour"}}, "type": "object"})
    lines = {str(note): note.enforced for note in grammar.compile(BYTES).report()}
    assert lines["#/properties/a maxLength: a counter"]
    assert not lines["#/properties/b format: 'colour' is no format of the standard: an annotation"]


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ('{"type": "string"', GrammarSyntaxError),
        ('{"type": "string", "type": "null"}', GrammarSyntaxError),
        ('{"minimum": NaN}', GrammarSyntaxError),
        ({"type": "text"}, GrammarSyntaxError),
        ({"minLength": -1}, GrammarSyntaxError),
        ({"pattern": "("}, GrammarSyntaxError),
        ({"properties": {"a": 3}}, GrammarSyntaxError),
        ({"multipleOf": 0}, GrammarSyntaxError),
        ({"$ref": "#"}, UnsatisfiableGrammar),
        ({"allOf": [{"$ref": "#"}]}, UnsatisfiableGrammar),
        ("[" * 100_000, LimitExceeded),
        ('{"maximum": 1e999999999}', LimitExceeded),
        ({"type": "string", "pattern": r"(a)\1"}, UnsupportedFeature),
    ],
)
def test_bad_schemas_get_the_right_error(schema: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        json_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}}, "$ref": "#/$defs/a"},
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
        False,
    ],
)
def test_contradictions_are_found_when_the_grammar_is_compiled(schema: Any) -> None:
    with pytest.raises(UnsatisfiableGrammar):
        json_schema(schema).compile(BYTES)


def test_deep_schemas_do_not_touch_the_interpreters_stack() -> None:
    schema: Any = {"type": "null"}
    for _ in range(900):
        schema = {"not": {"not": {"type": "array", "items": schema}}} if _ % 2 else {"items": schema, "type": "array"}
        if _ > 250:
            break
    assert json_schema(schema).matches(b"[]")
