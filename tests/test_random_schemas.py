"""Random schemas: what can be generated is valid, what is valid is accepted, and every walk can be finished.

The judge is `jsonschema`. Schemas are drawn from all keywords that combine, over a few names and values, so that they
meet each other; values are drawn from the same few, so that many are valid.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from schema_suite import BYTES, written

from grammars import (
    DEAD,
    Grammar,
    LimitExceeded,
    SchemaOptions,
    TokenAutomaton,
    UnsatisfiableGrammar,
    UnsupportedFeature,
    json_schema,
)

OPTIONS = SchemaOptions(property_order="any", whitespace="compact", escapes="minimal", numbers="decimal")
NAMES = ["a", "b", "ab"]
SCALARS: list[Any] = [None, True, False, 0, 1, 2, 3, -1, 0.5, 1.5, "", "a", "b", "ab", "ba", "abc"]
SCHEMAS, VALUES = 10, 30


def value(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if depth == 0 or kind < 0.45:
        return rng.choice(SCALARS)
    if kind < 0.7:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {name: value(rng, depth - 1) for name in rng.sample(NAMES, rng.randrange(4))}


def numbers(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"type": rng.choice(["integer", "number"])}
    if rng.random() < 0.5:
        found[rng.choice(["minimum", "exclusiveMinimum"])] = rng.choice([-1, 0, 0.5, 1])
    if rng.random() < 0.5:
        found[rng.choice(["maximum", "exclusiveMaximum"])] = rng.choice([1, 1.5, 2, 3])
    if rng.random() < 0.3:
        found["multipleOf"] = rng.choice([0.5, 1, 2, 3])
    return found


def strings(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string"}
    if rng.random() < 0.4:
        found["minLength"] = rng.randrange(3)
    if rng.random() < 0.4:
        found["maxLength"] = rng.randrange(1, 4)
    if rng.random() < 0.4:
        found["pattern"] = rng.choice(["^a", "b$", "^[ab]*$", "a.", "^(?!b)"])
    return found


def arrays(rng: random.Random, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "array"}
    if rng.random() < 0.6:
        found["items"] = schema(rng, depth - 1)
    if rng.random() < 0.3:
        found["prefixItems"] = [schema(rng, depth - 1) for _ in range(rng.randrange(1, 3))]
    if rng.random() < 0.3:
        found["contains"] = schema(rng, 0)
        found[rng.choice(["minContains", "maxContains", "maxItems"])] = rng.randrange(3)
    if rng.random() < 0.3:
        found["uniqueItems"] = True
    if rng.random() < 0.3:
        found[rng.choice(["minItems", "maxItems"])] = rng.randrange(3)
    return found


def objects(rng: random.Random, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object"}
    if rng.random() < 0.7:
        found["properties"] = {name: schema(rng, depth - 1) for name in rng.sample(NAMES, rng.randrange(1, 3))}
    if rng.random() < 0.4:
        found["required"] = rng.sample(NAMES, rng.randrange(1, 3))
    if rng.random() < 0.3:
        found["patternProperties"] = {rng.choice(["^a", "b$"]): schema(rng, depth - 1)}
    if rng.random() < 0.3:
        found["additionalProperties"] = rng.choice([False, schema(rng, depth - 1)])
    if rng.random() < 0.2:
        found["propertyNames"] = {"maxLength": 1}
    if rng.random() < 0.2:
        found[rng.choice(["minProperties", "maxProperties"])] = rng.randrange(3)
    if rng.random() < 0.2:
        found["dependentRequired"] = {rng.choice(NAMES): [rng.choice(NAMES)]}
    return found


def schema(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if depth <= 0 or kind < 0.2:
        plain = [{"enum": rng.sample(SCALARS, 3)}, {"type": ["null", "boolean"]}, numbers(rng), strings(rng), True]
        return rng.choice(plain)
    if kind < 0.4:
        return arrays(rng, depth)
    if kind < 0.65:
        return objects(rng, depth)
    if kind < 0.8:
        keyword = rng.choice(["anyOf", "allOf", "oneOf"])
        return {keyword: [schema(rng, depth - 1) for _ in range(2)]}
    if kind < 0.9:
        return {"not": schema(rng, depth - 1), "type": rng.choice(["object", "array", "string", "number"])}
    return {"if": schema(rng, depth - 1), "then": schema(rng, depth - 1), "else": schema(rng, depth - 1)}


def tagged(rng: random.Random, depth: int) -> dict[str, Any]:
    """An object as unions have them: many with a key that tells them apart, many closed, many with nothing required."""
    names = rng.sample(NAMES, rng.randrange(1, 3))
    found: dict[str, Any] = {"properties": {name: schema(rng, depth - 1) for name in names}}
    if rng.random() < 0.6:
        found["properties"]["a"] = {"const": rng.choice(["a", "b", 1])}
    if rng.random() < 0.6:
        found["required"] = rng.sample(NAMES, rng.randrange(1, 3))
    if rng.random() < 0.4:
        found["patternProperties"] = {pattern: schema(rng, 0) for pattern in rng.sample(["^a", "b$", "^b", "."], 2)}
    if rng.random() < 0.4:
        found["additionalProperties"] = False
    return found | ({"type": "object"} if rng.random() < 0.7 else {})


def union(rng: random.Random, depth: int) -> dict[str, Any]:
    """Many alternatives, within what is required of all of them, or as a chain of conditions."""
    alternatives = [tagged(rng, depth - 1) for _ in range(rng.randrange(2, 5))]
    around: dict[str, Any] = {"required": rng.sample(NAMES, rng.randrange(2))}
    kind = rng.random()
    if kind < 0.4:
        return around | {"oneOf": alternatives}
    if kind < 0.5:
        return around | {"allOf": [{"anyOf": alternatives}, {"oneOf": alternatives[::-1]}]}
    if kind < 0.6:
        return around | {"not": {"oneOf": alternatives}, "type": "object"}
    if kind < 0.8:
        chain = [
            {"if": one, "then": tagged(rng, 1), "else": rng.choice([True, tagged(rng, 1)])} for one in alternatives
        ]
        return around | {"allOf": chain}
    return around | {"dependentSchemas": {rng.choice(NAMES): one for one in alternatives}}


def leftovers(rng: random.Random, depth: int) -> dict[str, Any]:
    """What others have not evaluated."""
    if rng.random() < 0.3:
        inner = {"prefixItems": [schema(rng, 0)], "contains": schema(rng, 0)}
        return {"anyOf": [inner, arrays(rng, 1)], "unevaluatedItems": rng.choice([False, schema(rng, 0)])}
    rest = {"unevaluatedProperties": rng.choice([False, schema(rng, 0)])}
    return union(rng, depth) | tagged(rng, 1) | rest


def recursive(rng: random.Random, depth: int) -> dict[str, Any]:
    """Values that hold values of their own kind, some of them by a reference that whoever extends them decides."""
    inner = union(rng, depth)
    inner["properties"] = {"b": {"$dynamicRef": "#node"}, "ab": {"$ref": "#/$defs/other"}}
    return {"$dynamicAnchor": "node", "$defs": {"other": {"oneOf": [{"$ref": "#"}, schema(rng, 0)]}}, **inner}


def generated(automaton: TokenAutomaton, rng: random.Random) -> bytes | None:
    """A random walk through the masks, which prefers to end; None if it takes too long."""
    state, text = automaton.start, bytearray()
    for step in range(120):
        if automaton.accepts(state) and (step > 20 or rng.random() < 0.4):
            return bytes(text)
        moves = [byte for byte in range(256) if automaton.allows(state, byte)]
        assert moves or automaton.accepts(state), f"nothing can follow {bytes(text)!r}"
        if not moves:
            return bytes(text)
        closing = [byte for byte in moves if byte in b'"]}']
        short = [byte for byte in moves if byte in b'[]{}",:ab0123tfn-.ruelsc']
        byte = rng.choice(closing if closing and step > 15 and rng.random() < 0.8 else short or moves)
        text.append(byte)
        state = automaton.advance(state, byte)
        assert state != DEAD
    return None


def check(grammar: Grammar, found: Any, rng: random.Random) -> None:
    validator, automaton = jsonschema.Draft202012Validator(found), grammar.compile(BYTES)
    for _ in range(VALUES):
        drawn = value(rng, 3)
        assert grammar.matches(written(drawn)) == validator.is_valid(drawn), (found, drawn)
    for _ in range(3):
        text = generated(automaton, rng)
        assert text is None or validator.is_valid(json.loads(text)), (found, text)


Family = Callable[[random.Random, int], Any]
FAMILIES: list[tuple[Family, int, int]] = [(schema, 3, 4), (union, 2, 2), (leftovers, 2, 2), (recursive, 2, 2)]
ROUNDS = [(family, depth, number) for family, depth, rounds in FAMILIES for number in range(rounds)]


@pytest.mark.parametrize(("family", "depth", "number"), ROUNDS)
def test_random_schemas_mean_what_the_standard_says(family: Family, depth: int, number: int) -> None:
    rng, decided = random.Random(number), 0
    for _ in range(SCHEMAS):
        found = family(rng, depth)
        try:
            grammar = json_schema(found, OPTIONS)
            grammar.compile(BYTES)
        except UnsatisfiableGrammar:
            validator = jsonschema.Draft202012Validator(found)
            assert not any(validator.is_valid(value(rng, 3)) for _ in range(VALUES)), found
            decided += 1
        except (UnsupportedFeature, LimitExceeded):
            continue
        else:
            check(grammar, found, rng)
            decided += 1
    assert decided >= SCHEMAS - 3
