"""Sets of code points as byte automata.

UTF-8 writes a code point in one to four bytes. A set of code points is therefore a regular language over bytes whose
smallest automaton has few rows: continuation rows are shared by every lead byte that allows the same tails.

A row is a tuple of `(low, high, target)` byte ranges, sorted; the target `DONE` completes the code point. Row 0 starts.

>>> byte_rows(((0x61, 0x7A),))
(((97, 122, -1),),)
>>> byte_rows(((0xE9, 0xE9),))
(((195, 195, 1),), ((169, 169, -1),))
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from grammars.expression import Ranges

DONE = -1
_LAST_OF_LENGTH = (0x7F, 0x7FF, 0xFFFF, 0x10FFFF)

Row = tuple[tuple[int, int, int], ...]
ByteRange = tuple[int, int]


@lru_cache(maxsize=1024)
def byte_rows(ranges: Ranges) -> tuple[Row, ...]:
    """The rows of the smallest byte automaton of `ranges` (sorted, disjoint, without surrogates)."""
    sequences = [s for low, high in ranges for s in byte_ranges(low, high)]
    rows: list[Row] = [()]
    known: dict[Row, int] = {}
    rows[0] = _row(sequences, rows, known)
    return tuple(rows)


def _row(sequences: list[tuple[ByteRange, ...]], rows: list[Row], known: dict[Row, int]) -> Row:
    """The row of a sorted list of byte-range sequences. Its depth is at most four: a code point has four bytes."""
    groups: dict[ByteRange, list[tuple[ByteRange, ...]]] = {}
    for first, *rest in sequences:
        groups.setdefault(first, []).append(tuple(rest))
    edges: list[tuple[int, int, int]] = []
    for (low, high), tails in groups.items():
        target = DONE if not tails[0] else _intern(_row(tails, rows, known), rows, known)
        if edges and edges[-1][1] + 1 == low and edges[-1][2] == target:
            edges[-1] = (edges[-1][0], high, target)
        else:
            edges.append((low, high, target))
    return tuple(edges)


def _intern(row: Row, rows: list[Row], known: dict[Row, int]) -> int:
    if row not in known:
        known[row] = len(rows)
        rows.append(row)
    return known[row]


def byte_ranges(low: int, high: int) -> Iterator[tuple[ByteRange, ...]]:
    """Split a range of code points into sequences of byte ranges, each a full product.

    Sequences come out sorted, and two of them share their first byte range or have disjoint ones.
    """
    for limit in _LAST_OF_LENGTH:
        if low <= limit and low <= high:
            yield from _same_length(low, min(high, limit))
            low = limit + 1


def _same_length(low: int, high: int) -> Iterator[tuple[ByteRange, ...]]:
    first, last = chr(low).encode(), chr(high).encode()
    yield from _between(first, last)


def _between(first: bytes, last: bytes) -> Iterator[tuple[ByteRange, ...]]:
    """All byte strings of one length from `first` to `last` whose tails are continuation bytes."""
    if len(first) == 1:
        yield ((first[0], last[0]),)
        return
    least, most = b"\x80" * (len(first) - 1), b"\xbf" * (len(first) - 1)
    if first[0] == last[0]:
        for tail in _between(first[1:], last[1:]):
            yield ((first[0], first[0]), *tail)
        return
    begin, end = first[0], last[0]
    if first[1:] != least:
        for tail in _between(first[1:], most):
            yield ((begin, begin), *tail)
        begin += 1
    if last[1:] != most:
        end -= 1
    if begin <= end:
        yield ((begin, end), *(((0x80, 0xBF),) * (len(first) - 1)))
    if last[1:] != most:
        for tail in _between(least, last[1:]):
            yield ((last[0], last[0]), *tail)
