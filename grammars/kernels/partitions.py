"""Partitions of the bytes into classes, numbered in the order of their first bytes."""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Words
from grammars.kernels.policy import kernel

_SLOTS = 1024  # twice as many as there may be classes, and more
_MOST = 512  # numbers of classes are smaller


@kernel
def refined(first: Words, others: Words) -> Words:
    """The classes of what no partition tells apart: one, and more as the rows of an array."""
    found = first.copy()
    keys, numbers = np.empty(_SLOTS, np.int64), np.empty(_SLOTS, np.int64)
    for row in range(len(others)):
        keys[:] = -1
        count = 0
        for i in range(len(found)):
            key = found[i] * _MOST + others[row, i]
            slot = (key * 40503 >> 4) & (_SLOTS - 1)
            while keys[slot] >= 0 and keys[slot] != key:
                slot = (slot + 1) & (_SLOTS - 1)
            if keys[slot] < 0:
                keys[slot], numbers[slot] = key, count
                count += 1
            found[i] = numbers[slot]
    return found
