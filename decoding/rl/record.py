"""What rollouts want to know about the texts that a sampler returns, whatever order it asked in.

For each context that was asked about: log π of the token that led there, log of the mass that the mask left, and log π
of ending there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from samplers import Problem, Samples
from samplers.particles import pinned
from samplers.reach import refuse_hopeless_rows
from samplers.samples import END, LENGTH
from samplers.tape import log_allowed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_TOKEN = np.dtype(np.int64).itemsize
_EMPTY = b""


class Drawn(NamedTuple):
    """What was drawn for a problem."""

    samples: Samples
    logs: Sequence[tuple[Floats, Floats]]
    """For each text log π and log Z_t of every token, and of its end."""


class Record:
    """Scalars about every context that the model was asked about. Rows of the latest answers are kept until the next,
    since a context's own log-probability stands in the row of its parent; parents of long ago are asked again."""

    def __init__(self, problem: Problem):
        self._problem = problem
        self._state: dict[bytes, int] = {_EMPTY: int(problem.constraint.start)}
        self._log_mass: dict[bytes, float] = {}
        self._log_end: dict[bytes, float] = {}
        self._log_token: dict[bytes, float] = {}
        self._latest: dict[bytes, int] = {}
        self._rows: Floats = np.zeros((0, problem.vocabulary.size))
        self._pins: list[Any] = []

    def note(self, contexts: Sequence[Ints], rows: Floats) -> None:
        """The answers to one call."""
        keys = [context.tobytes() for context in contexts]
        for key, context in zip(keys, contexts, strict=True):
            if len(context) and key not in self._log_token:
                self._note_token(key, int(context[-1]))
        log_mass = self._masses(keys, contexts, rows)
        for key, mass, end in zip(keys, log_mass.tolist(), self._problem.log_end(rows).tolist(), strict=True):
            self._log_mass[key], self._log_end[key] = mass, end
        self._latest, self._rows = {key: row for row, key in enumerate(keys)}, rows

    def _masses(self, keys: Sequence[bytes], contexts: Sequence[Ints], rows: Floats) -> Floats:
        masks = self._problem.mask_rows(self._states(keys, contexts))
        masks[[len(context) >= self._problem.max_tokens for context in contexts]] &= self._problem.vocabulary.end_row
        return log_allowed(rows, masks)

    def _note_token(self, key: bytes, token: int) -> None:
        row = self._latest.get(key[:-_TOKEN])
        if row is not None:
            self._log_token[key] = float(self._rows[row, token])

    def _states(self, keys: Sequence[bytes], contexts: Sequence[Ints]) -> Ints:
        new = [i for i, key in enumerate(keys) if key not in self._state]
        if new:
            before = np.array([self._state_of(contexts[i][:-1]) for i in new], np.int64)
            after = self._problem.advanced(before, np.array([contexts[i][-1] for i in new], np.int64))
            for i, state in zip(new, after.tolist(), strict=True):
                self._state[keys[i]] = state
            self._pins.append(pinned(self._problem.constraint, after))
        return np.array([self._state[key] for key in keys], np.int64)

    def _state_of(self, context: Ints) -> int:
        known = self._state.get(context.tobytes())
        if known is not None:
            return known
        state = int(self._problem.constraint.start)
        for token in context.tolist():
            state = int(self._problem.advanced(np.array([state]), np.array([token]))[0])
        return state

    def missing(self, tokens: Ints, ended: bool) -> list[Ints]:
        """The contexts of a text whose rows are wanted again."""
        unknown: list[Ints] = []
        for t in range(len(tokens) + int(ended)):
            key = tokens[:t].tobytes()
            is_known = key in self._log_mass and (t == len(tokens) or tokens[: t + 1].tobytes() in self._log_token)
            if not is_known:
                unknown.append(tokens[:t])
        return unknown

    def fill(self, tokens: Ints, contexts: Sequence[Ints], rows: Floats) -> None:
        """The rows that were missing for a text."""
        for context, row in zip(contexts, rows, strict=True):
            self.note([context], row[None])
            if len(context) < len(tokens):
                self._note_token(tokens[: len(context) + 1].tobytes(), int(tokens[len(context)]))

    def along(self, tokens: Ints, ended: bool) -> tuple[Floats, Floats]:
        """log π and log Z_t of every token of a text, and of its end."""
        steps = len(tokens) + int(ended)
        keys = [tokens[:t].tobytes() for t in range(len(tokens) + 1)]
        log_policy = [self._log_token[key] for key in keys[1:]] + ([self._log_end[keys[-1]]] if ended else [])
        return np.array(log_policy, np.float64), np.array([self._log_mass[key] for key in keys[:steps]], np.float64)


_feasible: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""For constraints some text of which is known to fit: a number of tokens that it fits into."""


def refuse_once(problem: Problem, samples: Samples) -> None:
    """Raise if no row can ever finish. The search for a text that fits takes long, so what it found is kept: steps of
    training ask the same again and again."""
    known = _feasible.get(problem.constraint)
    if known is not None and known <= problem.max_tokens:
        return
    refuse_hopeless_rows(problem, samples)
    if END in samples.finish or all(finish == LENGTH for finish in samples.finish):
        _feasible[problem.constraint] = problem.max_tokens
