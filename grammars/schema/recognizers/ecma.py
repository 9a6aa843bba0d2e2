r"""Regular expressions: the syntax of `Pattern` in ECMA-262 (11th edition, 2020) with the u flag.

The state is what the syntax has to remember: the open groups, how many there are, the names that were given and those
that are still owed (`\k<name>` may stand before its group), the largest number referred to, and where in an escape, a
class, a quantifier or a name the reading is. What is not finished can always be finished: a missing group can follow.

Narrower than the standard in three points, so that the memory stays small: a reference by number has three digits at
most (no text owes a million groups); names are ASCII without escapes, and of one that is longer than two characters
only the first and the length are remembered, so that two such names must differ in these, and none is referred to by
name; a range that begins with a character beyond ASCII, as it is and not as an escape, ends outside of its block of 64.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from grammars.expression import LAST_CODE_POINT
from grammars.schema.recognizers.ecma_classes import Brackets

_SYNTAX: Final = frozenset(map(ord, r"^$\.*+?()[]{}|"))
_DIGITS: Final = range(0x30, 0x3A)
_HEX: Final = {ord(digit): int(digit, 16) for digit in "0123456789abcdefABCDEF"}
_CONTROLS: Final = {0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9, 0x76: 11}
_SETS: Final = frozenset(map(ord, "dDsSwW"))
_MOST_DIGITS = 3
_EXACT = 2  # characters of a name that is remembered as it is
_LONGEST_NAME = 32
BLOCK: Final = 64

# Where the reading is
_EMPTY, _ATOM, _QUANTIFIED = "nothing to repeat", "an atom", "a quantifier"
_GROUP, _GROUP_KIND, _LOOK_OR_NAME = "behind (", "behind (?", "behind (?<"
_CLASS, _CLASS_BEGIN, _NAME, _NAME_BEGIN = "in a class", "behind [", "in a name", r"behind \k"
_ESCAPE, _CONTROL, _NUMERAL, _BRACED, _REFERENCE = "behind \\", "behind \\c", "hex digits", "behind \\u{", "a reference"
_PROPERTY_BEGIN, _PROPERTY, _COUNT = r"behind \p", "in a property", "in {}"


class Name(NamedTuple):
    """A name of a group that is being read."""

    defines: bool
    text: str = ""


class Pattern(NamedTuple):
    """A regular expression up to some place."""

    mode: str = _EMPTY
    open: tuple[bool, ...] = ()  # for each open group whether a quantifier may follow it
    groups: int = 0
    reference: int = 0
    names: frozenset[str] = frozenset()
    owed: frozenset[str] = frozenset()
    place: Brackets | Name | None = None
    data: Any = None
    after_zero: bool = False  # behind \0, which no digit may follow


class EcmaPattern:
    r"""Reads regular expressions.

    >>> reader = EcmaPattern()
    >>> reader.matches(r"(?<a>[^\]-z])\k<a>\1{2,3}?"), reader.matches(r"[z-a]"), reader.matches(r"\2()")
    (True, False, False)
    """

    def __init__(self) -> None:
        self.name = "regex"
        self.foreign = frozenset[int]()
        self.lengths: tuple[int, int | None] = (0, None)
        self.start = Pattern()

    def step(self, state: Pattern, code: int) -> Pattern | None:
        """The state after a character."""
        if state.after_zero:
            if code in _DIGITS:
                return None
            state = state._replace(after_zero=False)
        return _STEPS[state.mode](state, code)

    def accepts(self, state: Pattern) -> bool:
        """Whether the expression is complete."""
        at_rest = state.mode in (_EMPTY, _ATOM, _QUANTIFIED, _REFERENCE)
        return at_rest and not state.open and not state.owed and state.reference <= state.groups

    def edges(self, state: Pattern) -> Sequence[int]:
        """ASCII one by one; beyond it only the end of a range tells characters apart."""
        if isinstance(state.place, Brackets) and state.place.dash and state.place.atom >= 0x80:
            return (*range(0x81), state.place.atom)
        return range(0x81)

    def grain(self, state: Pattern) -> int:
        """In a class, blocks of characters beyond ASCII are all that is remembered."""
        return BLOCK if isinstance(state.place, Brackets) else LAST_CODE_POINT + 1

    def matches(self, text: str) -> bool:
        """Whether the text is a regular expression."""
        state: Pattern | None = self.start
        for char in text:
            state = self.step(state, ord(char))
            if state is None:
                return False
        return self.accepts(state)


# -- outside of everything --------------------------------------------------------------------------------------------


def _main(state: Pattern, code: int) -> Pattern | None:
    char = chr(code)
    if char in "(|)^$":
        return _structure(state, char)
    if char in "*+?{":
        return _quantifier(state, char)
    if char in "]}":
        return None
    if char == "[":
        return state._replace(mode=_CLASS_BEGIN, place=Brackets())
    return state._replace(mode=_ESCAPE if char == "\\" else _ATOM)


def _structure(state: Pattern, char: str) -> Pattern | None:
    if char == "(":
        return state._replace(mode=_GROUP)
    if char != ")":
        return state._replace(mode=_EMPTY)
    return state._replace(mode=_ATOM if state.open[-1] else _EMPTY, open=state.open[:-1]) if state.open else None


def _quantifier(state: Pattern, char: str) -> Pattern | None:
    if state.mode == _QUANTIFIED and char == "?":
        return state._replace(mode=_EMPTY)
    if state.mode not in (_ATOM, _REFERENCE):
        return None
    if char == "{":
        return state._replace(mode=_COUNT, data=("", None))
    return state._replace(mode=_QUANTIFIED)


def _count(state: Pattern, code: int) -> Pattern | None:
    low, high = state.data
    if code in _DIGITS:
        numbers = (_longer(low, code), None) if high is None else (low, _longer(high, code))
        return state._replace(data=numbers)
    if code == ord(",") and low and high is None:
        return state._replace(data=(low, ""))
    if code != ord("}") or not low or (high and (len(high), high) < (len(low), low)):
        return None
    return state._replace(mode=_QUANTIFIED, data=None)


def _longer(number: str, digit: int) -> str:
    return (number + chr(digit)).lstrip("0") or "0"


# -- groups -----------------------------------------------------------------------------------------------------------


def _group(state: Pattern, code: int) -> Pattern | None:
    if code == ord("?"):
        return state._replace(mode=_GROUP_KIND)
    return _main(_opened(state, True)._replace(groups=state.groups + 1), code)


def _group_kind(state: Pattern, code: int) -> Pattern | None:
    char = chr(code)
    if char == "<":
        return state._replace(mode=_LOOK_OR_NAME)
    return _opened(state, char == ":") if char in ":=!" else None


def _look_or_name(state: Pattern, code: int) -> Pattern | None:
    if chr(code) in "=!":
        return _opened(state, False)
    return _name(state._replace(mode=_NAME, place=Name(True)), code)


def _opened(state: Pattern, may_repeat: bool) -> Pattern:
    return state._replace(mode=_EMPTY, open=(*state.open, may_repeat))


def _name_begin(state: Pattern, code: int) -> Pattern | None:
    return state._replace(mode=_NAME, place=Name(False)) if code == ord("<") else None


def _name(state: Pattern, code: int) -> Pattern | None:
    name = state.place
    if not isinstance(name, Name):
        return None
    if code == ord(">"):
        return _named(state._replace(place=None), name)
    char = chr(code)
    if not (char in "$_" or (char.isascii() and (char.isalnum() if name.text else char.isalpha()))):
        return None
    if len(name.text) < _EXACT:
        return state._replace(place=Name(name.defines, name.text + char))
    if not name.defines or len(name.text) == _LONGEST_NAME:
        return None
    return state._replace(place=Name(True, name.text[0] + "?" * len(name.text)))


def _named(state: Pattern, name: Name) -> Pattern | None:
    if not name.text:
        return None
    if not name.defines:
        owed = state.owed if name.text in state.names else state.owed | {name.text}
        return state._replace(mode=_ATOM, owed=owed)
    if name.text in state.names:
        return None
    names, owed = state.names | {name.text}, state.owed - {name.text}
    return _opened(state, True)._replace(groups=state.groups + 1, names=names, owed=owed)


# -- classes ----------------------------------------------------------------------------------------------------------


def _class_begin(state: Pattern, code: int) -> Pattern | None:
    state = state._replace(mode=_CLASS)
    return state if code == ord("^") else _class(state, code)


def _class(state: Pattern, code: int) -> Pattern | None:
    brackets = state.place
    if not isinstance(brackets, Brackets):
        return None
    if code == ord("]"):
        return state._replace(mode=_ATOM, place=None) if brackets.closes() else None
    if code == ord("\\"):
        return state._replace(mode=_ESCAPE) if brackets.escape_may_follow() else None
    ends_range = brackets.dash and not brackets.lead
    return _in_class(state, brackets.character(code if code < 0x80 or ends_range else code | BLOCK - 1))


def _in_class(state: Pattern, brackets: Brackets | None) -> Pattern | None:
    return None if brackets is None else state._replace(mode=_CLASS, place=brackets, data=None)


# -- escapes ----------------------------------------------------------------------------------------------------------


def _escape(state: Pattern, code: int) -> Pattern | None:
    char = chr(code)
    if code in _SETS:
        return _set(state)
    if char in "pP":
        # what follows is a set, which cannot end a range
        return None if _set(state) is None else state._replace(mode=_PROPERTY_BEGIN)
    if char in "xu":
        return _unit(state) if char == "u" else _numeral(state, 2, 0, False)
    if char == "c":
        return state._replace(mode=_CONTROL) if _reaches(state, 1, 26, False) else None
    if code in _CONTROLS:
        return _value(state, _CONTROLS[code])
    if code in _SYNTAX or char == "/":
        return _value(state, code)
    if char == "0":
        after = _value(state, 0)
        return None if after is None else after._replace(after_zero=True)
    return _escape_in_class(state, char) if state.place is not None else _escape_outside(state, char)


def _escape_in_class(state: Pattern, char: str) -> Pattern | None:
    if char in "b-":
        return _value(state, 8 if char == "b" else ord("-"))
    return None


def _escape_outside(state: Pattern, char: str) -> Pattern | None:
    if char in "bB":
        return state._replace(mode=_EMPTY)
    if char == "k":
        return state._replace(mode=_NAME_BEGIN)
    return _reference(state._replace(data=0), ord(char)) if ord(char) in _DIGITS else None


def _reference(state: Pattern, code: int) -> Pattern | None:
    if code not in _DIGITS:
        return _main(state._replace(data=None), code)
    number = 10 * state.data + code - 0x30
    if number >= 10**_MOST_DIGITS:
        return None
    return state._replace(mode=_REFERENCE, data=number, reference=max(state.reference, number))


def _set(state: Pattern) -> Pattern | None:
    if isinstance(state.place, Brackets):
        return _in_class(state, state.place.set_of_characters())
    return state._replace(mode=_ATOM, data=None)


def _value(state: Pattern, code: int) -> Pattern | None:
    """After an escape that stands for a character."""
    if isinstance(state.place, Brackets):
        return _in_class(state, state.place.value(code, False))
    return state._replace(mode=_ATOM, data=None)


def _control(state: Pattern, code: int) -> Pattern | None:
    return _value(state, code % 32) if code < 0x80 and chr(code).isalpha() else None


def _unit(state: Pattern) -> Pattern | None:
    return _numeral(state, 4, 0, True)


def _numeral(state: Pattern, left: int, number: int, is_unit: bool) -> Pattern | None:
    """With so many digits of `\\x` or `\\u` to come."""
    low, high = number << 4 * left, (number + 1 << 4 * left) - 1
    may_be_braced = is_unit and left == 4
    if not _reaches(state, low, high, is_unit) and not (may_be_braced and _reaches(state, 0, LAST_CODE_POINT, False)):
        return None
    return state._replace(mode=_NUMERAL, data=(left, number, is_unit))


def _digit(state: Pattern, code: int) -> Pattern | None:
    left, number, is_unit = state.data
    if is_unit and left == 4 and code == ord("{"):
        return state._replace(mode=_BRACED, data=None) if _reaches(state, 0, LAST_CODE_POINT, False) else None
    if code not in _HEX:
        return None
    number = number << 4 | _HEX[code]
    if left > 1:
        return _numeral(state, left - 1, number, is_unit)
    return _unit_value(state, number) if is_unit else _value(state, number)


def _unit_value(state: Pattern, code: int) -> Pattern | None:
    """After `\\u` and four digits, which may be half of a character."""
    if isinstance(state.place, Brackets):
        return _in_class(state, state.place.escaped(code))
    return _value(state, code)


def _braced(state: Pattern, code: int) -> Pattern | None:
    if code == ord("}"):
        return None if state.data is None else _value(state, state.data)
    if code not in _HEX:
        return None
    number = (state.data or 0) << 4 | _HEX[code]
    if number > LAST_CODE_POINT or not any(_reaches(state, *span, False) for span in _extensions(number)):
        return None
    return state._replace(data=number)


def _extensions(number: int) -> list[tuple[int, int]]:
    """What hexadecimal digits can become with more of them."""
    spans: list[tuple[int, int]] = []
    for more in range(6):
        low = number << 4 * more
        if low <= LAST_CODE_POINT:
            spans.append((low, min(low + (1 << 4 * more) - 1, LAST_CODE_POINT)))
    return spans


def _reaches(state: Pattern, low: int, high: int, by_unit: bool) -> bool:
    """Whether a character between two others may be what the escape stands for."""
    return not isinstance(state.place, Brackets) or state.place.reaches(low, high, by_unit)


def _property_begin(state: Pattern, code: int) -> Pattern | None:
    return state._replace(mode=_PROPERTY, data="") if code == ord("{") else None


def _property(state: Pattern, code: int) -> Pattern | None:
    names = _properties()
    if code == ord("}"):
        at = bisect_left(names, state.data)
        return _set(state) if at < len(names) and names[at] == state.data else None
    text = state.data + chr(code)
    at = bisect_left(names, text)
    return state._replace(data=text) if at < len(names) and names[at].startswith(text) else None


_STEPS: Final[dict[str, Callable[[Pattern, int], Pattern | None]]] = {
    **dict.fromkeys((_EMPTY, _ATOM, _QUANTIFIED), _main),
    _GROUP: _group,
    _GROUP_KIND: _group_kind,
    _LOOK_OR_NAME: _look_or_name,
    _NAME_BEGIN: _name_begin,
    _NAME: _name,
    _CLASS_BEGIN: _class_begin,
    _CLASS: _class,
    _ESCAPE: _escape,
    _CONTROL: _control,
    _NUMERAL: _digit,
    _BRACED: _braced,
    _REFERENCE: _reference,
    _PROPERTY_BEGIN: _property_begin,
    _PROPERTY: _property,
    _COUNT: _count,
}


# -- tables -----------------------------------------------------------------------------------------------------------


@cache
def _properties() -> list[str]:
    """What may stand in the braces of `\\p`, sorted."""
    text = files("grammars.schema.recognizers").joinpath("property_names.txt").read_text(encoding="ascii")
    values = {line.split(" ")[0]: line.split(" ")[1:] for line in text.splitlines()[1:]}
    names = [*values["gc"], *values["binary"]]
    names += [f"{key}={value}" for key in ("gc", "General_Category") for value in values["gc"]]
    scripts = ("sc", "Script", "scx", "Script_Extensions")
    names += [f"{key}={value}" for key in scripts for value in values["script"]]
    return sorted(names)
