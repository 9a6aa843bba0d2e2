"""The unbiasedness board: E[(1/n) Σ w_i f(x_i)] = Z·E*[f] for many samplers, worlds and statistics, as z-values.

`make board`, which is `python -m tests.samplers.board [worlds] [runs] [bounds]`, runs a long one on all cores, checks a
million certificates (`certificates`) and says whether all that holds; the test-suite runs a short one. The trie
samplers take part with parallel rounds, with tries that must forget, with tries that were saved and loaded on the way,
and with few of the tokens of a prefix stored.

A cell is the mean of R independent runs against the exact truth, in units of its standard error. An estimator without
variance has nothing but rounding as its error: the standard error has a floor. Statistics of texts that hardly ever
occur have no cell: what was never seen has no standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, count, repeat
from multiprocessing import get_context
from typing import Any, ClassVar

import numpy as np
from rich.progress import Progress, track

from grammars import BudgetExhausted, Vocabulary, regex
from samplers import (
    BTW,
    CARS,
    SMC,
    AdaptiveRejection,
    ASAp,
    Auto,
    Evaluator,
    Exact,
    Info,
    Masking,
    Problem,
    Rejection,
    Samples,
    StochasticBeam,
    enumerate_texts,
    sample,
)
from samplers.models import NGram, Tabulated
from samplers.protocols import Floats, Sampler
from samplers.tape import Source
from tests.samplers.certificates import broken
from tests.samplers.worlds import random_world

RUNS, ROWS = 60, 8
FLOOR = 1e-9
COMMON = 0.02  # the least share of the target that a statistic speaks of
WORLDS_A_JOB, JOBS = 5, 16
FAR, EVEN = 4.5, (0.9, 1.1)  # the long board holds if no |z| is larger, and the mean of z² lies between


@dataclass(frozen=True)
class Resumed:
    """A trie sampler that has drawn before, and whose trie was saved and loaded since."""

    make: Callable[[], Any]
    before: int = 3

    law: ClassVar[str] = "weighted"

    def init(self, problem: Problem, n: int, rng: Source) -> Any:
        first, second, file = self.make(), self.make(), BytesIO()
        sample(problem, first, self.before, rng)
        first.tries.save(problem, file)
        second.tries.load(problem, BytesIO(file.getvalue()))
        return _Going(second, second.init(problem, n, rng))

    def step(self, problem: Problem, state: Any, log_probs: Floats, rng: Source) -> tuple[Any, Info]:
        inner, info = state.sampler.step(problem, state.inner, log_probs, rng)
        return _Going(state.sampler, inner), info

    def finish(self, problem: Problem, state: Any) -> Samples:
        return state.sampler.finish(problem, state.inner)


@dataclass(frozen=True)
class _Going:
    sampler: Any
    inner: Any

    @property
    def contexts(self) -> Any:
        return self.inner.contexts

    @property
    def demand(self) -> int:
        return self.inner.demand


BOARD: dict[str, Callable[[], Sampler]] = {
    "Masking": Masking,
    "Rejection": lambda: Rejection(width=1),
    "Rejection, side by side": lambda: Rejection(width=16),
    "Rejection, cut short": lambda: Rejection(max_draws=2),
    "AdaptiveRejection wildcard": AdaptiveRejection,
    "AdaptiveRejection recursive": lambda: AdaptiveRejection("recursive"),
    "AdaptiveRejection recursive, bounded": lambda: AdaptiveRejection("recursive", rejects=2),
    "AdaptiveRejection geometric": lambda: AdaptiveRejection("geometric", rejects=8),
    "SMC": SMC,
    "SMC multinomial": lambda: SMC(resampling="multinomial", ess=0.9),
    "SMC stratified": lambda: SMC(resampling="stratified", ess=0.9),
    "SMC residual": lambda: SMC(resampling="residual", ess=0.9),
    "SMC over AdaptiveRejection": lambda: SMC(ess=0.9, proposal=AdaptiveRejection()),
    "Exact": Exact,
    "ASAp": lambda: ASAp(width=1),
    "ASAp, side by side": lambda: ASAp(width=8),
    "ASAp, resumed": lambda: Resumed(lambda: ASAp(width=2)),
    "CARS": lambda: CARS(width=1),
    "CARS, side by side": lambda: CARS(width=8, stored=2),
    "BTW": lambda: BTW(width=1),
    "BTW, side by side": lambda: BTW(width=8),
    "BTW by bounds": lambda: BTW(twist=False, width=2, stored=1),
    "BTW, forgetful": lambda: BTW(max_bytes=1 << 13),
    "BTW, resumed": lambda: Resumed(BTW),
    "BTW exact": lambda: BTW("exact"),
    "StochasticBeam": lambda: StochasticBeam(4),
    "Auto": lambda: Auto("estimate", probe=4),
    "Auto for samples": lambda: Auto("samples", probe=4),
}

STATISTICS: dict[str, Callable[[bytes], float]] = {
    "mass": lambda text: 1.0,
    "length": lambda text: float(len(text)),
    "begins with a": lambda text: float(text[:1] == b"a"),
    "ends with b": lambda text: float(text[-1:] == b"b"),
}


@dataclass(frozen=True)
class Cell:
    sampler: str
    world: str
    statistic: str
    z: float
    certain: bool
    """Whether the estimator has no variance: its error is rounding."""


@dataclass(frozen=True)
class Stage:
    """A problem and the mass of each of its texts."""

    name: str
    problem: Problem
    masses: list[tuple[bytes, float]]

    @property
    def mass(self) -> float:
        return sum(mass for _, mass in self.masses)


def stages(worlds: int) -> Iterator[Stage]:
    """A language without end; a long tail; tables."""
    yield from map(stage_of, range(len(LARGE) + worlds))


def stage_of(number: int) -> Stage:
    """The stage of a number: first the large ones."""
    return LARGE[number]() if number < len(LARGE) else table_stage(number - len(LARGE))


def table_stage(seed: int) -> Stage:
    """A table with overlapping tokens, perhaps with a budget that cuts texts off, perhaps with a potential."""
    world = random_world(1_000 + seed, scored=seed % 3 == 2, tokens=4, length=4, strings=8)
    plain = world.problem()
    problem = Problem(Evaluator(plain.model), plain.constraint, plain.potentials, plain.max_tokens)
    return Stage(f"table {seed}", problem, [(world.text(x), float(p)) for x, p in world.masses().items()])


def n_gram_stage() -> Stage:
    """A language without end, cut at 7 tokens."""
    vocabulary = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
    model = NGram(vocabulary, [[0, 1, 0, 0], [2, 2, 1], [0, 0, 0, 1, 1]], order=3, strength=0.5)
    problem = Problem(Evaluator(model), regex("(a|bb|ab)*b"), max_tokens=7)
    masses = enumerate_texts(problem).masses()
    return Stage("n-gram", problem, [(problem.text(np.array(x, np.int64)), float(np.exp(m))) for x, m in masses])


def tail_stage() -> Stage:
    """131,072 tokens, one of them with nearly everything, and forbidden. What is allowed: one token of 1e-4, and 32,768
    of 1e-8 each."""
    size = 131_072
    tokens = [b"%c%x" % (b"abbb"[t % 4], t) for t in range(size - 1)]
    weights, end = np.full(size, 1e-8), np.zeros(size)
    weights[5], weights[8], end[size - 1] = 1.0, 1e-4, 1.0
    vocabulary = Vocabulary([*tokens, b"<end>"], eos=[size - 1])
    model = Evaluator(Tabulated(vocabulary, {(): weights}, otherwise=end))
    problem = Problem(model, regex("a[0-9a-f]*"), max_tokens=1)
    probabilities = (weights / weights.sum()).tolist()
    return Stage("128k", problem, [(t, p) for t, p in zip(tokens, probabilities, strict=False) if t[:1] == b"a"])


LARGE = (tail_stage, n_gram_stage)


def cells(name: str, stage: Stage, runs: int, seed: int) -> Iterator[Cell]:
    """All statistics of one sampler in one world."""
    truth = np.array([sum(mass * f(text) for text, mass in stage.masses) for f in STATISTICS.values()])
    rngs = [np.random.default_rng([seed, run]) for run in range(runs)]
    estimates = np.array([estimate(stage.problem, BOARD[name](), rng) for rng in rngs])
    spread, floor = estimates.std(axis=0, ddof=1) / np.sqrt(runs), FLOOR * np.maximum(np.abs(truth), 1e-3)
    z = (estimates.mean(axis=0) - truth) / np.maximum(spread, floor)
    for row, (statistic, f) in enumerate(STATISTICS.items()):
        if sum(mass for text, mass in stage.masses if f(text)) < COMMON * stage.mass:
            continue
        yield Cell(name, stage.name, statistic, float(z[row]), bool(spread[row] <= floor[row]))


def estimate(problem: Problem, sampler: Sampler, rng: np.random.Generator) -> np.ndarray:
    """What one run says: (1/n) Σ w f, and 0 if it found nothing."""
    try:
        samples = sample(problem, sampler, ROWS, rng)
    except BudgetExhausted:
        return np.zeros(len(STATISTICS))
    weights = np.exp(samples.log_weights) / len(samples)
    return np.array(
        [sum(w * f(t) for w, t in zip(weights, samples.text, strict=True) if w) for f in STATISTICS.values()]
    )


def board(worlds: int, runs: int = RUNS) -> list[Cell]:
    """Every sampler in every world that it can be run in."""
    return [cell for number in range(len(LARGE) + worlds) for cell in row(number, runs)]


def row(number: int, runs: int) -> list[Cell]:
    """Every sampler in one world."""
    stage = stage_of(number)
    names = (name for name in BOARD if affordable(name, stage))
    return [cell for name in names for cell in cells(name, stage, runs, number)]


NOT_IN_THE_TAIL = (
    "Rejection",  # thousands of draws
    "Exact",  # an enumeration visits every token
    "AdaptiveRejection geometric",  # nearly always 0: eight questions hardly ever meet what is allowed
    "CARS",  # nearly always the same number: that a draw after the last one is known already hardly ever happens
    "BTW exact",
    "Auto for samples",
)


RARE = 0.005  # mass of a language; below it these draw what decides their mean only once in hundreds of runs
NOT_WHERE_RARE = ("Rejection", "ASAp")


def affordable(name: str, stage: Stage) -> bool:
    """Whether a sampler can be judged: in reasonable time, and by what happens often."""
    if stage.name == "128k":
        return not name.startswith(NOT_IN_THE_TAIL)
    return stage.mass >= RARE or not name.startswith(NOT_WHERE_RARE)


def verdict(found: list[Cell]) -> list[str]:
    """What is wrong with a long board."""
    z = np.array([cell.z for cell in found if not cell.certain])
    wrong = [f"|z| = {abs(c.z):.2f}: {c.sampler}, {c.world}, {c.statistic}" for c in found if not abs(c.z) < FAR]
    if not EVEN[0] <= float(np.mean(z**2)) <= EVEN[1]:
        wrong.append(f"the mean of z² is {np.mean(z**2):.3f}, not between {EVEN[0]} and {EVEN[1]}")
    return wrong


def main(worlds: int = 60, runs: int = RUNS, bounds: int = 1_000_000) -> int:
    """Print a long board and check many certificates; how many things are wrong."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        rows = pool.map(row, range(len(LARGE) + worlds), repeat(runs))
        found = list(chain.from_iterable(track(rows, "worlds", total=len(LARGE) + worlds)))
        show(found)
        checked, violations = certificates(pool, bounds)
    print(f"{checked} bounds checked, {len(violations)} violated")  # noqa: T201
    wrong = verdict(found) + violations
    print("\n".join(wrong) or "the board holds")  # noqa: T201
    return len(wrong)


def show(found: list[Cell]) -> None:
    z = np.array([cell.z for cell in found if not cell.certain])
    print(f"{len(found)} cells: largest |z| {np.abs(z).max():.2f}, mean z² {np.mean(z**2):.3f}")  # noqa: T201
    for cell in sorted(found, key=lambda cell: -abs(cell.z))[:10]:
        print(f"{cell.z:7.2f}  {cell.sampler}, {cell.world}, {cell.statistic}")  # noqa: T201


def certificates(pool: Executor, bounds: int) -> tuple[int, list[str]]:
    """So many bounds, those of a few worlds a job: how many were checked, and which were violated."""
    checked, wrong = 0, list[str]()
    with Progress() as progress:
        task = progress.add_task("bounds", total=bounds)
        for first in count(0, WORLDS_A_JOB * JOBS):
            jobs = range(first, first + WORLDS_A_JOB * JOBS, WORLDS_A_JOB)
            for number, violations in pool.map(bounds_of, jobs):
                checked, wrong = checked + number, wrong + violations
            progress.update(task, completed=checked)
            if checked >= bounds:
                break
    return checked, wrong


def bounds_of(first: int) -> tuple[int, list[str]]:
    found = list(broken(WORLDS_A_JOB, first))
    return sum(number for number, _ in found), [violation for _, violations in found for violation in violations]


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
