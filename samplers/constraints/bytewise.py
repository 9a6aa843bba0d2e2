"""A constraint over bytes: `Stepwise` for tokens of any vocabulary, with masks by a walk through its byte trie."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from grammars.kernels.trie import CHILD, CHILDREN_END, FIRST, OWN_END
from grammars.vocabulary import Vocabulary
from samplers.bits import mask_of
from samplers.constraints.stepwise import Stepwise

Mask = NDArray[np.uint32]
S = TypeVar("S", bound=Hashable)


class Bytewise(Stepwise[S]):
    """`after(value, byte)` is the next value or None; `complete(value)` says whether the text may end.

    Every value that `after` returns can be completed: then so can the masks.

    >>> v = Vocabulary([b"a", b"aa", b"b", b"<end>"], eos=[3])
    >>> one_a = Bytewise(v, 0, lambda n, byte: 1 if byte == ord("a") and n == 0 else None, lambda n: n == 1)
    >>> out = np.zeros((1, 1), np.uint32)
    >>> one_a.fill_masks([one_a.start], out)
    >>> out.tolist()
    [[1]]
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        start: S | None,
        after: Callable[[S, int], S | None],
        complete: Callable[[S], bool],
    ):
        super().__init__(vocabulary, start, self._read, complete)
        self._after_byte = after

    def _read(self, value: S, token: int) -> S | None:
        reached: S | None = value
        for byte in self.vocabulary.tokens[token]:
            reached = self._after_byte(cast("S", reached), byte)
            if reached is None:
                return None
        return reached

    def _computed(self, state: int) -> Mask:
        """The tokens on whose whole path through the trie `after` goes on."""
        value = self.value(state) if state > 0 else None
        found: list[int] = list(self.vocabulary.eos) if self.accepts(state) else []
        byte, nodes, _, tokens = self.vocabulary.trie
        stack: list[tuple[int, S]] = [] if value is None else [(0, value)]
        while stack:
            node, here = stack.pop()
            row = nodes[node].tolist()
            found.extend(tokens[row[FIRST] : row[OWN_END]].tolist())
            for child in range(row[CHILD], row[CHILDREN_END]):
                below = self._after_byte(here, int(byte[child]))
                if below is not None:
                    stack.append((child, below))
        return mask_of(found, self.vocabulary.size)
