"""Resampling schemes: n ancestors, row i expected n·W_i times, W the normalised weights.

* **multinomial**: n independent draws. The simplest, the noisiest.
* **stratified**: one draw in each of the n equal slices of [0, 1). Var of each count is smaller.
* **systematic**: one common offset in all slices. Each count is ⌊nW_i⌋ or ⌈nW_i⌉; the cheapest and usually the best,
  though there are weights (in an unlucky order) for which it is worse than multinomial.
* **residual**: ⌊nW_i⌋ copies for certain, the rest multinomial from what remains.

All are unbiased: E[count_i] = n·W_i. All randomness is a choice among finitely many cases (the offset of the
systematic scheme matters only through the interval between two jumps it falls into), so laws can be enumerated.

Papers: Douc, Cappé and Moulines 2005 (cs/0507025); Gerber, Chopin and Whiteley 2019 (1708.02230).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from grammars.errors import DeadEnd
from samplers.errors import require
from samplers.log_space import log_of, shares
from samplers.tape import Tape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def ancestors(scheme: str, log_weights: Floats, n: int, tape: Tape) -> Ints:
    """The rows that `n` places descend from, ascending for all schemes but the multinomial one.

    >>> from samplers.tape import seeded
    >>> ancestors("systematic", np.log([0.5, 0.25, 0.25]), 4, seeded(0)).tolist()
    [0, 0, 1, 2]
    """
    require(scheme in SCHEMES, f"there is no resampling scheme {scheme!r}", f"use one of {', '.join(SCHEMES)}")
    if n == 0:
        return np.zeros(0, np.int64)
    weights = shares(log_weights)
    if not weights.any():
        raise DeadEnd("nothing to resample from: no row has weight")
    return SCHEMES[scheme](weights, n, tape)


def _multinomial(weights: Floats, n: int, tape: Tape) -> Ints:
    return tape.choose(np.broadcast_to(log_of(weights), (n, len(weights))))


def _stratified(weights: Floats, n: int, tape: Tape) -> Ints:
    ends = np.cumsum(weights) * n
    begins = np.concatenate([[0.0], ends[:-1]])
    slices = np.arange(n)[:, None]
    overlap = np.minimum(ends, slices + 1.0) - np.maximum(begins, slices)
    return tape.choose(log_of(np.maximum(overlap, 0.0)))


def _systematic(weights: Floats, n: int, tape: Tape) -> Ints:
    ends = np.cumsum(weights) * n
    jumps = np.sort(np.concatenate([[0.0, 1.0], ends - np.floor(ends)]))
    case = int(tape.choose(log_of(np.diff(jumps)[None]))[0])
    offset = float(jumps[case] + jumps[case + 1]) / 2.0
    places: Floats = np.arange(n, dtype=np.float64) + offset
    rows = np.searchsorted(ends, places, side="right")
    return np.minimum(rows, np.flatnonzero(weights)[-1]).astype(np.int64)


def _residual(weights: Floats, n: int, tape: Tape) -> Ints:
    copies = np.floor(weights * n).astype(np.int64)
    certain = np.repeat(np.arange(len(weights)), copies)
    rest = np.maximum(weights * n - copies, 0.0)
    left = n - len(certain)
    if left <= 0:
        return certain[:n]
    drawn = _multinomial(rest, left, tape)
    return np.sort(np.concatenate([certain, drawn]))


SCHEMES: dict[str, Callable[[Floats, int, Tape], Ints]] = {
    "multinomial": _multinomial,
    "stratified": _stratified,
    "systematic": _systematic,
    "residual": _residual,
}
