"""GreedyNLL: the likeliest token at every step, and how unlikely the result is.

**Idea.** One greedy text under the constraint; its negative log-likelihood under the model is a measure of how
uncertain the model is about its answer (G-NLL), as good as far costlier ones.

**Formula.** x_t = argmax_a p(a | u_t)·m(u_t, a); G-NLL = −log P(x), in `Samples.notes["nll"]`.

**Law.** None: one text, not a sample. Its weight is its mass P(x)·ψ(x) ≤ Z, so log_z is a lower bound for certain. It
is the constrained mode only where greed finds it.

**Cost.** One model call per token, whatever n is: all rows are the same text.

**When.** A quick best guess with a confidence. For modes, beams; for anything about the distribution, a sampler.

Paper: Aichberger, Schweighofer and Hochreiter 2024 (2412.15176).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from samplers.kernels import best_allowed
from samplers.particles import Frontier, Particles, Proposal, collected
from samplers.problem import Problem
from samplers.samples import Samples
from samplers.sequential import Sequential
from samplers.tape import Tape


@dataclass(frozen=True)
class GreedyNLL(Sequential):
    """The greedy text and its negative log-likelihood.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> samples = sample(Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("[ab]{2}")), GreedyNLL())
    >>> samples.text, round(samples.notes["nll"], 3)
    ((b'aa',), 2.773)
    """

    law: ClassVar[str] = "approximate"

    def finish(self, problem: Problem, state: Particles) -> Samples:
        samples = collected(problem, state)
        mass = np.where(samples.finished, samples.log_probs + samples.log_potential, -np.inf)
        nll = -float(samples.log_probs[0]) if len(samples) else np.nan
        return replace(samples, log_weights=mass, log_z=np.nan, notes={"nll": nll})

    def propose(self, front: Frontier, tape: Tape) -> Proposal:
        tokens = np.empty(len(front.contexts), np.int64)
        best_allowed(front.log_probs, front.masks, tokens)
        return Proposal(tokens[front.rows], np.where(tokens < 0, -np.inf, 0.0)[front.rows])
