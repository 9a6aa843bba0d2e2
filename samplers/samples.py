"""Samples: what a sampler returns, and what its weights mean.

One law for all samplers: for every function f of the text,

    (1/n) Σ_i exp(log_weights[i])·f(x_i)   estimates   Z·E*[f],

where Z is the mass of the target (P(L), times the potentials) and E* the expectation under it; without bias where the
sampler is exact or properly weighted. Rows that did not finish carry -inf: they count in n and in nothing else. Exact
samplers carry equal weights, which then only say what Z is; their rows may be used as they are.

`expectation` divides by the estimate of Z (self-normalised: consistent, its bias is of order 1/n).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grammars.errors import BudgetExhausted, DeadEnd, SamplingError
from samplers.errors import require
from samplers.log_space import effective_size, log_mean, shares
from samplers.protocols import Info
from samplers.resampling import ancestors
from samplers.tape import Tape, seeded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

END, LENGTH, CUT = "end", "length", "dead"


class Calls(NamedTuple):
    """How often the model was asked: for `distinct` prefixes it computed, and `logical`, counting each sequence that
    needed one."""

    distinct: int = 0
    logical: int = 0


_NO_CALLS = Calls()


class Draw(NamedTuple):
    """One row of `Samples`."""

    tokens: Ints
    text: bytes
    finish: str
    log_weight: float
    log_prob: float
    log_proposal: float


class Certificate(NamedTuple):
    """What is certain, not estimated: log_lower ≤ log Z ≤ log_upper, and the found strings, renormalised, are at most
    `distance` in total variation from the target."""

    log_lower: float
    log_upper: float
    distance: float


def _no_floats() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Samples:
    """Weighted texts.

    >>> s = Samples(
    ...     tokens=(np.array([0]), np.array([1])), finish=("end", "end"), text=(b"a", b"b"),
    ...     log_weights=np.log([0.3, 0.1]), log_probs=np.log([0.2, 0.2]), log_proposal=np.log([0.6, 0.4]),
    ... )
    >>> round(math.exp(s.log_z), 3), round(s.expectation(lambda text: text == b"a"), 3), round(s.ess(), 3)
    (0.2, 0.75, 1.6)
    >>> s.best().text, len(s.resample(5, rng=0))
    (b'a', 5)
    """

    tokens: tuple[Ints, ...]
    """Tokens of each text, without the end token."""
    finish: tuple[str, ...]
    """"end": complete; "length": the token budget ran out; "dead": nothing could follow."""
    text: tuple[bytes, ...]
    """The bytes of the tokens."""
    log_weights: Floats
    """Importance weights; see the module."""
    log_probs: Floats
    """log P of each text under the model, the end token included; of the prefix, where a row did not finish."""
    log_proposal: Floats
    """log of the probability with which the row was proposed, or the one that its weight implies."""
    log_potential: Floats = field(default_factory=_no_floats)
    """log ψ of each text: the sum over all potentials."""
    log_z: float = math.nan
    """log of the estimate of Z; by default that of the weights."""
    certificate: Certificate | None = None
    """Bounds that hold for certain, from samplers that keep a trie."""
    calls: Calls = _NO_CALLS
    """Calls of the model, filled in by the driver."""
    history: tuple[Info, ...] = ()
    """What each step told about itself, filled in by the driver."""
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    """What a sampler has to say beside: what it chose, how often it tried."""

    def __post_init__(self) -> None:
        if math.isnan(self.log_z) and len(self.tokens):
            object.__setattr__(self, "log_z", log_mean(self.log_weights))
        if len(self.log_potential) != len(self.tokens):
            object.__setattr__(self, "log_potential", np.zeros(len(self.tokens)))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: int) -> Draw:
        numbers = (float(a[row]) for a in (self.log_weights, self.log_probs, self.log_proposal))
        return Draw(self.tokens[row], self.text[row], self.finish[row], *numbers)

    def __iter__(self) -> Iterator[Draw]:
        return (self[row] for row in range(len(self)))

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Which rows are complete texts."""
        return np.array([f == END for f in self.finish], np.bool_)

    def ess(self) -> float:
        """The effective sample size, (Σw)²/Σw²: between 0 and n."""
        return effective_size(self.log_weights)

    def normalized_weights(self) -> Floats:
        """Weights that sum to one."""
        self._require_mass()
        return shares(self.log_weights)

    def expectation(self, f: Callable[[bytes], Any]) -> Any:
        """The weighted mean of `f(text)`: the estimate of E*[f]. `f` may return a number or an array."""
        weights = self.normalized_weights()
        rows = np.flatnonzero(weights)
        values = np.array([np.asarray(f(self.text[i]), np.float64) for i in rows])
        mean = np.tensordot(weights[rows], values, axes=1)
        return float(mean) if mean.ndim == 0 else mean

    def resample(self, n: int, rng: np.random.Generator | Tape | int | None = None) -> Samples:
        """`n` rows drawn in proportion to their weights, equal in weight afterwards: all of them finished."""
        require(n >= 0, f"n must not be negative, but is {n}")
        if n:
            self._require_mass()
        tape = rng if isinstance(rng, Tape) else seeded(rng)
        return self.take(ancestors("multinomial", self.log_weights, n, tape), np.full(n, self.log_z))

    def take(self, rows: Ints, log_weights: Floats) -> Samples:
        """Some rows, with weights of their own."""
        chosen: list[int] = rows.tolist()
        return replace(
            self,
            tokens=tuple(self.tokens[i] for i in chosen),
            finish=tuple(self.finish[i] for i in chosen),
            text=tuple(self.text[i] for i in chosen),
            log_weights=log_weights,
            log_probs=self.log_probs[rows],
            log_proposal=self.log_proposal[rows],
            log_potential=self.log_potential[rows],
        )

    def best(self) -> Draw:
        """The finished text with the largest target, P(x)·ψ(x)."""
        self._require_finished()
        target = np.where(self.finished, self.log_probs + self.log_potential, -math.inf)
        return self[int(np.argmax(target))]

    def summary(self) -> str:
        """A few lines for people: how many finished, how even the weights are, what it cost."""
        counts = {end: self.finish.count(end) for end in (END, LENGTH, CUT)}
        alive = self.log_weights[np.isfinite(self.log_weights)]
        spread = float(alive.std()) if len(alive) else math.nan
        distinct = {tokens.tobytes() for tokens, f in zip(self.tokens, self.finish, strict=True) if f == END}
        lines = [
            f"{len(self)} rows, {len(distinct)} distinct complete texts",
            f"{counts[END]} complete, {counts[LENGTH]} cut by the token budget, {counts[CUT]} dead",
            f"log Z = {self.log_z:.4g}; effective sample size {self.ess():.1f}; log-weights vary by {spread:.3g}",
            f"model calls: {self.calls.distinct} distinct, {self.calls.logical} logical; {len(self.history)} steps",
        ]
        if self.certificate is not None:
            low, high, distance = self.certificate
            lines.append(f"certain: {low:.4g} <= log Z <= {high:.4g}, total variation <= {distance:.3g}")
        if "chose" in self.notes:
            lines.append(f"chose {self.notes['chose']}: {self.notes.get('because', '')}")
        return "\n".join(lines)

    def _require_finished(self) -> None:
        if END not in self.finish:
            raise self._nothing("no row is a complete text")

    def _require_mass(self) -> None:
        if not (self.log_weights > -math.inf).any():
            raise self._nothing("no row has weight")

    def _nothing(self, message: str) -> SamplingError:
        if LENGTH in self.finish:
            return BudgetExhausted(f"{message}: the token budget ran out", hint="raise max_tokens, or draw more")
        return DeadEnd(message, hint="draw more rows, or check that the model gives the language any mass")
