"""Sums of numbers that are held as their logarithms.

Weights of long strings are products of hundreds of probabilities: they underflow, their logarithms do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def log_sum(values: ArrayLike) -> float:
    """log Σ exp(values), -inf for nothing.

    >>> log_sum([]), round(log_sum([-1000.0, -1000.0]), 3)
    (-inf, -999.307)
    """
    array = np.asarray(values, np.float64).ravel()
    top = float(array.max(initial=-math.inf))
    if math.isinf(top):
        return top
    return top + math.log(float(np.exp(array - top).sum()))


def log_mean(values: ArrayLike) -> float:
    """log of the mean of exp(values), -inf for nothing.

    >>> log_mean([0.0, float("-inf")]) == log_sum([0.0]) - math.log(2)
    True
    """
    array = np.asarray(values, np.float64).ravel()
    return log_sum(array) - math.log(len(array)) if len(array) else -math.inf


def log_sums(rows: Floats) -> Floats:
    """`log_sum` of every row.

    >>> log_sums(np.array([[0.0, 0.0], [-np.inf, -np.inf]]))[1]
    np.float64(-inf)
    """
    top = rows.max(axis=1, initial=-math.inf)
    shift = np.where(np.isinf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        return shift + np.log(np.exp(rows - shift[:, None]).sum(axis=1))


def shares(log_weights: ArrayLike) -> Floats:
    """Weights that sum to one; all zero where there is no mass.

    >>> shares([float("-inf"), 3.0, 3.0]).round(9).tolist()
    [0.0, 0.5, 0.5]
    """
    array = np.asarray(log_weights, np.float64)
    total = log_sum(array)
    return np.exp(array - total) if total > -math.inf else np.zeros(len(array))


def effective_size(log_weights: ArrayLike) -> float:
    """(Σw)²/Σw²: how many equal weights would be as good; 0 where there is no mass.

    >>> effective_size([0.0, 0.0, float("-inf")])
    2.0
    """
    share = shares(log_weights)
    total = float((share * share).sum())
    return 1.0 / total if total > 0.0 else 0.0


def log_of(values: ArrayLike | Iterable[float]) -> Floats:
    """Logarithms without a warning about zeros.

    >>> log_of([0.0, 1.0]).tolist()
    [-inf, 0.0]
    """
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(values, np.float64))
