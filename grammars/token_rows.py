"""Mask rows that depend on a vocabulary alone, shared by every automaton over it.

Two families: the tokens made of a given set of characters (the inside of a string looks the same in every schema),
and the tokens shorter than a number of bytes.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from grammars.forking import lock_for
from grammars.kernels.walk import loop_tokens
from grammars.trie import Trie

_KEPT = 256  # rows: 4 MB for a vocabulary of 128,000 tokens

Mask = NDArray[np.uint32]


class TokenRows:
    """A small cache of mask rows, least recently used out."""

    def __init__(self, trie: Trie, lengths: NDArray[np.int64], words: int):
        self._trie = trie
        self._lengths = lengths
        self._words = words
        self._rows: OrderedDict[tuple[int, int, int], Mask] = OrderedDict()
        self._lock = lock_for(self)

    def of_characters(self, low: int, high: int, others: bool) -> Mask:
        """Tokens of the ASCII bytes in the two words and, with `others`, of all further well-formed characters."""
        return self._row((low, high, int(others)))

    def shorter_than(self, length: int) -> Mask:
        """Tokens of fewer than `length` bytes."""
        return self._row((length, 0, -1))

    def _row(self, key: tuple[int, int, int]) -> Mask:
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = self._make(key)
                if len(self._rows) > _KEPT:
                    self._rows.popitem(last=False)
            self._rows.move_to_end(key)
            return row

    def _make(self, key: tuple[int, int, int]) -> Mask:
        row = np.zeros(self._words, np.uint32)
        low, high, others = key
        if others < 0:
            bits = np.packbits(self._lengths < low, bitorder="little")
            row.view(np.uint8)[: len(bits)] = bits
        else:
            loop_tokens(self._trie.byte, self._trie.nodes, self._trie.tokens, low, high, others, row)
        row.flags.writeable = False
        return row
