"""Lengths: texts of so many tokens, characters or words.

Characters and words are regular languages, so they are grammars: a character is a Unicode code point, however tokens
split its bytes; a word is a longest run of characters that are not white space. Tokens are counted by a state.
"""

from __future__ import annotations

from grammars.front_ends import regex
from grammars.vocabulary import Vocabulary
from samplers.constraints.products import Waiting
from samplers.constraints.stepwise import Stepwise
from samplers.errors import require

UNITS = ("tokens", "characters", "words")


def length(min: int = 0, max: int | None = None, unit: str = "tokens") -> Waiting:
    """Texts of `min` to `max` units (both included; `max=None`: any number) of "tokens", "characters" or "words".

    >>> v = Vocabulary(["é".encode(), b" ", b"ab", b"<end>"], eos=[3])
    >>> two = length(2, 2, "characters").over(v)
    >>> [two.allows(two.start, token) for token in range(4)]
    [True, True, True, False]
    >>> one = length(1, 1, "words").over(v)
    >>> state = one.advance_many([one.start], [2])
    >>> bool(one.accepts(state[0])), [one.allows(one.advance_many(state, [1])[0], token) for token in range(3)]
    (True, [False, True, False])
    """
    require(unit in UNITS, f"there is no unit {unit!r} of length", f"use one of {', '.join(UNITS)}")
    low, high = min, max
    require(low >= 0 and (high is None or high >= low), f"length needs 0 <= min <= max, not {low}, {high}")
    if unit == "tokens":
        return Waiting((lambda vocabulary: _counted(vocabulary, low, high),))
    return Waiting((_characters(low, high) if unit == "characters" else _words(low, high),))


def _counted(vocabulary: Vocabulary, low: int, high: int | None) -> Stepwise[int]:
    top = low if high is None else high

    def after(count: int, token: int) -> int | None:
        if high is None:
            return min(count + 1, top)
        return count + 1 if count < top else None

    return Stepwise(vocabulary, 0, after, lambda count: count >= low)


def _characters(low: int, high: int | None):
    return regex(r"(?s:.)").repeat(low, high)


def _words(low: int, high: int | None):
    space, word = regex(r"\s*"), regex(r"\S+")
    if high == 0:
        return space
    more = (regex(r"\s+") + word).repeat(max(low - 1, 0), None if high is None else high - 1)
    some = word + more
    return space + (some.optional() if low == 0 else some) + space
