"""Strings as JSON writes them: the kernels and the lazy automaton against the expressions that spell them out."""

from __future__ import annotations

import random

import numpy as np
import pytest

from grammars.expression import ANY_CHAR, ByteAutomaton, Lexeme, Node, both, repeat
from grammars.limits import Budget
from grammars.regex import parse
from grammars.residuals import DEAD, Residuals
from grammars.schema.spelled_residuals import SpelledResiduals, spelled_residuals
from grammars.schema.spelling import Spelling
from grammars.schema.whitespace import spaced

LETTERS = 'ab"\\/\n\x00\x1f\x7f1Aéߠ\u0800\ud7ff\ue000ﻎ\U00010000😀😁\U0010ffff'
MOST_PAIRS = 120


class Table:
    """A `ByteAutomaton` with the interface of `Residuals`; -2 stands behind an edge to nowhere else."""

    DONE = -2

    def __init__(self, automaton: ByteAutomaton):
        self.row_edge, self.row_accepts, self.edges = automaton
        self.start = 0

    def accepts(self, state: int) -> bool:
        return state == self.DONE or bool(self.row_accepts[state])

    def step(self, state: int, byte: int) -> int:
        if state == self.DONE:
            return DEAD
        for low, high, target in self.edges[self.row_edge[state] : self.row_edge[state + 1]].tolist():
            if low <= byte <= high:
                return self.DONE if target < 0 else target
        return DEAD


def assert_same(left: Table | SpelledResiduals, right: Residuals) -> None:
    """Both automata accept the same and die at the same bytes, as far as a bounded walk through the product sees."""
    assert (left.start == DEAD) == (right.start == DEAD)
    seen = {(left.start, right.start)}
    stack = [] if left.start == DEAD else list(seen)
    while stack:
        a, b = stack.pop()
        assert left.accepts(a) == right.accepts(b)
        for byte in range(256):
            pair = left.step(a, byte), right.step(b, byte)
            assert (pair[0] == DEAD) == (pair[1] == DEAD), (a, b, byte)
            if pair[0] != DEAD and pair not in seen and len(seen) < MOST_PAIRS:
                seen.add(pair)
                stack.append(pair)


def residuals(node: Node) -> Residuals:
    return Residuals(node, Budget("compile_work", 10**9))


@pytest.mark.parametrize("seed", range(24))
def test_word_lexemes_read_what_their_expressions_do(seed: int) -> None:
    rng = random.Random(seed)
    words = {"".join(rng.choices(LETTERS, k=rng.randrange(4))) for _ in range(rng.randrange(1, 5))}
    spelling = Spelling(minimal=bool(seed % 2))
    for lexeme in (spelling.quoted_words(words), spelling.quoted_others(words), spelling.word(max(words) or "a")):
        assert isinstance(lexeme, Lexeme)
        assert isinstance(lexeme.automaton, ByteAutomaton)
        assert_same(Table(lexeme.automaton), residuals(lexeme.expression()[0]))


@pytest.mark.parametrize("seed", range(16))
def test_character_lexemes_read_what_their_expressions_do(seed: int) -> None:
    rng = random.Random(seed)
    cuts = sorted(rng.sample([*range(0, 0x110000, 0x3FF), *map(ord, LETTERS)], 2 * rng.randrange(1, 5)))
    ranges = tuple(zip(cuts[::2], cuts[1::2], strict=True))
    lexeme = Spelling(minimal=bool(seed % 2)).characters(ranges)
    assert isinstance(lexeme, Lexeme)
    assert isinstance(lexeme.automaton, ByteAutomaton)
    assert_same(Table(lexeme.automaton), residuals(lexeme.expression()[0]))


PATTERNS = [
    "^[a-c]{0,3}$",
    "^(?!a)[ab\\n]+$",
    "é|😀",
    "^[\\u0000-\\u001f]$",
    "[^\\u0000-\\uffff]",
    '^[^"]*$',
    "^(?=.*x)[xy/\\\\]{2,3}$",
    "^$",
    "^[\\ud7ff\\ue000]{1,2}$",
    "^[\U00010000\U0010ffff]$",
    "^(?!)$",
]


@pytest.mark.parametrize("minimal", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_residuals_of_spelled_strings_are_those_of_the_spelled_expression(pattern: str, minimal: bool) -> None:
    plain, spelling = parse(pattern, dialect="ecma", search=True), Spelling(minimal)
    for node in (plain, both(plain, repeat(ANY_CHAR, 1, 2))):
        assert_same(spelled_residuals(node, spelling, Budget("compile_work", 10**9)), residuals(spelling.of(node)))


def test_bytes_of_one_class_lead_to_one_state() -> None:
    node = parse("^(?!a)[ab1é]+$", dialect="ecma", search=True)
    automaton = spelled_residuals(node, Spelling(minimal=False), Budget("compile_work", 10**9))
    state = 0
    while state < min(len(automaton), 40):
        classes: dict[int, int] = {}
        for byte in range(256):
            target = automaton.step(state, byte)
            assert classes.setdefault(automaton.byte_classes[byte], target) == target
        assert [automaton.targets(state)[c] for c in sorted(classes)] == [classes[c] for c in sorted(classes)]
        state += 1


@pytest.mark.parametrize(("mark", "before", "after"), [("", 3, 0), (",", 2, 2), (":", 0, 1), ("{", 1, 0)])
def test_whitespace_lexemes_read_what_their_expressions_do(mark: str, before: int, after: int) -> None:
    lexeme = spaced(mark, before, after)
    assert isinstance(lexeme, Lexeme)
    assert isinstance(lexeme.automaton, ByteAutomaton)
    assert_same(Table(lexeme.automaton), residuals(lexeme.expression()[0]))


def test_a_large_list_of_words_is_as_small_as_its_common_endings() -> None:
    words = [f"{letter}{number:03}" for letter in "abcdefgh" for number in range(1000)]
    lexeme = Spelling(minimal=False).quoted_words(words)
    assert isinstance(lexeme, Lexeme)
    assert isinstance(lexeme.automaton, ByteAutomaton)
    assert len(lexeme.automaton.row_accepts) < 100
    assert np.all(np.diff(lexeme.automaton.row_edge) >= 0)
