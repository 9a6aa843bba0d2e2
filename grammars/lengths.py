"""How few bytes one copy of a counted repetition can have: the masks far from a bound need to know.

The least lengths of all states satisfy a system of equations with minima and sums. Iterating them from zero gives lower
bounds at every step, and after k steps the exact length of all that is read in k steps; a bound is all that is needed,
and tokens are short, so a few steps do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grammars.program import CALL, LEX, LOW, NOT_A_LOOP, SPLIT, START

_STEPS = 16
_LONG = 1 << 16  # longer than any token

Array = NDArray[np.int64]


def shortest_copies(ops: Array, targets: Array, rules: Array, lexemes: Array) -> Array:
    """For each rule a lower bound of the bytes that one reading of its body takes, at least 1.

    `lexemes` are the lengths that `shortest_lexemes` finds; lexemes beyond them have one byte or more.
    """
    reading, calling = np.flatnonzero(ops[:, 0] == LEX), np.flatnonzero(ops[:, 0] == CALL)
    split = np.flatnonzero((ops[:, 0] == SPLIT) & (ops[:, 2] > ops[:, 1]))
    flat, begins = _runs(ops[split, 1], ops[split, 2])
    rows = ops[reading, 1]
    read = np.where(rows < len(lexemes), lexemes[np.minimum(rows, len(lexemes) - 1)], 1)
    callee = ops[calling, 1]
    times = np.where(rules[callee, LOW] == NOT_A_LOOP, 1, np.minimum(rules[callee, LOW], _LONG))
    length = np.zeros(len(ops), np.int64)
    for _ in range(_STEPS):
        before, length = length, np.zeros(len(ops), np.int64)
        length[reading] = read + before[ops[reading, 2]]
        length[calling] = times * before[rules[callee, START]] + before[ops[calling, 2]]
        if len(split):
            length[split] = np.minimum.reduceat(before[targets[flat]], begins)
        np.minimum(length, _LONG, out=length)
    return np.maximum(length[rules[:, START]], 1)


def shortest_lexemes(row_edge: Array, row_accepts: Array, edges: Array) -> Array:
    """For each row a lower bound of the bytes from it to acceptance.

    >>> from grammars.expression import text
    >>> from grammars.lexemes import LexemeTable
    >>> from grammars.limits import Budget
    >>> table = LexemeTable(Budget("states", 10))
    >>> row = table.start(text("abc"))
    >>> int(shortest_lexemes(*table.arrays())[row])
    3
    """
    left = np.flatnonzero(np.diff(row_edge))  # rows that can be left
    length = np.zeros(len(row_accepts), np.int64)
    if len(left):
        for _ in range(_STEPS):
            behind = np.where(row_accepts[edges[:, 2]] != 0, 0, length[edges[:, 2]])
            length[left] = 1 + np.minimum.reduceat(behind, row_edge[left])
    return length


def _runs(begin: Array, end: Array) -> tuple[Array, Array]:
    """The numbers of all ranges `begin[i]:end[i]`, one range after the other, and where each begins among them."""
    lengths = end - begin
    begins: Array = np.cumsum(lengths, dtype=np.int64) - lengths
    return np.arange(lengths.sum(), dtype=np.int64) + (begin - begins).repeat(lengths), begins
