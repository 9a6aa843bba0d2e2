r"""An n-gram model in a few lines of numpy: the yardstick for the transformer.

    P(w | h) = (c(h w) + T(h) · P(w | h')) / (c(h) + T(h))

c counts, T(h) is the number of different tokens seen after h, h' is h without its oldest token, and the shortest
estimate is uniform: interpolation by Witten and Bell, "The zero-frequency problem" (1991). An n-gram is one 64-bit
number, so counting is sorting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """Counts of all n-grams of one length, and of the histories before their last token."""

    grams: Ints
    counts: Ints
    histories: Ints
    totals: Ints
    kinds: Ints


class NGrams:
    """Interpolated n-grams up to length `order` over tokens below `size`.

    >>> model = NGrams(np.array([0, 1, 0, 1, 0, 1, 0]), order=2, size=2)
    >>> model.log_probs(np.array([0, 1, 0])).round(2).tolist()
    [-0.59, -0.15, -0.12]
    """

    def __init__(self, tokens: Ints, order: int, size: int):
        self.size = size
        self.orders = [_counted(_grams(tokens, n, size), size) for n in range(1, order + 1)]

    def log_probs(self, tokens: Ints) -> NDArray[np.float64]:
        """Log-probability of each token after those before it."""
        chances = np.full(len(tokens), 1 / self.size)
        for n, order in enumerate(self.orders, 1):
            grams = _grams(tokens, n, self.size)
            chances[n - 1 :] = _interpolated(order, grams, grams // self.size, chances[n - 1 :])
        return np.log(chances)


def _grams(tokens: Ints, n: int, size: int) -> Ints:
    """Every window of n tokens as one number, the oldest token first."""
    codes = np.zeros(max(0, len(tokens) - n + 1), np.int64)
    for offset in range(n):
        codes = codes * size + tokens[offset : offset + len(codes)]
    return codes


def _counted(grams: Ints, size: int) -> Order:
    different, counts = np.unique(grams, return_counts=True)
    histories, firsts, kinds = np.unique(different // size, return_index=True, return_counts=True)
    return Order(different, counts, histories, np.add.reduceat(counts, firsts), kinds)


def _interpolated(order: Order, grams: Ints, histories: Ints, shorter: NDArray[np.float64]) -> NDArray[np.float64]:
    count = _looked_up(order.grams, order.counts, grams)
    total, kinds = (_looked_up(order.histories, column, histories) for column in (order.totals, order.kinds))
    return np.where(total > 0, (count + kinds * shorter) / np.maximum(total + kinds, 1), shorter)


def _looked_up(keys: Ints, values: Ints, wanted: Ints) -> Ints:
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
