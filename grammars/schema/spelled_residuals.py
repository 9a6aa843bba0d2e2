r"""The residuals of spelled strings, from those of the strings themselves.

An expression over characters with intersections, complements or assertions could be spelled first and derived then;
but each of its characters would become six alternatives with their own tails, which all of the algebra has to carry.
Here the algebra sees characters only. A state of the spelled language is a state of the plain one and how much of an
escape was read: nothing, a backslash, some digits of `\u`, the first of two units, or some bytes of a character that
is written as itself.

An escape that was begun is dead if none of the characters that it could still become leads anywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Final

from grammars.bounded_residuals import BoundedResiduals, residuals_of
from grammars.expression import LazyAutomaton, Node
from grammars.limits import Budget
from grammars.regular import closed
from grammars.residuals import DEAD
from grammars.schema.escapes import (
    BACKSLASH,
    ESCAPE,
    HEX,
    LEADS,
    LETTERS,
    TRAILS,
    UNIT,
    UNKNOWN,
    WHOLE,
    EscapedStrings,
    State,
)
from grammars.schema.spelling import Spelling
from grammars.utf8 import byte_ranges


def spelled_residuals(node: Node, spelling: Spelling, budget: Budget) -> SpelledResiduals:
    """The automaton of the spellings of `node`, an expression over characters."""
    plain = residuals_of(closed(node), budget)
    if isinstance(plain, BoundedResiduals):
        return SpelledBoundedResiduals(node, plain, spelling)
    return SpelledResiduals(node, plain, spelling)


class SpelledResiduals(EscapedStrings):
    """The spellings of `node`, whose automaton is `plain`; used like `Residuals`. Beside what was read of a character
    that stands for itself is how many of its bytes are to come."""

    is_quick: ClassVar[bool] = True

    def __init__(self, node: Node, plain: LazyAutomaton, spelling: Spelling):
        self.byte_classes: Final = _refined(plain.byte_classes)
        self._examples = [self.byte_classes.index(c) for c in range(max(self.byte_classes) + 1)]
        super().__init__(spelling.minimal, len(self._examples))
        self._plain = plain
        self._after = _after_itself(plain.byte_classes)
        self._node, self._spelling = node, spelling
        self._reached: dict[tuple[int, int, int], bool] = {}
        self.start: Final = DEAD if plain.start == DEAD else self._number((plain.start, WHOLE, 0, 0))

    @property
    def node(self) -> Node:
        """The same language as an expression over bytes."""
        return self._spelling.of(self._node)

    def accepts(self, state: int) -> bool:
        """Whether the bytes that led to the state spell a string of the language."""
        plain, read, left, _ = self._states[state]
        return read == WHOLE and left == 0 and self._plain.accepts(plain)

    def refill(self) -> None:
        """Have the whole budget again: for steps that belong to another mask than those before."""
        self._plain.refill()

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte, -1 if no string of the language is spelled like that."""
        row, number = self._rows[state], self.byte_classes[byte]
        if row[number] == UNKNOWN:
            plain, read, left, _ = self._states[state]
            if read == WHOLE and self._after[left][number] is not None:
                self._plain.step(plain, byte)
                self._take_over(row, self._plain.targets(plain), left)
            else:
                target = self._step(self._states[state], byte)
                row[number] = DEAD if target is None else self._number(target)
        return row[number]

    def _take_over(self, row: list[int], known: list[int], left: int) -> None:
        """Note where characters that stand for themselves lead, as far as the plain automaton knows it."""
        for byte_class, after in enumerate(self._after[left]):
            if after is not None and row[byte_class] == UNKNOWN:
                target = known[after[0]]
                if target != UNKNOWN:
                    row[byte_class] = DEAD if target == DEAD else self._number((target, WHOLE, after[1], 0))

    # -- one byte -------------------------------------------------------------------------------------------------

    def _step(self, state: State, byte: int) -> State | None:
        plain, read, left, _ = state
        if read != WHOLE:
            return self._in_escape(state, byte)
        if left or byte != BACKSLASH or not self._may_be_escaped(plain):
            return None  # a quote or a control
        return plain, ESCAPE, 0, 0

    def _character(self, inner: int, code: int) -> State | None:
        for byte in chr(code).encode():
            inner = self._plain.step(inner, byte)
            if inner == DEAD:
                return None
        return inner, WHOLE, 0, 0

    # -- what an escape can still become --------------------------------------------------------------------------

    def _leads(self, inner: int, low: int, high: int) -> bool:
        """Whether any character of a range, which is without surrogates or all there is, leads anywhere."""
        key = (inner, low, high)
        known = self._reached.get(key)
        if known is None:
            known = self._reached[key] = any(self._passes(inner, path) for path in _paths(low, high))
        return known

    def _passes(self, plain: int, path: tuple[tuple[int, int], ...]) -> bool:
        states = {plain}
        for low, high in path:
            bytes_ = _one_of_each(self._plain.byte_classes, low, high)
            states = {self._plain.step(state, byte) for state in states for byte in bytes_} - {DEAD}
        return bool(states)


class SpelledBoundedResiduals(SpelledResiduals):
    """The spellings of strings whose characters are counted."""

    _plain: BoundedResiduals

    def far(self, state: int) -> tuple[int, int]:
        """The same place in a string whose length decides nothing; a character takes a byte or more."""
        plain, read, left, number = self._states[state]
        far, nearest = self._plain.far(plain)
        return self._number((far, read, left, number)), nearest


@lru_cache(maxsize=4096)
def _paths(low: int, high: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    parts = ((low, min(high, LEADS[0] - 1)), (max(low, TRAILS[-1] + 1), high))
    return tuple(path for begin, end in parts if begin <= end for path in byte_ranges(begin, end))


@lru_cache(maxsize=4096)
def _one_of_each(classes: tuple[int, ...], low: int, high: int) -> tuple[int, ...]:
    """A byte of every class between two bytes."""
    return tuple({classes[byte]: byte for byte in range(high, low - 1, -1)}.values())


@lru_cache(maxsize=256)
def _refined(classes: tuple[int, ...]) -> tuple[int, ...]:
    """Classes of bytes that mean the same also in an escape."""
    numbers: dict[object, int] = {}
    special = {*LETTERS, *HEX, UNIT}
    keys = [("itself", byte) if byte in special else (number, _kind(byte)) for byte, number in enumerate(classes)]
    return tuple(numbers.setdefault(key, len(numbers)) for key in keys)


@lru_cache(maxsize=256)
def _after_itself(classes: tuple[int, ...]) -> tuple[tuple[tuple[int, int] | None, ...], ...]:
    """What follows a byte of each refined class that is part of a character which stands for itself, by how many of
    the character's bytes are to come: the class of the plain automaton, and how many are to come then."""
    refined = _refined(classes)
    examples = [refined.index(number) for number in range(max(refined) + 1)]
    return tuple(
        tuple((classes[byte], _to_come(byte, left)) if _stands_for_itself(byte, left) else None for byte in examples)
        for left in range(4)
    )


def _stands_for_itself(byte: int, left: int) -> bool:
    return byte >= 0x20 and byte != 0x22 and (left > 0 or byte != BACKSLASH)


def _to_come(byte: int, left: int) -> int:
    return left - 1 if left else sum(byte >= limit for limit in (0x80, 0xE0, 0xF0))


def _kind(byte: int) -> int:
    """What tells bytes apart that are no part of an escape: controls, ASCII, continuation, and lead bytes."""
    return sum(byte >= limit for limit in (0x20, 0x80, 0xC0, 0xE0, 0xF0))
