"""Products: the texts of several constraints at once.

The states of a product are tuples of states, its masks the intersection of masks. That is exact about each next token,
but not about the future: two constraints may each be completable and both together not. Masks may then hold tokens that
lead nowhere, which every sampler bears (weight 0, or a rejection). Grammars are intersected before they are compiled,
so products of grammars and `length(...)` have exact masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars.grammar import Grammar
from grammars.vocabulary import Vocabulary
from samplers.constraints.states import Numbered
from samplers.errors import BrokenContract, require
from samplers.protocols import Constraint

Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]

DEAD = -1


class Joinable:
    """What can stand beside `&`, on either side, together with any other constraint."""

    def __and__(self, other: Any) -> Waiting:
        return Waiting((*_parts(self), *_parts(other)))

    def __rand__(self, other: Any) -> Waiting:
        return Waiting((*_parts(other), *_parts(self)))


class Waiting(Joinable):
    """Constraints that wait for a vocabulary. `parts` are grammars, constraints, or functions of a vocabulary.

    >>> from grammars import regex
    >>> both = Waiting([regex("a*"), regex("(aa)*")]).over(Vocabulary([b"a", b"<end>"], eos=[1]))
    >>> both.accepts(both.start)
    True
    """

    def __init__(self, parts: Sequence[Grammar | Constraint | Callable[[Vocabulary], Constraint]]):
        self.parts = tuple(parts)

    def over(self, vocabulary: Vocabulary) -> Constraint:
        """The constraint over the tokens of a vocabulary."""
        grammars = [p for p in self.parts if isinstance(p, Grammar)]
        bound = [_over(p, vocabulary) for p in self.parts if not isinstance(p, Grammar)]
        if grammars:
            grammar = grammars[0]
            for other in grammars[1:]:
                grammar = grammar & other
            bound.insert(0, grammar.compile(vocabulary))
        return bound[0] if len(bound) == 1 else Product(bound)


def _over(part: object, vocabulary: Vocabulary) -> Constraint:
    return part if isinstance(part, Constraint) else cast("Callable[[Vocabulary], Constraint]", part)(vocabulary)


def _parts(thing: object) -> tuple[Any, ...]:
    if isinstance(thing, Waiting):
        return thing.parts
    if isinstance(thing, Product):
        return thing.parts
    if isinstance(thing, Grammar | Constraint):
        return (thing,)
    raise BrokenContract(f"{type(thing).__name__} is no constraint and cannot stand beside &")


class Product(Joinable):
    """The texts of all `parts`, constraints over one vocabulary.

    >>> from grammars import regex
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> both = Product([regex("a*b").compile(v), regex(".b?").compile(v)])
    >>> [both.allows(both.start, token) for token in range(3)]
    [True, True, False]
    """

    def __init__(self, parts: Sequence[Constraint]):
        require(len(parts) > 0, "a product needs at least one constraint")
        self.parts = tuple(parts)
        self.vocabulary = parts[0].vocabulary
        for part in parts[1:]:
            require(
                part.vocabulary is self.vocabulary or part.vocabulary.fingerprint == self.vocabulary.fingerprint,
                "the parts of a product have different vocabularies",
            )
        self.black_box = any(getattr(part, "black_box", False) for part in parts)
        start = tuple(part.start for part in parts)
        self._states = Numbered(start)
        self.start = DEAD if DEAD in start else 0
        self._pins: list[object] = []

    def advance_many(self, states: ArrayLike, tokens: ArrayLike) -> Ints:
        """The states after one token each."""
        numbers, token_array = np.asarray(states, np.int64), np.asarray(tokens, np.int64)
        out = np.full(len(numbers), DEAD, np.int64)
        alive = np.flatnonzero(numbers != DEAD)
        after = self._values(numbers[alive].tolist())
        for column, part in enumerate(self.parts):
            kept = np.flatnonzero((after != DEAD).all(axis=1))
            after[kept, column] = part.advance_many(after[kept, column], token_array[alive[kept]])
        for row in np.flatnonzero((after != DEAD).all(axis=1)).tolist():
            out[alive[row]] = self._number(tuple(after[row].tolist()))
        return out

    def _values(self, numbers: list[int]) -> Ints:
        """What some states stand for, a column for each part."""
        return np.array([self._states[number] for number in numbers], np.int64).reshape(len(numbers), len(self.parts))

    def _number(self, values: tuple[int, ...]) -> int:
        known = len(self._states)
        number = self._states.number(values)
        if number == known:  # as long as the number lives, so must the states that it stands for
            for part, value in zip(self.parts, values, strict=True):
                if hasattr(part, "matcher_at"):
                    self._pins.append(part.matcher_at([value]))  # pyright: ignore
        return number

    def allows(self, state: int, token: int) -> bool:
        """Whether one token may follow; asks no further than the first part that says no."""
        return state != DEAD and all(
            part.allows(value, token) for part, value in zip(self.parts, self._states[state], strict=True)
        )

    def accepts(self, state: int) -> bool:
        """Whether the text is complete."""
        return state != DEAD and all(
            part.accepts(value) for part, value in zip(self.parts, self._states[state], strict=True)
        )

    def fill_masks(self, states: ArrayLike, out: Mask) -> None:
        """The intersections of the parts' masks."""
        numbers = np.asarray(states, np.int64)
        dead = numbers == DEAD
        values = self._values(np.maximum(numbers, 0).tolist())
        out[: len(numbers)] = np.where(dead, np.uint32(0), np.uint32(0xFFFFFFFF))[:, None]
        row = np.zeros((len(numbers), out.shape[1]), np.uint32)
        for column, part in enumerate(self.parts):
            part.fill_masks(values[:, column], row)
            out[: len(numbers)] &= row
