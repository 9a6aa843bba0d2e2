"""StochasticBeam: a beam that is a sample: distinct texts with inclusion weights, in one pass.

**Idea.** A beam keeps the best and throws the rest away for ever. Keep instead `width` candidates without
replacement, the large ones for certain and the others by chance, and let those that stay stand for those that go.

**Formula.** Candidate i of weight W_i = (weight of its prefix)·p(a | u)·m(u, a) stays with probability
π_i = min(1, c·W_i), Σ π_i = width, and then weighs W_i/π_i (`samplers.pivotal`).

**Law.** Properly weighted: at every step the weighted prefixes are an unbiased picture of all prefixes, so at the end
E[(1/m) Σ w_i f(x_i)] = Z·E*[f]. Rows are distinct; one that was never at risk has the weight P(x)·ψ(x) times m,
exactly, so a beam as wide as the language is the whole truth. Potentials multiply into the weights on the way, as in
`SMC`.

**Cost.** `width` model calls per token, each text once (`SMC` has copies after resampling).

**When.** A few dozen texts that should say as much as possible about a distribution with large and small parts; low-
variance estimates of Z for short answers. Unlike `SMC`, a step looks at all candidates: width·V numbers.

Papers: Stochastic Beams (1903.06059) and Incremental Sampling Without Replacement (2002.09067) have the idea;
Conditional Poisson Stochastic Beams (2109.11034) inclusion weights; the choice of π is that of Fearnhead and Clifford
2003.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers.beam import Population
from samplers.errors import require
from samplers.log_space import effective_size
from samplers.particles import collected, started
from samplers.pivotal import chosen
from samplers.populations import candidates, kept
from samplers.problem import Problem
from samplers.protocols import Info
from samplers.samples import Samples
from samplers.tape import Source, tape_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StochasticBeam:
    """`width` distinct prefixes at a time, or n if that is more; as many rows at most.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb"))
    >>> samples = sample(problem, StochasticBeam(4), seed=0)
    >>> samples.text, round(float(np.exp(samples.log_z)), 6)
    ((b'bb', b'a'), 0.140625)
    """

    width: int = 16

    law: ClassVar[str] = "weighted"

    def __post_init__(self) -> None:
        require(self.width >= 1, f"a beam is at least one wide, not {self.width}")

    def init(self, problem: Problem, n: int, rng: Source) -> Population:
        return Population(started(problem, min(n, 1)), n)

    def step(self, problem: Problem, state: Population, log_probs: Floats, rng: Source) -> tuple[Population, Info]:
        if not len(state.particles):
            return state, Info(np.zeros(0))
        of = candidates(problem, state.particles, log_probs)
        rows, log_weights = chosen(of.scores(state.particles.log_weights), max(self.width, state.n), tape_of(rng))
        after = kept(problem, of, rows, log_weights)
        info = Info(after.log_weights, effective_size(after.log_weights), of.parents(rows))
        return replace(state, particles=after), info

    def finish(self, problem: Problem, state: Population) -> Samples:
        samples = collected(problem, state.particles)
        weights = samples.log_weights + np.log(max(len(samples), 1))
        proposal = np.where(samples.finished, samples.log_probs + samples.log_potential - weights, 0.0)
        return replace(samples, log_weights=weights, log_proposal=proposal, log_z=float("nan"))
