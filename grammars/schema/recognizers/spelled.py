r"""A combination of readers over the bytes of a JSON string: UTF-8 and escapes on top of characters.

A state is one of the combination and what was read of a character: some of its bytes, a backslash, some digits of
`\u`, or the first of two units. What was begun is dead if none of the characters that it can still become may follow.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Final

from grammars.errors import UnsupportedFeature
from grammars.expression import Node
from grammars.schema.recognizers.ecma_classes import LEADS, TRAILS, pair
from grammars.schema.recognizers.logic import Combination

_DEAD, _UNKNOWN = -1, -2
_LETTERS: Final = {0x22: 0x22, 0x5C: 0x5C, 0x2F: 0x2F, 0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9}
_HEX: Final = {ord(digit): int(digit, 16) for digit in "0123456789abcdefABCDEF"}
_QUOTE, _BACKSLASH, _UNIT = 0x22, 0x5C, 0x75
_NO_LETTER: Final = frozenset({*range(8), 11, *range(14, 32)})  # control characters that only a number can escape
_LAST: Final = 0x10FFFF
_ONE: Final = 4  # a byte to come, in the counter that has the number of bytes after the first below it
_SHORTEST: Final = {1: 0x80, 2: 0x800, 3: 0x10000}

# What was read of a character; beside it, how many bytes or digits are to come, and the number so far. Where all
# characters that begin with some bytes lead to one state, that state waits for any bytes.
_WHOLE, _BYTES, _ESCAPE, _DIGITS, _FIRST_UNIT, _SECOND_MARK, _SECOND_DIGITS, _ANY_BYTES = range(8)

State = tuple[Any, int, int, int]


class SpelledRecognizer:
    """The automaton of the spelled texts of a combination, as the machine walks it."""

    is_quick: ClassVar[bool] = False  # a step may search

    def __init__(self, combination: Combination, minimal: bool):
        self._texts = combination
        self._minimal = minimal
        self._states: list[State] = []
        self._numbers: dict[State, int] = {}
        self._rows: list[list[int]] = []
        self.byte_classes: Final = _classes(combination.foreign)
        self._width = max(self.byte_classes) + 1
        self.start: Final = _DEAD if combination.start is None else self._number((combination.start, _WHOLE, 0, 0))

    @property
    def node(self) -> Node:
        """Refused: no expression has this language."""
        raise UnsupportedFeature(
            "a grammar with a format that no regular expression can say (regex, hostname) cannot be saved",
            hint="save the schema and compile it",
        )

    def accepts(self, state: int) -> bool:
        """Whether the bytes that led to the state spell a text."""
        inner, read, _, _ = self._states[state]
        return read == _WHOLE and self._texts.accepts(inner)

    def refill(self) -> None:
        """Have the whole budget again."""
        self._texts.refill()

    def targets(self, state: int) -> list[int]:
        """Where the byte classes lead from a state, -2 where that is not known."""
        return self._rows[state]

    def far(self, state: int) -> tuple[int, int]:
        """The same place in a text whose counts decide nothing; a character takes a byte or more."""
        inner, read, left, number = self._states[state]
        far, nearest = self._texts.far(inner)
        return self._number((far, read, left, number)), nearest

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte, -1 if no text is spelled like that."""
        row, number = self._rows[state], self.byte_classes[byte]
        if row[number] == _UNKNOWN:
            after = self._after(self._states[state], byte)
            row[number] = _DEAD if after is None else self._number(after)
            if byte < 0x80 and self._states[state][1] == _WHOLE and number != self.byte_classes[_BACKSLASH]:
                self._note_alike(self._states[state][0], row, byte, row[number])
        return row[number]

    def _number(self, state: State) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
            self._rows.append([_UNKNOWN] * self._width)
        return number

    def _note_alike(self, inner: Any, row: list[int], byte: int, target: int) -> None:
        """Letters that lead to one state are looked at once."""
        around = self._texts.alike(inner, byte, byte)
        for code in range(around[0], min(around[1], 0x7F) + 1) if around else ():
            if code >= 0x20 and code not in (_QUOTE, _BACKSLASH):
                row[self.byte_classes[code]] = target

    # -- one byte -------------------------------------------------------------------------------------------------

    def _after(self, state: State, byte: int) -> State | None:
        inner, read, left, number = state
        if read == _WHOLE:
            return self._first_byte(inner, byte)
        if read == _BYTES:
            return self._more_bytes(inner, left - _ONE, number << 6 | byte & 0x3F) if 0x80 <= byte < 0xC0 else None
        if read == _ANY_BYTES:
            return (inner, _ANY_BYTES if left > 1 else _WHOLE, left - 1, 0) if 0x80 <= byte < 0xC0 else None
        if read == _ESCAPE:
            return self._escaped(inner, byte)
        if read in (_FIRST_UNIT, _SECOND_MARK):
            after = (inner, read + 1, 4 if read == _SECOND_MARK else 0, number)
            return after if byte == (_BACKSLASH if read == _FIRST_UNIT else _UNIT) else None
        digit = _HEX.get(byte)
        return None if digit is None else self._digit(inner, read, left - 1, number << 4 | digit)

    def _first_byte(self, inner: Any, byte: int) -> State | None:
        if byte == _BACKSLASH:
            return (inner, _ESCAPE, 0, 0) if self._may_be_escaped(inner) else None
        if byte < 0x20 or byte == _QUOTE or 0x80 <= byte < 0xC2 or byte > 0xF4:
            return None
        if byte < 0x80:
            return self._character(inner, byte)
        more = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
        return self._more_bytes(inner, more * (_ONE + 1), byte & (0x3F >> more))

    def _more_bytes(self, inner: Any, left: int, number: int) -> State | None:
        """`left` counts the bytes to come in units of four, beside the number of all bytes after the first."""
        bits = left // _ONE * 6
        if not bits:
            return None if number in LEADS or number in TRAILS else self._character(inner, number)
        low, high = number << bits, (number + 1 << bits) - 1
        whole = low >= _SHORTEST[left % _ONE] and high <= _LAST and (high < LEADS[0] or low > TRAILS[-1])
        if whole and self._texts.alike(inner, low, high) is not None:
            after = self._texts.step(inner, low)
            return None if after is None else (after, _ANY_BYTES, left // _ONE, 0)
        alive = self._leads(inner, max(low, _SHORTEST[left % _ONE]), min(high, _LAST))
        return (inner, _BYTES, left, number) if alive else None

    def _may_be_escaped(self, inner: Any) -> bool:
        if not self._minimal:
            return self._leads(inner, 0, _LAST)
        return any(self._leads(inner, code, code) for code in (*range(0x20), _QUOTE, _BACKSLASH))

    def _escaped(self, inner: Any, byte: int) -> State | None:
        if byte == _UNIT:
            return (inner, _DIGITS, 4, 0) if self._leads_by_number(inner, 0, 4) else None
        code = _LETTERS.get(byte)
        if code is None or (code == 0x2F and self._minimal):
            return None
        return self._character(inner, code)

    def _digit(self, inner: Any, read: int, left: int, number: int) -> State | None:
        """One more digit of a unit; in a second unit `number` holds the first one above the digits."""
        if left:
            alive = self._leads_by_number if read == _DIGITS else self._leads_by_second
            return (inner, read, left, number) if alive(inner, number, left) else None
        if read == _SECOND_DIGITS:
            first, second = number >> 16, number & 0xFFFF
            return self._character(inner, pair(first, second)) if second in TRAILS else None
        if number in LEADS:
            return (inner, _FIRST_UNIT, 0, number) if self._leads_by_number(inner, number, 0) else None
        if number in TRAILS or (self._minimal and number not in _NO_LETTER):
            return None
        return self._character(inner, number)

    def _character(self, inner: Any, code: int) -> State | None:
        after = self._texts.step(inner, code)
        return None if after is None else (after, _WHOLE, 0, 0)

    # -- what can still follow ------------------------------------------------------------------------------------

    def _leads(self, inner: Any, low: int, high: int) -> bool:
        return low <= high and self._texts.leads(inner, low, high)

    def _leads_by_number(self, inner: Any, number: int, left: int) -> bool:
        """Whether a unit that begins with these digits, or what follows it, may be of the next character."""
        low, high = number << 4 * left, (number + 1 << 4 * left) - 1
        if self._minimal:
            return any(code in _NO_LETTER and self._leads(inner, code, code) for code in range(low, min(high, 31) + 1))
        if self._leads(inner, low, min(high, LEADS[0] - 1)) or self._leads(inner, max(low, TRAILS[-1] + 1), high):
            return True
        first, last = max(low, LEADS[0]), min(high, LEADS[-1])
        return first <= last and self._leads(inner, pair(first, TRAILS[0]), pair(last, TRAILS[-1]))

    def _leads_by_second(self, inner: Any, number: int, left: int) -> bool:
        digits = 4 - left
        first, second = number >> 4 * digits, (number & (1 << 4 * digits) - 1) << 4 * left
        low, high = max(second, TRAILS[0]), min(second + (1 << 4 * left) - 1, TRAILS[-1])
        return low <= high and self._leads(inner, pair(first, low), pair(first, high))


@lru_cache(maxsize=64)
def _classes(foreign: frozenset[int]) -> tuple[int, ...]:
    """Bytes that never occur are alike, as are those that stand for nothing but themselves and are in no text."""
    special = {*_LETTERS, *_HEX, _UNIT, _BACKSLASH} - {_QUOTE}
    numbers: dict[object, int] = {}
    keys: list[object] = []
    for byte in range(256):
        if byte < 0x20 or 0xC0 <= byte < 0xC2 or byte > 0xF4:
            keys.append("never")
        elif byte >= 0x80 and 0x80 in foreign:
            keys.append("beyond")
        else:
            keys.append("foreign" if byte in foreign and byte not in special else byte)
    return tuple(numbers.setdefault(key, len(numbers)) for key in keys)
