"""A pattern with a length: the counting automaton is the derived one, and far counts cannot be noticed in between."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random

import numpy as np
import pytest

from grammars import Vocabulary, json_schema
from grammars.bounded_residuals import BoundedResiduals, residuals_of
from grammars.expression import (
    ANY_CHAR,
    ANY_TEXT,
    Chars,
    CountingAutomaton,
    Node,
    both,
    choice,
    complement,
    repeat,
    sequence,
    text,
)
from grammars.limits import Budget
from grammars.residuals import DEAD, Residuals
from grammars.schema import spelled_residuals
from tests.naive.random_nodes import random_regular

WORK = 10**7
ALPHABET = (b"a", b"b", b"c", "é".encode(), "中".encode())
BOUNDS = ((0, 2), (0, 3), (2, 2), (1, 4), (3, None), (0, 9), (7, 9), (6, None), (9, 20))
WIDE = Chars(((ord("a"), ord("c")), (ord("é"), ord("é")), (ord("中"), ord("中"))))
PLAIN = (
    repeat(WIDE),
    repeat(sequence([WIDE, text("ab")])),
    sequence([repeat(WIDE), text("中"), repeat(WIDE)]),
    choice([repeat(text("aa")), sequence([repeat(text("é")), text("b")])]),
    sequence([repeat(sequence([repeat(WIDE, 1, None), text("c")]), 0, 3), text("a")]),
)


def bounded(node: Node, low: int, high: int | None) -> tuple[BoundedResiduals, Residuals]:
    whole = both(node, repeat(ANY_CHAR, low, high))
    automaton = residuals_of(whole, Budget("compile_work", WORK))
    assert isinstance(automaton, BoundedResiduals)
    return automaton, Residuals(whole, Budget("compile_work", WORK))


def expressions() -> Iterator[Node]:
    yield from PLAIN
    random = Random("bounded")
    for _ in range(40):
        node = random_regular(random, 2, looks=False, booleans=False)
        if isinstance(residuals_of(both(node, repeat(ANY_CHAR, 0, 9)), Budget("compile_work", WORK)), BoundedResiduals):
            yield node


def test_long_ways_and_booleans_are_derived_with_their_length() -> None:
    for node in (repeat(text("abc"), 4, None), complement(text("abc")), sequence([ANY_TEXT, repeat(WIDE, 9, 9)])):
        assert isinstance(residuals_of(both(node, repeat(ANY_CHAR, 0, 99)), Budget("compile_work", WORK)), Residuals)


def after(automaton: BoundedResiduals | Residuals, state: int, data: bytes) -> int:
    for byte in data:
        if state == DEAD:
            break
        state = automaton.step(state, byte)
    return state


def same_place(ours: BoundedResiduals, state: int, theirs: BoundedResiduals | Residuals, other: int) -> bool:
    if DEAD in (state, other):
        return state == other
    return ours.accepts(state) == theirs.accepts(other)


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_it_is_the_derived_automaton(low: int, high: int | None) -> None:
    for node in expressions():
        ours, derived = bounded(node, low, high)
        seen, pairs = set[tuple[int, int]](), [(ours.start, derived.start)]
        while pairs:
            pair = pairs.pop()
            assert same_place(ours, pair[0], derived, pair[1]), (node, low, high)
            if DEAD in pair or pair in seen or len(seen) > 400:
                continue
            seen.add(pair)
            pairs.extend((ours.step(pair[0], byte), derived.step(pair[1], byte)) for byte in b"abc\xc3\xa9\xe4\xb8\xad")


@pytest.mark.parametrize(("low", "high"), [(0, 40), (3, 50), (25, 60), (0, 12), (0, 33)])
def test_short_strings_cannot_tell_a_far_count(low: int, high: int | None) -> None:
    far_ones = 0
    strings = [b"".join(parts) for size in range(4) for parts in product(ALPHABET, repeat=size)]
    for node in PLAIN:
        ours, _ = bounded(node, low, high)
        for prefix in (b"", b"a", b"aab", b"ab" * 6, "éa中".encode() * 3, b"aab" * 12):
            state = after(ours, ours.start, prefix)
            if state == DEAD:
                continue
            far, nearest = ours.far(state)
            far_ones += far != state and nearest > 4
            for string in strings:
                if len(string) < nearest:
                    assert same_place(ours, after(ours, state, string), ours, after(ours, far, string))
    assert far_ones


SCHEMAS = (
    {"type": "string", "pattern": r"^(\S+ ){0,1}\S+$", "minLength": 3, "maxLength": 24},
    {"type": "string", "pattern": "[ab]+", "minLength": 9, "maxLength": 24},
    {"type": "object", "patternProperties": {"a": {"maxLength": 3}}, "propertyNames": {"maxLength": 25}},
)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_masks_are_those_of_the_derived_automaton(schema: object, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = (b"a", b"b", b" ", b'"', "é".encode(), b"{", b"}", b":", b",", rb"\u0061")
    tokens = sorted({b"".join(parts) for size in (1, 2, 3) for parts in product(pieces, repeat=size)})
    vocabulary = Vocabulary([*tokens, *(bytes([byte]) for byte in range(256)), b"<end>"], eos=[len(tokens) + 256])
    counting = json_schema(schema).compile(vocabulary)
    assert any(isinstance(automaton, CountingAutomaton) for automaton in counting._lowered.residuals)
    monkeypatch.setattr(spelled_residuals, "residuals_of", Residuals)
    deriving = json_schema(schema).compile(vocabulary)
    random = Random("masks")
    for _ in range(4):
        one, other = counting.start, deriving.start
        for _ in range(40):
            mask = counting.mask(one)
            assert np.array_equal(mask, deriving.mask(other))
            allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[: len(tokens)])
            if len(allowed) == 0:
                break
            token = int(random.choice(allowed.tolist()))
            one, other = counting.advance(one, token), deriving.advance(other, token)
