"""Tempering: ψ^β. β < 1 softens a score that is too sure of itself, β > 1 sharpens it, β = 0 switches it off."""

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
class Tempered:
    """A potential to a power; made by `tempered`. What is impossible stays impossible, whatever the exponent."""

    potential: Potential | Bindable
    exponent: float

    def over(self, vocabulary: Vocabulary) -> Tempered:
        """The tempered potential over the tokens of a vocabulary."""
        return Tempered(bound_potential(self.potential, vocabulary), self.exponent)

    def log_prefix(self, contexts: Contexts) -> Floats:
        """exponent · the score of prefixes."""
        return self._scaled(bound_already(self.potential).log_prefix(contexts))

    def log_complete(self, contexts: Contexts) -> Floats:
        """exponent · the score of finished texts."""
        return self._scaled(bound_already(self.potential).log_complete(contexts))

    def _scaled(self, scores: Floats) -> Floats:
        possible = ~np.isneginf(scores)
        return np.where(possible, self.exponent * np.where(possible, scores, 0.0), -np.inf)


def tempered(potential: Potential | Bindable, exponent: float) -> Tempered:
    """`potential` to the power of `exponent`.

    >>> from samplers.potentials import text_potential
    >>> doubled = tempered(text_potential(lambda text: -1.0), 2.0).over(Vocabulary([b"a"], eos=[]))
    >>> doubled.log_complete([np.array([0])]).tolist()
    [-2.0]
    """
    require(np.isfinite(exponent) and exponent >= 0.0, f"the exponent is a number >= 0, not {exponent}")
    return Tempered(potential, exponent)
