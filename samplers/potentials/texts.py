"""Potentials that are functions of the text.

A function of bytes knows nothing of tokens, so it serves every vocabulary: it waits as a `TextPotential` and becomes an
`OfText` over a vocabulary when a `Problem` takes it. Answers are kept per text, so particles that share a prefix share
the question.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grammars.errors import ScansionError
from grammars.vocabulary import Vocabulary
from samplers.errors import BrokenContract
from samplers.protocols import Contexts

Floats = NDArray[np.float64]
Score = Callable[[bytes], float]

_KEPT = 1 << 16


@dataclass(frozen=True)
class TextPotential:
    """A potential on text that waits for a vocabulary; made by `text_potential`."""

    complete: Score
    prefix: Score | None = None

    def over(self, vocabulary: Vocabulary) -> OfText:
        """The potential over the tokens of a vocabulary."""
        return OfText(vocabulary, self.complete, self.prefix)


class OfText:
    """A potential on text, over the tokens of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary, complete: Score, prefix: Score | None = None):
        self.vocabulary = vocabulary
        self._complete, self._prefix = _Kept(complete), _Kept(prefix) if prefix else None

    def log_prefix(self, contexts: Contexts) -> Floats:
        """Scores of prefixes; 0 if the potential speaks about finished texts only."""
        return np.zeros(len(contexts)) if self._prefix is None else self._asked(self._prefix, contexts)

    def log_complete(self, contexts: Contexts) -> Floats:
        """Scores of finished texts."""
        return self._asked(self._complete, contexts)

    def _asked(self, score: _Kept, contexts: Contexts) -> Floats:
        token = self.vocabulary.tokens.__getitem__
        return np.array([score(b"".join(map(token, context.tolist()))) for context in contexts], np.float64)


class _Kept:
    """A function of text that remembers its latest answers."""

    def __init__(self, score: Score):
        self._score = score
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def __call__(self, text: bytes) -> float:
        if text not in self._known:
            self._known[text] = self._ask(text)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return self._known[text]

    def _ask(self, text: bytes) -> float:
        try:
            return float(self._score(text))
        except ScansionError:
            raise
        except Exception as error:
            raise BrokenContract(
                f"a potential failed on {text[:60]!r}: {type(error).__name__}: {error}",
                hint="a score takes the bytes of a text and returns a number",
            ) from error


def text_potential(complete: Score, prefix: Score | None = None) -> TextPotential:
    """A potential from a function that returns log ψ of a finished text (bytes).

    `prefix` scores unfinished texts: any guess guides `SMC`; -inf promises that no completion has ψ > 0. Pass the same
    function twice if it makes sense on both.

    >>> few = text_potential(lambda text: -float(text.count(b"a")))
    >>> few.over(Vocabulary([b"a", b"b"], eos=[])).log_complete([np.array([0, 0, 1])]).tolist()
    [-2.0]
    """
    return TextPotential(complete, prefix)


def classifier(probability: Callable[[bytes], float], *, on_prefixes: bool = False) -> TextPotential:
    """ψ(x) = the probability that a classifier gives to the label you want. By Bayes' rule the target is then the
    model's distribution given that label. With `on_prefixes` it is asked on the way, too, as a guide.

    >>> polite = classifier(lambda text: 0.9 if b"please" in text else 0.1)
    >>> bound = polite.over(Vocabulary([b"please"], eos=[]))
    >>> bound.log_complete([np.array([0])]).round(3).tolist()
    [-0.105]
    """

    def score(text: bytes) -> float:
        p = float(probability(text))
        if not 0.0 <= p <= 1.0:
            raise BrokenContract(f"a classifier returned {p}, which is no probability")
        return math.log(p) if p > 0.0 else -math.inf

    def guide(text: bytes) -> float:
        return max(score(text), _NEVER_CERTAIN)

    return TextPotential(score, guide if on_prefixes else None)


_NEVER_CERTAIN = math.log(1e-9)  # a classifier's 0 on a prefix is an opinion, not a promise
