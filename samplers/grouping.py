"""Which of many prefixes are the same: they share a model call, a mask and an answer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def grouped(contexts: Iterable[Ints]) -> tuple[tuple[Ints, ...], Ints, Ints]:
    """The distinct contexts in the order of their first sight, for each context which of them it is, and for each
    distinct one where it was first seen.

    >>> distinct, rows, first = grouped([np.array([1]), np.array([2]), np.array([1])])
    >>> len(distinct), rows.tolist(), first.tolist()
    (2, [0, 1, 0], [0, 1])
    """
    number: dict[bytes, int] = {}
    distinct: list[Ints] = []
    rows: list[int] = []
    first: list[int] = []
    for i, context in enumerate(contexts):
        row = number.setdefault(context.tobytes(), len(number))
        if row == len(distinct):
            distinct.append(context)
            first.append(i)
        rows.append(row)
    return tuple(distinct), np.array(rows, np.int64), np.array(first, np.int64)
