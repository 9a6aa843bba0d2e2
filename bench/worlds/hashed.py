"""A language model without structure: the logits after a prefix are noise that depends on all of it.

No prefix says anything about another one, so nothing can be learned that was not looked at; `scale` is the spread of
the logits: peaked above 2, flat below 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grammars import Vocabulary


class Hashed:
    """Logits drawn with the prefix as the seed; the end token gets `ending` more."""

    def __init__(self, vocabulary: Vocabulary, seed: int, scale: float, ending: float = 0.0):
        self.vocabulary = vocabulary
        self._seed, self._scale, self._ending = seed, scale, ending

    def log_probs(
        self, contexts: Sequence[NDArray[np.int64]], parents: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """The rows of `contexts`."""
        return np.array([self._row(context) for context in contexts]).reshape(len(contexts), self.vocabulary.size)

    def _row(self, context: NDArray[np.int64]) -> NDArray[np.float64]:
        noise = np.random.default_rng([self._seed, len(context), *context.tolist()])
        logits = self._scale * noise.standard_normal(self.vocabulary.size)
        logits[list(self.vocabulary.eos)] += self._ending
        return logits - np.logaddexp.reduce(logits)
