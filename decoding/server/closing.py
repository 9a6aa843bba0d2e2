"""Closing: whether a text that stands at a state can still be finished within so many tokens.

Let d(s) be the least number of tokens that lead from state s to acceptance. A token t may follow with k tokens left if
and only if d(advance(s, t)) ≤ k − 1; if that held for the state before, some such token exists. So a text under this
rule always finishes, and no text that could finish is excluded.

d itself is never needed, only the comparison, and a witness settles most of them: a completion in single bytes, found
by going ahead, what closes first, and then written with as few tokens as it can be,

    c(i) = min { 1 + c(j) : the bytes i..j of the witness are a token },

which is remembered for every state on its way. Only if the witness is too long are all continuations searched, layer by
layer, to the depth that is left; what was found not to fit is remembered too. A search that would take more than its
share of `work` steps counts as "does not fit", which is always safe: `undecided` counts how often that happened.

What is known holds for everybody who has the constraint, so a request begins with what others found out (`fork`). Its
first question, whether the form fits at all, is asked before it runs and may cost more (`is_first`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from grammars import LimitExceeded, Vocabulary
from samplers.bits import tokens_of
from samplers.particles import pinned
from samplers.protocols import Constraint

Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]

_WORK = 1 << 18  # successors looked at for one request
_SHARE = 16  # in one search at most this part of it: some ten milliseconds
_LONGEST = 32  # bytes of a token that are tried to shorten a witness
_BYTES = 8  # of a witness for each token that is left
_KEPT = 1 << 14
_ORDER = b")>}]\"'/.;:,0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-<[({"
"""What closes comes first, then what separates, and what opens last."""


class Closing:
    """What is known about the completions of one constraint.

    >>> from grammars import Vocabulary, regex
    >>> abc = regex("a(bc)*d|c").compile(Vocabulary([b"a", b"b", b"c", b"d", b"bcd", b"<end>"], eos=[5]))
    >>> closing, after_ab = Closing(abc), abc.advance(abc.advance(abc.start, 0), 1)
    >>> closing.fits(abc.start, 0), closing.fits(abc.start, 1), closing.fits(after_ab, 1), closing.fits(after_ab, 2)
    (False, True, False, True)
    """

    def __init__(self, constraint: Constraint, work: int = _WORK):
        self.undecided = 0
        self._constraint = constraint
        self._lock = Lock()
        self._whole_work = self._work = work
        self._share = max(work // _SHARE, 1)
        vocabulary = constraint.vocabulary
        self._ends = set(vocabulary.eos)
        self._texts = _texts_of(vocabulary)
        self._bytes = _bytes_of(vocabulary)
        self._forget()

    def fork(self) -> Closing:
        """The same knowledge, with work of its own."""
        other = Closing(self._constraint, self._whole_work)
        with self._lock:
            other._most, other._least, other._pins = dict(self._most), dict(self._least), list(self._pins)
            other._given_up = set(self._given_up)
        return other

    def fits(self, state: int, tokens: int, *, is_first: bool = False) -> bool:
        """Whether d(state) ≤ tokens."""
        if state < 0 or tokens < 0:
            return False
        if self.surely_fits(state, tokens):
            return True
        with self._lock:
            return self._asked(state, tokens, self._whole_work if is_first else min(self._share, self._work))

    def surely_fits(self, state: int, tokens: int) -> bool:
        """Whether that is known without looking for it."""
        return self._most.get(state, tokens + 1) <= tokens

    def _asked(self, state: int, tokens: int, work: int) -> bool:
        if self._least.get(state, 0) > tokens:
            return False
        if len(self._most) + len(self._least) + len(self._pins) > _KEPT:
            self._forget()
        return self._witnessed(state, tokens) or self._decided(state, tokens, work)

    def narrowed(self, state: int, left: int) -> Mask:
        """The mask of a state with `left` tokens left: the end, if it may follow, and whatever can still be finished.

        >>> from grammars import Vocabulary, regex
        >>> abc = regex("a(bc)*d|c").compile(Vocabulary([b"a", b"b", b"c", b"d", b"bcd", b"<end>"], eos=[5]))
        >>> closing = Closing(abc)
        >>> [closing.narrowed(abc.start, left).tolist() for left in (0, 1, 2)]
        [[0], [4], [5]]
        """
        mask = np.zeros((1, self._constraint.vocabulary.words), np.uint32)
        self._constraint.fill_masks([state], mask)
        tokens = self._tokens(state)
        after = self._constraint.advance_many(np.full(len(tokens), state, np.int64), tokens)
        states, which = np.unique(after, return_inverse=True)
        pin = pinned(self._constraint, states.tolist())
        fits = np.array([self.fits(each, left - 1) for each in states.tolist()], bool)
        del pin
        late = tokens[~fits[which]] if len(tokens) else tokens
        np.bitwise_and.at(mask[0], late >> 5, ~(np.uint32(1) << (late & 31).astype(np.uint32)))
        return mask[0]

    def _forget(self) -> None:
        self._most: dict[int, int] = {}  # d(s) is at most this
        self._least: dict[int, int] = {}  # and at least this
        self._given_up: set[tuple[int, int, int]] = set()  # searches that were too much work
        self._pins: list[object] = []  # keeps the automaton from giving the numbers of states away

    def _decided(self, state: int, tokens: int, work: int) -> bool:
        question, found = (state, tokens, work), None
        if question not in self._given_up:
            with suppress(LimitExceeded):
                found = self._searched(state, tokens, work)
        if found is None:
            self.undecided += 1
            self._given_up.add(question)
            self._pins.append(pinned(self._constraint, [state]))
            return False
        if not found:
            self._least[state] = tokens + 1
            self._pins.append(pinned(self._constraint, [state]))
        return found

    def _witnessed(self, start: int, depth: int) -> bool:
        """Go ahead byte by byte, back where it leads nowhere new, until a completion is found; whether it can be
        written with at most `depth` tokens."""
        path, choices, seen = [start], [iter(self._bytes)], {start}
        written, longest = bytearray(), _BYTES * (depth + 1)
        work = len(self._bytes) * longest
        while path:
            left = 0 if self._constraint.accepts(path[-1]) else self._most.get(path[-1])
            if left is not None:
                return self._shortened(path, bytes(written), left) <= depth
            after = -1
            for byte, token in choices[-1] if len(path) <= longest else ():
                work -= 1
                if work < 0:
                    return False
                if self._constraint.allows(path[-1], token):
                    after = int(self._constraint.advance_many([path[-1]], [token])[0])
                    if after >= 0 and after not in seen:
                        written.append(byte)
                        break
                    after = -1
            if after < 0:
                path.pop()
                choices.pop()
                del written[len(path) - 1 :]
                continue
            path.append(after)
            choices.append(iter(self._bytes))
            seen.add(after)
            if len(seen) % 64 == 0:
                self._pins.append(pinned(self._constraint, path[-64:]))
        return False

    def _shortened(self, path: list[int], written: bytes, left: int) -> int:
        """The fewest tokens that write some bytes, and then `left` more; every state on the way learns of it."""
        costs = [left] * len(path)
        for begin in range(len(written) - 1, -1, -1):
            ends = range(begin + 1, min(begin + _LONGEST, len(written)) + 1)
            costs[begin] = 1 + min(costs[end] for end in ends if written[begin:end] in self._texts)
        self._pins.append(pinned(self._constraint, path))
        for state, cost in zip(path, costs, strict=True):
            self._most[state] = min(cost, self._most.get(state, cost))
        return costs[0]

    def _searched(self, start: int, depth: int, work: int) -> bool | None:
        """Look at every continuation of at most `depth` tokens, layer by layer; None if that is too much work."""
        parents: dict[int, int] = {start: -1}
        layer, pins = [start], list[object]()
        for length in range(depth + 1):
            for state in layer:
                left = 0 if self._constraint.accepts(state) else self._most.get(state)
                if left is not None and length + left <= depth:
                    self._remember(_path(parents, state), left)
                    return True
            following: list[int] = []
            for state in layer if length < depth else ():
                tokens = self._tokens(state)
                work -= 1 + len(tokens)
                self._work -= 1 + len(tokens)
                if work < 0:
                    return None
                after = self._constraint.advance_many(np.full(len(tokens), state, np.int64), tokens)
                fresh = [found for found in np.unique(after).tolist() if found >= 0 and found not in parents]
                parents.update(dict.fromkeys(fresh, state))
                following += fresh
                pins.append(pinned(self._constraint, fresh))
            layer = following
        return False

    def _tokens(self, state: int) -> Ints:
        """The tokens that may follow, the end apart."""
        mask = np.zeros((1, self._constraint.vocabulary.words), np.uint32)
        self._constraint.fill_masks([state], mask)
        allowed = tokens_of(mask[0], self._constraint.vocabulary.size)
        return allowed[~np.isin(allowed, list(self._ends))]

    def _remember(self, path: list[int], left: int) -> None:
        """Every state on the way to a completion knows how long it is."""
        self._pins.append(pinned(self._constraint, path))
        for further, state in enumerate(reversed(path)):
            self._most[state] = min(left + further, self._most.get(state, left + further))


@lru_cache(maxsize=8)
def _texts_of(vocabulary: Vocabulary) -> dict[bytes, int]:
    """The tokens that are text, by their bytes."""
    hidden = vocabulary.special | set(vocabulary.eos)
    return {text: token for token, text in enumerate(vocabulary.tokens) if text and token not in hidden}


@lru_cache(maxsize=8)
def _bytes_of(vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """The single bytes that are tokens, in the order in which they are tried, with their tokens."""
    texts, order = _texts_of(vocabulary), dict.fromkeys(_ORDER + bytes(range(33, 256)) + bytes(range(33)))
    return [(byte, texts[bytes([byte])]) for byte in order if bytes([byte]) in texts]


def _path(parents: dict[int, int], state: int) -> list[int]:
    """The states from the start to this one."""
    path: list[int] = []
    while state >= 0:
        path.append(state)
        state = parents[state]
    return path[::-1]
