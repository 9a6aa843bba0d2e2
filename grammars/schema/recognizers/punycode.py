"""Labels in Punycode (RFC 3492), as the text after `xn--` is read.

The text has the ASCII characters of the label, a hyphen if there are any, and numbers in base 36: each says which
character comes next in code order, and where. Until the last hyphen is known there are two readings: so far all was
ASCII, or the numbers have begun.

What was begun must still become a label. Numbers grow with their digits and characters come in order, so candidates
are tried in order too, each the first character that may stand in a label from there on. A bounded number of them is
tried, and one must complete the label, or one of the first of them with one more: what would take longer is left out.
This never leads into a dead end: on the way to what was found, the same candidates, or fewer, stand before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from grammars.schema.recognizers import labels
from grammars.schema.recognizers.characters import character, next_valid
from grammars.schema.recognizers.punycode_numbers import BASE, FIRST_BIAS, adapted, count_of_digits, threshold

_FIRST = 0x80
_LAST = 0x10FFFF
_TRIES, _EARLY = 24, 4


class Numbers(NamedTuple):
    """The characters so far, and the number that is being read."""

    content: tuple[int, ...]
    plain: bool  # all of them are letters from left to right that have no say in anything, or digits inside
    direction: str = ""  # L or R, if there are letters
    code: int = _FIRST  # that of the latest character
    begin: int = 0  # the place where the number began
    place: int = 0  # with what was read of the number
    factor: int = 1
    weight: int = BASE
    bias: int = FIRST_BIAS
    first: bool = True

    def digit(self, value: int) -> Numbers | None:
        """After one more digit; None if it is too large, or if the character may stand in no label."""
        place = self.place + value * self.factor
        if self.code + place // (len(self.content) + 1) > _LAST:
            return None
        least = threshold(self.weight, self.bias)
        if value < least:
            return self._inserted(place)
        factor, weight = self.factor * (BASE - least), self.weight + BASE
        return self._replace(place=place, factor=factor, weight=weight)

    def is_between(self) -> bool:
        """Whether a number has just ended."""
        return self.weight == BASE

    def _inserted(self, place: int) -> Numbers | None:
        length = len(self.content) + 1
        code, place_in_text = self.code + place // length, place % length
        char = character(code)
        if char is None or {char.direction, self.direction} == {"L", "R"}:
            return None
        direction = char.direction if char.direction in ("L", "R") else self.direction
        content = (*self.content[:place_in_text], code, *self.content[place_in_text:])
        bias = adapted(place - self.begin, length, self.first)
        begin = place_in_text + 1
        return Numbers(content, self.plain and char.is_plain(), direction, code, begin, begin, 1, BASE, bias, False)

    def candidates(self, room: int) -> Iterator[tuple[Numbers, int]]:
        """What the next character may be, in order, with the room that is left then."""
        further, tries = 0, 0
        length = len(self.content) + 1
        while tries < _TRIES:
            place = self.place + further * self.factor
            code = next_valid(self.code + place // length) if self.code + place // length <= _LAST else None
            if code is None:
                return
            wanted = (code - self.code) * length
            if place < wanted:
                further = (wanted - self.place + self.factor - 1) // self.factor
                continue
            digits = count_of_digits(further, self.bias, self.weight)
            if digits > room:
                return
            tries += 1
            after = self._inserted(place)
            if after is not None:
                yield after, room - digits
            further += 1


@lru_cache(maxsize=1 << 15)
def label_of(content: tuple[int, ...]) -> labels.Label | None:
    """The label of these characters, None if it is none."""
    label: labels.Label | None = labels.Label()
    for code in content:
        label = labels.read(label, code) if label is not None else None
    return label


class Mood(NamedTuple):
    """What the other labels of the name ask for: RFC 5893 speaks of whole names."""

    right: bool = False  # there are letters written from right to left
    loose: bool = False  # there is a label that could not stand beside them

    def with_label(self, label: labels.Label) -> Mood:
        """With one more label."""
        return Mood(self.right or label.direction == "R", self.loose or not label.is_directed())

    def is_possible(self) -> bool:
        """Whether there is such a name."""
        return not (self.right and self.loose)


class Punycode(NamedTuple):
    """A label in Punycode, behind `xn--`; `basic` stands for the ASCII characters if the numbers have not begun."""

    length: int = 0
    basic: str = ""
    numbers: Numbers | None = Numbers((), True)

    def read(self, code: int, room: int, mood: Mood) -> Punycode | None:
        """After one more character, with room for so many others; None if no label goes on like that."""
        value = code - 0x61 if 0x61 <= code <= 0x7A else code - 0x30 + 26 if 0x30 <= code <= 0x39 else None
        if value is None and code != 0x2D:
            return None
        basic = self.basic + _blurred(code)
        if value is None:
            numbers = _behind(self.basic) if self.basic else None
            alive = numbers is not None and _can_end(numbers, room, mood)
        else:
            numbers = None if self.numbers is None else self.numbers.digit(value)
            alive = numbers is not None and _can_end(numbers, room, mood)
        after = Punycode(self.length + 1, basic, numbers if alive else None)
        return after if alive or after._may_be_basic(room, mood) else None

    def _may_be_basic(self, room: int, mood: Mood) -> bool:
        return _basic_can_end(self.basic, room - 1, mood)

    def label(self) -> labels.Label | None:
        """The label, if it is complete."""
        numbers = self.numbers
        if numbers is None or numbers.first or not numbers.is_between():
            return None
        label = label_of(numbers.content)
        return label if label is not None and label.is_complete() else None


def _blurred(code: int) -> str:
    """ASCII characters that no rule tells apart are one."""
    char = chr(code)
    return char if char in "-l" else "0" if char.isdigit() else "a"


def _behind(basic: str) -> Numbers:
    """Where the numbers begin, behind the ASCII characters."""
    plain = "-" not in basic and not basic.startswith("0")
    return Numbers(tuple(map(ord, basic)), plain, "L" if any(map(str.isalpha, basic)) else "")


@lru_cache(maxsize=1 << 14)
def _basic_can_end(basic: str, room: int, mood: Mood) -> bool:
    return _can_end(_behind(basic), room, mood)


def _can_end(numbers: Numbers, room: int, mood: Mood) -> bool:
    """Whether the label ends here, or with one more character, or with two, of which the first is an early one."""
    if room < 0:
        return False
    if numbers.is_between() and not numbers.first and _is_label(numbers, mood):
        return True
    following: list[tuple[Numbers, int]] = []
    for after, left in numbers.candidates(room):
        if _is_label(after, mood):
            return True
        following.append((after, left))
    pairs = (last for after, left in following[:_EARLY] for last, _ in after.candidates(left))
    return any(_is_label(last, mood) for last in pairs)


def _is_label(numbers: Numbers, mood: Mood) -> bool:
    if numbers.plain:
        return mood.with_label(_PLAIN).is_possible()
    label = label_of(numbers.content)
    return label is not None and label.is_complete() and mood.with_label(label).is_possible()


_PLAIN = labels.Label(length=1, direction="L", ends=True)
