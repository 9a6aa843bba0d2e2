"""Values that must differ: masks are exact, compared with the definition on languages small enough to be listed.

A token may follow a prefix exactly if a text of the language begins with both; the language is all texts of the valid
values, by `jsonschema`. The tokens are pieces of such texts, so many end one item and begin or end the next.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import combinations, permutations, product
from typing import Any

import jsonschema
import numpy as np
import pytest
from schema_suite import BYTES

from grammars import (
    DEAD,
    Grammar,
    LimitExceeded,
    Limits,
    SchemaOptions,
    StateError,
    UnsatisfiableGrammar,
    UnsupportedFeature,
    Vocabulary,
    json_schema,
    lark,
    literal,
    regex,
)

PLAIN = SchemaOptions(whitespace="compact", escapes="minimal", numbers="decimal", property_order="any")
SCALARS: list[Any] = ["", "a", "ab", "b", None, True, [], ["a"]]
LISTS: list[Any] = [list(items) for count in range(4) for items in product(SCALARS, repeat=count)]
PAIRS: list[Any] = [[], ["a"], ["b"], ["a", "b"], ["b", "a"], ["a", "a"], ["b", "b"]]
NESTED: list[Any] = [list(items) for count in range(4) for items in product(PAIRS, repeat=count)]


def objects(names: list[str], values: list[Any], most: int) -> list[Any]:
    return [
        dict(zip(keys, chosen, strict=True))
        for count in range(most + 1)
        for keys in combinations(names, count)
        for chosen in product(values, repeat=count)
    ]


POINTS = [list(items) for count in range(3) for items in product(objects(["x", "y"], [None, "a"], 2), repeat=count)]
RECORDS = objects(["", "a", "ab", "b"], [None, True], 4)
ANY = {"enum": SCALARS}
KEYS = {"type": "object", "propertyNames": {"pattern": "^(a|b|ab|)$"}, "additionalProperties": {"enum": [None, True]}}
PAIR = {"type": "array", "items": {"enum": ["a", "b"]}}


def enum(*values: Any) -> dict[str, Any]:
    return {"enum": list(values)}


CASES: list[tuple[Any, list[Any]]] = [
    ({"type": "array", "items": ANY, "uniqueItems": True, "maxItems": 3}, LISTS),
    ({"type": "array", "items": ANY, "not": {"uniqueItems": True}, "maxItems": 3}, LISTS),
    ({"type": "array", "prefixItems": [enum("a", "b")] * 2 + [enum("a", "b", "ab")], "uniqueItems": True}, LISTS),
    (
        {"type": "array", "prefixItems": [ANY, enum("a", "b"), enum("a")], "uniqueItems": True, "minItems": 3},
        LISTS,
    ),
    (
        {"type": "array", "items": ANY, "contains": enum("a", True, "ab"), "minContains": 2, "uniqueItems": True},
        LISTS,
    ),
    (
        {
            "anyOf": [
                {"items": enum("", "a", "ab", "b"), "uniqueItems": True},
                {"items": enum("a", None, True), "maxItems": 2},
            ]
        },
        LISTS,
    ),
    ({"items": ANY, "oneOf": [{"uniqueItems": True, "maxItems": 2}, {"minItems": 2}]}, LISTS),
    ({"items": {**PAIR, "maxItems": 2, "uniqueItems": True}, "uniqueItems": True}, NESTED),
    ({"items": {**PAIR, "maxItems": 2}, "uniqueItems": True, "minItems": 3}, NESTED),
    ({"items": {**PAIR, "maxItems": 1}, "uniqueItems": True, "minItems": 3}, NESTED),
    ({"items": {**PAIR, "maxItems": 1}, "uniqueItems": True, "minItems": 4}, NESTED),
    (
        {
            "items": {
                "type": "object",
                "properties": {"x": enum(None, "a"), "y": enum(None, "a")},
                "additionalProperties": False,
            },
            "uniqueItems": True,
        },
        POINTS,
    ),
    ({**KEYS, "minProperties": 2}, RECORDS),
    ({**KEYS, "minProperties": 4}, RECORDS),
    ({**KEYS, "minProperties": 2, "maxProperties": 3, "properties": {"a": enum(True)}}, RECORDS),
    ({**KEYS, "not": {"additionalProperties": enum(None)}}, RECORDS),
    (
        {
            "type": "object",
            "properties": dict.fromkeys(["a", "ab", "abc", "b", "", "c", "d"], enum(None)),
            "required": ["ab", "c"],
            "additionalProperties": False,
        },
        objects(["a", "ab", "abc", "b", "", "c", "d"], [None], 7),
    ),
]


def texts(value: Any) -> Iterator[str]:
    """All texts of a value, without whitespace."""
    if isinstance(value, list):
        for parts in product(*(list(texts(item)) for item in value)):
            yield f"[{','.join(parts)}]"
    elif isinstance(value, dict):
        for order in permutations(value.items()):
            for parts in product(*(list(texts(item)) for _, item in order)):
                members = (f"{json.dumps(key)}:{part}" for (key, _), part in zip(order, parts, strict=True))
                yield f"{{{','.join(members)}}}"
    else:
        yield json.dumps(value)


def bounded(schema: Any, universe: list[Any]) -> Any:
    """The schema, of which no value is longer than those listed."""
    return {"allOf": [schema, {"type": "array", "maxItems": max(map(len, universe))}]} if universe[0] == [] else schema


def pieces(all_texts: list[str], rng: random.Random) -> list[str]:
    found = {char for text in all_texts for char in text}
    for text in rng.choices([text for text in all_texts if len(text) > 1], k=60):
        begin = rng.randrange(len(text))
        found.add(text[begin : begin + rng.randint(2, 6)])
    return sorted(found)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_masks_are_what_the_definition_says(number: int) -> None:
    schema, universe = CASES[number]
    validator = jsonschema.Draft202012Validator(bounded(schema, universe))
    language = {text for value in universe if validator.is_valid(value) for text in texts(value)}
    rng = random.Random(number)
    tokens = pieces(sorted({text for value in universe for text in texts(value)}), rng)
    vocabulary = Vocabulary([token.encode() for token in tokens] + [b"<end>"], eos=[len(tokens)])
    grammar = json_schema(bounded(schema, universe), PLAIN)
    if not language:
        with pytest.raises(UnsatisfiableGrammar):
            grammar.compile(vocabulary)
        return
    automaton = grammar.compile(vocabulary)
    prefixes = {text[:length] for text in language for length in range(len(text) + 1)}
    mask = np.zeros((1, vocabulary.words), np.uint32)
    waiting, seen = [("", automaton.start)], set[str]()
    while waiting and len(seen) < 250:
        prefix, state = waiting.pop(rng.randrange(len(waiting)))
        if prefix in seen:
            continue
        seen.add(prefix)
        automaton.fill_masks([state], mask)
        bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
        for index, token in enumerate(tokens):
            after, possible = automaton.advance(state, index), prefix + token in prefixes
            assert bits[index] == possible == (after != DEAD) == automaton.allows(state, index), (prefix, token)
            if possible:
                waiting.append((prefix + token, after))
        assert bits[len(tokens)] == automaton.accepts(state) == (prefix in language), prefix
    assert len(seen) > 10


def test_equal_values_are_equal_however_they_are_written() -> None:
    grammar = json_schema({"type": "array", "uniqueItems": True})
    for repeated in (
        *('["a", "\\u0061"]', "[1, 1.0]", "[10, 1e1]", "[0, -0.0]", "[100e-2, 1E0]", '["😀", "\\uD83D\\uDE00"]'),
        *('[{"a":1,"b":2}, {"b":2.0,"a":1}]', "[[1, [2]], [1.0,[2]]]", "[null, true, null]", '[{}, [], "", {}]'),
    ):
        assert not grammar.matches(repeated.encode()), repeated
    for different in (
        *("[1, true, 0, false]", '["1", 1]', "[[], {}, null]", '[{"a":1}, {"a":2}]', "[[1,2], [2,1], [1], [1,2,3]]"),
        *("[[1,1], [1]]", "[1, -1, 10, 0.1]", '[{"a":{"b":1}}, {"a":{"b":1,"c":1}}]', "[0.0000001, 1e-8, 1e-70]"),
    ):
        assert grammar.matches(different.encode()), different


def test_an_unfinished_item_is_refused_only_when_nothing_fresh_is_left() -> None:
    automaton = json_schema({"type": "array", "uniqueItems": True}, SchemaOptions(whitespace="compact")).compile(BYTES)

    def following(text: str) -> set[str]:
        state = automaton.start
        for byte in text.encode():
            state = automaton.advance(state, byte)
        return {chr(byte) for byte in range(128) if automaton.allows(state, byte)}

    assert "]" not in following("[1,1")
    assert "2" in following("[1,1")
    assert "e" not in following("[0,0")
    assert "." in following("[0,0")
    assert '"' not in following('["a","a')
    assert "\\" in following('["a","a')
    assert following("[true,t") == set[str]()
    assert following("[true,") >= set('"[{fn-0123456789')
    assert "t" not in following("[true,")


def test_arrays_are_no_longer_than_there_are_values() -> None:
    for items, most in (
        ({"type": "integer", "minimum": 0, "maximum": 6}, 7),
        ({"type": "string", "pattern": "^[a-c]{1,2}$"}, 12),
        ({"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.125}, 9),
        ({"type": ["boolean", "null"]}, 3),
    ):
        schema = {"type": "array", "items": items, "uniqueItems": True}
        json_schema({**schema, "minItems": most}).compile(BYTES)
        with pytest.raises(UnsatisfiableGrammar):
            json_schema({**schema, "minItems": most + 1}).compile(BYTES)


def test_grammars_with_registers_combine_and_refuse_what_they_cannot_do() -> None:
    unique = json_schema({"type": "array", "uniqueItems": True})
    tagged = literal("<") + unique + literal(">") | literal("-")
    assert tagged.matches(b"<[1, 2]>")
    assert tagged.matches(b"-")
    assert not tagged.matches(b"<[1, 1]>")
    assert unique.repeat(2, 2).matches(b"[1][1]")
    assert not unique.repeat(2, 2).matches(b"[1][1,1]")
    nested = lark('start: "[" start* "]"')
    for refused in (
        lambda: unique & nested,
        lambda: nested & unique,
        lambda: unique & unique,
        lambda: ~unique,
        lambda: unique - unique,
        lambda: regex(".*") - unique,
    ):
        with pytest.raises(UnsupportedFeature):
            refused()


def test_grammars_with_registers_intersect_with_regular_ones() -> None:
    integers = json_schema({"type": "array", "items": {"type": "integer"}, "uniqueItems": True})
    both = integers & regex(r"\[[12,]*\]")
    assert [both.matches(t) for t in (b"[1,2]", b"[1,1]", b"[1,2,21]", b"[3]", b"[]")] == [
        True,
        False,
        True,
        False,
        True,
    ]
    without = integers - regex(r"[\s\S]*1[\s\S]*")
    assert [without.matches(t) for t in (b"[3,2]", b"[1,2]", b"[3,3]")] == [True, False, False]
    either = literal("x") + (integers & regex(r"\[.{3,4}\]")) | integers
    texts = (b"x[1,2]", b"x[1,1]", b"x[]", b"[]", b"[1,1]")
    assert [either.matches(t) for t in texts] == [True, False, False, True, False]


def test_an_intersection_knows_when_fresh_values_have_run_out() -> None:
    """Integers never run out; those of one digit out of two do."""
    integers = json_schema({"type": "array", "items": {"type": "integer"}, "uniqueItems": True})
    automaton = (regex(r"\[[12](,[12])*\]") & integers).compile(BYTES)
    state = automaton.start
    for byte in b"[1,2":
        state = automaton.advance(state, byte)
    assert [byte for byte in range(256) if automaton.allows(state, byte)] == [ord("]")]
    with pytest.raises(UnsatisfiableGrammar):
        (regex(r"\[1,1\]") & integers).compile(BYTES)


def test_states_that_do_not_exist_are_refused() -> None:
    automaton = json_schema({"type": "array", "uniqueItems": True}).compile(BYTES)
    with pytest.raises(StateError):
        automaton.advance(10**6, 0)
    with pytest.raises(StateError):
        automaton.mask(10**6)
    assert automaton.advance(DEAD, 91) == DEAD


def test_a_search_without_end_is_over_the_limit_and_never_wrong() -> None:
    impossible = {"prefixItems": [{"type": "string"}, {"const": "a"}, {"const": "a"}], "minItems": 3}
    with pytest.raises((LimitExceeded, UnsatisfiableGrammar)):
        json_schema({"type": "array", "uniqueItems": True, **impossible}).compile(BYTES, Limits(mask_work=100_000))


def random_text(grammar: Grammar, rng: random.Random) -> bytes:
    """A random walk that ends as soon as it can after some steps."""
    automaton = grammar.compile(BYTES)
    state, text = automaton.start, bytearray()
    while not (automaton.accepts(state) and (len(text) > 30 or rng.random() < 0.2)):
        moves = [byte for byte in range(256) if automaton.mask(state)[byte >> 5] >> np.uint32(byte & 31) & 1]
        assert moves or automaton.accepts(state), f"nothing can follow {bytes(text)!r}"
        if not moves:
            break
        closing = [byte for byte in moves if byte in b'"]},']
        plain = [byte for byte in moves if byte in b'[{"ab01,]}tn']
        byte = rng.choice(closing if closing and len(text) > 30 and rng.random() < 0.7 else plain or moves)
        text.append(byte)
        state = automaton.advance(state, byte)
    return bytes(text)


PIECES = [
    *(
        '","',
        '", "',
        '"]',
        '"],',
        '"],["',
        "1,1",
        "1,2",
        '"a"',
        '"a","a"',
        '"a":1',
        ',"a":1',
        '":',
        '":"',
        "]]",
        "],[],[]",
    ),
    *(
        '{"a":',
        "}]",
        '}},"',
        "[[",
        "[1,",
        '["a",',
        "true,",
        "null]",
        ", ",
        '"aa',
        'a"',
        "b",
        "ab",
        "aab",
        '"a',
        "11",
        "1]",
    ),
    *("[]", "{}", '{"', '{"a":1},{"a":1', "1,[1],", '"p1":null', ',"p2":null,"p1"', 'p1":null}', ',"p3', "0.5,0.50"),
]
ENDLESS: list[Any] = [
    {"type": "array", "uniqueItems": True},
    {"type": "array", "items": {"type": "array", "uniqueItems": True}, "uniqueItems": True, "minItems": 2},
    {"type": "array", "items": {"type": ["integer", "string"]}, "not": {"uniqueItems": True}},
    {"type": "array", "uniqueItems": True, "contains": {"type": "integer"}, "minContains": 2},
    {"type": "object", "minProperties": 3, "additionalProperties": {"type": "integer"}},
    {"type": "object", "not": {"patternProperties": {"^a": {"type": "integer"}}}},
    {
        "type": "object",
        "properties": {f"p{number}": {"type": "null"} for number in range(9)},
        "required": ["p1", "p2"],
        "additionalProperties": False,
    },
]


@pytest.mark.parametrize("schema", ENDLESS)
def test_whatever_is_generated_from_endless_languages_is_valid(schema: Any) -> None:
    grammar = json_schema(schema, SchemaOptions(whitespace="compact", escapes="minimal", numbers="decimal"))
    validator, rng = jsonschema.Draft202012Validator(schema), random.Random(7)
    for _ in range(8):
        validator.validate(json.loads(random_text(grammar, rng)))


@pytest.mark.parametrize("schema", ENDLESS)
def test_masks_and_single_tokens_agree_on_endless_languages(schema: Any) -> None:
    """A token is in the mask exactly if it can be read, and then the text can be finished, which random walks do."""
    tokens = [bytes([byte]) for byte in range(256)] + [piece.encode() for piece in PIECES]
    vocabulary = Vocabulary([*tokens, b"<end>"], eos=[len(tokens)])
    options = SchemaOptions(whitespace=" ?", escapes="minimal", numbers="decimal", property_order="any")
    automaton = json_schema(schema, options).compile(vocabulary)
    rng = random.Random(3)
    for _ in range(4):
        state = automaton.start
        for _ in range(12):
            bits = np.unpackbits(automaton.mask(state).view(np.uint8), bitorder="little")
            allowed = [token for token in range(len(tokens)) if automaton.advance(state, token) != DEAD]
            assert np.flatnonzero(bits[: len(tokens)]).tolist() == allowed
            assert bits[len(tokens)] == automaton.accepts(state)
            if not allowed:
                break
            long = [token for token in allowed if token > 255]
            state = automaton.advance(state, rng.choice(long if long and rng.random() < 0.7 else allowed))
