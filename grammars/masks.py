"""Mask rows of one automaton: found by state, stored once however many states share them, bounded in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grammars.kernels.rows import digest

Mask = NDArray[np.uint32]

_BYTES_PER_VIEW = 200


class MaskRows:
    """A pool of rows. `views[state]` is the row of a state; rows are never written to once they are handed out."""

    def __init__(self, words: int, budget: int):
        self._words = words
        self._most_rows = max(8, budget // (8 * words))
        self._most_views = max(1024, budget // (2 * _BYTES_PER_VIEW))
        self._block = np.zeros((0, words), np.uint32)
        self._used = 0  # rows of the block
        self._known: dict[int, list[Mask]] = {}
        self.rows = 0
        self.flushes = 0
        self.views: dict[int, Mask] = {}

    @property
    def nbytes(self) -> int:
        """Memory held by rows and by the tables that find them."""
        return 4 * self._words * (self.rows + len(self._block) - self._used) + _BYTES_PER_VIEW * len(self.views)

    def clear(self) -> None:
        """Forget all rows. Threads that still read one keep it alive: new rows go to new memory."""
        self._block = np.zeros((0, self._words), np.uint32)
        self._used = self.rows = 0
        self._known = {}
        self.views = {}
        self.flushes += 1

    def add(self, state: int, mask: Mask) -> Mask:
        """Keep a mask; returns the stored row."""
        if self.rows >= self._most_rows or len(self.views) >= self._most_views:
            self.clear()
        view = self.views[state] = self._stored(mask)
        return view

    def _stored(self, mask: Mask) -> Mask:
        equals = self._known.setdefault(digest(mask), [])
        for row in equals:
            if row.tobytes() == mask.tobytes():
                return row
        if self._used == len(self._block):
            self._block = np.zeros((min(256, 8 + self.rows), self._words), np.uint32)
            self._used = 0
        row = self._block[self._used]
        row[:] = mask
        row.flags.writeable = False
        self._used += 1
        self.rows += 1
        equals.append(row)
        return row
