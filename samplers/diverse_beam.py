"""DiverseBeam: several beams that keep out of each other's way.

**Idea.** The rows of a beam differ in a comma. Split it into groups, one after the other at each step, and let a group
avoid the tokens that earlier groups have just chosen.

**Formula.** Group g ranks a candidate by log P + log ψ − `penalty`·(how many prefixes of groups 1 … g − 1 have just
been extended by the same token). The penalty ranks and does nothing else: weights are exact masses, as in `Beam`.

**Law.** None, as in `Beam`. The rows take turns: the best of each group, then the second best of each; a text that two
groups found is shown once.

**Cost.** `width` model calls per token at most, fewer where groups share prefixes.

**When.** A choice for people, or candidates for a reranker.

Paper: Diverse Beam Search (1610.02424).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers.beam import counted
from samplers.errors import require
from samplers.grouping import grouped
from samplers.log_space import effective_size
from samplers.particles import Particles, collected, started
from samplers.populations import best, candidates, kept
from samplers.problem import Problem
from samplers.protocols import Contexts, Info, Ints
from samplers.samples import END, Samples
from samplers.tape import Source

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Groups:
    """A population for each group."""

    groups: tuple[Particles, ...]
    n: int

    @cached_property
    def shared(self) -> tuple[tuple[Ints, ...], Ints]:
        """The distinct contexts of all groups, and for each context of each group which it is."""
        distinct, rows, _ = grouped(context for group in self.groups for context in group.contexts)
        return distinct, rows

    @property
    def contexts(self) -> Contexts:
        return self.shared[0]

    @property
    def demand(self) -> int:
        return sum(group.demand for group in self.groups)


@dataclass(frozen=True)
class DiverseBeam:
    """`groups` beams, together `width` wide (or n, if that is more); n rows are returned.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.7, 0.2, 0.1]), regex("[ab]{3}"), max_tokens=3)
    >>> sample(problem, DiverseBeam(2, groups=2, penalty=0.0), n=2).text
    (b'aaa',)
    >>> sample(problem, DiverseBeam(2, groups=2, penalty=9.0), n=2).text
    (b'aaa', b'bbb')
    """

    width: int = 8
    groups: int = 4
    penalty: float = 0.5

    law: ClassVar[str] = "approximate"

    def __post_init__(self) -> None:
        require(self.width >= 1, f"a beam is at least one wide, not {self.width}")
        require(
            1 <= self.groups <= self.width, f"a beam of {self.width} has 1 to {self.width} groups, not {self.groups}"
        )
        require(0.0 <= self.penalty < math.inf, f"the penalty is at least 0, not {self.penalty}")

    def init(self, problem: Problem, n: int, rng: Source) -> Groups:
        return Groups(tuple(started(problem, min(n, 1)) for _ in range(self.groups)), n)

    def step(self, problem: Problem, state: Groups, log_probs: Floats, rng: Source) -> tuple[Groups, Info]:
        _, rows = state.shared
        taken, begin, after = np.zeros(problem.vocabulary.size), 0, list[Particles]()
        for index, group in enumerate(state.groups):
            own = rows[begin : begin + len(group.contexts)]
            begin += len(group.contexts)
            after.append(self._extended(problem, state.n, index, group, log_probs[own], taken) if len(own) else group)
        weights = np.concatenate([group.log_weights for group in after])
        return replace(state, groups=tuple(after)), Info(weights, effective_size(weights))

    def _extended(
        self, problem: Problem, n: int, index: int, group: Particles, log_probs: Floats, taken: Floats
    ) -> Particles:
        """One group further; adds the tokens that it chose to `taken`."""
        of = candidates(problem, group, log_probs)
        scores, tokens = of.scores(group.log_weights), of.tokens()
        ranks = scores - self.penalty * np.where(tokens >= 0, taken[tokens], 0.0)
        chosen = best(ranks, self._share(n, index))
        np.add.at(taken, tokens[chosen][tokens[chosen] >= 0], 1.0)
        return kept(problem, of, chosen, scores[chosen])

    def _share(self, n: int, index: int) -> int:
        """The width of one group: the first ones get what is left over."""
        width = max(self.width, n)
        return width // self.groups + (index < width % self.groups)

    def finish(self, problem: Problem, state: Groups) -> Samples:
        samples = [collected(problem, group) for group in state.groups]
        together = collected(problem, _joined(state.groups))
        orders = [best(np.where(s.finished, s.log_probs + s.log_potential, -math.inf), len(s)) for s in samples]
        offsets = np.cumsum([0, *(len(s) for s in samples)])
        turns = [
            int(offset + order[place])
            for place in range(max(map(len, orders), default=0))
            for offset, order in zip(offsets[:-1], orders, strict=True)
            if place < len(order)
        ]
        return counted(together, _distinct(together, turns)[: state.n])


def _distinct(samples: Samples, rows: list[int]) -> Ints:
    """Rows with texts that did not come before."""
    first: dict[bytes, int] = {}
    for row in rows:
        if samples.finish[row] == END:
            first.setdefault(samples.tokens[row].tobytes(), row)
    return np.array(list(first.values()), np.int64)


def _joined(groups: tuple[Particles, ...]) -> Particles:
    """One population of all."""
    names = ("states", "finish", "log_weights", "log_probs", "log_proposal", "log_score")
    columns = [np.concatenate([getattr(group, name) for group in groups]) for name in names]
    return Particles(tuple(t for group in groups for t in group.tokens), *columns)
