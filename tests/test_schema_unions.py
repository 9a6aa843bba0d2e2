"""Alternatives in schemas: what tells them apart keeps their products small, whatever else they say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from grammars import SchemaOptions, UnsatisfiableGrammar, json_schema

ANY_ORDER = SchemaOptions(property_order="any")
STRING, NUMBER = {"type": "string"}, {"type": "number"}


def judged_like_jsonschema(schema: Any, values: list[Any]) -> bool:
    grammar, judge = json_schema(schema, ANY_ORDER), jsonschema.Draft202012Validator(schema)
    return all(grammar.matches(json.dumps(value).encode()) == judge.is_valid(value) for value in values)


def named(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"kind": {"const": kind}, **more}, "required": ["kind", *more]}


@pytest.mark.parametrize("count", [4, 40])
def test_an_open_alternative_beside_many_that_a_key_tells_apart(count: int) -> None:
    """The ways to be none of the others add up: they do not multiply."""
    others = [named(f"k{index}", a=STRING, b=NUMBER, c={"type": "boolean"}) for index in range(count)]
    schema = {"oneOf": [*others, {"type": "object", "required": ["kind", "d"]}]}
    whole = {"kind": "k1", "a": "", "b": 1, "c": True}
    values = [whole, whole | {"d": 1}, whole | {"d": 1, "b": ""}, {"kind": 1, "d": 1}, {"kind": "k2", "d": 0}, {"d": 1}]
    assert judged_like_jsonschema(schema, values)


def test_what_stands_beside_alternatives_tells_them_apart() -> None:
    """Each alternative leaves its kind optional; the schema around them requires it."""
    alternatives = []
    for index in range(30):
        wanted = {"kind": {"const": f"k{index}"}, "a": {"type": "object", "required": [f"x{index}"]}, "b": STRING}
        alternatives.append({"properties": wanted})
    schema = {"type": "object", "required": ["kind"], "allOf": [{"oneOf": alternatives}]}
    values = [
        {"kind": "k3", "a": {"x3": 1}},
        {"kind": "k3", "a": {"x4": 1}},
        {"kind": "k3"},
        {"a": {"x3": 1}},
        {"kind": "z"},
    ]
    assert judged_like_jsonschema(schema, values)


def test_closed_alternatives_without_a_common_key_exclude_each_other() -> None:
    def closed(*names: str) -> dict[str, Any]:
        return {"type": "object", "properties": dict.fromkeys(names, STRING), "additionalProperties": False}

    schema = {"oneOf": [closed(*"abcdefgh", name) | {"required": [name]} for name in "pqrstuvw"] + [closed(*"abcxyz")]}
    values = [
        {"p": ""},
        {"p": "", "q": ""},
        {"a": ""},
        {"a": "", "x": ""},
        {"a": "", "p": ""},
        {"a": 1},
        {"x": "", "p": ""},
    ]
    assert judged_like_jsonschema(schema, values)


def test_a_chain_of_conditions_that_exclude_each_other() -> None:
    def step(index: int) -> dict[str, Any]:
        kind = {"properties": {"kind": {"const": f"k{index}"}}, "required": ["kind"]}
        return {"if": kind, "then": {"required": [f"x{index}"]}, "else": {"properties": {f"x{index}": False}}}

    schema = {"type": "object", "allOf": [step(index) for index in range(40)]}
    values = [{"kind": "k1", "x1": 0}, {"kind": "k1"}, {"kind": "k1", "x1": 0, "x2": 0}, {"kind": "z"}, {}, {"x5": 0}]
    assert judged_like_jsonschema(schema, values)


def test_whether_alternatives_exclude_each_other_may_depend_on_values_of_their_own_kind() -> None:
    """Asking this of a schema while it is worked out is no reference loop."""
    nested = {"properties": {"in": {"$ref": "#"}}, "required": ["in"], "additionalProperties": False, "type": "object"}
    several = {"properties": {"in": {"type": "array", "items": {"$ref": "#"}}}, "required": ["in"], "type": "object"}
    schema = {"oneOf": [nested, several, STRING]}
    values = ["", {"in": ""}, {"in": {"in": ""}}, {"in": []}, {"in": ["", {"in": []}]}, {"in": 1}, {"in": [1]}, {}]
    assert judged_like_jsonschema(schema, values)


def test_a_reference_loop_that_reads_nothing_is_still_an_error() -> None:
    loop = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, STRING]}}}
    with pytest.raises(UnsatisfiableGrammar, match="refers to itself"):
        json_schema(loop | {"properties": {"x": {"$ref": "#/$defs/a"}}})


def test_few_numbers_with_many_remainders() -> None:
    """Multiples of 13 in a range, of which none may be a multiple of five other primes: 30,030 remainders."""
    excluded = {"anyOf": [{"multipleOf": prime} for prime in (2, 3, 5, 7, 11)]}
    schema = {"type": "integer", "multipleOf": 13, "not": excluded, "minimum": 100, "exclusiveMaximum": 1000}
    assert judged_like_jsonschema(schema, list(range(1100)))


def test_lists_of_strings_stay_lists_when_they_are_combined() -> None:
    words = [f"w{index}" for index in range(50)]
    schema = {"enum": [*words, "z"], "allOf": [{"not": {"const": word}} for word in words]}
    assert judged_like_jsonschema(schema, [*words, "z", "y"])
