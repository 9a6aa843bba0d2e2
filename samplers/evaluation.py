"""Evaluation: the model's log-probabilities, each distinct prefix once.

Batch shape and half precision change what a model answers to the same question (differences of half a nat have been
seen). So the target is *defined* by the first answer: it is kept, and everything that a run computes rests on it.
Prefixes that share a call are computed once, and a model is told which row of its previous call a prefix extends, so
that it can reuse keys and values.

Answers are kept up to a number of bytes, the least recently used go first. One that was dropped is asked for again,
and counted again.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from samplers.errors import BrokenContract, require
from samplers.log_space import log_sums
from samplers.protocols import Contexts, LanguageModel
from samplers.samples import Calls

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KEPT_BYTES = 1 << 30
_ROUNDING = 1e-5  # a row whose sum is this close to one is taken as it is: it was normalised in single precision
_HALF_PRECISION = 0.05  # and one this close is a normalised row in few bits: it is normalised again
_HUGE = 1e300


class Evaluator:
    """A model that answers every question once; a `LanguageModel` itself, so several runs may share one.

    >>> from grammars import Vocabulary
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"<end>"], eos=[1])
    >>> shared = Evaluator(Tabulated(v, {}, otherwise=[0.5, 0.5]))
    >>> _ = shared.log_probs([np.array([0]), np.array([0]), np.array([], np.int64)])
    >>> shared.calls
    Calls(distinct=2, logical=3)
    """

    def __init__(self, model: LanguageModel, kept_bytes: int = KEPT_BYTES):
        require(kept_bytes >= 0, f"kept_bytes must not be negative, but is {kept_bytes}")
        self.model = model
        self.vocabulary = model.vocabulary
        self._rows: OrderedDict[bytes, Floats] = OrderedDict()
        self._latest: dict[bytes, int] = {}  # the rows of the model's previous call
        self._most_rows = kept_bytes // (8 * self.vocabulary.size)
        self._distinct = self._logical = 0

    @property
    def calls(self) -> Calls:
        """The calls so far."""
        return Calls(self._distinct, self._logical)

    def log_probs(self, contexts: Contexts, parents: Ints | None = None) -> Floats:
        """Rows for `contexts`; `parents` are found here and not needed."""
        return self.rows(contexts, len(contexts))

    def rows(self, contexts: Contexts, demand: int) -> Floats:
        """Rows for `contexts`, which stand for `demand` logical calls."""
        self._logical += demand
        keys = [np.ascontiguousarray(context, np.int64).tobytes() for context in contexts]
        missing = {key: i for i, key in enumerate(keys) if key not in self._rows}
        fresh = self._asked([contexts[i] for i in missing.values()], list(missing))
        if len(fresh) == len(keys):
            found = fresh
        else:
            new = dict(zip(missing, fresh, strict=True))
            found = np.stack([new[key] if key in new else self._rows[key] for key in keys])
        self._keep(missing, keys, fresh)
        return found

    def _asked(self, contexts: list[Ints], keys: list[bytes]) -> Floats:
        if not contexts:
            return np.zeros((0, self.vocabulary.size))
        width = np.dtype(np.int64).itemsize
        parents = np.array([self._latest.get(key[:-width], -1) if key else -1 for key in keys], np.int64)
        rows = checked_rows(self.model, self.model.log_probs(contexts, parents), len(contexts))
        self._latest = {key: i for i, key in enumerate(keys)}
        self._distinct += len(contexts)
        return rows

    def _keep(self, missing: dict[bytes, int], keys: list[bytes], fresh: Floats) -> None:
        for key in keys:
            if key not in missing:
                self._rows.move_to_end(key)
        for key, row in zip(missing, fresh, strict=True):
            self._rows[key] = row
        while len(self._rows) > self._most_rows:
            self._rows.popitem(last=False)


def checked_rows(model: LanguageModel, answer: object, n: int) -> Floats:
    """The rows that a model returned, if they are what the contract says: float64 (n, V), normalised, no NaN.

    >>> from grammars import Vocabulary
    >>> from samplers.models import Tabulated
    >>> model = Tabulated(Vocabulary([b"a", b"<end>"], eos=[1]), {}, otherwise=[0.5, 0.5])
    >>> checked_rows(model, np.zeros((1, 2)), 1)
    Traceback (most recent call last):
    samplers.errors.BrokenContract: Tabulated.log_probs returned a row that sums to 2, not to 1
    hint: return log-probabilities: logits need a log-softmax over the whole vocabulary, in float32 or better
    """
    name, wanted = type(model).__name__, (n, model.vocabulary.size)
    try:
        rows = np.array(answer, np.float64, order="C")  # a copy: models may use their buffers again
    except (TypeError, ValueError):
        raise BrokenContract(f"{name}.log_probs returned {type(answer).__name__}, not an array of numbers") from None
    if rows.shape != wanted:
        raise BrokenContract(f"{name}.log_probs returned shape {rows.shape}, not {wanted}")
    totals = _totals(rows)
    if np.isnan(totals).any():
        raise BrokenContract(f"{name}.log_probs returned NaN or +inf")
    off = np.abs(totals - 1.0)
    if (off > _HALF_PRECISION).any():
        raise BrokenContract(
            f"{name}.log_probs returned a row that sums to {totals[np.argmax(off)]:.4g}, not to 1",
            hint="return log-probabilities: logits need a log-softmax over the whole vocabulary, in float32 or better",
        )
    if (off > _ROUNDING).any():
        rows -= np.where(off > _ROUNDING, log_sums(rows), 0.0)[:, None]
    return rows


def _totals(rows: Floats) -> Floats:
    """The sum of each row, NaN where it holds NaN or +inf. Single precision is ten times as fast and precise enough to
    judge by."""
    with np.errstate(over="ignore"):
        totals = np.exp(rows.astype(np.float32)).sum(axis=1, dtype=np.float64)
    broken = rows.max(axis=1, initial=-np.inf) == np.inf
    return np.where(broken, np.nan, np.minimum(totals, _HUGE))
