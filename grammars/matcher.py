"""Matcher: one sequence as a list of states.

Rolling back pops, forking copies, and a refused token changes nothing. An end token terminates the sequence; after it
nothing is accepted until a rollback takes it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from grammars.errors import StateError
from grammars.kernels.layout import FINISHED

if TYPE_CHECKING:
    from grammars.automaton import TokenAutomaton

_DEAD = -1


class Matcher:
    """Follows one sequence through an automaton.

    >>> from grammars import Vocabulary, regex
    >>> m = regex("ab*").compile(Vocabulary([b"a", b"b", b"<end>"], eos=[2])).matcher()
    >>> m.accept_tokens([0, 1, 0]), m.is_accepting()
    (2, True)
    >>> m.rollback(1)
    >>> m.accept_token(2), m.is_terminated()
    (True, True)
    """

    __slots__ = ("__weakref__", "_automaton", "_checked", "_fits", "_states")

    def __init__(self, automaton: TokenAutomaton, states: Iterable[int] = ()):
        self._automaton = automaton
        self._states: list[int] = list(states) or [automaton.start]
        self._checked: NDArray[np.uint32] | None = None
        self._fits = False

    @property
    def state(self) -> int:
        """The state of the automaton after all accepted tokens."""
        return self._states[-1]

    def states(self) -> list[int]:
        """The states from the start on, one more than accepted tokens."""
        return list(self._states)

    def fill_bitmask(self, out: NDArray[np.uint32], row: int = 0) -> None:
        """Write the mask of the next token to row `row` of `out`. int32 arrays of the same layout are accepted too."""
        if out is not self._checked:
            self._check(out)
        if not 0 <= row < len(out):
            raise StateError(f"there is no row {row} in an array of {len(out)}")
        mask = self._automaton.mask(self._states[-1])
        if self._fits:
            out[row] = mask
        else:
            out[row, : len(mask)] = mask
            out[row, len(mask) :] = 0

    def _check(self, out: NDArray[np.uint32]) -> None:
        """Look at an array once; it is usually the same one for every token."""
        check_array(out)
        words = self._automaton.vocabulary.words
        if out.ndim != 2 or out.dtype.kind not in "iu" or out.itemsize != 4 or out.shape[1] < words:
            raise StateError(f"a {out.dtype} array of shape {out.shape} cannot hold masks of {words} words of 32 bits")
        self._checked, self._fits = out, out.shape[1] == words

    def accept_token(self, token: int) -> bool:
        """Take one token if it is allowed; otherwise nothing changes."""
        after = self._next(self._states[-1], token)
        if after == _DEAD:
            return False
        self._states.append(after)
        return True

    def accept_tokens(self, tokens: Iterable[int]) -> int:
        """Take tokens up to the first that is not allowed; how many were taken."""
        taken = 0
        for token in tokens:
            if not self.accept_token(token):
                break
            taken += 1
        return taken

    def validate_tokens(self, tokens: Iterable[int]) -> int:
        """How many of the tokens would be taken; nothing changes."""
        state, taken = self._states[-1], 0
        for token in tokens:
            state = self._next(state, token)
            if state == _DEAD:
                break
            taken += 1
        return taken

    def _next(self, state: int, token: int) -> int:
        return _DEAD if state == FINISHED else self._automaton.advance(state, token)

    def rollback(self, n: int) -> None:
        """Take back the last `n` tokens."""
        try:
            kept = len(self._states) - index(n)
        except TypeError:
            raise StateError(f"cannot take back {n!r} tokens: that is no number of tokens") from None
        if not 0 < kept <= len(self._states):
            raise StateError(f"cannot take back {n} tokens of {len(self._states) - 1}")
        del self._states[kept:]

    def fork(self) -> Matcher:
        """An independent matcher at the same place."""
        return self._automaton.matcher_at(self._states)

    def reset(self) -> None:
        """Go back to the start."""
        del self._states[1:]

    def is_accepting(self) -> bool:
        """Whether the text so far is complete."""
        return self._automaton.accepts(self._states[-1])

    def is_terminated(self) -> bool:
        """Whether an end token was accepted."""
        return self._states[-1] == FINISHED

    def forced_tokens(self) -> list[int]:
        """The tokens that must follow."""
        return [] if self.is_terminated() else self._automaton.forced(self._states[-1])


def check_array(out: object) -> None:
    """Refuse what masks cannot be written to."""
    kind = type(out).__name__
    if not isinstance(out, np.ndarray) or not out.flags.writeable:
        raise StateError(f"masks are written to a NumPy array that can be written to, not to {kind}")
