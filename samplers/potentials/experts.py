"""A second model as a potential: a product of experts.

ψ(x) = P₂(x)^weight: texts that both models find likely. A negative weight contrasts: what the first finds likelier than
the second. On prefixes the second model's probability of the prefix is the natural guide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grammars.vocabulary import Vocabulary
from samplers.errors import require
from samplers.evaluation import Evaluator
from samplers.problem import require_same
from samplers.protocols import Contexts, LanguageModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class SecondModel:
    """log ψ = weight · log P₂; made by `second_model`."""

    def __init__(self, model: LanguageModel, weight: float = 1.0):
        require(np.isfinite(weight), f"the weight of a second model is a number, not {weight}")
        self.vocabulary = model.vocabulary
        self.weight = weight
        self._model = model if isinstance(model, Evaluator) else Evaluator(model)
        self._known: dict[bytes, float] = {b"": 0.0}

    def over(self, vocabulary: Vocabulary) -> SecondModel:
        """Itself: both models must have the same tokens."""
        require_same(self.vocabulary, vocabulary, "the second model")
        return self

    def log_prefix(self, contexts: Contexts) -> Floats:
        """weight · log P₂ of the prefix."""
        return self._weighted(self._log_probs(contexts))

    def log_complete(self, contexts: Contexts) -> Floats:
        """weight · log P₂ of the text, the end included."""
        if not len(contexts):
            return np.zeros(0)
        ends = self._model.log_probs(contexts)[:, list(self.vocabulary.eos)]
        return self._weighted(self._log_probs(contexts) + np.logaddexp.reduce(ends, axis=1, initial=-np.inf))

    def _weighted(self, log_probs: Floats) -> Floats:
        impossible = np.isneginf(log_probs)
        require(
            self.weight >= 0.0 or not impossible.any(),
            "a second model with a negative weight gives a text the probability 0: its potential is infinite",
        )
        finite = self.weight * np.where(impossible, 0.0, log_probs)
        return np.where(impossible & (self.weight > 0.0), -np.inf, finite)

    def _log_probs(self, contexts: Contexts) -> Floats:
        """log P₂ of prefixes. All that is not known yet is asked for in one call."""
        missing: dict[bytes, Ints] = {}
        for context in contexts:
            length = len(context)
            while (key := context[:length].tobytes()) not in self._known and key not in missing:
                missing[key] = context[:length]
                length -= 1
        self._learn(sorted(missing.values(), key=len))
        return np.array([self._known[context.tobytes()] for context in contexts], np.float64)

    def _learn(self, prefixes: list[Ints]) -> None:
        """Keep log P₂ of some prefixes, short ones first."""
        if not prefixes:
            return
        rows = self._model.log_probs([prefix[:-1] for prefix in prefixes])
        for prefix, row in zip(prefixes, rows, strict=True):
            self._known[prefix.tobytes()] = self._known[prefix[:-1].tobytes()] + float(row[prefix[-1]])


def second_model(model: LanguageModel, weight: float = 1.0) -> SecondModel:
    """The potential P₂(x)^weight.

    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> expert = second_model(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]))
    >>> np.exp(expert.log_complete([np.array([0, 1])])).round(5).tolist()
    [0.03125]
    """
    return SecondModel(model, weight)
