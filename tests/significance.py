"""Tests of frequencies that fail once in a million if nothing is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping

_Z = 4.753  # the normal distribution exceeds this once in a million
_FEW = 10.0  # outcomes that are expected less often are counted together


def contradicts(counts: Mapping[str, int], law: Mapping[str, float]) -> bool:
    """Whether counts contradict a law: Pearson's statistic, with Wilson and Hilferty's quantile.

    >>> fair = {"a": 0.5, "b": 0.5}
    >>> contradicts({"a": 480, "b": 520}, fair), contradicts({"a": 400, "b": 600}, fair)
    (False, True)
    """
    total = sum(counts.values())
    statistic, cells, rare_seen, rare_expected = 0.0, 0, 0.0, 0.0
    for outcome, probability in law.items():
        expected = total * probability
        if expected < _FEW:
            rare_seen, rare_expected = rare_seen + counts.get(outcome, 0), rare_expected + expected
        else:
            statistic += (counts.get(outcome, 0) - expected) ** 2 / expected
            cells += 1
    if rare_expected > 0:
        statistic += (rare_seen - rare_expected) ** 2 / max(rare_expected, 1.0)
        cells += 1
    free = max(1, cells - 1)
    return statistic > free * (1 - 2 / (9 * free) + _Z * math.sqrt(2 / (9 * free))) ** 3
