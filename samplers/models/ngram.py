"""NGram: the next token depends on the last few only.

The smallest model with something to say about text, and one for which the truth about any constraint can be computed
for texts of any length: what has been read counts only through its last `memory` tokens (see `samplers.exact`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from grammars.errors import VocabularyError
from grammars.vocabulary import Vocabulary
from samplers.errors import require
from samplers.protocols import Contexts, Ints

Floats = NDArray[np.float64]


class NGram:
    """Counts with smoothing by shorter histories: p_k = (counts + strength·p_{k-1})/(total + strength), p_{-1} uniform.

    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> model = NGram(v, [[0, 1], [0, 1], [0, 0]], order=2, strength=0.3)
    >>> np.exp(model.log_probs([np.array([0])])).round(2).tolist()
    [[0.26, 0.48, 0.26]]
    """

    def __init__(self, vocabulary: Vocabulary, texts: Iterable[Sequence[int]], order: int = 3, strength: float = 1.0):
        require(order >= 1, f"the order of an n-gram model is at least 1, not {order}")
        require(0.0 < strength < np.inf, f"the strength of smoothing is positive, not {strength}")
        if not vocabulary.eos:
            raise VocabularyError("an n-gram model needs an end token")
        self.vocabulary, self.order = vocabulary, order
        self._strength = strength
        self._counts: defaultdict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
        for text in texts:
            self._count([int(t) for t in text] + [vocabulary.eos[0]])

    @property
    def memory(self) -> int:
        """How many of the last tokens matter."""
        return self.order - 1

    def _count(self, text: list[int]) -> None:
        for i, token in enumerate(text):
            require(0 <= token < self.vocabulary.size, f"token id {token} is outside the vocabulary")
            for length in range(min(i, self.memory) + 1):
                counts = self._counts[tuple(text[i - length : i])]
                counts[token] = counts.get(token, 0) + 1

    def log_probs(self, contexts: Contexts, parents: Ints | None = None) -> Floats:
        """The rows of `contexts`."""
        if not len(contexts):
            return np.zeros((0, self.vocabulary.size))
        return np.stack([np.log(self._probabilities(context)) for context in contexts])

    def _probabilities(self, context: Ints) -> Floats:
        last = tuple(context[max(0, len(context) - self.memory) :].tolist())
        row = np.full(self.vocabulary.size, 1.0 / self.vocabulary.size)
        for length in range(len(last) + 1):
            counts = self._counts.get(last[len(last) - length :])
            if counts is None:
                break
            row *= self._strength
            row[list(counts)] += list(counts.values())
            row /= row.sum()
        return row
