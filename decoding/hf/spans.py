"""Spans: text that the constraint leaves no choice about, known before the model has said anything.

Where one token alone may follow, it is certain. Where all tokens that may follow spell the same text, one further than
the other, it will most likely be cut as the longest of them says: that is a guess. So the model gets a whole span at
once: being causal, it gives the row behind every token of it in one forward, the same rows that it would give one by
one. Nothing is assumed of what is drawn: whoever draws another token has only made some rows useless.

A guess is worth a place in a forward if it is likely to be followed. How often guesses were followed lately, and
certain tokens too (samplers that propose without masks do not follow those either), is learnt on the way, whether they
were fed or not. A span goes on while more likely than not all of it will be followed, by all contexts of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grammars import TokenAutomaton
from samplers.particles import pinned
from samplers.protocols import DEAD

Ints = NDArray[np.int64]

_LONGEST = 64
_WIDEST = 64  # words of a mask in which there may be bits: a text has few beginnings
_LIKELY = 0.5
_PACE = 0.1


class Spans:
    """What an automaton forces behind contexts of at most `max_tokens` tokens.

    >>> from grammars import Vocabulary, regex
    >>> v = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
    >>> spans = Spans(regex("[ab]abba?").compile(v), max_tokens=9)
    >>> spans.behind([np.array([0]), np.array([1])]).tolist()
    [[2, 1], [2, 1]]
    """

    def __init__(self, automaton: TokenAutomaton, max_tokens: int):
        self._automaton, self._max_tokens = automaton, max_tokens
        self._known: dict[bytes, int] = {}  # the states of the contexts of the previous call, which have one length
        self._length = 0
        self._pins: object = None
        self._next: dict[bytes, tuple[int, bool]] = {}  # behind a context, what was expected, and if it was certain
        self._followed = {True: 1.0, False: 0.9}  # how often, for certain tokens and for guesses

    def learn(self, contexts: Sequence[Ints]) -> None:
        """See which of the expected tokens were drawn."""
        for context in contexts:
            expected = self._next.pop(context[:-1].tobytes(), None) if len(context) else None
            if expected is not None:
                token, certain = expected
                self._followed[certain] += _PACE * ((token == context[-1]) - self._followed[certain])

    def left(self) -> None:
        """Tell that spans were fed and then nobody went on there at all: it is not for the forced text that rows are
        asked for."""
        self._followed = {certain: share / 2 for certain, share in self._followed.items()}

    def behind(self, contexts: Sequence[Ints], most: int = _LONGEST) -> Ints:
        """Tokens to expect behind each of some contexts of one length; the same number for all."""
        distinct = {context.tobytes(): context for context in contexts}
        states = {key: self._state(context) for key, context in distinct.items()}
        self._known, self._length, self._next = states, len(contexts[0]), {}
        self._pins = pinned(self._automaton, list(states.values()))
        most = max(0, min(most, _LONGEST, self._max_tokens - self._length))
        spans = self._expected(distinct, states, most)
        return np.array([spans[context.tobytes()] for context in contexts], np.int64).reshape(len(contexts), -1)

    def _state(self, context: Ints) -> int:
        state, begin = self._known.get(context[: self._length].tobytes()), self._length
        if state is None or len(context) < begin:
            state, begin = self._automaton.start, 0
        for token in context[begin:].tolist():
            state = self._automaton.advance(state, token)
        return state

    def _expected(self, contexts: dict[bytes, Ints], states: dict[bytes, int], most: int) -> dict[bytes, list[int]]:
        spans: dict[bytes, list[int]] = {key: [] for key in contexts}
        texts, confidence = dict(contexts), 1.0
        for _ in range(most):
            step: dict[bytes, tuple[int, bool]] = {}
            for key, state in states.items():
                expected = self._following(state)
                if expected is None:
                    return spans
                step[key] = expected
                confidence *= self._followed[expected[1]]
            self._next |= {texts[key].tobytes(): expected for key, expected in step.items()}
            if confidence < _LIKELY:
                break
            for key, (token, _) in step.items():
                spans[key].append(token)
                texts[key] = np.append(texts[key], token)
            states = {key: self._automaton.advance(states[key], token) for key, (token, _) in step.items()}
        return spans

    def _following(self, state: int) -> tuple[int, bool] | None:
        """The longest token that may follow, if all others are how it begins; and whether there are no others."""
        vocabulary = self._automaton.vocabulary
        mask = self._automaton.mask(state) if state != DEAD else vocabulary.end_row
        words = np.flatnonzero(mask)
        if not 0 < len(words) <= _WIDEST or np.bitwise_and(mask, vocabulary.end_row).any():
            return None
        bits = np.unpackbits(np.ascontiguousarray(mask[words]).view(np.uint8), bitorder="little").reshape(-1, 32)
        rows, lanes = np.nonzero(bits)
        allowed: list[int] = (words[rows] * 32 + lanes).tolist()
        token = max(allowed, key=lambda each: len(vocabulary.tokens[each]))
        text = vocabulary.tokens[token]
        if not all(text.startswith(vocabulary.tokens[each]) for each in allowed):
            return None
        return token, len(allowed) == 1
