"""Several problems side by side, one call of the model for all of them.

The loop of `samplers.driver` for many problems at once: as long as any sampler asks for a context, all that is asked
goes to the model together. Problems that are masked by one constraint are one population (`fleet`); any other sampler
runs in a lane of its own, where what rollouts want to know is written down while the model answers (`record`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from decoding.rl.fleet import Fleet
from decoding.rl.joint import Joint, Question
from decoding.rl.record import Drawn, Record, refuse_once
from grammars.errors import SamplingError
from samplers import Masking, Problem, Samples
from samplers.protocols import Info, Sampler
from samplers.reach import refuse_hopeless_budget, refuse_massless_start
from samplers.samples import END, Calls
from samplers.tape import RandomTape

Floats = NDArray[np.float64]
Generators = Sequence[np.random.Generator]


class Run(Protocol):
    """What asks for rows, gets them, and has drawn something in the end."""

    @property
    def questions(self) -> list[Question]: ...

    def step(self, rows: Floats) -> None: ...

    def drawn(self, model: Joint) -> Iterator[tuple[int, Drawn | SamplingError]]: ...


@dataclass
class Lane:
    """One problem under any sampler, on its way."""

    number: int
    problem: Problem
    sampler: Sampler
    tape: RandomTape
    state: Any
    record: Record
    distinct: int = 0
    logical: int = 0
    history: list[Info] = field(default_factory=list[Info])
    error: SamplingError | None = None

    @classmethod
    def begun(cls, number: int, problem: Problem, sampler: Sampler, n: int, generator: np.random.Generator) -> Lane:
        """A lane at its start, or one that ended there."""
        lane = cls(number, problem, sampler, RandomTape(generator), None, Record(problem))
        try:
            refuse_hopeless_budget(problem)
            lane.state = sampler.init(problem, n, lane.tape)
        except SamplingError as error:
            lane.error = error
        return lane

    @property
    def questions(self) -> list[Question]:
        """None any more if something went wrong."""
        contexts = () if self.error is not None else self.state.contexts
        return [Question(self.number, contexts)] if len(contexts) else []

    def step(self, rows: Floats) -> None:
        """One answer of the model further."""
        contexts = self.state.contexts
        try:
            if not self.history:
                refuse_massless_start(self.problem, contexts, rows)
            self.distinct, self.logical = self.distinct + len(contexts), self.logical + self.state.demand
            self.state, info = self.sampler.step(self.problem, self.state, rows, self.tape)
        except SamplingError as error:
            self.error = error
            return
        self.history.append(info)
        self.record.note(contexts, rows)

    def drawn(self, model: Joint) -> Iterator[tuple[int, Drawn | SamplingError]]:
        """What the sampler returns, with everything recorded that its texts need: samplers that look back ask in
        another order, and are asked again for what is missing."""
        try:
            samples = self._finished()
        except SamplingError as error:
            yield self.number, error
            return
        for tokens, finish in zip(samples.tokens, samples.finish, strict=True):
            if contexts := self.record.missing(tokens, finish == END):
                self.record.fill(tokens, contexts, model.rows([Question(self.number, contexts)]))
        ended = [finish == END for finish in samples.finish]
        yield (
            self.number,
            Drawn(samples, [self.record.along(*each) for each in zip(samples.tokens, ended, strict=True)]),
        )

    def _finished(self) -> Samples:
        if self.error is not None:
            raise self.error
        made = self.sampler.finish(self.problem, self.state)
        samples = replace(made, calls=Calls(self.distinct, self.logical), history=tuple(self.history))
        refuse_once(self.problem, samples)
        return samples


def run_together(
    problems: Sequence[Problem], sampler: Sampler, n: int, generators: Generators, model: Joint
) -> list[Drawn | SamplingError]:
    """Run the sampler on every problem; a problem that fails does not stop the others.

    >>> from decoding.embedded import load
    >>> from decoding.rl.joint import joint
    >>> from grammars import regex
    >>> from samplers import Masking
    >>> problem = Problem(load("2 + 2 ="), regex(" [0-9]"))
    >>> (drawn,) = run_together([problem], Masking(), 2, [np.random.default_rng(0)], joint([problem.model]))
    >>> drawn.samples.finish
    ('end', 'end')
    """
    runs = _begun(problems, sampler, n, generators)
    while asked := [(run, questions) for run in runs if (questions := run.questions)]:
        _step(asked, model.rows([question for _, questions in asked for question in questions]))
    found = dict(pair for run in runs for pair in run.drawn(model))
    return [found[number] for number in range(len(problems))]


def _begun(problems: Sequence[Problem], sampler: Sampler, n: int, generators: Generators) -> list[Run]:
    if type(sampler) is not Masking:
        return [Lane.begun(i, problem, sampler, n, generators[i]) for i, problem in enumerate(problems)]
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, problem in enumerate(problems):
        key = id(problem.constraint), problem.max_tokens, *map(id, problem.potentials)
        alike.setdefault(key, []).append(i)
    return [
        Fleet(members, [problems[i] for i in members], n, [generators[i] for i in members])
        for members in alike.values()
    ]


def _step(asked: Sequence[tuple[Run, list[Question]]], rows: Floats) -> None:
    begin = 0
    for run, questions in asked:
        end = begin + sum(len(contexts) for _, contexts in questions)
        run.step(rows[begin:end])
        begin = end
