"""Recursion of every kind and counters within counters: of many ways to the same text none is lost, none added.

The engine merges and drops ways that others make superfluous. So every text over two letters up to some length is
compared with the definition, for grammars in which nearly everything is ambiguous.
"""

from __future__ import annotations

import random

import pytest

from grammars import DEAD, Grammar, UnsatisfiableGrammar, Vocabulary
from grammars.expression import Call, Node, choice, repeat, sequence, text
from tests.naive.prefixes import Prefixes

_LETTERS = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
_LONGEST = 5
_RULES = ("x", "y", "z")


def _recursive(rng: random.Random, depth: int) -> Node:
    """An expression in which rules call each other first, last and in the middle."""
    kind = rng.random() if depth else 1.0
    if kind < 0.3:
        return sequence([_recursive(rng, depth - 1) for _ in range(rng.randint(2, 3))])
    if kind < 0.55:
        return choice([_recursive(rng, depth - 1) for _ in range(rng.randint(2, 3))])
    if kind < 0.65:
        return repeat(_recursive(rng, depth - 1), *rng.choice([(0, 1), (0, None), (1, None), (1, 2), (2, 3)]))
    return text(rng.choice("ab")) if rng.random() < 0.5 else Call(rng.choice(_RULES))


def _counted(rng: random.Random, depth: int) -> Node:
    """Counters within counters, with what may be left out between them."""
    if not depth:
        return text(rng.choice(["a", "a", "b", "ab"]))
    parts = [_counted(rng, depth - 1)]
    if rng.random() < 0.5:
        parts.insert(rng.randint(0, 1), repeat(text(rng.choice("ab")), 0, 1))
    low = rng.choice([0, 0, 1, 2])
    return repeat(sequence(parts), low, rng.choice([low + 1, low + 2, low + 9, None]))


def _differences(start: Node, rules: dict[str, Node]) -> list[str]:
    """Texts of which automaton and definition hold different opinions."""
    language = Prefixes(start, rules)
    if not language.productive(start):
        with pytest.raises(UnsatisfiableGrammar):
            Grammar(start, rules).compile(_LETTERS)
        return []
    automaton = Grammar(start, rules).compile(_LETTERS)
    wrong: list[str] = []
    prefixes = [(b"", automaton.start)]
    for prefix, state in prefixes:
        is_alive = state != DEAD
        if is_alive != language.viable(prefix):
            wrong.append(f"{prefix!r} may begin a text: {not is_alive}")
        elif is_alive and automaton.accepts(state) != language.accepts(prefix):
            wrong.append(f"{prefix!r} is a text: {not automaton.accepts(state)}")
        if is_alive and len(prefix) < _LONGEST:
            prefixes += [
                (prefix + letter, automaton.advance(state, token)) for token, letter in enumerate((b"a", b"b"))
            ]
    return wrong


@pytest.mark.parametrize("seed", range(80))
def test_recursion_of_every_kind_is_exact(seed: int) -> None:
    rng = random.Random(seed)
    rules = {name: _recursive(rng, 2) for name in _RULES}
    assert _differences(Call("x"), rules) == []


@pytest.mark.parametrize("seed", range(40))
def test_counters_within_counters_are_exact(seed: int) -> None:
    rng = random.Random(seed)
    assert _differences(_counted(rng, rng.randint(2, 4)), {}) == []


@pytest.mark.parametrize("seed", range(30))
def test_counters_within_recursion_are_exact(seed: int) -> None:
    rng = random.Random(seed)
    body = choice([sequence([_counted(rng, 2), Call("x")]), repeat(Call("y"), 1, 3), _counted(rng, 1)])
    rules = {"x": body, "y": choice([sequence([Call("x"), text("b")]), _counted(rng, 2)])}
    assert _differences(Call("x"), rules) == []
