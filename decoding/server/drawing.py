"""Drawing: one text, token by token, with the knobs that clients know.

    scores = (log p − penalties + bias) / temperature          over the allowed tokens
    kept   = the top-k and top-p of them (min-p: at least so likely, relative to the likeliest)
    draw   ∝ exp(scores) over kept, among the tokens after which the text can still be finished

The mask comes first, so truncation never leaves nothing. The last condition is asked of drawn tokens only: one that
does not fit is taken out and another is drawn, which is a draw from those that fit; if none of those kept fits, the
next best are kept. With temperature 0 the likeliest is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from decoding.server.closing import Closing
from samplers.bits import flags_of
from samplers.particles import Frontier, Proposal
from samplers.sequential import Sequential
from samplers.tape import Tape, log_allowed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLD = 1e-4
"""Temperatures below are 0: the likeliest token is taken."""


def _none() -> Mapping[int, float]:
    return {}


@dataclass(frozen=True)
class Knobs:
    """What a client may turn."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    bias: Mapping[int, float] = field(default_factory=_none)

    def scores(self, log_probs: Floats, context: Ints) -> Floats:
        """Log-probabilities as penalties, bias and temperature make them; not normalised.

        >>> Knobs(temperature=0.5).scores(np.array([-1.0, -2.0]), np.zeros(0, np.int64)).tolist()
        [-2.0, -4.0]
        """
        scores = log_probs.copy()
        if self.presence_penalty or self.frequency_penalty:
            seen, counts = np.unique(context, return_counts=True)
            scores[seen] -= self.presence_penalty + self.frequency_penalty * counts
        for token, bias in self.bias.items():
            scores[token] += bias
        return scores / self.temperature if self.temperature > COLD else scores

    def kept(self, scores: Floats) -> Floats:
        """The scores that survive truncation; minus infinity for all others.

        >>> Knobs(top_k=1).kept(np.array([-1.0, -2.0])).tolist()
        [-1.0, -inf]
        """
        best = scores.max(initial=-np.inf)
        if best == -np.inf:
            return scores
        if self.temperature <= COLD:
            return np.where(np.arange(len(scores)) == int(scores.argmax()), 0.0, -np.inf)
        least = best + np.log(self.min_p) if self.min_p > 0 else -np.inf
        if self.top_k or self.top_p < 1.0:
            least = max(least, self._least(np.sort(scores)[::-1]))
        return np.where(scores >= least, scores, -np.inf)

    def _least(self, falling: Floats) -> float:
        """The smallest score that is kept."""
        weights = np.exp(falling - falling[0])
        before = np.cumsum(weights) - weights
        inside = before < self.top_p * weights.sum()
        count = max(int(inside.sum()), 1)
        return float(falling[min(count, self.top_k or count) - 1])


@dataclass(frozen=True)
class Drawing(Sequential):
    """A sampler of single texts. With the plain knobs and no closing it is `Masking`.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.7, 0.2, 0.1]), regex("a*b"), max_tokens=3)
    >>> sample(problem, Drawing(Knobs(temperature=0), Closing(problem.constraint))).text
    (b'aab',)
    """

    knobs: Knobs = field(default_factory=Knobs)
    closing: Closing | None = None

    law: ClassVar[str] = "approximate"

    def propose(self, front: Frontier, tape: Tape) -> Proposal:
        tokens = np.array([self._drawn(front, row, tape) for row in front.rows.tolist()], np.int64)
        mass = log_allowed(front.log_probs, front.masks)[front.rows]
        return Proposal(tokens, np.where(tokens < 0, -np.inf, mass))

    def _drawn(self, front: Frontier, row: int, tape: Tape) -> int:
        problem, context = front.problem, front.contexts[row]
        allowed = flags_of(front.masks[row], problem.vocabulary.size)
        left = np.where(allowed, self.knobs.scores(front.log_probs[row], context), -np.inf)
        kept = self.knobs.kept(left)
        while left.max(initial=-np.inf) > -np.inf:
            token = int(tape.choose(kept[None, :])[0])
            if token < 0:
                kept = self.knobs.kept(left)
            elif self._fits(front, row, token, problem.max_tokens - len(context) - 1):
                return token
            else:
                left[token] = kept[token] = -np.inf
        return -1

    def _fits(self, front: Frontier, row: int, token: int, left: int) -> bool:
        if self.closing is None or token in front.problem.vocabulary.eos:
            return True
        after = front.problem.advanced(front.states[row : row + 1], np.array([token], np.int64))
        return self.closing.fits(int(after[0]), left)
