"""Case-insensitive matching: which characters are the same letter in another case.

Python's `re` under IGNORECASE treats two characters as equal when their simple lower cases are, or have the same upper
case: k, K and the Kelvin sign; s, S and the long ſ; i, I, İ and ı. With the ASCII flag only A-Z and a-z are paired.
ECMA-262 in Unicode mode compares simple case foldings: the same classes, but the Turkish İ and ı stand alone.

>>> list(map(hex, variants(ord("k"), Mode())))
['0x4b', '0x6b', '0x212a']
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cache, lru_cache

from grammars.expression import Node, Ranges, chars
from grammars.regex.mode import Mode
from grammars.regex.properties import case_groups
from grammars.regex.rangesets import union

_TURKISH = {0x130, 0x131}  # İ and ı
_ASCII_LETTERS = [*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]


@cache
def _classes(ecma: bool, ascii_only: bool) -> tuple[dict[int, tuple[int, ...]], list[int]]:
    """Every cased code point -> its class; and all of them, sorted."""
    if ascii_only:
        table = {point: (point & ~0x20, point | 0x20) for point in _ASCII_LETTERS}
    else:
        left_out = _TURKISH if ecma else set[int]()
        groups = [tuple(p for p in group if p not in left_out) for group in case_groups()]
        table = {point: group for group in groups for point in group}
    return table, sorted(table)


def variants(point: int, mode: Mode) -> tuple[int, ...]:
    """The code points that are equal to `point` but for case, itself included."""
    table, _ = _classes(mode.ecma, mode.ascii)
    return table.get(point, (point,))


@lru_cache(maxsize=4096)
def folded_character(character: str, mode: Mode) -> Node | str:
    """The other cases of a literal character; the character itself if it has none."""
    points = variants(ord(character), mode)
    return character if len(points) == 1 else chars([(point, point) for point in points])


def folded(ranges: Ranges, mode: Mode) -> Ranges:
    """A set of code points with all their other cases, if `mode` ignores case."""
    if not mode.ignore:
        return ranges
    table, cased = _classes(mode.ecma, mode.ascii)
    points = {
        other
        for low, high in ranges
        for point in cased[bisect_left(cased, low) : bisect_right(cased, high)]
        for other in table[point]
    }
    return union(ranges, [(point, point) for point in points])
