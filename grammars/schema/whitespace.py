"""Whitespace between tokens as lexemes: a mark (comma, colon, bracket) with runs of bounded length around it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from grammars.expression import ByteAutomaton, Lexeme, Node, byte_set, repeat, sequence, text

_RANGES = ((0x09, 0x0A), (0x0D, 0x0D), (0x20, 0x20))
_SPACE = byte_set(b" \t\n\r")
_DONE = -1


@lru_cache(maxsize=256)
def spaced(mark: str, before: int, after: int) -> Node:
    """The mark, which is one ASCII character or none, after and before at most so many whitespace characters.

    >>> from grammars.grammar import Grammar
    >>> comma = Grammar(spaced(",", 0, 1))
    >>> comma.matches(b", "), comma.matches(b" ,")
    (True, False)
    """
    if not (before or after) or (before if mark else before + after) > 1000 or after > 1000:
        return sequence([repeat(_SPACE, 0, before), text(mark), repeat(_SPACE, 0, after)])
    rows = _before(before, ord(mark), after) + _run(before + 1, after) if mark else _run(0, before + after)
    row_edge = np.cumsum([0, *(len(edges) for _, edges in rows)], dtype=np.int64)
    accepts = np.array([accepts for accepts, _ in rows], np.int64)
    edges: NDArray[np.int64] = np.array([edge for _, edges in rows for edge in edges], np.int64)
    name = f"{mark} {before} {after}".encode()
    automaton = ByteAutomaton(row_edge, accepts, edges)
    written = sequence([repeat(_SPACE, 0, before), text(mark), repeat(_SPACE, 0, after)])
    return Lexeme(name, automaton, lambda: (written, {}))


Rows = list[tuple[bool, list[tuple[int, int, int]]]]


def _before(count: int, mark: int, after: int) -> Rows:
    """The rows in front of a mark."""
    behind = (mark, mark, count + 1 if after else _DONE)
    full: Rows = [(False, [behind])]
    return [(False, sorted([*_whitespace(row + 1), behind])) for row in range(count)] + full


def _run(first: int, count: int) -> Rows:
    """Rows, numbered from `first` on, that read at most so many characters."""
    return [(True, _whitespace(first + row + 1 if row + 1 < count else _DONE)) for row in range(count)]


def _whitespace(target: int) -> list[tuple[int, int, int]]:
    return [(low, high, target) for low, high in _RANGES]
