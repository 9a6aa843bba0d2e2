"""Sets of code points as sorted, disjoint, inclusive ranges.

>>> union([(5, 9)], [(1, 4), (20, 20)])
((1, 9), (20, 20))
>>> invert(((0, 96), (123, 0x10FFFF)))
((97, 122),)
"""

from __future__ import annotations

from collections.abc import Iterable

from grammars.expression import LAST_CODE_POINT, Ranges


def union(*sets: Iterable[tuple[int, int]]) -> Ranges:
    """All code points of all sets, whatever the order and overlap of their ranges."""
    merged: list[tuple[int, int]] = []
    end = -2
    for low, high in sorted(pair for ranges in sets for pair in ranges):
        if low <= end + 1:
            if high > end:
                merged[-1] = (merged[-1][0], high)
                end = high
        else:
            merged.append((low, high))
            end = high
    return tuple(merged)


def invert(ranges: Ranges) -> Ranges:
    """Every code point that is not in `ranges` (sorted and disjoint)."""
    gaps: list[tuple[int, int]] = []
    begin = 0
    for low, high in ranges:
        if begin < low:
            gaps.append((begin, low - 1))
        begin = high + 1
    if begin <= LAST_CODE_POINT:
        gaps.append((begin, LAST_CODE_POINT))
    return tuple(gaps)


def overlap(left: Ranges, right: Ranges) -> bool:
    """Whether two sorted sets have a code point in common."""
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i][1] < right[j][0]:
            i += 1
        elif right[j][1] < left[i][0]:
            j += 1
        else:
            return True
    return False
