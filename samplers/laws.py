"""Laws: not a sample of a sampler, but the probability of everything it can do, in exact rationals.

All randomness of a sampler is a finite choice on its draw tape. So a run is a path in a tree, and replaying the sampler
with every possible script of choices visits the whole tree:

    law = { run: ∏ of the probabilities of its choices }.

Samplers compute in float64. If a world is made of small fractions (every probability a/b with small b), the number
that a float stands for is the only fraction with a small denominator near it, and it is recovered: floats are labels of
exact numbers. Each set of choices must then sum to exactly 1, or `NotRational` says so. What is verified is therefore
the code that runs in production, and differences of laws are exactly 0 or they are bugs.

For tiny worlds: the tree grows with every draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from grammars.errors import LimitExceeded, SamplingError, ScansionError
from samplers.bits import flags_of
from samplers.driver import sample
from samplers.problem import Problem
from samplers.protocols import Sampler
from samplers.samples import Samples
from samplers.tape import Urn, log_allowed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]
R = TypeVar("R")

DENOMINATOR = 10**6  # fractions below this are at least 1e-12 apart, far beyond the rounding of a few operations
_CLOSE = 1e-13


class NotRational(SamplingError):
    """A float that is no fraction with a small denominator: the world is too large for exact laws."""

    code = "sampling.not_rational"


def rational(value: float) -> Fraction:
    """The fraction with a small denominator that a float stands for.

    >>> rational(0.1 + 0.2), rational(1e-17)
    (Fraction(3, 10), Fraction(0, 1))
    """
    if not math.isfinite(value):
        raise NotRational(f"{value} is no fraction")
    fraction = Fraction(value).limit_denominator(DENOMINATOR)
    if abs(Fraction(value) - fraction) > _CLOSE * max(1, abs(fraction)):
        raise NotRational(f"{value!r} is not near a fraction with a denominator below {DENOMINATOR}")
    return fraction


def rational_exp(log_value: float) -> Fraction:
    """exp of a logarithm as a fraction.

    >>> rational_exp(math.log(1 / 3)), rational_exp(-math.inf)
    (Fraction(1, 3), Fraction(0, 1))
    """
    return rational(math.exp(log_value))


def distribution(log_weights: Iterable[float]) -> list[Fraction]:
    """Probabilities proportional to exp(log_weights), which sum to exactly 1; all 0 if nothing has mass.

    >>> distribution([math.log(1.0), math.log(2.0)])
    [Fraction(1, 3), Fraction(2, 3)]
    """
    logs = np.fromiter(log_weights, np.float64)
    top = logs.max(initial=-math.inf)
    if top == -math.inf:
        return [Fraction(0)] * len(logs)
    weights = np.exp(logs - top)
    found = [rational(float(w)) for w in weights / weights.sum()]
    if sum(found) != 1:
        raise NotRational(f"the probabilities of a choice sum to {sum(found)}, not to 1", hint="use smaller fractions")
    return found


class ScriptedTape:
    """Replays a script of choices, then takes the first possible one; remembers what else could have been chosen.

    >>> tape = ScriptedTape([1])
    >>> tape.choose(np.log([[0.5, 0.25, 0.25]])).tolist(), str(tape.probability), tape.taken
    ([1], '1/4', [1])
    """

    def __init__(self, script: list[int]):
        self._script = script
        self.branches: list[list[tuple[int, Fraction]]] = []
        self.taken: list[int] = []
        self.probability = Fraction(1)

    def pick(self, probabilities: list[Fraction]) -> int:
        """One of the outcomes with a positive probability; -1 if there is none."""
        possible = [(outcome, p) for outcome, p in enumerate(probabilities) if p > 0]
        if not possible:
            return -1
        if len(possible) == 1:
            return possible[0][0]
        step = len(self.taken)
        branch = self._script[step] if step < len(self._script) else 0
        self.taken.append(branch)
        self.branches.append(possible)
        outcome, p = possible[branch]
        self.probability *= p
        return outcome

    def choose(self, log_weights: Floats) -> Ints:
        return np.array([self.pick(distribution(row.tolist())) for row in log_weights], np.int64)

    def tokens(self, log_probs: Floats, masks: Mask, rows: Ints) -> tuple[Ints, Floats]:
        allowed = np.where(flags_of(masks, log_probs.shape[1]), log_probs, -np.inf)
        return self.choose(allowed[rows]), log_allowed(log_probs, masks)

    def urns(self, log_probs: Floats, rows: Ints) -> list[Urn]:
        return [_ScriptedUrn(log_probs[row], self) for row in rows.tolist()]


class _ScriptedUrn:
    def __init__(self, log_probs: Floats, tape: ScriptedTape):
        self._left, self._tape = distribution(log_probs.tolist()), tape

    def draw(self) -> int:
        total = sum(self._left, Fraction(0))
        return self._tape.pick([p / total for p in self._left]) if total else -1

    def take(self, token: int) -> None:
        self._left[token] = Fraction(0)

    def log_left(self) -> float:
        total = sum(self._left, Fraction(0))
        return math.log(total) if total else -math.inf


def paths(call: Callable[[ScriptedTape], R], most: int = 200_000) -> Iterator[tuple[Fraction, R]]:
    """Everything that `call`, a function of a tape, can return, with the probabilities of its runs: they sum to 1.

    >>> [(str(p), side) for p, side in paths(lambda tape: int(tape.choose(np.log([[0.25, 0.75]]))[0]))]
    [('1/4', 0), ('3/4', 1)]
    """
    script: list[int] | None = []
    for _ in range(most):
        tape = ScriptedTape(script)
        result = call(tape)
        yield tape.probability, result
        script = _following(tape)
        if script is None:
            return
    raise LimitExceeded(f"the sampler can do more than {most} different things", hint="make the world smaller")


def _following(tape: ScriptedTape) -> list[int] | None:
    """The script of the next path in depth-first order."""
    script = list(tape.taken)
    while script:
        script[-1] += 1
        if script[-1] < len(tape.branches[len(script) - 1]):
            return script
        script.pop()
    return None


@dataclass(frozen=True)
class Run:
    """One thing a sampler can do: with which probability, and what came of it."""

    probability: Fraction
    samples: Samples | None
    error: ScansionError | None = None


def exact_law(problem: Problem, sampler: Callable[[], Sampler], n: int = 1, most: int = 200_000) -> list[Run]:
    """Everything that `sample(problem, sampler(), n)` can do. `sampler` makes a fresh one for each run.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.masking import Masking
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb"))
    >>> [(str(run.probability), run.samples.text) for run in exact_law(problem, Masking)]
    [('2/3', (b'a',)), ('1/3', (b'bb',))]
    """

    def run(tape: ScriptedTape) -> tuple[Samples | None, ScansionError | None]:
        try:
            return sample(problem, sampler(), n, tape), None
        except NotRational:
            raise
        except ScansionError as error:
            return None, error

    return [Run(probability, *outcome) for probability, outcome in paths(run, most)]


def weighted_law(law: Iterable[Run]) -> dict[Any, Fraction]:
    """E[(1/n) Σ_i w_i 1{x_i = x}] for each x, tuples of tokens: for a properly weighted sampler, P(x)·1[x ∈ L]·ψ(x).

    >>> from grammars import Vocabulary, regex
    >>> from samplers.masking import Masking
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb"))
    >>> {x: str(mass) for x, mass in weighted_law(exact_law(problem, Masking)).items()}
    {(0,): '1/8', (1, 1): '1/64'}
    """
    total: dict[Any, Fraction] = {}
    for run in law:
        if run.samples is None:
            continue
        for tokens, log_weight in zip(run.samples.tokens, run.samples.log_weights.tolist(), strict=True):
            mass = run.probability * rational_exp(log_weight) / len(run.samples)
            if mass:
                x = tuple(tokens.tolist())
                total[x] = total.get(x, Fraction(0)) + mass
    return total


def text_law(law: Iterable[Run], row: int = 0) -> dict[Any, Fraction]:
    """The probability of each text in one row, and of each way not to finish: None for an error, else the finish.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.masking import Masking
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb"))
    >>> {x: str(p) for x, p in text_law(exact_law(problem, Masking)).items()}
    {(0,): '2/3', (1, 1): '1/3'}
    """
    total: dict[Any, Fraction] = {}
    for run in law:
        outcome: Any = None
        if run.samples is not None:
            finish = run.samples.finish[row]
            outcome = tuple(run.samples.tokens[row].tolist()) if finish == "end" else finish
        total[outcome] = total.get(outcome, Fraction(0)) + run.probability
    return total
