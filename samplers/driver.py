"""The driver: the one place that calls a model.

    state = sampler.init(problem, n, rng)
    while state.contexts:
        log_probs = model(state.contexts)
        state, info = sampler.step(problem, state, log_probs, rng)
    return sampler.finish(problem, state)

So one implementation of a sampler serves `model.generate`, a server and a training loop, can be single-stepped, and
can be compared with exact enumeration. A run that needs no model any more is done.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any, cast

import numpy as np

from samplers.errors import BrokenContract, require
from samplers.evaluation import Evaluator
from samplers.problem import Problem
from samplers.protocols import Info, Sampler, State
from samplers.reach import refuse_hopeless_budget, refuse_hopeless_rows, refuse_massless_start
from samplers.samples import Calls, Samples
from samplers.tape import Tape, seeded


def sample(
    problem: Problem, sampler: Sampler, n: int = 1, seed: int | np.random.Generator | Tape | None = None
) -> Samples:
    """Draw `n` texts (for `SMC`: run n particles).

    `seed` makes a run repeatable; a numpy generator or a `Tape` may be handed in instead. A model that is wrapped in an
    `Evaluator` keeps its answers from run to run.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Masking, Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a{2}|ab"))
    >>> sample(problem, Masking(), n=4, seed=1).text
    (b'aa', b'aa', b'ab', b'aa')
    """
    run = steps(problem, sampler, n, seed)
    while True:
        try:
            next(run)
        except StopIteration as done:
            return done.value


def steps(
    problem: Problem, sampler: Sampler, n: int = 1, seed: int | np.random.Generator | Tape | None = None
) -> Generator[State, None, Samples]:
    """The same, step by step: yields the sampler's state behind every call of the model and returns the samples.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Masking, Problem, steps
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a{2}|ab"))
    >>> [[context.tolist() for context in state.contexts] for state in steps(problem, Masking(), seed=1)]
    [[[0]], [[0, 1]], []]
    """
    _check_arguments(problem, sampler, n)
    tape = seed if isinstance(seed, Tape) else seeded(seed)
    refuse_hopeless_budget(problem)
    model = problem.model if isinstance(problem.model, Evaluator) else Evaluator(problem.model)
    before, history = model.calls, list[Info]()
    state = sampler.init(problem, n, tape)
    while len(contexts := state.contexts):
        log_probs = model.rows(contexts, state.demand)
        if not history:
            refuse_massless_start(problem, contexts, log_probs)
        state, info = sampler.step(problem, state, log_probs, tape)
        history.append(info)
        yield state
    samples = replace(sampler.finish(problem, state), calls=_since(before, model.calls), history=tuple(history))
    refuse_hopeless_rows(problem, samples)
    return samples


def _since(before: Calls, after: Calls) -> Calls:
    return Calls(after.distinct - before.distinct, after.logical - before.logical)


def _check_arguments(problem: object, sampler: object, n: object) -> None:
    if not isinstance(problem, Problem):
        raise BrokenContract(f"sample needs a Problem, not {type(problem).__name__}")
    if isinstance(sampler, type) or not isinstance(sampler, Sampler):
        name = cast("Any", sampler).__name__ if isinstance(sampler, type) else type(sampler).__name__
        raise BrokenContract(f"{name} is no sampler", hint="use an instance, such as Masking()")
    whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
    require(whole and cast("int", n) >= 0, f"n must be a number of draws, not {n!r}")
