"""Where each row of a batch stands in its constraint, found from nothing but the ids that `generate` shows.

`generate` calls a processor with all ids so far; it repeats rows for several answers, permutes them for beams and
starts the next call without a word. So rows are recognised by their ids: each is one token more than some row of the
step before, nearly always the same one, and goes on from that row's state. If one is not, a new call has begun, and
everything that stands there now is prompt. Assisted decoding tries tokens and takes them back: then a text of the same
call looks like the prompt of a new one, and where the prompt ends has to be told.

Rows of one prompt stand side by side, so with k constraints for n rows, row i has constraint i·k // n.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from grammars import StateError
from samplers.particles import pinned
from samplers.protocols import DEAD, Constraint

ENDED = -2  # behind an end token: padding follows

Ints = NDArray[np.int64]
Move = tuple[int, int, int]  # the number of a constraint, a state of it, the token that comes


class Tracking:
    """States of rows, by constraint and generated ids."""

    def __init__(self, constraints: Sequence[Constraint], prompt_length: int | None = None):
        self.constraints = tuple(constraints)
        self._given_length = prompt_length
        self._ids: Ints = np.zeros((0, 0), np.int64)  # those of the latest step
        self._begin = 0  # where the prompt ends in them
        self._states: list[int] = []
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
        before = self._before(ids)
        if before is None:
            self._refuse_what_went_back(ids)
            self._states = self._from_prompt(ids)
        else:
            self._states = self._after(before, ids[:, -1])
        self._ids = ids.copy()  # beam searches write to theirs
        self._pins = [self._pin(number) for number in range(len(self.constraints))]
        return self._states

    def _before(self, ids: Ints) -> list[int] | None:
        """The states of the rows without their last tokens, or None if they were not there in the step before."""
        if ids.shape != (len(self._ids), self._ids.shape[1] + 1):
            return None
        if np.array_equal(ids[:, :-1], self._ids):
            return self._states
        begin = self._begin
        if not np.array_equal(ids[:, :begin], self._ids[:, :begin]):
            return None
        known = dict(zip(self._texts(self._ids[:, begin:]), self._states, strict=True))
        texts = self._texts(ids[:, begin:-1])
        return [known[text] for text in texts] if known.keys() >= set(texts) else None

    def _refuse_what_went_back(self, ids: Ints) -> None:
        """Is it a prompt, or the text of a call that goes on? Guessing wrong would be a text out of the language."""
        length = ids.shape[1]
        is_within = len(ids) == len(self._ids) and self._begin < length <= self._ids.shape[1]
        if self._given_length is None and is_within and np.array_equal(ids[:, :-1], self._ids[:, : length - 1]):
            raise StateError(
                "generate went back to the middle of a text, as assisted decoding does: where does the prompt end?",
                hint="ConstraintProcessor(constraint, prompt_length=input_ids.shape[1]), or a new one for each prompt",
            )

    def _texts(self, generated: Ints) -> list[tuple[int, bytes]]:
        return [(self.constraint_of(row, len(generated)), ids.tobytes()) for row, ids in enumerate(generated)]

    def _from_prompt(self, ids: Ints) -> list[int]:
        self._begin = ids.shape[1] if self._given_length is None else min(self._given_length, ids.shape[1])
        states = [int(self.constraints[self.constraint_of(row, len(ids))].start) for row in range(len(ids))]
        for tokens in ids[:, self._begin :].T:
            states = self._after(states, tokens)
        return states

    def _after(self, states: list[int], tokens: Ints) -> list[int]:
        """The states one token further; what several rows do is asked once."""
        numbers = (self.constraint_of(row, len(states)) for row in range(len(states)))
        moves = list(zip(numbers, states, tokens.tolist(), strict=True))
        after: dict[Move, int] = {}
        for number, distinct in groupby(sorted(set(moves)), key=lambda move: move[0]):
            after |= _moved(self.constraints[number], distinct)
        return [after[move] for move in moves]

    def _pin(self, number: int) -> object:
        rows = len(self._states)
        states = {state for row, state in enumerate(self._states) if self.constraint_of(row, rows) == number}
        return pinned(self.constraints[number], list(states))


def _moved(constraint: Constraint, moves: Iterable[Move]) -> dict[Move, int]:
    after: dict[Move, int] = {}
    asked: list[Move] = []
    for move in moves:
        _, state, token = move
        if state in (DEAD, ENDED):
            after[move] = state
        elif token >= constraint.vocabulary.size:
            after[move] = DEAD
        elif token in constraint.vocabulary.eos:
            after[move] = ENDED if constraint.accepts(state) else DEAD
        else:
            asked.append(move)
    if asked:
        states = constraint.advance_many([state for _, state, _ in asked], [token for _, _, token in asked])
        after.update(zip(asked, states.tolist(), strict=True))
    return after
