"""Particles: texts that grow in step, one token each, as arrays.

What samplers that go from left to right have in common. A particle carries its tokens, the state of the constraint,
log P and log q of what was drawn, the potentials' prefix score, and its weight; `finish` says whether it still runs.
Particles with the same prefix share a context, so a model call and a mask.

A step of such a sampler is: `frontier` (what the running particles look at), a proposal of one token each, `extended`.
At the token budget only the end may follow: it is forced where the text is complete, with its probability as weight,
and the others are cut with weight 0. So truncated texts are never counted as finished, and the target is exactly the
one restricted to texts within the budget.

>>> from grammars import Vocabulary, regex
>>> from samplers.models import Tabulated
>>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
>>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb"))
>>> particles = started(problem, 2)
>>> front = frontier(problem, particles, problem.model.log_probs(particles.contexts))
>>> len(front.contexts), front.rows.tolist(), at_budget(problem, particles)
(1, [0, 0], False)
>>> after = extended(problem, particles, front, Proposal(np.array([0, 1]), np.log([0.75, 0.75])))
>>> [t.tolist() for t in after.tokens], after.running.tolist(), np.exp(after.log_weights).tolist()
([[0], [1]], [0, 1], [0.75, 0.75])
>>> only = selected(after, np.array([1, 1]), after.log_weights)
>>> only.demand, len(only.contexts), collected(problem, only).finish
(2, 1, ('length', 'length'))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from samplers.grouping import grouped
from samplers.problem import Problem
from samplers.protocols import NO_TOKENS, Constraint, Contexts
from samplers.samples import CUT, END, LENGTH, Samples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]

RUNNING, ENDED, TOO_LONG, STUCK = range(4)
_Scores = Callable[[Contexts], Floats]
_NAMES = {RUNNING: LENGTH, ENDED: END, TOO_LONG: LENGTH, STUCK: CUT}


@dataclass(frozen=True, eq=False)
class Particles:
    """`n` growing texts. States are values: nothing here is written to."""

    tokens: tuple[Ints, ...]
    states: Ints
    finish: Ints
    log_weights: Floats
    log_probs: Floats
    log_proposal: Floats
    log_score: Floats
    """log of the potentials: on prefixes while running, on the finished text afterwards."""
    pin: object = None
    """Keeps the automaton from forgetting the states."""

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def running(self) -> Ints:
        """The rows that go on."""
        return np.flatnonzero(self.finish == RUNNING)

    @cached_property
    def groups(self) -> tuple[tuple[Ints, ...], Ints, Ints]:
        """Distinct contexts of the running rows, a row that has each, and for each running row its context."""
        running: list[int] = self.running.tolist()
        distinct, rows, first = grouped(self.tokens[i] for i in running)
        return distinct, self.running[first], rows

    @property
    def contexts(self) -> Contexts:
        """What the next step needs log-probabilities for."""
        return self.groups[0]

    @property
    def demand(self) -> int:
        """Logical calls: one for each running row."""
        return len(self.running)


@dataclass(frozen=True, eq=False)
class Frontier:
    """What the running particles look at: a row of log-probabilities for each distinct context."""

    problem: Problem
    contexts: Contexts
    states: Ints
    """The state of the constraint at each context."""
    log_probs: Floats
    rows: Ints
    """For each running particle its context."""

    @cached_property
    def masks(self) -> Mask:
        """The mask at each context."""
        return self.problem.mask_rows(self.states)


@dataclass(frozen=True, eq=False)
class Proposal:
    """A token for each running particle, -1 for none, and the log of the weight that makes it properly weighted:
    E[w·1{a = x}] = p(x | u)·m(u, x)."""

    tokens: Ints
    log_weights: Floats


def started(problem: Problem, n: int) -> Particles:
    """`n` empty texts."""
    score = problem.log_prefix([NO_TOKENS])[0] if n else 0.0
    zeros = np.zeros(n)
    start = np.full(n, problem.constraint.start, np.int64)
    finish = np.full(n, RUNNING if score > -math.inf else STUCK)
    scores = np.full(n, score)
    return Particles((NO_TOKENS,) * n, start, finish, scores, zeros, zeros, scores)


def frontier(problem: Problem, particles: Particles, log_probs: Floats) -> Frontier:
    """What the running particles look at."""
    contexts, first, rows = particles.groups
    return Frontier(problem, contexts, particles.states[first], log_probs, rows)


def at_budget(problem: Problem, particles: Particles) -> bool:
    """Whether the running particles have used up their tokens; they all have the same number."""
    return len(particles.running) > 0 and len(particles.tokens[int(particles.running[0])]) >= problem.max_tokens


def ending(front: Frontier) -> Proposal:
    """The end for every running particle, as it must be at the token budget."""
    problem = front.problem
    legal = np.array([problem.constraint.accepts(int(state)) for state in front.states], np.bool_)
    log_end = np.where(legal, problem.log_end(front.log_probs), -math.inf)[front.rows]
    token = problem.vocabulary.eos[0] if problem.vocabulary.eos else -1
    return Proposal(np.where(log_end > -math.inf, token, -1), log_end)


def extended(problem: Problem, particles: Particles, front: Frontier, proposal: Proposal) -> Particles:
    """The particles after one proposed token each."""
    moving, tokens = particles.running, proposal.tokens
    lost = np.where(at_budget(problem, particles), TOO_LONG, STUCK)
    ends, dead = problem.is_end(tokens), (tokens < 0) | (proposal.log_weights == -math.inf)
    log_p = _log_probs_of(front, tokens, ends)
    out = _Columns(particles)
    out.log_probs[moving] += np.where(dead, 0.0, log_p)
    out.log_proposal[moving] += np.where(dead, 0.0, log_p - np.where(dead, 0.0, proposal.log_weights))
    out.log_weights[moving] = np.where(dead, -math.inf, out.log_weights[moving] + proposal.log_weights)
    out.finish[moving] = np.where(dead, lost, np.where(ends, ENDED, RUNNING))
    going = ~dead & ~ends
    out.append(moving[going], tokens[going], problem.advanced(out.states[moving[going]], tokens[going]))
    out.score(problem, moving[~dead & ends], problem.log_complete)
    out.score(problem, moving[going], problem.log_prefix)
    return out.particles(pinned(problem.constraint, out.states))


def _log_probs_of(front: Frontier, tokens: Ints, ends: NDArray[np.bool_]) -> Floats:
    """log p of each proposed token; all end tokens are one."""
    log_p = front.log_probs[front.rows, np.maximum(tokens, 0)]
    return np.where(ends, front.problem.log_end(front.log_probs)[front.rows], log_p) if ends.any() else log_p


def _longer(context: Ints, token: int) -> Ints:
    out = np.empty(len(context) + 1, np.int64)
    out[:-1], out[-1] = context, token
    return out


class _Columns:
    """Copies of a particle's columns that one step writes to."""

    def __init__(self, particles: Particles):
        self._before = particles
        self.tokens = list(particles.tokens)
        self.states, self.finish = particles.states.copy(), particles.finish.copy()
        self.log_weights, self.log_score = particles.log_weights.copy(), particles.log_score.copy()
        self.log_probs, self.log_proposal = particles.log_probs.copy(), particles.log_proposal.copy()

    def append(self, rows: Ints, tokens: Ints, states: Ints) -> None:
        pairs: list[tuple[int, int]] = list(zip(rows.tolist(), tokens.tolist(), strict=True))
        for row, token in pairs:
            self.tokens[row] = _longer(self.tokens[row], token)
        self.states[rows] = states
        self.lose(rows[states < 0])

    def score(self, problem: Problem, rows: Ints, scores: _Scores) -> None:
        """Multiply the weights by what the potentials say now over what they said before."""
        if not problem.potentials or not len(rows):
            return
        scored: list[int] = rows.tolist()
        after = scores([self.tokens[i] for i in scored])
        self.log_weights[rows] += after - self.log_score[rows]
        self.log_score[rows] = after
        self.lose(rows[after == -math.inf])

    def lose(self, rows: Ints) -> None:
        self.finish[rows] = STUCK
        self.log_weights[rows] = -math.inf

    def particles(self, pin: object) -> Particles:
        columns = (self.states, self.finish, self.log_weights, self.log_probs, self.log_proposal, self.log_score)
        return Particles(tuple(self.tokens), *columns, pin)


def selected(particles: Particles, rows: Ints, log_weights: Floats) -> Particles:
    """Some particles, possibly several times, with new weights."""
    chosen: list[int] = rows.tolist()
    return replace(
        particles,
        tokens=tuple(particles.tokens[i] for i in chosen),
        states=particles.states[rows],
        finish=particles.finish[rows],
        log_weights=log_weights,
        log_probs=particles.log_probs[rows],
        log_proposal=particles.log_proposal[rows],
        log_score=particles.log_score[rows],
    )


def pinned(constraint: Constraint, states: Ints | Sequence[int]) -> object:
    """Something to hold on to for as long as `states` are needed: an automaton may forget states that nobody holds."""
    matcher_at = getattr(constraint, "matcher_at", None)
    return None if matcher_at is None else matcher_at([s for s in np.asarray(states).tolist() if s >= 0])


def collected(problem: Problem, particles: Particles) -> Samples:
    """The particles as `Samples`: weight 0 for all that are not complete texts."""
    done = particles.finish == ENDED
    return Samples(
        tokens=particles.tokens,
        finish=tuple(_NAMES[f] for f in particles.finish.tolist()),
        text=tuple(problem.text(t) for t in particles.tokens),
        log_weights=np.where(done, particles.log_weights, -math.inf),
        log_probs=particles.log_probs,
        log_proposal=particles.log_proposal,
        log_potential=np.where(done, particles.log_score, 0.0),
    )
