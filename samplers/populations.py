"""Populations of prefixes: from all that may follow them, some are kept. What the beams have in common.

A step looks at every candidate: each running prefix with each token that may follow, and each finished text as it is.
A beam says which of them it keeps, with what weight; the population of these is the next one. It is over when all are
finished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samplers.bits import flags_of
from samplers.particles import (
    ENDED,
    Frontier,
    Particles,
    Proposal,
    at_budget,
    extended,
    frontier,
    selected,
)
from samplers.problem import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Everything that a population may become. Candidate i < rows·V is token i % V behind running row i // V; then
    come the finished rows."""

    particles: Particles
    front: Frontier
    log_p: Floats
    """log p of each token behind each running row, (rows, V); all ends are one, in the column of the first."""

    @property
    def finished(self) -> Ints:
        """The rows that are complete texts."""
        return np.flatnonzero(self.particles.finish == ENDED)

    def scores(self, column: Floats) -> Floats:
        """A number for each candidate: that of its row, a column of the particles, plus log p of its token."""
        running = column[self.particles.running][:, None] + self.log_p
        return np.append(running.ravel(), column[self.finished])

    def lengths(self) -> Floats:
        """The tokens of each candidate, its end included."""
        sizes = np.array([len(t) + 1.0 for t in self.particles.tokens])
        running = np.repeat(sizes[self.particles.running], self.log_p.shape[1])
        return np.append(running, sizes[self.finished])

    def tokens(self) -> Ints:
        """The token of each candidate, -1 for finished rows."""
        rows, width = self.log_p.shape
        running: Ints = np.tile(np.arange(width, dtype=np.int64), rows)
        return np.append(running, np.full(len(self.finished), -1))

    def parents(self, kept: Ints) -> Ints:
        """The rows that some candidates come from."""
        size, width = self.log_p.shape
        rows = np.concatenate([self.particles.running, self.finished])
        return rows[np.where(kept < size * width, kept // max(width, 1), size + kept - size * width)]


def candidates(problem: Problem, particles: Particles, log_probs: Floats) -> Candidates:
    """What the running rows of a population may become; `log_probs` has a row for each of its contexts."""
    front = frontier(problem, particles, log_probs)
    masks = problem.mask_rows(front.states, end_only=at_budget(problem, particles))
    allowed = np.where(flags_of(masks, problem.vocabulary.size), log_probs, -math.inf)
    ends = list(problem.vocabulary.eos)
    if ends:
        together = problem.log_end(allowed)
        allowed[:, ends] = -math.inf
        allowed[:, ends[0]] = together
    return Candidates(particles, front, allowed[front.rows])


def kept(problem: Problem, of: Candidates, rows: Ints, log_weights: Floats) -> Particles:
    """The population of some candidates, with these weights; if there are none, the old one, dead."""
    if not len(rows):
        nothing = np.full(len(of.particles.running), -1, np.int64)
        return extended(problem, of.particles, of.front, Proposal(nothing, np.full(len(nothing), -math.inf)))
    parents, tokens = of.parents(rows), of.tokens()[rows]
    going = tokens >= 0
    log_p = np.zeros(len(rows))
    log_p[going] = of.log_p.ravel()[rows[going]]
    chosen = selected(of.particles, parents, log_weights - log_p)
    proposal = Proposal(tokens[going], log_p[going])
    return extended(problem, chosen, _front_of(problem, of, chosen, parents), proposal)


def _front_of(problem: Problem, of: Candidates, chosen: Particles, parents: Ints) -> Frontier:
    """What the chosen rows look at, which is what their parents looked at."""
    context = np.full(len(of.particles), -1)
    context[of.particles.running] = of.front.rows
    _, first, _ = chosen.groups
    return frontier(problem, chosen, of.front.log_probs[context[parents[first]]])


def best(scores: Floats, count: int) -> Ints:
    """Where the largest scores stand, the largest first, the first of equals; -inf does not count.

    >>> best(np.array([1.0, 3.0, -np.inf, 2.0]), 2).tolist()
    [1, 3]
    """
    alive = np.flatnonzero(scores > -math.inf)
    if len(alive) > count:
        level = np.partition(scores[alive], len(alive) - count)[len(alive) - count]
        alive = alive[scores[alive] >= level]
    return alive[np.argsort(-scores[alive], kind="stable")[:count]]
