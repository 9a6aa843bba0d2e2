"""Beam: the likeliest texts, by keeping the best prefixes of each length.

**Idea.** Greed with a memory: of all ways to continue the `width` best prefixes keep the `width` best. Finished texts
keep their place as long as nothing better comes, so the search is over when all are finished.

**Formula.** Score log P(u) + log ψ(u), divided by (|u| + 1)^`length_penalty` if that is not 0.

**Law.** None: a search for modes, not a sample. Rows are distinct; their weights count each text with its exact mass
P(x)·ψ(x), so log_z is that of the found texts, a lower bound. Every prefix that is dropped is known with its mass:
what was lost is at most their sum, and the certificate says how much it is. If it is 0, the n best texts are the n
best.

**Cost.** `width` model calls per token.

**When.** Short answers where one wants the best, with the certificate telling whether it is. For open text the mode is
not what a text looks like: sample.

`DiverseBeam` makes the rows differ, `StochasticBeam` makes them a sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers.errors import require
from samplers.log_space import effective_size, log_sum
from samplers.particles import Particles, collected, started
from samplers.populations import Candidates, best, candidates, kept
from samplers.problem import Problem
from samplers.protocols import Contexts, Info
from samplers.samples import END, Samples
from samplers.tape import Source
from samplers.trie.rounds import certified

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Population:
    """The beam, and the mass of everything that was dropped on the way."""

    particles: Particles
    n: int
    log_dropped: float = -math.inf

    @property
    def contexts(self) -> Contexts:
        return self.particles.contexts

    @property
    def demand(self) -> int:
        return self.particles.demand


@dataclass(frozen=True)
class Beam:
    """The `width` best prefixes, or n if that is more; n rows are returned, the best first.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("[ab]{1,3}"), max_tokens=3)
    >>> samples = sample(problem, Beam(14), n=2)
    >>> samples.text, round(samples.certificate.distance, 2)
    ((b'a', b'aa'), 0.57)
    """

    width: int = 8
    length_penalty: float = 0.0

    law: ClassVar[str] = "approximate"

    def __post_init__(self) -> None:
        require(self.width >= 1, f"a beam is at least one wide, not {self.width}")
        require(0.0 <= self.length_penalty < math.inf, f"length_penalty is at least 0, not {self.length_penalty}")

    def init(self, problem: Problem, n: int, rng: Source) -> Population:
        return Population(started(problem, min(n, 1)), n)

    def step(self, problem: Problem, state: Population, log_probs: Floats, rng: Source) -> tuple[Population, Info]:
        if not len(state.particles):
            return state, Info(np.zeros(0))
        of = candidates(problem, state.particles, log_probs)
        scores = of.scores(state.particles.log_weights)
        rows = best(ranked(of, scores, self.length_penalty), max(self.width, state.n))
        after = kept(problem, of, rows, scores[rows])
        dropped = dropped_mass(problem, of, rows)
        info = Info(after.log_weights, effective_size(after.log_weights), of.parents(rows))
        return replace(state, particles=after, log_dropped=float(np.logaddexp(state.log_dropped, dropped))), info

    def finish(self, problem: Problem, state: Population) -> Samples:
        samples = collected(problem, state.particles)
        order = best(_final(samples, self.length_penalty), state.n)
        masses = samples.log_probs + samples.log_potential
        others = np.setdiff1d(np.flatnonzero(samples.finished), order)
        left = float(np.logaddexp(state.log_dropped, log_sum(masses[others])))
        found = log_sum(masses[order])
        shown = counted(samples, order)
        return replace(shown, certificate=certified(problem, found, left) if state.n else None)


def ranked(of: Candidates, scores: Floats, length_penalty: float) -> Floats:
    """Scores by which candidates are compared."""
    return scores / of.lengths() ** length_penalty if length_penalty else scores


def _final(samples: Samples, length_penalty: float) -> Floats:
    lengths = np.array([len(t) + 1.0 for t in samples.tokens])
    scores = samples.log_probs + samples.log_potential
    return np.where(samples.finished, scores / lengths**length_penalty, -math.inf)


def dropped_mass(problem: Problem, of: Candidates, rows: Ints) -> float:
    """log of an upper bound of the mass that is lost when only some candidates are kept.

    It is that of their prefixes, times the largest ψ there is.
    """
    masses = of.scores(of.particles.log_probs)
    masses[rows] = -math.inf
    return log_sum(masses) + float(sum(getattr(potential, "log_bound", 0.0) for potential in problem.potentials))


def counted(samples: Samples, rows: Ints) -> Samples:
    """Some distinct texts, weighted so that each counts with its exact mass; if there are none, the dead rows.

    >>> from samplers.contracts import tiny_problem
    >>> from samplers import Masking, sample
    >>> samples = sample(tiny_problem(), Masking(), 1, seed=0)
    >>> bool(counted(samples, np.array([0])).log_z == samples.log_probs[0])
    True
    """
    if not len(rows):
        rows = np.flatnonzero([f != END for f in samples.finish])
    masses = samples.log_probs[rows] + samples.log_potential[rows] + math.log(max(len(rows), 1))
    weights = np.where(samples.finished[rows], masses, -math.inf)
    return replace(samples.take(rows, weights), log_z=log_sum(weights) - math.log(len(rows)) if len(rows) else math.nan)
