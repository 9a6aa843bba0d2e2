"""Callable: a model that is a function from one prefix to weights or logits."""

from __future__ import annotations

from collections.abc import Callable as Function

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars.vocabulary import Vocabulary
from samplers.errors import BrokenContract
from samplers.log_space import log_sums
from samplers.protocols import Contexts, Ints

Floats = NDArray[np.float64]


class Callable:
    """Wraps a function of one prefix that returns logits (or log-probabilities): they are normalised here.

    >>> v = Vocabulary([b"a", b"<end>"], eos=[1])
    >>> model = Callable(v, lambda prefix: [0.0, float(len(prefix))])
    >>> np.exp(model.log_probs([np.array([], np.int64)])).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, vocabulary: Vocabulary, logits: Function[[Ints], ArrayLike]):
        self.vocabulary = vocabulary
        self._logits = logits

    def log_probs(self, contexts: Contexts, parents: Ints | None = None) -> Floats:
        """The normalised rows of `contexts`."""
        rows = np.zeros((len(contexts), self.vocabulary.size))
        for i, context in enumerate(contexts):
            row = np.asarray(self._logits(context), np.float64)
            if row.shape != (self.vocabulary.size,):
                raise BrokenContract(f"the function returned shape {row.shape}, not ({self.vocabulary.size},)")
            rows[i] = row
        return rows - log_sums(rows)[:, None]
