"""How few bytes one copy of a counted repetition can have: the masks far from a bound need to know.

The least lengths of all states satisfy a system of equations with minima and sums. Iterating them from zero gives lower
bounds at every step, and after k steps the exact length of all that is read in k steps; a bound is all that is needed,
and tokens are short, so a few steps do.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Words
from grammars.kernels.policy import kernel
from grammars.program import CALL, LEX, LOW, NOT_A_LOOP, SPLIT, START

_STEPS = 16
_LONG = 1 << 16  # longer than any token


@kernel
def shortest_copies(ops: Words, targets: Words, rules: Words, lexemes: Words) -> Words:
    """For each rule a lower bound of the bytes that one reading of its body takes, at least 1.

    `lexemes` are the lengths that `shortest_lexemes` finds; lexemes beyond them have one byte or more.
    """
    length, before = np.zeros(len(ops), np.int64), np.zeros(len(ops), np.int64)
    for _ in range(_STEPS):
        before, length = length, before
        for state in range(len(ops)):
            kind, a, b = ops[state, 0], ops[state, 1], ops[state, 2]
            least = 0
            if kind == LEX:
                least = before[b] + (lexemes[a] if a < len(lexemes) else 1)
            elif kind == CALL:
                low = rules[a, LOW]
                times = 1 if low == NOT_A_LOOP else min(low, _LONG)
                least = before[b] + times * before[rules[a, START]]
            elif kind == SPLIT and a < b:
                least = _LONG
                for i in range(a, b):
                    least = min(least, before[targets[i]])
            length[state] = min(least, _LONG)
    shortest = np.empty(len(rules), np.int64)
    for rule in range(len(rules)):
        shortest[rule] = max(length[rules[rule, START]], 1)
    return shortest


@kernel
def shortest_lexemes(row_edge: Words, row_accepts: Words, edges: Words) -> Words:
    """For each row a lower bound of the bytes from it to acceptance.

    >>> from grammars.expression import text
    >>> from grammars.lexemes import LexemeTable
    >>> from grammars.limits import Budget
    >>> table = LexemeTable(Budget("states", 10))
    >>> row = table.start(text("abc"))
    >>> int(shortest_lexemes(*table.arrays())[row])
    3
    """
    length, before = np.zeros(len(row_accepts), np.int64), np.zeros(len(row_accepts), np.int64)
    for _ in range(_STEPS):
        before, length = length, before
        for row in range(len(row_accepts)):
            least = 0
            for i in range(row_edge[row], row_edge[row + 1]):
                target = edges[i, 2]
                behind = 1 if row_accepts[target] != 0 else 1 + before[target]
                least = behind if least == 0 else min(least, behind)
            length[row] = least
    return length
