"""Bytes that an expression cannot tell apart.

Two bytes are of one class if every byte set that occurs in the expression contains both or neither. Residuals by
bytes of one class are equal, so all work is done once per class: a handful instead of 256.

>>> from grammars.expression import byte_set, text
>>> classes = byte_classes(byte_set(b"abc"))
>>> classes[ord("a")] == classes[ord("c")] != classes[ord("d")]
True
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from grammars.expression import Bytes, Chars, Node, Ranges, Text, subexpressions
from grammars.utf8 import byte_rows

_ALL = (1 << 256) - 1


def byte_classes(*roots: Node) -> tuple[int, ...]:
    """For each byte the number of its class; classes are numbered in the order of their first bytes."""
    classes = sorted(_refine(dict.fromkeys(_masks(roots))), key=lambda mask: mask & -mask)
    numbers = [0] * 256
    for number, mask in enumerate(classes):
        while mask:
            numbers[(mask & -mask).bit_length() - 1] = number
            mask &= mask - 1
    return tuple(numbers)


def _refine(masks: Iterable[int]) -> list[int]:
    classes = [_ALL]
    for mask in masks:
        if len(classes) == 256:
            break
        classes = [part for old in classes for part in (old & mask, old & ~mask) if part]
    return classes


def _masks(roots: tuple[Node, ...]) -> Iterator[int]:
    literal: set[int] = set()
    for node in subexpressions(*roots):
        if isinstance(node, Text):
            literal.update(node.data)
        elif isinstance(node, Bytes):
            yield node.mask
        elif isinstance(node, Chars):
            yield from _row_masks(node.ranges)
    for byte in literal:
        yield 1 << byte


@lru_cache(maxsize=1024)
def _row_masks(ranges: Ranges) -> tuple[int, ...]:
    masks: dict[int, None] = {}
    for row in byte_rows(ranges):
        by_target: dict[int, int] = {}
        for low, high, target in row:
            by_target[target] = by_target.get(target, 0) | range_mask(low, high)
        masks.update(dict.fromkeys(by_target.values()))
    return tuple(masks)


def range_mask(low: int, high: int) -> int:
    """The set of the bytes from `low` to `high` as a bit mask."""
    return (1 << (high + 1)) - (1 << low)
