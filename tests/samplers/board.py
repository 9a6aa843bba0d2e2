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


def worlds(count: int) -> Iterator[tuple[str, Problem]]:
    """Tables with overlapping tokens, some of them with a budget that cuts texts off, with and without potentials."""
    for seed in range(count):
        world = random_world(1_000 + seed, scored=seed % 3 == 2, tokens=4, length=4, strings=8)
        plain = world.problem()
        yield f"table {seed}", Problem(Evaluator(plain.model), plain.constraint, plain.potentials, plain.max_tokens)
    yield "n-gram", n_gram_problem()
    yield "128k", tail_problem()


def n_gram_problem() -> Problem:
    """A language without end, cut at 7 tokens."""
    vocabulary = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
    model = NGram(vocabulary, [[0, 1, 0, 0], [2, 2, 1], [0, 0, 0, 1, 1]], order=3, strength=0.5)
    return Problem(Evaluator(model), regex("(a|bb|ab)*b"), max_tokens=7)


def tail_problem() -> Problem:
    """131,072 tokens: what is allowed lies in a tail of tokens of 1e-8 each, and of one of 1e-3."""
    size = 131_072
    tokens = [b"%c%x" % (b"ab"[t % 2], t) for t in range(size - 1)]
    weights = np.full(size, 1e-8)
    weights[5] = 1.0
    weights[8], weights[size - 1] = 1e-3, 0.05
    last = np.zeros(size)
    last[size - 1] = 1.0
    vocabulary = Vocabulary([*tokens, b"<end>"], eos=[size - 1])
    model = Evaluator(Tabulated(vocabulary, {(): weights}, otherwise=last))
    return Problem(model, regex("[ab][0-9a-f]*[048c]|b[0-9a-f]*"), max_tokens=1)


def cells(name: str, world: str, problem: Problem, runs: int, seed: int) -> Iterator[Cell]:
    """All statistics of one sampler in one world."""
    truth = exact_values(problem)
    estimates = np.array([estimate(problem, BOARD[name](), np.random.default_rng([seed, r])) for r in range(runs)])
    errors = np.maximum(estimates.std(axis=0, ddof=1) / np.sqrt(runs), FLOOR * np.maximum(np.abs(truth), 1e-3))
    for statistic, z in zip(STATISTICS, (estimates.mean(axis=0) - truth) / errors, strict=True):
        yield Cell(name, world, statistic, float(z))


def exact_values(problem: Problem) -> np.ndarray:
    """Z·E*[f] of each statistic."""
    masses = [(problem.text(np.array(x, np.int64)), np.exp(m)) for x, m in enumerate_texts(problem).masses()]
    return np.array([sum(mass * f(text) for text, mass in masses) for f in STATISTICS.values()])


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
    """Every sampler in every world; those with very many tokens have fewer runs."""
    return [
        cell
        for number, (world, problem) in enumerate(worlds(count))
        for name in BOARD
        if affordable(name, world)
        for cell in cells(name, world, problem, runs, number)
    ]


def affordable(name: str, world: str) -> bool:
    """Rejection needs thousands of draws where Z is 1e-3."""
    return not (world == "128k" and name.startswith("Rejection") and "cut" not in name)


if __name__ == "__main__":
    found = board(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    z = np.array([cell.z for cell in found])
    print(f"{len(found)} cells: largest |z| {np.abs(z).max():.2f}, mean z² {np.mean(z**2):.3f}")  # noqa: T201
    for cell in sorted(found, key=lambda cell: -abs(cell.z))[:10]:
        print(f"{cell.z:7.2f}  {cell.sampler}, {cell.world}, {cell.statistic}")  # noqa: T201
