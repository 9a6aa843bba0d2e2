r"""A combination of readers over the bytes of a JSON string: UTF-8 and escapes on top of characters.

A state is one of the combination and what was read of a character: some of its bytes, a backslash, some digits of
`\u`, or the first of two units. What was begun is dead if none of the characters that it can still become may follow.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Final

from grammars.errors import UnsupportedFeature
from grammars.expression import Node
from grammars.schema.escapes import (
    BACKSLASH,
    ESCAPE,
    HEX,
    LEADS,
    LETTERS,
    SECOND_DIGITS,
    TRAILS,
    UNIT,
    UNKNOWN,
    WHOLE,
    EscapedStrings,
    State,
)
from grammars.schema.recognizers.logic import Combination

_DEAD = -1
_QUOTE = 0x22
_LAST: Final = 0x10FFFF
_ONE: Final = 4  # a byte to come, in the counter that has the number of bytes after the first below it
_SHORTEST: Final = {1: 0x80, 2: 0x800, 3: 0x10000}

# More that may be read of a character: some of its bytes, with how many are to come. Where all characters that begin
# with these lead to one state, that state waits for any bytes.
_BYTES, _ANY_BYTES = SECOND_DIGITS + 1, SECOND_DIGITS + 2


class SpelledRecognizer(EscapedStrings):
    """The automaton of the spelled texts of a combination, as the machine walks it."""

    is_quick: ClassVar[bool] = False  # a step may search

    def __init__(self, combination: Combination, minimal: bool):
        self.byte_classes: Final = _classes(combination.foreign)
        super().__init__(minimal, max(self.byte_classes) + 1)
        self._texts = combination
        self.start: Final = _DEAD if combination.start is None else self._number((combination.start, WHOLE, 0, 0))

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
        return read == WHOLE and self._texts.accepts(inner)

    def refill(self) -> None:
        """Have the whole budget again."""
        self._texts.refill()

    def far(self, state: int) -> tuple[int, int]:
        """The same place in a text whose counts decide nothing; a character takes a byte or more."""
        inner, read, left, number = self._states[state]
        far, nearest = self._texts.far(inner)
        return self._number((far, read, left, number)), nearest

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte, -1 if no text is spelled like that."""
        row, number = self._rows[state], self.byte_classes[byte]
        if row[number] == UNKNOWN:
            after = self._after(self._states[state], byte)
            row[number] = _DEAD if after is None else self._number(after)
            if byte < 0x80 and self._states[state][1] == WHOLE and number != self.byte_classes[BACKSLASH]:
                self._note_alike(self._states[state][0], row, byte, row[number])
        return row[number]

    def _note_alike(self, inner: Any, row: list[int], byte: int, target: int) -> None:
        """Letters that lead to one state are looked at once."""
        around = self._texts.alike(inner, byte, byte)
        for code in range(around[0], min(around[1], 0x7F) + 1) if around else ():
            if code >= 0x20 and code not in (_QUOTE, BACKSLASH):
                row[self.byte_classes[code]] = target

    # -- one byte -------------------------------------------------------------------------------------------------

    def _after(self, state: State, byte: int) -> State | None:
        inner, read, left, number = state
        if read == WHOLE:
            return self._first_byte(inner, byte)
        if read == _BYTES:
            return self._more_bytes(inner, left - _ONE, number << 6 | byte & 0x3F) if 0x80 <= byte < 0xC0 else None
        if read == _ANY_BYTES:
            return (inner, _ANY_BYTES if left > 1 else WHOLE, left - 1, 0) if 0x80 <= byte < 0xC0 else None
        return self._in_escape(state, byte)

    def _first_byte(self, inner: Any, byte: int) -> State | None:
        if byte == BACKSLASH:
            return (inner, ESCAPE, 0, 0) if self._may_be_escaped(inner) else None
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

    def _character(self, inner: Any, code: int) -> State | None:
        after = self._texts.step(inner, code)
        return None if after is None else (after, WHOLE, 0, 0)

    # -- what can still follow ------------------------------------------------------------------------------------

    def _leads(self, inner: Any, low: int, high: int) -> bool:
        return low <= high and self._texts.leads(inner, low, high)


@lru_cache(maxsize=64)
def _classes(foreign: frozenset[int]) -> tuple[int, ...]:
    """Bytes that never occur are alike, as are those that stand for nothing but themselves and are in no text."""
    special = {*LETTERS, *HEX, UNIT, BACKSLASH} - {_QUOTE}
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
