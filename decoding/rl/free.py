"""No constraint at all: every token may follow, the end too. What unconstrained training is measured with."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars import Vocabulary
from samplers.bits import mask_of_flags


class Free:
    """The constraint that allows everything, tokens without text included.

    >>> everything = Free(Vocabulary([b"a", b"<end>"], eos=[1]))
    >>> everything.advance_many([0], [0]).tolist(), everything.accepts(0)
    ([0], True)
    """

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        self.start = 0
        self._row = mask_of_flags(np.ones(vocabulary.size, np.bool_))

    def advance_many(self, states: ArrayLike, tokens: ArrayLike) -> NDArray[np.int64]:
        """Always the same state."""
        return np.asarray(states, np.int64).copy()

    def fill_masks(self, states: ArrayLike, out: NDArray[np.uint32]) -> None:
        """All bits of the vocabulary."""
        out[:] = self._row

    def allows(self, state: int, token: int) -> bool:
        """Every token there is."""
        return 0 <= token < self.vocabulary.size

    def accepts(self, state: int) -> bool:
        """Every text is complete."""
        return True
