"""From a token sampler to texts: sequential importance sampling.

A *token sampler* proposes one token at a prefix u with a weight such that, for every token a,

    E[w·1{token = a}] = p(a | u)·m(u, a)·1      (properly weighted).

Products of such weights along a text are properly weighted for texts: E[∏w·1{text = x}] = P(x)·1[x ∈ L]. So every token
sampler is a sampler of texts, and the move of `SMC`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from samplers.log_space import effective_size
from samplers.particles import Frontier, Particles, Proposal, at_budget, collected, ending, extended, frontier, started
from samplers.problem import Problem
from samplers.protocols import Floats, Info
from samplers.samples import Samples
from samplers.tape import Source, Tape, tape_of


class TokenSampler(Protocol):
    """Proposes one token for each running particle."""

    def propose(self, front: Frontier, tape: Tape) -> Proposal: ...


class Sequential(ABC):
    """A token sampler as a sampler of texts."""

    def init(self, problem: Problem, n: int, rng: Source) -> Particles:
        return started(problem, n)

    def step(self, problem: Problem, state: Particles, log_probs: Floats, rng: Source) -> tuple[Particles, Info]:
        return moved(problem, state, log_probs, rng, self)

    def finish(self, problem: Problem, state: Particles) -> Samples:
        return collected(problem, state)

    @abstractmethod
    def propose(self, front: Frontier, tape: Tape) -> Proposal:
        """A token for each running particle."""


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
