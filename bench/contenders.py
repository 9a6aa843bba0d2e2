"""Everything that takes part in `alignment.py`: each a way to spend model calls on one problem.

A contender runs in batches until its calls are spent; what it says after each batch is kept (`Reading`): its weighted
texts so far, and the set of different texts that it found. One that takes a budget itself (`BTW`, `Auto`) runs anew for
each budget. Weights are those of the samples where these are properly weighted, and equal otherwise.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import published
from peers import Genlm
from worlds import Truth

from grammars import BudgetExhausted, DeadEnd
from samplers import (
    BTW,
    CARS,
    MCMC,
    SMC,
    AdaptiveRejection,
    ASAp,
    Auto,
    Backtracking,
    Beam,
    BestOf,
    ChunkGuided,
    DiverseBeam,
    Evaluator,
    Exact,
    GreedyNLL,
    Guarded,
    Masking,
    Problem,
    Rejection,
    Samples,
    StochasticBeam,
    sample,
)
from samplers.log_space import effective_size
from samplers.models import NGram
from samplers.protocols import Sampler

OURS, PAPERS, PEER = "scansion", "as published", "genlm-control"
LOGICAL = 10
"""Logical calls that a contender may make for each distinct one it is allowed: known prefixes cost it nothing else."""
_SECONDS = 5.0
_PEER_SECONDS = 10.0


@dataclass
class Reading:
    """What a contender says when it has spent some calls."""

    distinct: int
    logical: int
    seconds: float
    weights: dict[bytes, float]
    """Weighted texts."""
    found: dict[bytes, float]
    """The different texts; their values do not matter."""
    draws: int = 0
    ess: float = math.nan
    width: float = math.nan
    """How far the found texts may be from the target, where that is certain."""
    chose: str = ""


@dataclass(frozen=True)
class Contender:
    """A name, who made it, and how it runs."""

    name: str
    maker: str
    run: Callable[[Truth, int, Sequence[int]], list[Reading]]

    def runs(self, truth: Truth, seeds: Sequence[int], budgets: Sequence[int]) -> list[list[Reading]]:
        """For each seed what it says at each budget."""
        return [self.run(truth, seed, budgets) for seed in seeds]


@dataclass
class Pool:
    """What the batches of one run have found."""

    problem: Problem
    began: float = field(default_factory=time.process_time)
    weights: dict[bytes, float] = field(default_factory=dict[bytes, float])
    found: dict[bytes, float] = field(default_factory=dict[bytes, float])
    log_weights: list[float] = field(default_factory=list[float])

    def add(self, text: bytes, log_weight: float = 0.0) -> None:
        self.found.setdefault(text, 0.0)
        self.log_weights.append(log_weight)
        if log_weight > -math.inf:
            self.weights[text] = self.weights.get(text, 0.0) + math.exp(log_weight)

    def reading(self) -> Reading:
        calls, spent = self.problem.model.calls, time.process_time() - self.began
        ess = effective_size(np.array(self.log_weights))
        numbers = calls.distinct, calls.logical, spent
        return Reading(*numbers, dict(self.weights), dict(self.found), len(self.log_weights), ess)


def at_budgets(readings: Iterator[Reading], budgets: Sequence[int]) -> list[Reading]:
    """The first reading that has spent each budget; the last one, where a run ends before that."""
    out, last = list[Reading](), Reading(0, 0, 0.0, {}, {})
    for last in readings:
        while len(out) < len(budgets) and last.distinct >= budgets[len(out)]:
            out.append(last)
        if len(out) == len(budgets) or last.logical > LOGICAL * budgets[-1] or last.seconds > _SECONDS:
            break
    return out + [last] * (len(budgets) - len(out))


# -- ours -------------------------------------------------------------------------------------------------------------


def batches(make: Callable[[Problem], Sampler], size: int) -> Callable[[Truth, int, Sequence[int]], list[Reading]]:
    """A sampler that draws so many rows at a time."""

    def run(truth: Truth, seed: int, budgets: Sequence[int]) -> list[Reading]:
        problem = truth.problem()
        return at_budgets(_batches(problem, make(problem), size, seed), budgets)

    return run


def _batches(problem: Problem, sampler: Sampler, size: int, seed: int) -> Iterator[Reading]:
    pool, rng, weighted = Pool(problem), np.random.default_rng([seed, 1]), getattr(sampler, "law", "") == "weighted"
    while True:
        try:
            samples = sample(problem, sampler, size, rng)
        except (BudgetExhausted, DeadEnd):
            yield pool.reading()
            continue
        for draw in samples:
            if draw.finish == "end":
                pool.add(draw.tokens.tobytes(), draw.log_weight if weighted else 0.0)
        reading = pool.reading()
        reading.width = math.nan if samples.certificate is None else samples.certificate.distance
        yield reading


def budgeted(make: Callable[[int], Sampler]) -> Callable[[Truth, int, Sequence[int]], list[Reading]]:
    """A sampler that takes the number of calls it may spend."""

    def run(truth: Truth, seed: int, budgets: Sequence[int]) -> list[Reading]:
        return [_budgeted(truth, make(budget), LOGICAL * budget, seed) for budget in budgets]

    return run


def _budgeted(truth: Truth, sampler: Sampler, draws: int, seed: int) -> Reading:
    problem = truth.problem()
    pool = Pool(problem)
    samples = sample(problem, sampler, draws, np.random.default_rng([seed, 1]))
    _take(pool, samples)
    reading = pool.reading()
    reading.width = math.nan if samples.certificate is None else samples.certificate.distance
    reading.chose = str(samples.notes.get("chose", ""))
    return reading


def _take(pool: Pool, samples: Samples) -> None:
    for draw in samples:
        if draw.finish == "end":
            pool.add(draw.tokens.tobytes(), draw.log_weight)


def _policy(problem: Problem) -> Sampler:
    """A policy that has read twenty masked texts: what a short training makes of a model."""
    texts = sample(problem, Masking(), 20, seed=5)
    read = [t.tolist() for t, end in zip(texts.tokens, texts.finish, strict=True) if end == "end"]
    return Guarded(NGram(problem.vocabulary, read, order=3, strength=0.1), k=10)


def ours() -> list[Contender]:
    """Every sampler of this project."""
    plain: list[tuple[str, Callable[[Problem], Sampler], int]] = [
        ("Masking", lambda _: Masking(), 10),
        ("Rejection", lambda _: Rejection(max_draws=100, width=4), 2),
        ("AdaptiveRejection", lambda _: AdaptiveRejection(), 10),
        ("SMC, 10 particles", lambda _: SMC(), 10),
        ("SMC, 50 particles", lambda _: SMC(), 50),
        ("SMC over AdaptiveRejection", lambda _: SMC(proposal=AdaptiveRejection()), 10),
        ("ASAp", lambda _: ASAp(width=4), 10),
        ("CARS", lambda _: CARS(width=4, max_draws=50), 4),
        ("MCMC", lambda _: MCMC(), 4),
        ("Guarded", _policy, 4),
        ("Backtracking", lambda _: Backtracking(), 10),
        ("BestOf", lambda _: BestOf(), 2),
        ("ChunkGuided", lambda p: ChunkGuided(Evaluator(p.model.model), chunk=2, width=4), 4),
        ("StochasticBeam", lambda _: StochasticBeam(), 20),
        ("Beam", lambda _: Beam(), 20),
        ("DiverseBeam", lambda _: DiverseBeam(), 20),
        ("GreedyNLL", lambda _: GreedyNLL(), 1),
    ]
    found = [Contender(name, OURS, batches(make, size)) for name, make, size in plain]
    found += [
        Contender("BTW", OURS, budgeted(lambda calls: BTW(max_calls=calls))),
        Contender("Auto", OURS, budgeted(lambda calls: Auto(max_calls=calls))),
        Contender("Exact", OURS, _exact),
    ]
    return found


def _exact(truth: Truth, seed: int, budgets: Sequence[int]) -> list[Reading]:
    """The enumeration says nothing until it is complete."""
    problem = truth.problem()
    pool = Pool(problem)
    if len(truth.model.rows) <= budgets[-1]:
        enumeration = sample(problem, Exact(), 1, seed).notes["enumeration"]
        for tokens, log_mass in enumeration.masses():
            pool.add(np.array(tokens, np.int64).tobytes(), log_mass)
    done, nothing = pool.reading(), Reading(0, 0, 0.0, {}, {})
    return [done if done.weights and done.distinct <= budget else nothing for budget in budgets]


# -- as published -----------------------------------------------------------------------------------------------------


def papers() -> list[Contender]:
    """Written from the papers, `published`."""
    makes: list[tuple[str, Callable[..., Iterator[published.Draw]]]] = [
        ("ASAp (paper)", published.asap),
        ("CARS (paper)", published.cars),
        ("MCMC restart (paper)", lambda p, r: published.mcmc(p, r, "restart")),
        ("MCMC uniform (paper)", lambda p, r: published.mcmc(p, r, "uniform")),
        ("MCMC priority (paper)", lambda p, r: published.mcmc(p, r, "priority")),
    ]
    return [Contender(name, PAPERS, _draws(make)) for name, make in makes]


def _draws(make: Callable[..., Iterator[published.Draw]]) -> Callable[[Truth, int, Sequence[int]], list[Reading]]:
    def run(truth: Truth, seed: int, budgets: Sequence[int]) -> list[Reading]:
        problem = truth.problem()
        return at_budgets(_each_draw(problem, make(problem, np.random.default_rng([seed, 2])), budgets), budgets)

    return run


def _each_draw(problem: Problem, draws: Iterator[published.Draw], budgets: Sequence[int]) -> Iterator[Reading]:
    """A reading where a budget is reached, and now and then between; each copies what was found."""
    pool, left = Pool(problem), list(budgets)
    for number, draw in enumerate(draws):
        for text in draw.seen:
            pool.found.setdefault(np.array(text, np.int64).tobytes(), 0.0)
        if draw.text is not None:
            pool.add(np.array(draw.text, np.int64).tobytes())
        spent = problem.model.calls.distinct
        if number % 64 == 63 or (left and spent >= left[0]):
            left = [budget for budget in left if budget > spent]
            yield pool.reading()


# -- genlm-control ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GenlmContender:
    """SMC of genlm-control with so many particles, over `AWRS` or over masks, population after population."""

    name: str
    process: Genlm
    sampler: str
    particles: int
    maker: str = PEER

    def runs(self, truth: Truth, seeds: Sequence[int], budgets: Sequence[int]) -> list[list[Reading]]:
        """For each seed what it says at each budget. The world goes over as a table."""
        world, vocabulary = truth.world, truth.model.vocabulary
        ids = [t for t in range(vocabulary.size) if vocabulary.kind[t] == 0]
        with TemporaryDirectory() as folder:
            table = Path(folder) / "world.npz"
            contexts = [np.frombuffer(key, np.int64) for key in truth.model.rows]
            lengths, rows = [len(context) for context in contexts], list(truth.model.rows.values())
            np.savez(table, contexts=np.concatenate(contexts), lengths=lengths, rows=rows)
            job = {
                "kind": "align",
                "table": str(table),
                "tokens": [vocabulary.tokens[t].decode("latin-1") for t in ids],
                "ids": ids,
                "end": vocabulary.eos[0],
                "pattern": world.pattern,
                "sampler": self.sampler,
                "particles": self.particles,
                "max_tokens": world.max_tokens,
                "calls": budgets[-1],
                "logical": LOGICAL * budgets[-1],
                "limit": _PEER_SECONDS,
                "seeds": list(seeds),
            }
            answer = self.process.ask(job, 120.0 + 4 * _PEER_SECONDS * len(seeds))
        return [at_budgets(_peer_readings(truth, run), budgets) for run in answer["runs"]]


def _peer_readings(truth: Truth, run: list[dict[str, Any]]) -> Iterator[Reading]:
    pool = Pool(truth.problem())
    for batch in run:
        for tokens, log_weight in zip(batch["texts"], batch["log_weights"], strict=True):
            if tokens is not None and log_weight is not None:
                pool.add(np.array(tokens, np.int64).tobytes(), log_weight)
        ess = effective_size(np.array(pool.log_weights))
        yield Reading(*batch["counts"], dict(pool.weights), dict(pool.found), len(pool.log_weights), ess)


def genlm_contenders(process: Genlm) -> list[GenlmContender]:
    """Its two samplers, with few and many particles."""
    kinds = (("AWRS-SMC", "awrs"), ("mask-SMC", "masks"))
    return [
        GenlmContender(f"{name}, {n} particles (genlm)", process, kind, n) for name, kind in kinds for n in (10, 50)
    ]
