"""Masks from states: what a rollout was allowed, computed again instead of carried along.

A mask is V bits a token; a state is a number, and a text says which states it passes. So rollouts are stored and sent
as tokens, and masks are found again where they are needed, each distinct one once. A constraint is the same function
everywhere, so the replayed masks are the masks of the rollout, bit for bit. (Masks that depend on a model, as NLPO's
do, are no function of the text: they are kept; see `nlpo`.)

>>> from grammars import Vocabulary, regex
>>> ab = regex("ab?").compile(Vocabulary([b"a", b"b", b"<end>"], eos=[2]))
>>> walk = replayed(ab, np.array([0, 1, 2]), max_tokens=8)
>>> [[int(row[0]) for row in walk.masks], walk.forced.tolist()]
[[1, 6, 4], [True, False, True]]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grammars import StateError
from samplers.particles import pinned
from samplers.protocols import Constraint

Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Walk:
    """The states that a text passes, and the mask at each: row t is what was allowed in place of token t."""

    states: Ints
    masks: Mask
    pin: Any = None
    end_row: Mask | None = None
    """The end tokens, which are one as everywhere."""

    @property
    def forced(self) -> NDArray[np.bool_]:
        """Where a single token was legal."""
        several = (self.masks & (self.masks - np.uint32(1))).any(axis=1)
        only_one = ((self.masks != 0).sum(axis=1) == 1) & ~several
        return only_one if self.end_row is None else only_one | ~(self.masks & ~self.end_row).any(axis=1)


def walked(constraint: Constraint, ids: Ints) -> tuple[Ints, Any]:
    """The state before each token; and something to hold on to for as long as the states are used."""
    ends = set(constraint.vocabulary.eos)
    states, state = np.empty(len(ids), np.int64), int(constraint.start)
    for t, token in enumerate(ids.tolist()):
        states[t] = state
        if token in ends:
            if t + 1 < len(ids) or not constraint.accepts(state):
                raise StateError(f"token {t} of the rollout ends the text where it is not complete")
            break
        state = int(constraint.advance_many([state], [token])[0])
        if state < 0:
            raise StateError(
                f"token {t} of the rollout is not allowed by its constraint",
                hint="replay with the constraint and the vocabulary that the rollout was drawn with",
            )
    return states, pinned(constraint, states)


def replayed(constraint: Constraint, ids: Ints, max_tokens: int) -> Walk:
    """The walk of a text, its end token included if it has one; behind `max_tokens` only the end is allowed."""
    states, pin = walked(constraint, ids)
    masks = np.zeros((len(ids), constraint.vocabulary.words), np.uint32)
    if len(ids):
        constraint.fill_masks(states, masks)
    masks[max_tokens:] &= constraint.vocabulary.end_row
    return Walk(states, masks, pin, constraint.vocabulary.end_row)


@dataclass(frozen=True, eq=False)
class MaskTable:
    """The distinct masks of some texts, and which of them stands at each position: (n, T), -1 behind the text."""

    rows: Mask
    ids: Ints

    @classmethod
    def of(cls, walks: Sequence[Walk], words: int) -> MaskTable:
        """The table of some walks.

        >>> masks = np.array([[1], [2], [1]], np.uint32)
        >>> table = MaskTable.of([Walk(np.arange(3), masks)], words=1)
        >>> table.rows.ravel().tolist(), table.ids.tolist()
        ([1, 2], [[0, 1, 0]])
        """
        lengths = [len(walk.masks) for walk in walks]
        ids = np.full((len(walks), max(lengths, default=0)), -1, np.int64)
        number: dict[bytes, int] = {}
        for row, walk in enumerate(walks):
            for t, mask in enumerate(walk.masks):
                ids[row, t] = number.setdefault(mask.tobytes(), len(number))
        rows = np.frombuffer(b"".join(number), np.uint32).reshape(-1, words)
        return cls(rows, ids)
