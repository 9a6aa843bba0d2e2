"""Rows of masks, looked at word by word."""

from __future__ import annotations

from grammars.kernels.arrays import Mask
from grammars.kernels.policy import kernel

_ODD = 0x2545F4914F6CDD1D


@kernel
def digest(row: Mask) -> int:
    """What equal rows have in common and different ones hardly ever: a sum in which each word has its own weight."""
    total, weight = 0, _ODD
    for i in range(len(row)):
        total += weight * (int(row[i]) + 1)
        weight += 2 * _ODD
    return total
