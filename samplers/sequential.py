"""From a token sampler to texts: sequential importance sampling.

A *token sampler* proposes one token at a prefix u with a weight such that, for every token a,

    E[w·1{token = a}] = p(a | u)·m(u, a)·1      (properly weighted).

Products of such weights along a text are properly weighted for texts: E[∏w·1{text = x}] = P(x)·1[x ∈ L]. So every token
sampler is a sampler of texts, and the move of `SMC`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from samplers.log_space import effective_size
from samplers.particles import Frontier, Particles, Proposal, at_budget, ending, extended, frontier
from samplers.problem import Problem
from samplers.protocols import Floats, Info
from samplers.tape import Source, Tape, tape_of


class TokenSampler(Protocol):
    """Proposes one token for each running particle."""

    def propose(self, front: Frontier, tape: Tape) -> Proposal: ...


def moved(
    problem: Problem, particles: Particles, log_probs: Floats, rng: Source, sampler: TokenSampler
) -> tuple[Particles, Info]:
    """All running particles one token further."""
    front = frontier(problem, particles, log_probs)
    proposal = ending(front) if at_budget(problem, particles) else sampler.propose(front, tape_of(rng))
    after = extended(problem, particles, front, proposal)
    log_mass = np.full(len(particles), np.nan)
    log_mass[particles.running] = proposal.log_weights
    return after, Info(log_mass, effective_size(after.log_weights))
