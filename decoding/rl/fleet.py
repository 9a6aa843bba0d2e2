"""Draws of `Masking` for many prompts as one population: one mask, one draw, one move of the constraint for all.

What samplers do for one problem costs some numpy calls a step, however few rows there are. Rollouts have many prompts
under one constraint, so their rows are put side by side, prompt after prompt, and go through `samplers.particles`
together. What is drawn is the same as for each prompt alone, bit for bit: each has a generator of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from decoding.rl.joint import Joint, Question
from decoding.rl.record import Drawn, refuse_once
from grammars.errors import SamplingError
from samplers import Masking, Problem, Samples
from samplers.particles import (
    Frontier,
    Particles,
    Proposal,
    at_budget,
    collected,
    ending,
    extended,
    selected,
    started,
)
from samplers.reach import refuse_hopeless_budget, refuse_massless_start
from samplers.samples import END, Calls
from samplers.tape import RandomTape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Shared(NamedTuple):
    """The distinct contexts of the running rows, prompt after prompt."""

    contexts: tuple[Ints, ...]
    members: Ints
    """The prompt of each context."""
    first: Ints
    """A row that has it."""
    rows: Ints
    """For each running row its context."""


class Fleet:
    """Problems that differ in their prompts alone."""

    def __init__(
        self, numbers: Sequence[int], problems: Sequence[Problem], n: int, generators: Sequence[np.random.Generator]
    ):
        self._numbers, self._problems, self._n, self._generators = numbers, problems, n, generators
        self._problem = problems[0]
        self._errors: dict[int, SamplingError] = {}
        self._particles = started(self._problem, n * len(problems))
        self._log_policy: list[Floats] = []
        self._log_mass: list[Floats] = []
        self._calls = np.zeros((2, len(problems)), np.int64)
        self._shared = self._grouped()
        try:
            refuse_hopeless_budget(self._problem)
        except SamplingError as error:
            self._errors = dict.fromkeys(range(len(problems)), error)

    @property
    def questions(self) -> list[Question]:
        """The contexts of each prompt that still runs."""
        if len(self._errors) == len(self._problems):
            return []
        asked = groupby(zip(self._shared.members.tolist(), self._shared.contexts, strict=True), key=itemgetter(0))
        return [Question(self._numbers[i], [context for _, context in pairs]) for i, pairs in asked]

    def step(self, rows: Floats) -> None:
        """All running rows one token further."""
        before, shared = self._particles, self._shared
        front = Frontier(self._problem, shared.contexts, before.states[shared.first], rows, shared.rows)
        if at_budget(self._problem, before):
            proposal = ending(front)
        else:
            proposal = Masking().propose(front, RandomTape(cast("np.random.Generator", self)))
        self._particles = extended(self._problem, before, front, proposal)
        if not self._log_mass:
            self._refuse_massless_starts(rows, proposal)
        self._note(before, proposal)
        self._shared = self._grouped()

    def random(self, count: int) -> Floats:
        """A number for each running row, from the generator of its prompt: what the tape is told to draw from."""
        members = self._particles.running // self._n
        each = np.bincount(members, minlength=len(self._problems)).tolist()
        return np.concatenate([source.random(k) for source, k in zip(self._generators, each, strict=True) if k])

    def drawn(self, model: Joint) -> Iterator[tuple[int, Drawn | SamplingError]]:
        """What was drawn for each prompt."""
        log_policy = np.array(self._log_policy).reshape(-1, len(self._particles))
        log_mass = np.array(self._log_mass).reshape(-1, len(self._particles))
        for i, number in enumerate(self._numbers):
            try:
                samples = self._finished(i)
            except SamplingError as error:
                yield number, error
                continue
            lengths = [len(t) + (f == END) for t, f in zip(samples.tokens, samples.finish, strict=True)]
            rows = enumerate(lengths, i * self._n)
            yield number, Drawn(samples, [(log_policy[:k, row], log_mass[:k, row]) for row, k in rows])

    def _finished(self, i: int) -> Samples:
        if i in self._errors:
            raise self._errors[i]
        rows = np.arange(i * self._n, (i + 1) * self._n)
        own = selected(self._particles, rows, self._particles.log_weights[rows])
        samples = replace(collected(self._problems[i], own), calls=Calls(*self._calls[:, i].tolist()))
        refuse_once(self._problems[i], samples)
        return samples

    def _grouped(self) -> Shared:
        running = self._particles.running
        number: dict[tuple[int, bytes], int] = {}
        first: list[int] = []
        rows: list[int] = []
        for row in running.tolist():
            place = number.setdefault((row // self._n, self._particles.tokens[row].tobytes()), len(number))
            if place == len(first):
                first.append(row)
            rows.append(place)
        contexts = tuple(self._particles.tokens[row] for row in first)
        firsts = np.array(first, np.int64)
        return Shared(contexts, firsts // self._n, firsts, np.array(rows, np.int64))

    def _note(self, before: Particles, proposal: Proposal) -> None:
        """What was drawn, and how much the masks left."""
        log_mass = np.zeros(len(before))
        log_mass[before.running] = proposal.log_weights
        self._log_mass.append(log_mass)
        self._log_policy.append(self._particles.log_probs - before.log_probs)
        size = len(self._problems)
        self._calls[0] += np.bincount(self._shared.members, minlength=size)
        self._calls[1] += np.bincount(before.running // self._n, minlength=size)

    def _refuse_massless_starts(self, rows: Floats, proposal: Proposal) -> None:
        lost = set((self._shared.first[self._shared.rows] // self._n)[proposal.log_weights == -np.inf].tolist())
        for i in sorted(lost):
            here = np.flatnonzero(self._shared.members == i)
            try:
                refuse_massless_start(self._problems[i], [self._shared.contexts[k] for k in here], rows[here])
            except SamplingError as error:
                self._errors[i] = error
