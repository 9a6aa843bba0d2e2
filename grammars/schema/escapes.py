r"""What the automata of spelled strings have in common: states, and how escapes are read.

A state is one of the automaton over characters, what was read of a character, and how far that is: nothing, a
backslash, some digits of `\u`, the first of two units. An escape that was begun is dead if none of the characters that
it could still become leads anywhere. How characters themselves are read, byte by byte, is for the subclasses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

UNKNOWN: Final = -2
BACKSLASH, UNIT = 0x5C, 0x75
LETTERS: Final = {0x22: 0x22, 0x5C: 0x5C, 0x2F: 0x2F, 0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9}
HEX: Final = {ord(digit): int(digit, 16) for digit in "0123456789abcdefABCDEF"}
LEADS, TRAILS = range(0xD800, 0xDC00), range(0xDC00, 0xE000)  # units of characters beyond the basic plane

_NO_LETTER: Final = frozenset({*range(8), 11, *range(14, 32)})  # control characters that only a number can escape
_LAST: Final = 0x10FFFF
_LAST_BASIC: Final = 0xFFFF

# What was read of a character; beside it, how many digits are to come, and the number so far
WHOLE, ESCAPE, DIGITS, FIRST_UNIT, SECOND_MARK, SECOND_DIGITS = range(6)

State = tuple[Any, int, int, int]


class EscapedStrings(ABC):
    """Numbered states and their rows; how an escape goes on. `minimal` escapes only where JSON demands it."""

    def __init__(self, minimal: bool, width: int):
        self._minimal, self._width = minimal, width
        self._states: list[State] = []
        self._numbers: dict[State, int] = {}
        self._rows: list[list[int]] = []

    def __len__(self) -> int:
        return len(self._states)

    def targets(self, state: int) -> list[int]:
        """Where the byte classes lead from a state, as far as that is known: -2 if it is not."""
        return self._rows[state]

    def _number(self, state: State) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
            self._rows.append([UNKNOWN] * self._width)
        return number

    @abstractmethod
    def _character(self, inner: Any, code: int) -> State | None:
        """The state after a whole character."""

    @abstractmethod
    def _leads(self, inner: Any, low: int, high: int) -> bool:
        """Whether any character of a range leads anywhere."""

    def _in_escape(self, state: State, byte: int) -> State | None:
        """One more byte behind a backslash."""
        inner, read, left, number = state
        if read == ESCAPE:
            return self._escaped(inner, byte)
        if read in (FIRST_UNIT, SECOND_MARK):
            after = (inner, read + 1, 4 if read == SECOND_MARK else 0, number)
            return after if byte == (BACKSLASH if read == FIRST_UNIT else UNIT) else None
        digit = HEX.get(byte)
        return None if digit is None else self._digit(inner, read, left - 1, number << 4 | digit)

    def _may_be_escaped(self, inner: Any) -> bool:
        if not self._minimal:
            return self._leads(inner, 0, _LAST)
        return any(self._leads(inner, code, code) for code in (*range(0x20), 0x22, BACKSLASH))

    def _escaped(self, inner: Any, byte: int) -> State | None:
        if byte == UNIT:
            return (inner, DIGITS, 4, 0) if self._leads_by_number(inner, 0, 4) else None
        code = LETTERS.get(byte)
        if code is None or (code == 0x2F and self._minimal):
            return None
        return self._character(inner, code)

    def _digit(self, inner: Any, read: int, left: int, number: int) -> State | None:
        """One more digit of a unit; in a second unit `number` holds the first one above the digits."""
        if left:
            alive = self._leads_by_number if read == DIGITS else self._leads_by_second
            return (inner, read, left, number) if alive(inner, number, left) else None
        if read == SECOND_DIGITS:
            first, second = number >> 16, number & 0xFFFF
            return self._character(inner, pair(first, second)) if second in TRAILS else None
        if number in LEADS:
            return (inner, FIRST_UNIT, 0, number) if self._leads_by_number(inner, number, 0) else None
        if number in TRAILS or (self._minimal and number not in _NO_LETTER):
            return None
        return self._character(inner, number)

    def _leads_by_number(self, inner: Any, number: int, left: int) -> bool:
        """Whether a unit that begins with these digits, or what follows it, may be of the next character."""
        low, high = number << 4 * left, (number + 1 << 4 * left) - 1
        if self._minimal:
            return any(code in _NO_LETTER and self._leads(inner, code, code) for code in range(low, min(high, 31) + 1))
        below, above = (low, min(high, LEADS[0] - 1)), (max(low, TRAILS[-1] + 1), high)
        if any(first <= last and self._leads(inner, first, last) for first, last in (below, above)):
            return True
        first, last = max(low, LEADS[0]), min(high, LEADS[-1])
        return first <= last and self._leads(inner, pair(first, TRAILS[0]), pair(last, TRAILS[-1]))

    def _leads_by_second(self, inner: Any, number: int, left: int) -> bool:
        digits = 4 - left
        first, second = number >> 4 * digits, (number & (1 << 4 * digits) - 1) << 4 * left
        low, high = max(second, TRAILS[0]), min(second + (1 << 4 * left) - 1, TRAILS[-1])
        return low <= high and self._leads(inner, pair(first, low), pair(first, high))


def pair(first: int, second: int) -> int:
    """The character of two units."""
    return _LAST_BASIC + 1 + (first - LEADS[0] << 10) + (second - TRAILS[0])
