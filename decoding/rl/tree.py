"""Segment trees: rollouts that share their beginning and part where the grammar leaves a real choice.

**Idea.** n particles start as one. As long as the next token is obvious they move together, one draw and one model call
for all; where the masked distribution is uncertain (its entropy exceeds `entropy`), and at least `segment` tokens after
the last fork, they part into `branch` blocks that draw for themselves. What stands in common is written once.

**Law.** Each particle alone follows q exactly, since a block's draw is a draw of q: fork decisions look at the prefix,
never at what is drawn. So rows are weighted as those of `Masking` are, w = ∏ Z_t, and every mean over them has the
expectation that it has there. They are not independent: siblings share a past, which is what `advantages` uses.

**Advantage.** A leaf is compared with the leaves below each of its forks, and the mean of these comparisons is its
advantage: what came before a fork is credited to nobody below it.

Paper: TreePO (2508.17445).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers.bits import flags_of
from samplers.errors import require
from samplers.log_space import effective_size
from samplers.particles import Particles, Proposal, at_budget, collected, ending, extended, frontier, started
from samplers.problem import Problem
from samplers.protocols import Contexts, Floats, Info
from samplers.samples import Samples
from samplers.tape import Source, tape_of

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grove:
    """Particles and the block that each belongs to; blocks draw together."""

    particles: Particles
    block: Ints
    since: Ints
    """Tokens since the block was forked off."""
    forks: tuple[Ints, ...] = ()
    """The blocks as they were before each fork: who was together."""

    @property
    def contexts(self) -> Contexts:
        return self.particles.contexts

    @property
    def demand(self) -> int:
        """A block is one sequence."""
        return len(np.unique(self.block[self.particles.running]))


@dataclass(frozen=True)
class SegmentTree:
    """Draws of `Masking` that share prefixes.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.3, 0.2]), regex("aaaa(a|b)"))
    >>> samples = sample(problem, SegmentTree(branch=4), n=4, seed=1)
    >>> [text[:4] for text in samples.text], samples.calls.logical
    ([b'aaaa', b'aaaa', b'aaaa', b'aaaa'], 9)
    """

    branch: int = 2
    entropy: float = 0.3
    segment: int = 1

    law: ClassVar[str] = "weighted"

    def __post_init__(self) -> None:
        require(self.branch >= 2, f"a fork has at least 2 branches, not {self.branch}")
        require(self.entropy >= 0.0, f"entropy is at least 0, not {self.entropy}")
        require(self.segment >= 1, f"a segment has at least one token, not {self.segment}")

    def init(self, problem: Problem, n: int, rng: Source) -> Grove:
        return Grove(started(problem, n), np.zeros(n, np.int64), np.zeros(n, np.int64))

    def step(self, problem: Problem, state: Grove, log_probs: Floats, rng: Source) -> tuple[Grove, Info]:
        front = frontier(problem, state.particles, log_probs)
        moving = state.particles.running
        if at_budget(problem, state.particles):
            proposal = ending(front)
        else:
            state = self._forked(state, front.rows, masked_entropies(log_probs, front.masks))
            _, first, shared = np.unique(state.block[moving], return_index=True, return_inverse=True)
            tokens, log_mass = tape_of(rng).tokens(log_probs, front.masks, front.rows[first])
            proposal = Proposal(tokens[shared], log_mass[front.rows])
        after = extended(problem, state.particles, front, proposal)
        log_mass = np.full(len(after), np.nan)
        log_mass[moving] = proposal.log_weights
        return replace(state, particles=after, since=state.since + 1), Info(log_mass, effective_size(after.log_weights))

    def finish(self, problem: Problem, state: Grove) -> Samples:
        return replace(collected(problem, state.particles), notes={"forks": state.forks})

    def _forked(self, state: Grove, rows: Ints, entropies: Floats) -> Grove:
        """The blocks after all forks at this step."""
        block, since, next_block = state.block.copy(), state.since.copy(), int(state.block.max(initial=-1)) + 1
        moving = state.particles.running
        for number in np.unique(block[moving]).tolist():
            here = np.flatnonzero(block[moving] == number)
            members = moving[here]
            is_early = bool(len(state.forks)) and since[members[0]] < self.segment
            if len(members) < 2 or is_early or entropies[rows[here[0]]] <= self.entropy:
                continue
            for part in np.array_split(members, min(self.branch, len(members)))[1:]:
                block[part], next_block = next_block, next_block + 1
            since[members] = 0
        if np.array_equal(block, state.block):
            return state
        return replace(state, block=block, since=since, forks=(*state.forks, state.block))


def masked_entropies(log_probs: Floats, masks: NDArray[np.uint32]) -> Floats:
    """For each row the entropy of what the mask leaves, in nats.

    >>> masked_entropies(np.log([[0.25, 0.25, 0.5]]), np.array([[0b011]], np.uint32)).round(4).tolist()
    [0.6931]
    """
    out = np.zeros(len(log_probs))
    for i, flags in enumerate(flags_of(masks, log_probs.shape[1])):
        log_p = log_probs[i, flags]
        log_p = log_p[log_p > -np.inf]
        if len(log_p) > 1:
            log_q = log_p - np.logaddexp.reduce(log_p)
            out[i] = -float((np.exp(log_q) * log_q).sum())
    return out


def advantages(rewards: Floats, forks: Sequence[Ints]) -> Floats:
    """Each leaf beside those it was still together with, at the root and before each of its forks; the mean of it.

    `forks` are `Samples.notes["forks"]`.

    >>> advantages(np.array([1.0, 0.0, 0.0, 0.0]), [np.zeros(4, int), np.array([0, 0, 1, 1])]).tolist()
    [0.625, -0.375, -0.125, -0.125]
    """
    levels = [np.zeros(len(rewards), np.int64), *forks[1:]] if len(forks) else [np.zeros(len(rewards), np.int64)]
    total = np.zeros(len(rewards))
    for level in levels:
        _, number = np.unique(level, return_inverse=True)
        means = np.bincount(number, rewards) / np.bincount(number)
        total += rewards - means[number]
    return total / len(levels)
