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
from grammars.schema.spelling import Spelling
from grammars.utf8 import byte_ranges

_UNKNOWN = -2
_LETTERS = {0x22: 0x22, 0x5C: 0x5C, 0x2F: 0x2F, 0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9}
_NO_LETTER = frozenset({*range(8), 11, *range(14, 32)})  # control characters that only a number can escape
_HEX = {ord(digit): int(digit, 16) for digit in "0123456789abcdefABCDEF"}
_BACKSLASH, _UNIT = 0x5C, 0x75
_HIGH, _LOW, _LAST_BASIC = range(0xD800, 0xDC00), range(0xDC00, 0xE000), 0xFFFF

# What was read of a character: `number` is what the digits say, `left` how many are to come
_PLAIN, _ESCAPE, _DIGITS, _FIRST_UNIT, _SECOND_MARK, _SECOND_DIGITS = range(6)

State = tuple[int, int, int, int]  # plain state, what was read, digits or continuation bytes to come, number so far


def spelled_residuals(node: Node, spelling: Spelling, budget: Budget) -> SpelledResiduals:
    """The automaton of the spellings of `node`, an expression over characters."""
    plain = residuals_of(closed(node), budget)
    if isinstance(plain, BoundedResiduals):
        return SpelledBoundedResiduals(node, plain, spelling)
    return SpelledResiduals(node, plain, spelling)


class SpelledResiduals:
    """The spellings of `node`, whose automaton is `plain`; used like `Residuals`."""

    is_quick: ClassVar[bool] = True

    def __init__(self, node: Node, plain: LazyAutomaton, spelling: Spelling):
        self._plain = plain
        self._node, self._spelling = node, spelling
        self._states: list[State] = []
        self._numbers: dict[State, int] = {}
        self._reached: dict[tuple[int, int, int], bool] = {}
        self.byte_classes: Final = _refined(self._plain.byte_classes)
        self._examples = [self.byte_classes.index(c) for c in range(max(self.byte_classes) + 1)]
        self._rows: list[list[int]] = []
        self.start: Final = DEAD if self._plain.start == DEAD else self._number((self._plain.start, _PLAIN, 0, 0))

    @property
    def node(self) -> Node:
        """The same language as an expression over bytes."""
        return self._spelling.of(self._node)

    def __len__(self) -> int:
        return len(self._states)

    def accepts(self, state: int) -> bool:
        """Whether the bytes that led to the state spell a string of the language."""
        plain, read, left, _ = self._states[state]
        return read == _PLAIN and left == 0 and self._plain.accepts(plain)

    def refill(self) -> None:
        """Have the whole budget again: for steps that belong to another mask than those before."""
        self._plain.refill()

    def targets(self, state: int) -> list[int]:
        """Where the byte classes lead from a state, as far as that is known: -2 if it is not."""
        return self._rows[state]

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte, -1 if no string of the language is spelled like that."""
        row, number = self._rows[state], self.byte_classes[byte]
        if row[number] == _UNKNOWN:
            target = self._step(self._states[state], byte)
            row[number] = DEAD if target is None else self._number(target)
            if target is not None and self._states[state][1] == target[1] == _PLAIN:
                self._note_alike(self._states[state], row, target, row[number])
        return row[number]

    def _number(self, state: State) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
            self._rows.append([_UNKNOWN] * len(self._examples))
        return number

    def _note_alike(self, state: State, row: list[int], target: State, number: int) -> None:
        """Bytes that the plain automaton does not tell apart lead to one state."""
        known = self._plain.targets(state[0])
        for byte_class, byte in enumerate(self._examples):
            after = known[self._plain.byte_classes[byte]]
            if after == target[0] and row[byte_class] == _UNKNOWN and self._step(state, byte) == target:
                row[byte_class] = number

    # -- one byte -------------------------------------------------------------------------------------------------

    def _step(self, state: State, byte: int) -> State | None:
        plain, read, left, number = state
        if read == _PLAIN:
            return self._itself(plain, left, byte)
        if read == _ESCAPE:
            return self._escaped(plain, byte)
        if read in (_FIRST_UNIT, _SECOND_MARK):
            wanted = _BACKSLASH if read == _FIRST_UNIT else _UNIT
            after = (plain, read + 1, 4 if read == _SECOND_MARK else 0, number)
            return after if byte == wanted else None
        digit = _HEX.get(byte)
        if digit is None:
            return None
        return self._digit(plain, read, left - 1, number << 4 | digit)

    def _itself(self, plain: int, left: int, byte: int) -> State | None:
        """A character that stands for itself, or a backslash."""
        if left == 0 and byte == _BACKSLASH:
            return (plain, _ESCAPE, 0, 0) if self._escapes(plain) else None
        if byte < 0x20 or byte == 0x22:
            return None
        after = self._plain.step(plain, byte)
        if after == DEAD:
            return None
        more = left - 1 if left else 0 if byte < 0x80 else 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
        return after, _PLAIN, more, 0

    def _escapes(self, plain: int) -> bool:
        if not self._spelling.minimal:
            return self._leads(plain, 0, 0x10FFFF)
        codes = (*range(0x20), 0x22, 0x5C)
        return any(self._leads(plain, code, code) for code in codes)

    def _escaped(self, plain: int, byte: int) -> State | None:
        """Behind a backslash."""
        if byte == _UNIT:
            return (plain, _DIGITS, 4, 0) if self._leads_by_number(plain, 0, 4) else None
        code = _LETTERS.get(byte)
        if code is None or (code == 0x2F and self._spelling.minimal):
            return None
        return self._character(plain, code)

    def _digit(self, plain: int, read: int, left: int, number: int) -> State | None:
        """One more digit of a unit; in a second unit `number` holds the first one above the digits."""
        if left:
            alive = self._leads_by_number if read == _DIGITS else self._leads_by_second
            return (plain, read, left, number) if alive(plain, number, left) else None
        if read == _SECOND_DIGITS:
            first, second = number >> 16, number & 0xFFFF
            return self._character(plain, _code(first, second)) if second in _LOW else None
        if number in _HIGH:
            return (plain, _FIRST_UNIT, 0, number) if self._leads_by_number(plain, number, 0) else None
        if self._spelling.minimal and number not in _NO_LETTER:
            return None
        return None if number in _LOW else self._character(plain, number)

    def _character(self, plain: int, code: int) -> State | None:
        for byte in chr(code).encode():
            plain = self._plain.step(plain, byte)
            if plain == DEAD:
                return None
        return plain, _PLAIN, 0, 0

    # -- what an escape can still become --------------------------------------------------------------------------

    def _leads_by_number(self, plain: int, number: int, left: int) -> bool:
        """Whether a unit that begins with these digits, or what follows it, is of a character that leads anywhere."""
        low, high = number << 4 * left, (number + 1 << 4 * left) - 1
        if self._spelling.minimal:
            return any(code in _NO_LETTER and self._leads(plain, code, code) for code in range(low, min(high, 31) + 1))
        if self._leads(plain, low, min(high, _HIGH[0] - 1)) or self._leads(plain, max(low, _LOW[-1] + 1), high):
            return True
        first, last = max(low, _HIGH[0]), min(high, _HIGH[-1])
        return first <= last and self._leads(plain, _code(first, _LOW[0]), _code(last, _LOW[-1]))

    def _leads_by_second(self, plain: int, number: int, left: int) -> bool:
        digits = 4 - left
        first, second = number >> 4 * digits, (number & (1 << 4 * digits) - 1) << 4 * left
        low, high = max(second, _LOW[0]), min(second + (1 << 4 * left) - 1, _LOW[-1])
        return low <= high and self._leads(plain, _code(first, low), _code(first, high))

    def _leads(self, plain: int, low: int, high: int) -> bool:
        """Whether any character of a range, which is without surrogates or all there is, leads anywhere."""
        key = (plain, low, high)
        known = self._reached.get(key)
        if known is None:
            known = self._reached[key] = any(self._passes(plain, path) for path in _paths(low, high))
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


def _code(first: int, second: int) -> int:
    return _LAST_BASIC + 1 + (first - _HIGH[0] << 10) + (second - _LOW[0])


@lru_cache(maxsize=4096)
def _paths(low: int, high: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    parts = ((low, min(high, _HIGH[0] - 1)), (max(low, _LOW[-1] + 1), high))
    return tuple(path for begin, end in parts if begin <= end for path in byte_ranges(begin, end))


@lru_cache(maxsize=4096)
def _one_of_each(classes: tuple[int, ...], low: int, high: int) -> tuple[int, ...]:
    """A byte of every class between two bytes."""
    return tuple({classes[byte]: byte for byte in range(high, low - 1, -1)}.values())


@lru_cache(maxsize=256)
def _refined(classes: tuple[int, ...]) -> tuple[int, ...]:
    """Classes of bytes that mean the same also in an escape."""
    numbers: dict[object, int] = {}
    special = {*_LETTERS, *_HEX, _UNIT}
    keys = [("itself", byte) if byte in special else (number, _kind(byte)) for byte, number in enumerate(classes)]
    return tuple(numbers.setdefault(key, len(numbers)) for key in keys)


def _kind(byte: int) -> int:
    """What tells bytes apart that are no part of an escape: controls, ASCII, continuation, and lead bytes."""
    return sum(byte >= limit for limit in (0x20, 0x80, 0xC0, 0xE0, 0xF0))
