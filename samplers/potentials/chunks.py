"""A scorer that is asked only every few tokens.

A reward model or a critic may cost more than the model itself. Between two questions the last answer stands, so the
weights move at chunk ends only. The finished text is always scored, so the target does not depend on `every`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grammars.vocabulary import Vocabulary
from samplers.errors import require
from samplers.problem import Bindable, bound_already, bound_potential
from samplers.protocols import Contexts, Potential

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ChunkScorer:
    """A potential whose prefix score is that of the last whole chunk; made by `chunk_scorer`."""

    potential: Potential | Bindable
    every: int

    def over(self, vocabulary: Vocabulary) -> ChunkScorer:
        """The scorer over the tokens of a vocabulary."""
        return ChunkScorer(bound_potential(self.potential, vocabulary), self.every)

    def log_prefix(self, contexts: Contexts) -> Floats:
        """The score at the end of the last whole chunk."""
        return bound_already(self.potential).log_prefix([c[: len(c) - len(c) % self.every] for c in contexts])

    def log_complete(self, contexts: Contexts) -> Floats:
        """The score of the finished text."""
        return bound_already(self.potential).log_complete(contexts)


def chunk_scorer(potential: Potential | Bindable, every: int = 8) -> ChunkScorer:
    """`potential`, asked for prefixes of a multiple of `every` tokens only.

    >>> from samplers.potentials import text_potential
    >>> score = text_potential(len, prefix=len)
    >>> scorer = chunk_scorer(score, every=2).over(Vocabulary([b"a"], eos=[]))
    >>> scorer.log_prefix([np.zeros(3, np.int64)]).tolist(), scorer.log_complete([np.zeros(3, np.int64)]).tolist()
    ([2.0], [3.0])
    """
    require(every >= 1, f"a chunk has at least one token, not {every}")
    return ChunkScorer(potential, every)
