"""The unbiasedness board: E[(1/n) Σ w_i f(x_i)] = Z·E*[f] for many samplers, worlds and statistics, as z-values.

`python -m tests.samplers.board [worlds]` prints a long one; the test-suite runs a short one.

A cell is the mean of R independent runs against the exact truth, in units of its standard error. An estimator without
variance has nothing but rounding as its error: the standard error has a floor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from grammars import BudgetExhausted, Vocabulary, regex
from samplers import SMC, AdaptiveRejection, Evaluator, Exact, Masking, Problem, Rejection, enumerate_texts, sample
from samplers.models import NGram, Tabulated
from samplers.protocols import Sampler
from tests.samplers.worlds import random_world

RUNS, ROWS = 60, 8
FLOOR = 1e-9

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


def stages(count: int) -> Iterator[Stage]:
    """Tables with overlapping tokens, some of them with a budget that cuts texts off, with and without potentials; a
    language without end; a long tail."""
    for seed in range(count):
        world = random_world(1_000 + seed, scored=seed % 3 == 2, tokens=4, length=4, strings=8)
        plain = world.problem()
        problem = Problem(Evaluator(plain.model), plain.constraint, plain.potentials, plain.max_tokens)
        yield Stage(f"table {seed}", problem, [(world.text(x), float(p)) for x, p in world.masses().items()])
    yield n_gram_stage()
    yield tail_stage()


def n_gram_stage() -> Stage:
    """A language without end, cut at 7 tokens."""
    vocabulary = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
    model = NGram(vocabulary, [[0, 1, 0, 0], [2, 2, 1], [0, 0, 0, 1, 1]], order=3, strength=0.5)
    problem = Problem(Evaluator(model), regex("(a|bb|ab)*b"), max_tokens=7)
    masses = enumerate_texts(problem).masses()
    return Stage("n-gram", problem, [(problem.text(np.array(x, np.int64)), float(np.exp(m))) for x, m in masses])


def tail_stage() -> Stage:
    """131,072 tokens, one of them with nearly everything, and forbidden. What is allowed: one token of 1e-3, and 32,768
    of 1e-8 each."""
    size = 131_072
    tokens = [b"%c%x" % (b"abbb"[t % 4], t) for t in range(size - 1)]
    weights, end = np.full(size, 1e-8), np.zeros(size)
    weights[5], weights[8], end[size - 1] = 1.0, 1e-3, 1.0
    vocabulary = Vocabulary([*tokens, b"<end>"], eos=[size - 1])
    model = Evaluator(Tabulated(vocabulary, {(): weights}, otherwise=end))
    problem = Problem(model, regex("a[0-9a-f]*"), max_tokens=1)
    probabilities = (weights / weights.sum()).tolist()
    return Stage("128k", problem, [(t, p) for t, p in zip(tokens, probabilities, strict=False) if t[:1] == b"a"])


def cells(name: str, stage: Stage, runs: int, seed: int) -> Iterator[Cell]:
    """All statistics of one sampler in one world."""
    truth = np.array([sum(mass * f(text) for text, mass in stage.masses) for f in STATISTICS.values()])
    rngs = [np.random.default_rng([seed, run]) for run in range(runs)]
    estimates = np.array([estimate(stage.problem, BOARD[name](), rng) for rng in rngs])
    spread, floor = estimates.std(axis=0, ddof=1) / np.sqrt(runs), FLOOR * np.maximum(np.abs(truth), 1e-3)
    z = (estimates.mean(axis=0) - truth) / np.maximum(spread, floor)
    for row, statistic in enumerate(STATISTICS):
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


def board(count: int, runs: int = RUNS) -> list[Cell]:
    """Every sampler in every world that it can be run in."""
    return [
        cell
        for number, stage in enumerate(stages(count))
        for name in BOARD
        if affordable(name, stage.name)
        for cell in cells(name, stage, runs, number)
    ]


def affordable(name: str, stage: str) -> bool:
    """Rejection needs thousands of draws where Z is 1e-3; an enumeration would visit every token of a long tail."""
    return stage != "128k" or not (name == "Exact" or name.startswith("Rejection"))


if __name__ == "__main__":
    found = board(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    z = np.array([cell.z for cell in found if not cell.certain])
    print(f"{len(found)} cells: largest |z| {np.abs(z).max():.2f}, mean z² {np.mean(z**2):.3f}")  # noqa: T201
    for cell in sorted(found, key=lambda cell: -abs(cell.z))[:10]:
        print(f"{cell.z:7.2f}  {cell.sampler}, {cell.world}, {cell.statistic}")  # noqa: T201
