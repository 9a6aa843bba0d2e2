"""Sums over runs of unequal length: the edges of many nodes at once.

The edges of a node stand side by side, so those of a set of nodes are a list of runs. `spread` makes the index of all
their edges, `run_sums` adds up each run, in log space and relative to its largest entry.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from samplers.log_space import log_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def spread(begin: Ints, count: Ints) -> Ints:
    """The positions of all runs, one after the other.

    >>> spread(np.array([10, 3]), np.array([2, 3])).tolist()
    [10, 11, 3, 4, 5]
    """
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(begin - (ends - count), count)


def run_sums(logs: Floats, count: Ints) -> Floats:
    """log Σ exp of each run of `logs`; -inf for an empty one.

    >>> np.exp(run_sums(np.log([0.5, 0.25, 0.1]), np.array([2, 0, 1]))).round(9).tolist()
    [0.75, 0.0, 0.1]
    """
    out = np.full(len(count), -math.inf)
    filled = count > 0
    if filled.any():
        begin = (np.cumsum(count) - count)[filled]
        top = np.maximum.reduceat(logs, begin)
        shift = np.where(np.isinf(top), 0.0, top)
        sums = np.add.reduceat(np.exp(logs - np.repeat(shift, count[filled])), begin)
        out[filled] = shift + log_of(sums)
    return out
