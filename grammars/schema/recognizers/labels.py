"""Labels of internationalised host names, from left to right: IDNA 2008 (RFC 5891 to 5893).

A label is made of valid characters in normal form, has no hyphen at its ends nor two of them at places three and four,
does not begin with a mark, keeps the rules of its joiners and of the few characters that ask for company (RFC 5892,
appendix A), and is written in one direction (RFC 5893). All of that needs to remember little of what was read.

How long the label is in Punycode does depend on all of it. So an upper bound is kept instead, from the number of
characters, how many are ASCII, and between which blocks the others lie: some labels near the limit of 63 octets are
left out, and none that is longer gets in. Likewise a mark that forms a character with some letters is left out behind
every letter that forms one with some mark.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from grammars.schema.recognizers import characters
from grammars.schema.recognizers.characters import Character, character
from grammars.schema.recognizers.punycode_numbers import count_of_digits

_HYPHEN, _SMALL_L = 0x2D, 0x6C
BLOCK: Final = 256


class Label(NamedTuple):
    """A label up to some place."""

    length: int = 0
    ascii: int = 0
    lowest: int = 0  # blocks of the characters beyond ASCII
    highest: int = 0
    upper: bool = False
    third: bool = False  # the third character is a hyphen
    hyphen: bool = False  # the last one is
    composes: bool = False  # the last character that is no mark may form others with marks
    order: int = 0  # the combining class of the last character
    before: str = ""  # what the last character is, if the next one may ask
    joins: bool = False  # whether a non-joiner may stand here for the sake of letters
    pending: str = ""  # what must follow
    kana: int = 0  # 1: there is some, 2: there must be
    arabic: int = 0  # which digits there are
    direction: str = ""  # that of the first character: L, R or N
    ends: bool = False  # whether a label of its direction may end here
    numbers: str = ""  # of a label from right to left: EN or AN

    def is_complete(self) -> bool:
        """Whether the label may end here, unless the whole name has letters written from right to left."""
        at_rest = self.length > 0 and not self.hyphen and not self.pending and self.kana != 2
        return at_rest and (self.direction != "R" or self.ends)

    def is_directed(self) -> bool:
        """Whether the label may stand in a name with letters written from right to left."""
        return self.direction != "N" and self.ends

    @property
    def octets(self) -> int:
        """At most how long the label is once it is ASCII."""
        if self.ascii == self.length:
            return self.length
        return _octets(self.ascii, self.length - self.ascii, self.lowest, self.highest)


def read(label: Label, code: int) -> Label | None:
    """The label with one more character."""
    if 0x41 <= code <= 0x5A:  # host names do not mind capitals
        after = read(label, code + 0x20) if label.ascii == label.length else None
        return None if after is None else after._replace(upper=True)
    char = character(code)
    if char is None or (code >= 0x80 and label.upper) or (label.length == 0 and (char.mark or code == _HYPHEN)):
        return None
    if label.length == 3 and label.third and code == _HYPHEN:
        return None
    read_so_far: Label | None = _counted(label, char)
    for rule in (_company, _joiners, _digits_and_kana, _direction):
        read_so_far = None if read_so_far is None else rule(label, char, read_so_far)
    return None if read_so_far is None else _unit(label, char, read_so_far)


def _counted(label: Label, char: Character) -> Label:
    beyond = char.code >= 0x80
    block = char.code // BLOCK
    first = beyond and label.ascii == label.length
    return label._replace(
        length=label.length + 1,
        ascii=label.ascii + (not beyond),
        lowest=block if first else min(block, label.lowest) if beyond else label.lowest,
        highest=block if first else max(block, label.highest) if beyond else label.highest,
        third=char.code == _HYPHEN if label.length == 2 else label.third,
        hyphen=char.code == _HYPHEN,
        before="virama" if char.virama else "l" if char.code == _SMALL_L else "",
    )


def _company(label: Label, char: Character, after: Label) -> Label | None:
    """Characters that must stand beside others."""
    if label.pending in ("l", "greek"):
        fits = char.code == _SMALL_L if label.pending == "l" else char.script == "greek"
        if not fits:
            return None
        after = after._replace(pending="")
    if char.code == characters.DOT:
        return after._replace(pending="l") if label.before == "l" else None
    if char.code == characters.KERAIA:
        return after._replace(pending="greek")
    if char.code in (characters.GERESH, characters.GERSHAYIM) and label.before != "hebrew":
        return None
    return after._replace(before="hebrew") if char.script == "hebrew" else after


def _joiners(label: Label, char: Character, after: Label) -> Label | None:
    if label.pending == "joining" and char.joining != "T":
        if char.joining not in ("D", "R"):
            return None
        after = after._replace(pending="")
    if char.code == characters.JOINER and label.before != "virama":
        return None
    if char.code == characters.NON_JOINER and label.before != "virama":
        return after._replace(pending="joining", joins=False) if label.joins else None
    return after._replace(joins=label.joins if char.joining == "T" else char.joining in ("D", "L"))


def _digits_and_kana(label: Label, char: Character, after: Label) -> Label | None:
    kind = 1 if char.code in characters.ARABIC_DIGITS else 2 if char.code in characters.EXTENDED_DIGITS else 0
    if kind:
        return after._replace(arabic=kind) if label.arabic in (0, kind) else None
    if char.script == "kana":
        return after._replace(kana=1)
    return after._replace(kana=label.kana or 2) if char.code == characters.KATAKANA_DOT else after


def _direction(label: Label, char: Character, after: Label) -> Label | None:
    found = char.direction
    if not label.length:
        after = after._replace(direction=found if found in ("L", "R") else "N")
    if found in ("R", "AN") and after.direction != "R":
        return None
    if after.direction == "R":
        if found == "L" or (found in ("EN", "AN") and label.numbers not in ("", found)):
            return None
        after = after._replace(numbers=found if found in ("EN", "AN") else label.numbers)
    closing = ("R", "EN", "AN") if after.direction == "R" else ("L", "EN")
    return after if found == "NSM" else after._replace(ends=found in closing)


def _unit(label: Label, char: Character, after: Label) -> Label | None:
    """Characters that would become one in normal form, or change places, are in no label; nor are any that might."""
    if not char.attaches:
        return after._replace(composes=char.composes, order=0)
    if (char.composed and label.composes) or 0 < char.order < label.order:
        return None
    return after._replace(order=char.order)


@lru_cache(maxsize=1 << 14)
def _octets(ascii_count: int, others: int, lowest: int, highest: int) -> int:
    """A bound of the length in Punycode: the first number leads to the first character, the others hardly further."""
    low, high = lowest * BLOCK, highest * BLOCK + BLOCK - 1
    first = count_of_digits((high - 0x80 + 1) * (ascii_count + 1), 72)
    rest = _most_digits((high - low + 1) * (ascii_count + others))
    return 4 + ascii_count + (ascii_count > 0) + first + (others - 1) * rest


@lru_cache(maxsize=1 << 14)
def _most_digits(number: int) -> int:
    return max(count_of_digits(number, bias) for bias in range(216))
