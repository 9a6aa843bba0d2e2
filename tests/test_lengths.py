"""The least number of bytes of one copy: never too large, and exact for what is read in a few steps."""

from __future__ import annotations

import random

import numpy as np
import pytest

from grammars import Grammar, Limits, UnsatisfiableGrammar, gbnf, literal, regex
from grammars.expression import Call, Node, Repeat
from grammars.kernels.lengths import shortest_copies, shortest_lexemes
from grammars.program import HIGH, LOW, NOT_A_LOOP, SHORTEST
from tests.naive import lengths as naive
from tests.naive.prefixes import Prefixes
from tests.random_languages import random_rules

FAR = "{300,400}"


def of_repetitions(grammar: Grammar) -> list[int]:
    rules = grammar.lowered(Limits()).program.rules
    return sorted(rules[rules[:, LOW] != NOT_A_LOOP, SHORTEST].tolist())


@pytest.mark.jitless
def test_the_kernels_solve_the_equations_as_they_stand():
    compared = 0
    for seed in range(120):
        start, rules = random_rules(random.Random(seed))
        try:
            program = Grammar(start, rules).lowered(Limits()).program
        except UnsatisfiableGrammar:
            continue
        rows = shortest_lexemes(program.row_edge, program.row_accepts, program.edges)
        assert rows.tolist() == naive.lexemes(program)
        assert shortest_copies(program.ops, program.targets, program.rules, rows).tolist() == naive.copies(program)
        compared += 1
    assert compared > 60


@pytest.mark.parametrize(
    ("grammar", "expected"),
    [
        (regex(f"(abc|bcab){FAR}"), [3]),
        (regex(f"(a?b?c){FAR}"), [1]),
        (regex(f"(a*b*){FAR}"), [1]),
        (regex(f"(é|ßx){FAR}"), [2]),
        (regex(f"((a|bc){{20,30}}d){FAR}"), [1, 21]),
        (regex(f"((a|bc){{0,30}}d){FAR}"), [1, 1]),
        (gbnf(f'root ::= pair{FAR}\npair ::= "a" pair "b" | "xy"'), [2]),
        (gbnf(f'root ::= pair{FAR}\npair ::= pair "abc" | "wxyz"'), [4]),
        (gbnf(f'root ::= ("," word){FAR}\nword ::= "one" | "three" | "seventeen"'), [4]),
        ((regex("[a-z]{3}") - literal("abc")).repeat(300, 400), [1]),
    ],
)
def test_short_copies_have_their_exact_length(grammar: Grammar, expected: list[int]):
    assert of_repetitions(grammar) == expected


def test_long_copies_are_known_to_be_long():
    (least,) = of_repetitions(regex(f"({'x' * 1000}|{'y' * 2000}){FAR}"))
    assert 16 <= least <= 1000


def test_the_length_is_never_too_large():
    compared = 0
    for seed in range(150):
        start, rules = random_rules(random.Random(seed))
        body: Node = Call(next(iter(rules)))
        numbers = Grammar(Repeat(body, 0, 999), rules).lowered(Limits()).program.rules
        least = numbers[numbers[:, HIGH] == 999, SHORTEST].max(initial=0)
        texts = (bytes(text) for length in range(1, 4) for text in np.ndindex(*(2,) * length))
        language = Prefixes(start, rules)
        lengths = [len(text) for text in texts if language.accepts(bytes(b"ab"[letter] for letter in text))]
        if lengths:
            assert least <= min(lengths)
            compared += 1
    assert compared > 50
