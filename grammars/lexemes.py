"""Lexemes: literals, character sets, sets of literals and whole automata as rows of byte edges.

Rows are shared wherever they can be: a lexeme that occurs twice is one run of rows, and a set of literals becomes the
smallest acyclic automaton, so 100,000 enum values with common endings stay small. An automaton that somebody made
before is taken as it is, in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from grammars.expression import ByteAutomaton, Bytes, Chars, Lexeme, Node, Text
from grammars.kernels.partitions import refined
from grammars.limits import Budget
from grammars.program import FINAL
from grammars.utf8 import DONE, byte_rows

Edge = tuple[int, int, int]


class LexemeTable:
    """Collects the rows of a program."""

    def __init__(self, budget: Budget):
        self._budget = budget
        self._pieces: list[ByteAutomaton] = []
        self._bases: list[int] = []  # the number of each piece's first row
        self._rows: list[tuple[Edge, ...]] = [()]  # those behind the last piece
        self._accepts: list[bool] = [True]
        self._count = 1
        self._starts: dict[object, int] = {}
        self._sets: dict[bytes, int] = {}  # by the keys of their nodes

    def start(self, node: Node) -> int:
        """The row in which a literal, a character set or an automaton starts."""
        if isinstance(node, Text):
            return self._text(node.data)
        known = self._sets.get(node.key)
        if known is None:
            known = self._sets[node.key] = self._set(node)
        return known

    def _piece(self, automaton: ByteAutomaton) -> int:
        rows = len(automaton.row_accepts)
        self._budget.charge(rows)
        self._close_rows()
        self._pieces.append(automaton)
        self._bases.append(self._count)
        self._count += rows
        return self._count - rows

    def _close_rows(self) -> None:
        """Make the rows that were written one by one a piece; their targets are final already."""
        if self._rows:
            row_edge = np.zeros(len(self._rows) + 1, np.int64)
            np.cumsum([len(row) for row in self._rows], out=row_edge[1:])
            edges = np.array([edge for row in self._rows for edge in row], np.int64).reshape(-1, 3)
            self._pieces.append(ByteAutomaton(row_edge, np.array(self._accepts, np.int64), edges))
            self._bases.append(0)
            self._rows, self._accepts = [], []

    def _add(self, edges: tuple[Edge, ...], accepts: bool = False) -> int:
        self._budget.charge()
        self._rows.append(edges)
        self._accepts.append(accepts)
        self._count += 1
        return self._count - 1

    def _text(self, data: bytes) -> int:
        """Rows are looked up suffix by suffix: "null" and "full" share "ull"."""
        known = self._starts.get(data)
        if known is not None:
            return known
        self._budget.foresee(len(data))  # no two suffixes of one literal share a row
        row = FINAL
        for i in range(len(data) - 1, -1, -1):
            key = (data[i], row)
            before = self._starts.get(key)
            if before is None:
                before = self._starts[key] = self._add(((data[i], data[i], row),))
            row = before
        self._starts[data] = row
        return row

    def _set(self, node: Node) -> int:
        if isinstance(node, Lexeme) and isinstance(node.automaton, ByteAutomaton):
            return self._piece(node.automaton)
        if isinstance(node, Bytes):
            return self._add(tuple(_runs_of_bits(node.mask)))
        if not isinstance(node, Chars):
            raise TypeError(f"{type(node).__name__} is no lexeme")
        rows = byte_rows(node.ranges)
        base = self._count
        for row in rows:
            self._add(tuple((low, high, FINAL if to == DONE else base + to) for low, high, to in row))
        return base

    def start_of_any(self, texts: Iterable[bytes]) -> int:
        """The row in which a set of literals (none of them empty) starts: a minimal acyclic automaton.

        Sorted words are added one after the other; what a new word no longer shares with the one before it is finished
        and looked up among the rows there are (Daciuk et al., 2000).
        """
        words = sorted(set(texts))
        open_edges: list[list[Edge]] = [[]]
        open_accepts = [False]
        path: list[int] = []

        def close(depth: int) -> None:
            while len(path) > depth:
                edges, accepts = tuple(open_edges.pop()), open_accepts.pop()
                byte = path.pop()
                open_edges[-1].append((byte, byte, self._shared(edges, accepts)))

        for word in words:
            shared = 0
            while shared < min(len(path), len(word)) and path[shared] == word[shared]:
                shared += 1
            close(shared)
            for byte in word[shared:]:
                path.append(byte)
                open_edges.append([])
                open_accepts.append(False)
            open_accepts[-1] = True
        close(0)
        return self._shared(tuple(open_edges[0]), False)

    def _shared(self, edges: tuple[Edge, ...], accepts: bool) -> int:
        if not edges:
            return FINAL
        key = (edges, accepts)
        known = self._starts.get(key)
        if known is None:
            known = self._starts[key] = self._add(edges, accepts)
        return known

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """`row_edge`, `row_accepts` and `edges` of the program."""
        self._close_rows()
        lengths = [len(piece.edges) for piece in self._pieces]
        edges = np.concatenate([piece.edges for piece in self._pieces])
        targets = edges[:, 2]
        base = np.array(self._bases, np.int64).repeat(np.array(lengths, np.int64))
        edges[:, 2] = np.where(targets < 0, FINAL, targets + base)
        row_edge, before = [np.zeros(1, np.int64)], 0
        for piece, length in zip(self._pieces, lengths, strict=True):
            row_edge.append(piece.row_edge[1:] + before)
            before += length
        return np.concatenate(row_edge), np.concatenate([piece.row_accepts for piece in self._pieces]), edges


def _runs_of_bits(mask: int) -> Iterable[Edge]:
    byte = 0
    while mask:
        skip = (mask & -mask).bit_length() - 1
        mask >>= skip
        byte += skip
        run = (~mask & (mask + 1)).bit_length() - 1
        yield byte, byte + run - 1, FINAL
        mask >>= run
        byte += run


def byte_classes(
    edges: NDArray[np.int64], others: list[tuple[int, ...]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes of bytes that no edge and none of the given partitions tells apart, and a byte of each class."""
    boundary = np.zeros(257, np.int64)
    boundary[edges[:, 0]] = 1
    boundary[edges[:, 1] + 1] = 1
    interval = np.cumsum(boundary[:256]) - boundary[0]
    if not others:
        return interval, np.flatnonzero(np.append(1, boundary[1:256]))
    byte_class = refined(interval, np.array([*dict.fromkeys(others)], np.int64).reshape(-1, 256))
    class_byte = np.zeros(int(byte_class.max()) + 1, np.int64)
    class_byte[byte_class[::-1]] = np.arange(255, -1, -1)
    return byte_class, class_byte
