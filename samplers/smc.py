"""SMC: many texts at once, and the promising ones are continued more often.

**Idea.** Run n particles of importance sampling (any token sampler: `Masking`, `AdaptiveRejection`) side by side. When
their weights have become uneven, draw a new population from the old one in proportion to the weights, and level them.

**Formula.** Particle i at time t has W_i ∏ w_t·ψ(u_t)/ψ(u_{t-1}); potentials act as twists, and their prefix scores
cancel against the final one: whatever they are, the last weight has ψ(x) alone. When ESS = (ΣW)²/ΣW² < τ·n, resample
and set every W to the mean. At the end Ẑ = (1/n) Σ W_i. `twist` is a potential that guides and is no part of it.

**Law.** Properly weighted: E[(1/n) Σ W_i f(x_i)] = Z·E*[f] for every n, every τ and every twist; so E[Ẑ] = Z. The
self-normalised expectation is consistent, its error of order 1/√n.

**Cost.** A model call for each distinct prefix and step, so at most n per token; particles that share a prefix share
its call, and each context extends one of the previous call by a token (`parents`): one position forwarded per distinct
token, if the model keeps keys and values.

**When.** Potentials that tell early; constraints that the model drifts away from slowly; whenever n parallel sequences
can be had anyway. Not for few, very unequal ways to satisfy a constraint decided at the last token: the
resampled particles are copies of a few ancestors. At the token budget the end is forced where it is legal, and all
other rows have weight 0: a truncated row is never counted as finished.

Papers: SMC control of language models (2306.03081, 2504.13139); `samplers.resampling` for the schemes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from grammars.vocabulary import Vocabulary
from samplers.errors import require
from samplers.log_space import effective_size, log_mean
from samplers.masking import Masking
from samplers.particles import Particles, collected, selected, started
from samplers.problem import Bindable, Problem, bound_potential, checked_scores
from samplers.protocols import Contexts, Info, Potential
from samplers.resampling import SCHEMES, ancestors
from samplers.samples import Samples
from samplers.sequential import TokenSampler, moved
from samplers.tape import Source, tape_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SMC:
    """Sequential Monte Carlo over a token sampler.

    `n` particles at least (more if `sample` asks for more), `ess` the threshold τ in [0, 1]: 0 never resamples, 1
    nearly always does.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb"))
    >>> samples = sample(problem, SMC(2000), seed=0)
    >>> bool(abs(np.exp(samples.log_z) - (0.5 * 0.25 + 0.25**3)) < 0.01)
    True
    """

    n: int = 1
    ess: float = 0.5
    resampling: str = "systematic"
    twist: Potential | Bindable | None = None
    proposal: TokenSampler = field(default_factory=Masking)

    law: ClassVar[str] = "weighted"

    def __post_init__(self) -> None:
        require(self.n >= 0, f"the number of particles must not be negative, but is {self.n}")
        require(0.0 <= self.ess <= 1.0, f"the threshold ess lies between 0 and 1, not {self.ess}")
        require(
            self.resampling in SCHEMES,
            f"there is no resampling scheme {self.resampling!r}",
            f"use one of {', '.join(SCHEMES)}",
        )

    def init(self, problem: Problem, n: int, rng: Source) -> Particles:
        return started(self._guided(problem), max(self.n, n) if n else 0)

    def step(self, problem: Problem, state: Particles, log_probs: Floats, rng: Source) -> tuple[Particles, Info]:
        after, info = moved(self._guided(problem), state, log_probs, rng, self.proposal)
        if not self._uneven(after):
            return after, info
        chosen = ancestors(self.resampling, after.log_weights, len(after), tape_of(rng))
        level = np.full(len(after), log_mean(after.log_weights))
        return selected(after, chosen, level), replace(info, ancestors=chosen)

    def finish(self, problem: Problem, state: Particles) -> Samples:
        return collected(problem, state)

    def _uneven(self, particles: Particles) -> bool:
        """Whether to resample: while some still run, and some have weight."""
        size = effective_size(particles.log_weights)
        return len(particles.running) > 0 and 0.0 < size < self.ess * len(particles)

    def _guided(self, problem: Problem) -> Problem:
        return problem if self.twist is None else problem.with_potential(_Guide(self.twist, problem.vocabulary))


class _Guide:
    """A potential that says something on the way and nothing at the end."""

    def __init__(self, twist: Potential | Bindable, vocabulary: Vocabulary):
        self._twist = bound_potential(twist, vocabulary)

    def log_prefix(self, contexts: Contexts) -> Floats:
        return checked_scores(self._twist, "log_prefix", contexts)

    def log_complete(self, contexts: Contexts) -> Floats:
        return np.zeros(len(contexts))
