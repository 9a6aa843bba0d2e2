"""Choosing exactly k of many without replacement, each with the inclusion probability that is best for it.

**Inclusion probabilities.** To replace weights W_i by k of them without bias, keep i with probability π_i = min(1,
c·W_i), Σ π_i = k, and give it the weight W_i/π_i: the large ones stay as they are, the others all get 1/c. No other
unbiased choice of k has a smaller squared error (Fearnhead and Clifford 2003).

**The draw** is ordered pivotal sampling (Deville and Tillé 1998): go through the items; in each stretch of probability
one, one item survives, drawn in proportion to what it has, and plays against the item on the border for being in or
carrying on. It takes 2k draws from finite choices and nothing else, so laws can be enumerated.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from samplers.log_space import log_of, log_sum
from samplers.tape import Tape, coins

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_WHOLE = 1e-12


def log_threshold(log_weights: Floats, k: int) -> tuple[Flags, float]:
    """Which weights are kept for certain, and log 1/c: the weight that all others get when they are kept.

    >>> certain, log_level = log_threshold(np.log([0.6, 0.2, 0.1, 0.1]), 2)
    >>> certain.tolist(), round(math.exp(log_level), 6)
    ([True, False, False, False], 0.4)
    """
    alive = np.flatnonzero(log_weights > -math.inf)
    certain = np.zeros(len(log_weights), np.bool_)
    if len(alive) <= k:
        certain[alive] = True
        return certain, -math.inf
    best = alive[np.argpartition(-log_weights[alive], k - 1)[:k]] if k else alive[:0]
    best = best[np.argsort(-log_weights[best], kind="stable")]
    others = log_weights.copy()
    others[best] = -math.inf
    behind = np.logaddexp.accumulate(np.append(log_sum(others), log_weights[best][::-1]))[::-1]
    for place, item in enumerate(best.tolist()):
        log_level = float(behind[place]) - math.log(k - place)
        if log_weights[item] < log_level - _WHOLE:
            return certain, log_level
        certain[item] = True
    return certain, -math.inf


def chosen(log_weights: Floats, k: int, tape: Tape) -> tuple[Ints, Floats]:
    """At most `k` of some items, ascending, and their new weights: E[new weight of i, 0 if it is not chosen] = W_i.

    >>> from samplers.tape import seeded
    >>> rows, log_new = chosen(np.log([0.6, 0.2, 0.1, 0.1]), 2, seeded(0))
    >>> len(rows), np.exp(log_new).round(6).tolist()
    (2, [0.6, 0.4])
    """
    certain, log_level = log_threshold(log_weights, k)
    drawn = np.zeros(0, np.int64)
    if log_level > -math.inf:
        others = np.flatnonzero(~certain & (log_weights > -math.inf))
        drawn = others[pivotal(np.exp(log_weights[others] - log_level), k - int(certain.sum()), tape)]
    rows = np.sort(np.concatenate([np.flatnonzero(certain), drawn]))
    return rows, np.where(certain[rows], log_weights[rows], log_level)


def pivotal(shares: Floats, k: int, tape: Tape) -> Ints:
    """`k` of some items with inclusion probabilities `shares`, all below one, that sum to k.

    >>> from samplers.tape import seeded
    >>> len(set(pivotal(np.full(6, 0.5), 3, seeded(1)).tolist()))
    3
    """
    ends = np.cumsum(shares)
    ends *= k / ends[-1]
    begins = np.concatenate([[0.0], ends[:-1]])
    carried, mass, first = -1, 0.0, 0
    out: list[int] = []
    for border in range(1, k):
        last = int(np.searchsorted(ends, border - _WHOLE))  # the item on the border, or the one that ends there
        inside = np.arange(first, last)
        survivor, held = _survivor(carried, mass, inside, ends[inside] - begins[inside], tape)
        share = float(ends[last] - begins[last])
        winner, carried, mass = _duel(survivor, held, last, share, tape)
        out.append(winner)
        first = last + 1
    inside = np.arange(first, len(shares))
    survivor, _ = _survivor(carried, mass, inside, ends[inside] - begins[inside], tape)
    return np.array([*out, survivor], np.int64)


def _survivor(carried: int, mass: float, items: Ints, shares: Floats, tape: Tape) -> tuple[int, float]:
    """One of the carried item and some others, in proportion to their shares; it holds the sum of them."""
    candidates = np.append(carried, items) if carried >= 0 and mass > _WHOLE else items
    held = np.append(mass, shares) if len(candidates) > len(items) else shares
    if not len(candidates):
        return -1, 0.0
    return int(candidates[int(tape.choose(log_of(held)[None])[0])]), float(held.sum())


def _duel(survivor: int, held: float, border: int, share: float, tape: Tape) -> tuple[int, int, float]:
    """Two items whose shares sum to one or more: one is in, the other carries on with the rest."""
    left = max(0.0, held + share - 1.0)
    if survivor < 0 or (left <= _WHOLE and share >= 1.0 - _WHOLE):
        return border, survivor, left
    log_in = log_of(np.array([min(1.0, (1.0 - share) / max(2.0 - held - share, _WHOLE))]))
    stays = bool(coins(tape, log_in)[0])
    return (survivor, border, left) if stays else (border, survivor, left)
