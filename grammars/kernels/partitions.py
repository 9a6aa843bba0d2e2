"""Partitions of the bytes into classes, numbered in the order of their first bytes."""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Words
from grammars.kernels.policy import kernel


@kernel
def refined(first: Words, second: Words) -> Words:
    """The classes of what neither of two partitions tells apart."""
    found = np.empty(len(first), np.int64)
    examples = np.empty(len(first), np.int64)
    count = 0
    for i in range(len(first)):
        number = 0
        while number < count and (first[examples[number]] != first[i] or second[examples[number]] != second[i]):
            number += 1
        if number == count:
            examples[count] = i
            count += 1
        found[i] = number
    return found
