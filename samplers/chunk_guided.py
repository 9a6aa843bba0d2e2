"""ChunkGuided: a small model writes, a large one chooses.

**Idea.** Draw a few candidate chunks of fixed length from the masked model, let a scorer (a larger model, or the
difference of two) choose one, go on from there. The large model reads whole chunks at once, which costs it far less
than writing them.

**Formula.** At each chunk's end, among `width` candidates y: choose the one with the largest s(y), or draw one with
probability ∝ exp(s(y)/temperature). s = log P_large of the text so far, minus log P_contrast if one is given, or any
potential.

**Law.** Approximate: masking, tilted towards the scorer chunk by chunk. Rows carry the weights of masking, which
know nothing of the choices.

**Cost.** `width` model calls per token, and one call of the scorer per candidate and chunk.

**When.** A large model that is too slow to write itself. To sample from a product of both, use `SMC` with
`second_model`: it is unbiased.

Papers: controlled decoding blockwise (2310.17022); contrastive decoding (2210.15097).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers.errors import require
from samplers.masking import Masking
from samplers.particles import ENDED, RUNNING, Particles, collected, selected, started
from samplers.potentials.experts import SecondModel
from samplers.problem import Bindable, Problem, bound_potential, checked_scores
from samplers.protocols import Contexts, Floats, Info, LanguageModel, Potential
from samplers.samples import Samples
from samplers.sequential import moved
from samplers.tape import Source, tape_of

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ChunkGuided:
    """Chunks of `chunk` tokens, the best of `width` candidates by `scorer`, a model or a potential.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> small, large = Tabulated(v, {}, otherwise=[2, 1, 1]), Tabulated(v, {}, otherwise=[1, 9, 1])
    >>> sample(Problem(small, regex("[ab]{4}")), ChunkGuided(large, chunk=2, width=30), seed=0).text
    (b'bbbb',)
    """

    scorer: LanguageModel | Potential | Bindable
    chunk: int = 8
    width: int = 4
    contrast: LanguageModel | None = None
    temperature: float = 0.0

    law: ClassVar[str] = "approximate"

    def __post_init__(self) -> None:
        require(self.chunk >= 1, f"a chunk has at least one token, not {self.chunk}")
        require(self.width >= 1, f"there is at least one candidate, not {self.width}")
        require(0.0 <= self.temperature < math.inf, f"the temperature is at least 0, not {self.temperature}")

    def init(self, problem: Problem, n: int, rng: Source) -> Guided:
        judges = [(1.0, _judge(self.scorer, problem))]
        if self.contrast is not None:
            judges.append((-1.0, _judge(self.contrast, problem)))
        return Guided(started(problem, n * self.width), tuple(judges))

    def step(self, problem: Problem, state: Guided, log_probs: Floats, rng: Source) -> tuple[Guided, Info]:
        before = state.particles
        length = len(before.tokens[int(before.running[0])]) + 1
        after, info = moved(problem, before, log_probs, rng, Masking())
        groups = after.finish.reshape(-1, self.width)
        due = (length % self.chunk == 0) | ~(groups == RUNNING).any(axis=1)
        chosen = self._chosen(replace(state, particles=after), np.flatnonzero(due), rng)
        return replace(state, particles=selected(after, chosen, after.log_weights[chosen])), info

    def finish(self, problem: Problem, state: Guided) -> Samples:
        samples = collected(problem, state.particles)
        first = np.arange(0, len(samples), self.width)
        return samples.take(first, samples.log_weights[first])

    def _chosen(self, state: Guided, due: Ints, rng: Source) -> Ints:
        """For each particle the one that it continues: in the groups that are due, all continue the chosen one."""
        chosen = np.arange(len(state.particles)).reshape(-1, self.width)
        if len(due):
            scores = state.scores(chosen[due].ravel()).reshape(-1, self.width)
            chosen[due] = chosen[due, self._best(scores, rng)][:, None]
        return chosen.ravel()

    def _best(self, scores: Floats, rng: Source) -> Ints:
        if self.temperature == 0.0:
            return np.argmax(scores, axis=1)
        return np.maximum(tape_of(rng).choose(scores / self.temperature), 0)


@dataclass(frozen=True, eq=False)
class Guided:
    """Candidates, `width` for each text, and the scorers with their signs."""

    particles: Particles
    judges: tuple[tuple[float, Potential], ...]

    @property
    def contexts(self) -> Contexts:
        return self.particles.contexts

    @property
    def demand(self) -> int:
        return self.particles.demand

    def scores(self, rows: Ints) -> Floats:
        """What the scorers say of some particles; -inf of those that are lost."""
        scores = np.full(len(rows), -math.inf)
        for method, finish in (("log_prefix", RUNNING), ("log_complete", ENDED)):
            here = np.flatnonzero(self.particles.finish[rows] == finish)
            numbers: list[int] = rows[here].tolist()
            contexts = [self.particles.tokens[i] for i in numbers]
            if contexts:
                scores[here] = sum(sign * checked_scores(judge, method, contexts) for sign, judge in self.judges)
        return scores


def _judge(scorer: LanguageModel | Potential | Bindable, problem: Problem) -> Potential:
    potential = SecondModel(scorer) if isinstance(scorer, LanguageModel) else scorer
    return bound_potential(potential, problem.vocabulary)
