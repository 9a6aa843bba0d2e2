"""A constraint from two questions about values: what follows a value after a token, and is a value complete?

`Stepwise` numbers the values, remembers the moves and offers the `Constraint` protocol. A mask asks about every token,
which is what `black_box` constraints want to avoid: `AdaptiveRejection` asks about the few tokens that matter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import index
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars.errors import StateError
from grammars.vocabulary import Vocabulary
from samplers.bits import mask_of
from samplers.constraints.products import Joinable
from samplers.constraints.states import Numbered

Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]
S = TypeVar("S", bound=Hashable)

DEAD = -1
_FINISHED = -2  # behind an end token: nothing follows


class Stepwise(Joinable, Generic[S]):
    """`after(value, token)` is the next value or None; `complete(value)` says whether the text may end.

    >>> v = Vocabulary([b"up", b"down", b"<end>"], eos=[2])
    >>> stairs = Stepwise(v, 0, lambda height, token: height + 1 - 2 * token or None, lambda height: height == 2)
    >>> [stairs.allows(stairs.start, token) for token in range(3)]
    [True, True, False]
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        start: S | None,
        after: Callable[[S, int], S | None],
        complete: Callable[[S], bool],
        *,
        black_box: bool = False,
    ):
        self.vocabulary, self.black_box = vocabulary, black_box
        self._states: Numbered[S | None] = Numbered(None)  # number 0: the end
        self.start = DEAD if start is None else self._states.number(start)
        self._after, self._complete = after, complete
        self._moves: dict[tuple[int, int], int] = {}
        self._masks: dict[int, Mask] = {}
        self._ends = frozenset(vocabulary.eos)

    def advance(self, state: int, token: int) -> int:
        """The state after a token, -1 if it is not allowed."""
        move = (index(state), index(token))
        if move not in self._moves:
            self._moves[move] = self._moved(*move)
        return self._moves[move]

    def _moved(self, state: int, token: int) -> int:
        if not 0 <= token < self.vocabulary.size:
            raise StateError(f"token id {token} is outside the vocabulary of {self.vocabulary.size}")
        if state <= 0 or token in self.vocabulary.special:
            return DEAD if state >= DEAD else self._unknown(state)
        if token in self._ends:
            return 0 if self.accepts(state) else DEAD
        value = self._after(cast("S", self._states[state]), token)
        return DEAD if value is None else self._states.number(value)

    def advance_many(self, states: ArrayLike, tokens: ArrayLike) -> Ints:
        """The states after one token each."""
        pairs = zip(np.asarray(states).tolist(), np.asarray(tokens).tolist(), strict=True)
        return np.array([self.advance(s, t) for s, t in pairs], np.int64)

    def allows(self, state: int, token: int) -> bool:
        """Whether one token may follow."""
        return self.advance(state, token) != DEAD

    def accepts(self, state: int) -> bool:
        """Whether the text is complete."""
        if state == DEAD:
            return False
        value = self._states[state]
        return value is not None and bool(self._complete(value))

    def fill_masks(self, states: ArrayLike, out: Mask) -> None:
        """The masks of some states, asking about every token."""
        out[:] = 0
        for row, state in enumerate(np.asarray(states).tolist()):
            out[row, : self.vocabulary.words] = self._mask(state)

    def _mask(self, state: int) -> Mask:
        if state not in self._masks:
            self._masks[state] = self._computed(state)
        return self._masks[state]

    def _computed(self, state: int) -> Mask:
        return mask_of([t for t in range(self.vocabulary.size) if self.allows(state, t)], self.vocabulary.size)

    def value(self, state: int) -> S | None:
        """What a state stands for."""
        return self._states[state]

    def _unknown(self, state: int) -> int:
        raise StateError(f"{state} is no state of this constraint")
