r"""What stands between square brackets in a regular expression.

A range must not be upside down, and none of its ends may be a set such as `\d`. What an escape stands for is known
only at its end; half of one is refused as soon as nothing that it can become is high enough.

With the u flag two escapes that are the halves of a surrogate pair are one character. So a first half waits: the next
escape decides whether it was a character of its own.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from grammars.schema.escapes import LEADS, TRAILS, pair

LAST: Final = 0x10FFFF

_NO_ATOM, _SET = -1, -2
_DASH = 0x2D


class Brackets(NamedTuple):
    """An open character class: the atom before, whether a dash followed it, and a first half of a pair that waits."""

    atom: int = _NO_ATOM
    dash: bool = False
    lead: int = 0

    def closes(self) -> bool:
        """Whether the class may end here; a dash at its end stands for itself."""
        return not self.dash or not self.lead or self.lead >= self.atom

    def character(self, code: int) -> Brackets | None:
        """After a character that stands for itself."""
        if code == _DASH and self.atom != _NO_ATOM and not self.dash:
            return Brackets(self.atom, True)
        return self.value(code, False)

    def value(self, code: int, may_be_half: bool) -> Brackets | None:
        """After an atom."""
        if not self.dash:
            return Brackets(code, False, code if may_be_half else 0)
        if self.lead:  # the range ended with it
            return Brackets().value(code, may_be_half) if self.closes() else None
        if self.atom == _SET:
            return None
        if may_be_half:
            return Brackets(self.atom, True, code) if self.atom <= pair(code, TRAILS[-1]) else None
        return Brackets() if code >= self.atom else None

    def escaped(self, code: int) -> Brackets | None:
        r"""After an atom that was written as `\u` and four digits."""
        if self.lead and code in TRAILS:
            whole = pair(self.lead, code)
            if not self.dash:
                return Brackets(whole)
            return Brackets() if whole >= self.atom else None
        return self.value(code, code in LEADS)

    def set_of_characters(self) -> Brackets | None:
        r"""After an escape such as `\d`."""
        if self.dash and not self.lead:
            return None
        return Brackets(_SET) if self.closes() else None

    def escape_may_follow(self) -> bool:
        """Whether a backslash may come next."""
        return not (self.dash and self.atom == _SET)

    def reaches(self, low: int, high: int, by_unit: bool) -> bool:
        r"""Whether a character between two others may come next; `by_unit` if it is written as `\u` and four digits."""
        if not self.dash:
            return True
        if self.lead:
            trail = min(high, TRAILS[-1])
            joined = by_unit and trail >= max(low, TRAILS[0]) and pair(self.lead, trail) >= self.atom
            return joined or (self.closes() and not (by_unit and low in TRAILS and high in TRAILS))
        if by_unit and low <= LEADS[-1] and high >= LEADS[0]:
            high = max(high, pair(min(high, LEADS[-1]), TRAILS[-1]))
        return high >= self.atom
