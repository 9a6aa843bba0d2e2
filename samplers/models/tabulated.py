"""Tabulated: a model that is a table from prefixes to distributions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars.vocabulary import Vocabulary
from samplers.errors import InvalidOption, require
from samplers.log_space import log_of
from samplers.protocols import Contexts

Floats = NDArray[np.float64]


class Tabulated:
    """Probabilities by prefix; prefixes that are not in the table have the distribution `otherwise`.

    Rows are weights: they need not sum to one, and may be `Fraction`s.

    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> model = Tabulated(v, {(): [1, 1, 0], (0,): [0, 0, 1]}, otherwise=[1, 1, 2])
    >>> np.exp(model.log_probs([np.array([], np.int64), np.array([1])])).round(3).tolist()
    [[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]]
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        table: Mapping[tuple[int, ...], ArrayLike | Iterable[object]],
        otherwise: ArrayLike | Iterable[object] | None = None,
    ):
        self.vocabulary = vocabulary
        self._rows = {prefix: self._row(row) for prefix, row in table.items()}
        self._otherwise = None if otherwise is None else self._row(otherwise)

    def _row(self, weights: ArrayLike | Iterable[object]) -> Floats:
        row = np.array(weights, np.float64)
        require(row.shape == (self.vocabulary.size,), f"a row needs {self.vocabulary.size} weights, not {row.shape}")
        total = row.sum()
        require(bool((row >= 0).all()) and 0 < total < np.inf, "weights are finite, not negative and not all zero")
        return log_of(row / total)

    def log_probs(self, contexts: Contexts, parents: NDArray[np.int64] | None = None) -> Floats:
        """The rows of `contexts`."""
        if not len(contexts):
            return np.zeros((0, self.vocabulary.size))
        return np.stack([self._of(tuple(context.tolist())) for context in contexts])

    def _of(self, prefix: tuple[int, ...]) -> Floats:
        row = self._rows.get(prefix, self._otherwise)
        if row is None:
            raise InvalidOption(f"the table has no row for the prefix {prefix}", hint="give Tabulated an `otherwise`")
        return row
