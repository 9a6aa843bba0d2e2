"""Closing: whether a text that stands at a state can still be finished within so many tokens.

Let d(s) be the least number of tokens that lead from state s to acceptance. A token t may follow with k tokens left if
and only if d(advance(s, t)) ≤ k − 1; if that held for the state before, some such token exists. So a text under this
rule always finishes, and no text that could finish is excluded.

d itself is never needed, only the comparison, and a witness settles most of them: a completion in single bytes, found
by going ahead, what closes first, and remembered for every state on its way. Only if the witness is too long are all
continuations searched, layer by layer, to the depth that is left; what was found not to fit is remembered too. A search
that would take more than its share of `work` steps counts as "does not fit", which is always safe: `undecided` counts
how often that happened.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grammars import LimitExceeded
from samplers.bits import tokens_of
from samplers.particles import pinned
from samplers.protocols import Constraint

Ints = NDArray[np.int64]

_WORK = 1 << 22  # successors looked at for one request
_SHARE = 16  # in one search at most this part of it
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
        self._work, self._share = work, max(work // _SHARE, 1)
        vocabulary = constraint.vocabulary
        self._ends = set(vocabulary.eos)
        tokens = {text: t for t, text in enumerate(vocabulary.tokens) if len(text) == 1 and t not in vocabulary.special}
        order = dict.fromkeys(_ORDER + bytes(range(33, 256)) + bytes(range(33)))
        singles = [tokens[bytes([byte])] for byte in order if bytes([byte]) in tokens]
        self._bytes = [token for token in singles if token not in self._ends]
        self._forget()

    def fits(self, state: int, tokens: int) -> bool:
        """Whether d(state) ≤ tokens."""
        if state < 0 or tokens < 0:
            return False
        if self._most.get(state, tokens + 1) <= tokens:
            return True
        if self._least.get(state, 0) > tokens:
            return False
        if len(self._most) + len(self._least) > _KEPT:
            self._forget()
        return self._witnessed(state, tokens) or self._decided(state, tokens)

    def _forget(self) -> None:
        self._most: dict[int, int] = {}  # d(s) is at most this
        self._least: dict[int, int] = {}  # and at least this
        self._pins: list[object] = []  # keeps the automaton from giving the numbers of states away

    def _decided(self, state: int, tokens: int) -> bool:
        try:
            found = self._searched(state, tokens)
        except LimitExceeded:
            found = None
        if found is None:
            self.undecided += 1
            return False
        if not found:
            self._least[state] = tokens + 1
            self._pins.append(pinned(self._constraint, [state]))
        return found

    def _witnessed(self, start: int, depth: int) -> bool:
        """Go ahead byte by byte, back where it leads nowhere new, until a completion of at most `depth` is found."""
        path, choices, seen = [start], [iter(self._bytes)], {start}
        work = min(self._share, 64 * (depth + 1))
        while path:
            left = 0 if self._constraint.accepts(path[-1]) else self._most.get(path[-1])
            if left is not None and len(path) - 1 + left <= depth:
                self._remember(path, left)
                return True
            after = -1
            for token in choices[-1] if len(path) <= depth else ():
                work -= 1
                if work < 0:
                    return False
                if self._constraint.allows(path[-1], token):
                    after = int(self._constraint.advance_many([path[-1]], [token])[0])
                    if after not in seen:
                        break
                    after = -1
            if after < 0:
                path.pop()
                choices.pop()
                continue
            seen.add(after)
            path.append(after)
            choices.append(iter(self._bytes))
            if len(path) % 64 == 0:
                self._pins.append(pinned(self._constraint, path[-64:]))
        return False

    def _searched(self, start: int, depth: int) -> bool | None:
        """Look at every continuation of at most `depth` tokens, layer by layer; None if that is too much work."""
        parents: dict[int, int] = {start: -1}
        layer, pins = [start], list[object]()
        work = min(self._share, self._work)
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


def _path(parents: dict[int, int], state: int) -> list[int]:
    """The states from the start to this one."""
    path: list[int] = []
    while state >= 0:
        path.append(state)
        state = parents[state]
    return path[::-1]
