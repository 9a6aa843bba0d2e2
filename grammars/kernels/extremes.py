"""The least and the greatest number of an array, in one call: two of numpy's cost several times as much."""

from __future__ import annotations

from grammars.kernels.arrays import Words
from grammars.kernels.policy import kernel


@kernel
def extremes(array: Words) -> tuple[int, int]:
    """Of an array that is not empty."""
    least = most = array[0]
    for i in range(1, len(array)):
        least, most = min(least, array[i]), max(most, array[i])
    return least, most
