"""Several problems side by side, one call of the model for all of them.

The loop of `samplers.driver` for many problems at once: as long as any sampler asks for a context, all that is asked
goes to the model together. While it answers, what rollouts want to know is written down (`Record`): for each context
that was asked about, log π of the token that led there, log of the mass that the mask left, and log π of ending there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from decoding.rl.joint import Joint, Question
from grammars.errors import SamplingError
from samplers import Masking, Problem, Samples
from samplers.particles import pinned
from samplers.protocols import Info, Sampler
from samplers.reach import refuse_hopeless_budget, refuse_hopeless_rows, refuse_massless_start
from samplers.samples import END, LENGTH, Calls
from samplers.tape import RandomTape, log_allowed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_TOKEN = np.dtype(np.int64).itemsize
_EMPTY = b""


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

    def note(self, contexts: Sequence[Ints], rows: Floats, log_mass: Floats | None = None) -> None:
        """The answers to one call; `log_mass` of each context, if it is known already."""
        keys = [context.tobytes() for context in contexts]
        for key, context in zip(keys, contexts, strict=True):
            if len(context) and key not in self._log_token:
                self._note_token(key, int(context[-1]))
        log_mass = self._masses(keys, contexts, rows) if log_mass is None else log_mass
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


def _refuse_once(problem: Problem, samples: Samples) -> None:
    """Raise if no row can ever finish. The search for a text that fits takes long, so what it found is kept: steps of
    training ask the same again and again."""
    known = _feasible.get(problem.constraint)
    if known is not None and known <= problem.max_tokens:
        return
    refuse_hopeless_rows(problem, samples)
    if END in samples.finish or all(finish == LENGTH for finish in samples.finish):
        _feasible[problem.constraint] = problem.max_tokens


@dataclass
class Lane:
    """One problem on its way."""

    problem: Problem
    sampler: Sampler
    tape: RandomTape
    state: Any
    record: Record
    history: list[Info] = field(default_factory=list)
    distinct: int = 0
    logical: int = 0
    samples: Samples | None = None

    def step(self, contexts: Sequence[Ints], rows: Floats) -> None:
        """One answer of the model further."""
        if not self.history:
            refuse_massless_start(self.problem, contexts, rows)
        before = self.state
        self.distinct, self.logical = self.distinct + len(contexts), self.logical + before.demand
        self.state, info = self.sampler.step(self.problem, before, rows, self.tape)
        self.history.append(info)
        # masking has just computed what the record wants to know: for each context the mass, told row by row
        log_mass = info.log_mass[before.groups[1]] if type(self.sampler) is Masking else None
        self.record.note(contexts, rows, log_mass)

    def finished(self) -> Samples:
        """The samples, as the driver of `samplers` returns them."""
        if self.samples is None:
            made = self.sampler.finish(self.problem, self.state)
            calls = Calls(self.distinct, self.logical)
            self.samples = replace(made, calls=calls, history=tuple(self.history))
            _refuse_once(self.problem, self.samples)
        return self.samples


def run_together(
    problems: Sequence[Problem], sampler: Sampler, n: int, generators: Sequence[np.random.Generator], model: Joint
) -> list[Lane | SamplingError]:
    """Run the sampler on every problem; a problem that fails does not stop the others.

    >>> from decoding.embedded import load
    >>> from decoding.rl.joint import joint
    >>> from grammars import regex
    >>> from samplers import Masking
    >>> problem = Problem(load("2 + 2 ="), regex(" [0-9]"))
    >>> lanes = run_together([problem], Masking(), 2, [np.random.default_rng(0)], joint([problem.model]))
    >>> lanes[0].finished().finish
    ('end', 'end')
    """
    lanes = [_begun(*each, sampler, n) for each in zip(problems, generators, strict=True)]
    while questions := _questions(lanes):
        for (number, contexts), rows in zip(questions, model.answers(questions), strict=True):
            _step(lanes, number, contexts, rows)
    for number, lane in enumerate(lanes):
        if isinstance(lane, Lane):
            lanes[number] = _completed(number, lane, model)
    return lanes


def _begun(problem: Problem, generator: np.random.Generator, sampler: Sampler, n: int) -> Lane | SamplingError:
    tape = RandomTape(generator)
    try:
        refuse_hopeless_budget(problem)
        return Lane(problem, sampler, tape, sampler.init(problem, n, tape), Record(problem))
    except SamplingError as error:
        return error


def _questions(lanes: Sequence[Lane | SamplingError]) -> list[Question]:
    running = [(i, lane.state.contexts) for i, lane in enumerate(lanes) if isinstance(lane, Lane)]
    return [Question(i, contexts) for i, contexts in running if len(contexts)]


def _step(lanes: list[Lane | SamplingError], number: int, contexts: Sequence[Ints], rows: Floats) -> None:
    lane = lanes[number]
    try:
        if isinstance(lane, Lane):
            lane.step(contexts, rows)
    except SamplingError as error:
        lanes[number] = error


def _completed(number: int, lane: Lane, model: Joint) -> Lane | SamplingError:
    """The lane with everything recorded that its texts need: samplers that look back ask in another order."""
    try:
        samples = lane.finished()
    except SamplingError as error:
        return error
    for tokens, finish in zip(samples.tokens, samples.finish, strict=True):
        if contexts := lane.record.missing(tokens, finish == "end"):
            (rows,) = model.answers([Question(number, contexts)])
            lane.record.fill(tokens, contexts, rows)
    return lane
