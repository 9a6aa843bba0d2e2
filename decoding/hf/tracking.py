"""Where each row of a batch stands in its constraint, found from nothing but the ids that `generate` shows.

`generate` calls a processor with all ids so far; it repeats rows for several answers, permutes them for beams and
starts the next call without a word. So rows are recognised by what was generated in them: the table of the previous
step says which state belongs to which text, and a row is one token more than some text of that table. If it is not,
a new call has begun, and everything that stands there now is prompt.

Rows of one prompt stand side by side, so with k constraints for n rows, row i has constraint i·k // n.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grammars import StateError
from samplers.particles import pinned
from samplers.protocols import DEAD, Constraint

ENDED = -2  # behind an end token: padding follows

Ints = NDArray[np.int64]


class Tracking:
    """States of rows, by constraint and generated ids."""

    def __init__(self, constraints: Sequence[Constraint], prompt_length: int | None = None):
        self.constraints = tuple(constraints)
        self._given_length = prompt_length
        self._prompt: Ints = np.zeros((0, 0), np.int64)
        self._table: dict[tuple[int, bytes], int] = {}
        self._pins: list[object] = []

    def constraint_of(self, row: int, rows: int) -> int:
        """Which constraint a row has."""
        return row * len(self.constraints) // rows

    def states(self, ids: Ints) -> list[int]:
        """The state of each row: of its constraint, or DEAD, or ENDED."""
        if len(ids) % len(self.constraints):
            raise StateError(
                f"{len(ids)} rows cannot be shared out among {len(self.constraints)} constraints",
                hint="give one constraint, or one for each prompt of the batch",
            )
        if not self._goes_on(ids):
            self._begin(ids)
        known: dict[tuple[int, bytes], int] = {}
        states: list[int] = []
        begin = self._prompt.shape[1]
        for row, generated in enumerate(ids[:, begin:]):
            number = self.constraint_of(row, len(ids))
            key = (number, generated.tobytes())
            if key not in known:
                known[key] = self._state(number, generated)
            states.append(known[key])
        self._table = known
        self._pins = [self._pin(number) for number in range(len(self.constraints))]
        return states

    def _goes_on(self, ids: Ints) -> bool:
        begin = self._prompt.shape[1]
        if len(ids) != len(self._prompt) or ids.shape[1] <= begin or not np.array_equal(ids[:, :begin], self._prompt):
            return False
        return all(
            (self.constraint_of(row, len(ids)), generated[:-1].tobytes()) in self._table
            for row, generated in enumerate(ids[:, begin:])
        )

    def _begin(self, ids: Ints) -> None:
        length = ids.shape[1] if self._given_length is None else min(self._given_length, ids.shape[1])
        self._prompt = ids[:, :length].copy()
        self._table = {}

    def _state(self, number: int, generated: Ints) -> int:
        before = self._table.get((number, generated[:-1].tobytes())) if len(generated) else None
        if before is not None:
            return self._after(number, before, int(generated[-1]))
        state = int(self.constraints[number].start)
        for token in generated.tolist():
            state = self._after(number, state, token)
        return state

    def _after(self, number: int, state: int, token: int) -> int:
        constraint = self.constraints[number]
        if state in (DEAD, ENDED):
            return state
        if token >= constraint.vocabulary.size:
            return DEAD
        if token in constraint.vocabulary.eos:
            return ENDED if constraint.accepts(state) else DEAD
        return int(constraint.advance_many([state], [token])[0])

    def _pin(self, number: int) -> object:
        states = [state for (owner, _), state in self._table.items() if owner == number and state >= 0]
        return pinned(self.constraints[number], states)
