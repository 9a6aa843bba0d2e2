"""BestOf: draw a few, keep the one that scores best.

**Idea.** The simplest way to use a reward: k masked draws, of which the best by ψ is kept.

**Formula.** x = argmax over x_1 … x_k ~ q of log ψ(x_i), q the law of masking. Its distance from q is bounded whatever
the reward, KL(best of k ‖ q) ≤ log k − (k − 1)/k, so a `kl_budget` chooses k: the largest one within the budget.

**Law.** Approximate: best-of-k of q. Neither q nor the selection is corrected; all rows carry one weight, the estimate
of Z from all n·k draws, which is properly weighted.

**Cost.** k model calls per token of each text, fewer where prefixes are shared.

**When.** Rewards that can only be asked about finished texts and are meant to be maximised, not sampled. To sample from
P·ψ, use `SMC`.

Papers: KL of best-of-n, Stiennon et al. 2020 (2009.01325); that it is a bound only, Beirami et al. 2024 (2401.01879).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers.errors import require
from samplers.log_space import log_mean
from samplers.masking import Masking
from samplers.particles import Particles, collected, started
from samplers.problem import Bindable, Problem, bound_potential, checked_scores
from samplers.protocols import Floats, Info, Potential
from samplers.samples import Samples
from samplers.sequential import moved
from samplers.tape import Source

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class BestOf:
    """The best of `n` masked draws for each text; with `kl_budget`, of as many as it allows, at most `n`.

    `score` is a potential that ranks finished texts; by default those of the problem do, and without any the model.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> from samplers.potentials import text_potential
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> most_b = text_potential(lambda text: float(text.count(b"b")))
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("[ab]{2}"))
    >>> sample(problem, BestOf(20, score=most_b), seed=0).text
    (b'bb',)
    >>> BestOf(100, kl_budget=1.0).draws
    6
    """

    n: int = 4
    kl_budget: float | None = None
    score: Potential | Bindable | None = None

    law: ClassVar[str] = "approximate"

    def __post_init__(self) -> None:
        require(self.n >= 1, f"the best of at least 1, not of {self.n}")
        require(self.kl_budget is None or self.kl_budget >= 0.0, f"kl_budget is at least 0, not {self.kl_budget}")

    @property
    def draws(self) -> int:
        """How many draws each text is the best of."""
        if self.kl_budget is None:
            return self.n
        k = 1
        while k < self.n and kl_bound(k + 1) <= self.kl_budget:
            k += 1
        return k

    def init(self, problem: Problem, n: int, rng: Source) -> Particles:
        return started(problem, n * self.draws)

    def step(self, problem: Problem, state: Particles, log_probs: Floats, rng: Source) -> tuple[Particles, Info]:
        return moved(problem, state, log_probs, rng, Masking())

    def finish(self, problem: Problem, state: Particles) -> Samples:
        samples = collected(problem, state)
        scores = np.where(samples.finished, self._scores(problem, samples), -math.inf)
        best = _best_of_each(scores, self.draws)
        level = log_mean(samples.log_weights)
        kept = samples.take(best, np.where(samples.finished[best], level, -math.inf))
        return replace(kept, log_z=level if len(best) else math.nan, notes={"scores": scores[best]})

    def _scores(self, problem: Problem, samples: Samples) -> Floats:
        if self.score is not None:
            potential = bound_potential(self.score, problem.vocabulary)
            return checked_scores(potential, "log_complete", samples.tokens)
        return samples.log_potential if problem.potentials else samples.log_probs


def kl_bound(k: int) -> float:
    """The most that the best of k can differ from one draw, in nats.

    >>> kl_bound(1), round(kl_bound(4), 3)
    (0.0, 0.636)
    """
    return math.log(k) - (k - 1) / k


def _best_of_each(scores: Floats, k: int) -> Ints:
    """For each run of k scores where its largest stands, the first of several."""
    groups = scores.reshape(-1, k)
    return np.arange(len(groups)) * k + np.argmax(groups, axis=1)
