"""Schemas and tags: families 1, 2, 4, 5, 7 and 8 for the front ends that read JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from grammars import Tag, TokenAutomaton, json_schema, tags, tool_calls
from tests.bad_input.case import Case
from tests.bad_input.vocabulary import VOCABULARY

_SYNTAX, _LIMIT = "GrammarSyntaxError", "LimitExceeded"
_EMPTY, _UNSUPPORTED = "UnsatisfiableGrammar", "UnsupportedFeature"
_DIGITS = "1" * 5_000


def _of(value: Any) -> Callable[[], str]:
    return lambda: json.dumps(value)


def _made(value: Any) -> Callable[[], TokenAutomaton]:
    """From Python values, which nothing has parsed."""
    return lambda: json_schema(value).compile(VOCABULARY)


def _nested(keyword: str, depth: int, inner: str = "{}") -> Callable[[], str]:
    return lambda: f'{{"{keyword}":' * depth + inner + "}" * depth


def _deep(depth: int) -> Callable[[], TokenAutomaton]:
    def make() -> TokenAutomaton:
        schema: dict[str, Any] = {}
        for _ in range(depth):
            schema = {"items": schema}
        return json_schema(schema).compile(VOCABULARY)

    return make


def _one_of(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for level in range(depth):
        schema = {"oneOf": [{"type": "array", "items": schema}, {"type": "string", "minLength": level}]}
    return schema


def _chain(count: int) -> dict[str, Any]:
    links: dict[str, Any] = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(count)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{count}": {"type": "boolean"}}}


def _products(factors: int, options: int) -> dict[str, Any]:
    def option(factor: int, number: int) -> dict[str, Any]:
        return {"properties": {f"p{factor}": {"minimum": number}, f"q{number}": {"maxLength": factor}}}

    return {"allOf": [{"anyOf": [option(f, n) for n in range(options)]} for f in range(factors)]}


_WORDS = [f"word {number}" for number in range(100_000)]
_MANY_WORDS = {
    "$defs": {"e": {"enum": _WORDS[:10_000]}},
    "properties": {f"p{n}": {"$ref": "#/$defs/e"} for n in range(8)},
}
_OPTIONAL = {"type": "object", "properties": {f"key{n}": {"type": "integer"} for n in range(500)}}
_TREE = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}

_TEXTS = {
    "cut": '{"type": ',
    "no JSON": "{type: string}",
    "empty text": "",
    "a key twice": '{"type": "string", "type": "number"}',
    "NaN": '{"minimum": NaN}',
    "Infinity": '{"maximum": Infinity}',
}
_WRONG = {
    "a list": [],
    "unknown type": {"type": "strin"},
    "type of types": {"type": [["string"]]},
    "minimum of text": {"minimum": "1"},
    "length below zero": {"minLength": -1},
    "length of a half": {"maxLength": 0.5},
    "multiple of zero": {"multipleOf": 0},
    "enum of nothing but a number": {"enum": 1},
    "required text": {"required": "a"},
    "properties as list": {"properties": ["a"]},
    "items as number": {"items": 3},
    "pattern that is none": {"pattern": "(a"},
    "pattern key that is none": {"patternProperties": {"[z-a]": {}}},
    "allOf of nothing": {"allOf": []},
    "reference to a number": {"$ref": 3},
    "reference to nowhere": {"$ref": "#/$defs/a"},
    "reference to no anchor": {"$ref": "#a"},
}
_CONTRADICTIONS: dict[str, Any] = {
    "false": False,
    "not anything": {"not": {}},
    "bounds that cross": {"type": "number", "minimum": 2, "maximum": 1},
    "bounds that touch from outside": {"type": "number", "exclusiveMinimum": 1, "maximum": 1},
    "no multiple between bounds": {"type": "number", "multipleOf": 7, "minimum": 8, "maximum": 13},
    "lengths that cross": {"type": "string", "minLength": 3, "maxLength": 2},
    "pattern against length": {"type": "string", "pattern": "^a{3}$", "maxLength": 2},
    "patterns that contradict": {"type": "string", "allOf": [{"pattern": "^a+$"}, {"pattern": "^b+$"}]},
    "enum against type": {"enum": [1, 2], "type": "string"},
    "constants that differ": {"allOf": [{"const": 1}, {"const": 2}]},
    "required and forbidden": {"type": "object", "required": ["a"], "properties": {"a": False}},
    "required and not admitted": {"type": "object", "required": ["a"], "additionalProperties": False},
    "more members than keys": {"type": "object", "propertyNames": {"enum": ["a"]}, "minProperties": 2},
    "items without end of them": {"type": "array", "items": False, "minItems": 1},
    "items that cross": {"type": "array", "minItems": 3, "maxItems": 2},
    "values that run out": {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 3},
    "one of two that are the same": {"oneOf": [{"type": "string"}, {"type": "string"}]},
    "a lone surrogate": {"const": "\ud800"},
    "formats that exclude each other": {"type": "string", "allOf": [{"format": "date"}, {"format": "ipv4"}]},
}
_TAG = Tag("<f>", {"type": "integer"}, "</f>")

CASES = (
    *(Case(f"schema: {name}", 1, _SYNTAX, "schema", text, span=name in ("cut", "no JSON", "empty text"))
      for name, text in _TEXTS.items()),
    *(Case(f"schema: {name}", 1, _SYNTAX, "schema", _of(value)) for name, value in _WRONG.items()),
    Case("schema: back reference", 1, _UNSUPPORTED, "schema", _of({"pattern": r"(a)\1"})),
    Case("tags without triggers", 1, _SYNTAX, act=lambda: tags([], [_TAG])),
    Case("tags whose trigger is empty", 1, _SYNTAX, act=lambda: tags([""], [_TAG])),
    Case("tag that no trigger begins", 1, _SYNTAX, act=lambda: tags(["<g>"], [_TAG])),
    Case("tag with a schema that is none", 1, _SYNTAX, act=lambda: tags(["<f>"], [Tag("<f>", {"type": "x"}, "</f>")])),
    Case("tool without a name", 1, _SYNTAX, act=lambda: tool_calls([{"parameters": {}}], "hermes")),
    Case("schema nested 10 deep", 2, "ok", "schema", _nested("items", 10), accepts=(b"[[]]", b"1")),
    Case("schema nested 400 deep", 2, "ok", "schema", _nested("not", 400), accepts=(b"1",)),
    Case("schema nested 1000 deep", 2, _LIMIT, "schema", _nested("items", 1_000)),
    Case("schema nested 100000 deep", 2, _LIMIT, "schema", _nested("items", 100_000)),
    Case("schema of brackets 100000 deep", 2, _LIMIT, "schema", lambda: "[" * 100_000),
    Case("Python schema nested 900 deep", 2, "ok", act=_deep(900), accepts=(b"[[[]]]",)),
    Case("Python schema nested 100000 deep", 2, _LIMIT, act=_deep(100_000)),
    Case("instance nested 10000 deep", 2, "ok", "schema", "{}", accepts=(b"[" * 10_000 + b"]" * 10_000,)),
    Case("enum of 100000 words", 4, "ok", "schema", _of({"enum": _WORDS}), accepts=(b'"word 77"',), dead=(b'"wort',)),
    Case("oneOf 16 deep", 4, "ok", "schema", _of(_one_of(16)), accepts=(b"[[]]", b"[" * 16 + b"1" + b"]" * 16)),
    Case("allOf of 8 anyOf of 8", 4, _LIMIT, "schema", _of(_products(8, 8))),
    Case("500 optional keys", 4, "ok", "schema", _of(_OPTIONAL), accepts=(b'{"key3": 1, "key499": 2}',)),
    Case("a million items", 4, "ok", "schema", _of({"type": "array", "maxItems": 10**6}), accepts=(b"[1]",)),
    Case("a million characters", 4, "ok", "schema", _of({"type": "string", "maxLength": 10**6}), accepts=(b'"a"',)),
    Case("a chain of 10000 references", 4, "ok", "schema", _of(_chain(10_000)), accepts=(b"true",), dead=(b"1",)),
    Case("8 references to 10000 words", 4, "ok", "schema", _of(_MANY_WORDS), accepts=(b'{"p7": "word 9999"}',)),
    Case("schema: only itself", 5, _EMPTY, "schema", _of({"$ref": "#"})),
    Case("schema: two that are each other", 5, _EMPTY, "schema",
         _of({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})),
    Case("schema: itself through allOf", 5, _EMPTY, "schema", _of({"allOf": [{"$ref": "#"}]})),
    Case("schema: itself, required", 5, _EMPTY, "schema", _of({**_TREE, "required": ["next"]})),
    Case("schema: itself, optional", 5, "ok", "schema", _of(_TREE), accepts=(b'{"next": {"next": {}}}',), dead=(b"[",)),
    Case("schema: reference to elsewhere", 5, _UNSUPPORTED, "schema", _of({"$ref": "http://127.0.0.1:9/schema"})),
    Case("schema: reference to a file", 5, _UNSUPPORTED, "schema", _of({"$ref": "file:///etc/passwd"})),
    Case("schema: $id of elsewhere", 5, "ok", "schema",
         _of({"$id": "http://127.0.0.1:9/a", "$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}), accepts=(b"null",)),
    Case("schema: $id that takes the place of another", 5, "ok", "schema",
         _of({"$ref": "b", "$defs": {"x": {"$id": "b", "type": "null"}, "y": {"$id": "b", "type": "string"}}}),
         accepts=(b"null",), dead=(b'"',)),
    *(Case(f"schema: {name}", 7, _EMPTY, "schema", _of(value)) for name, value in _CONTRADICTIONS.items()),
    Case("schema: host names longer than any", 7, _LIMIT, "schema",
         _of({"type": "string", "format": "hostname", "minLength": 254})),
    Case("schema: bounds beyond floats", 8, "ok", "schema",
         lambda: '{"type": "integer", "minimum": 1' + "0" * 400 + "}",
         accepts=(b"1" + b"0" * 400,), rejects=(b"9" * 400,)),
    Case("schema: 1e308", 8, "ok", "schema", '{"type": "number", "maximum": 1e308}',
         accepts=(b"1" + b"0" * 308,), rejects=(b"1" + b"0" * 307 + b"1",)),
    Case("schema: an exponent of a million", 8, _LIMIT, "schema", '{"maximum": 1e1000000}'),
    Case("schema: an exponent of many digits", 8, _LIMIT, "schema", '{"maximum": 1e99999999999999999999}'),
    Case("schema: minus zero", 8, "ok", "schema", '{"const": 0}', accepts=(b"0", b"-0", b"0.0"), rejects=(b"0.1",)),
    Case("schema: multiples of 0.01", 8, "ok", "schema", '{"type": "number", "multipleOf": 0.01}',
         accepts=(b"19.99", b"0.07", b"1.1"), rejects=(b"0.001",)),
    Case("schema: integers of 5000 digits", 8, "ok", "schema", lambda: '{"const": ' + _DIGITS + "}",
         accepts=(_DIGITS.encode(),), rejects=(_DIGITS.encode()[1:],)),
    Case("schema: infinity as a float", 8, _SYNTAX, act=_made({"minimum": float("inf")})),
    Case("schema: not a number", 8, _SYNTAX, act=_made({"const": float("nan")})),
    Case("schema: a step of many digits", 8, "ok", "schema", '{"type": "integer", "multipleOf": 0.123456789}',
         accepts=(b"123456789", b"0", b"-246913578.0"), rejects=(b"1",), dead=(b"0.1",)),
    Case("schema: bounds that floats do not tell apart", 8, "ok", "schema",
         '{"type": "integer", "minimum": 100000000000000000000000000000000000000001}',
         accepts=(b"100000000000000000000000000000000000000001",), rejects=(b"1" + b"0" * 41,)),
    Case("schema: constants that floats do not tell apart", 8, _EMPTY, "schema",
         '{"allOf": [{"const": 100000000000000000000000000000000000000001}, '
         '{"const": 100000000000000000000000000000000000000002}]}'),
)  # fmt: skip
