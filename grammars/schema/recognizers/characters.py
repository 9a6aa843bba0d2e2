"""What IDNA 2008 (RFC 5892, RFC 5893) says of a character: may it stand in a label, which way it is written, what it
asks of its neighbours. The tables are `idna.txt`, made by `bench/idna_table.py`."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, NamedTuple
from unicodedata import combining

from grammars.expression import LAST_CODE_POINT, Ranges
from grammars.regex.properties import table_ranges

DOT, KERAIA, GERESH, GERSHAYIM, KATAKANA_DOT, NON_JOINER, JOINER = 0xB7, 0x375, 0x5F3, 0x5F4, 0x30FB, 0x200C, 0x200D
ARABIC_DIGITS, EXTENDED_DIGITS = range(0x660, 0x66A), range(0x6F0, 0x6FA)

_CONTEXT: Final = {  # valid next to the right characters only; with the bidirectional class
    **dict.fromkeys((DOT, KERAIA, KATAKANA_DOT, NON_JOINER, JOINER), "ON"),
    **dict.fromkeys((GERESH, GERSHAYIM), "R"),
    **dict.fromkeys(ARABIC_DIGITS, "AN"),
    **dict.fromkeys(EXTENDED_DIGITS, "EN"),
}
_KANA: Final = ("hiragana", "katakana", "han")


class Character(NamedTuple):
    """A character that may stand in a label."""

    code: int
    direction: str  # L, R (also for AL), AN, EN, NSM, or ON for all others
    mark: bool = False
    virama: bool = False
    joining: str = ""  # D, L, R or T
    order: int = 0  # the combining class
    composed: bool = False  # it may form a character with what stands before it
    composes: bool = False  # it may form a character with what follows
    script: str = ""  # greek, hebrew or kana, as far as a rule asks for it

    @property
    def attaches(self) -> bool:
        """Whether the character stands on another."""
        return self.composed or self.order > 0

    def is_plain(self) -> bool:
        """Whether the character has no say in anything but being written from left to right."""
        return self.direction == "L" and not (self.mark or self.attaches or self.code in _CONTEXT)


@lru_cache(maxsize=1 << 16)
def character(code: int) -> Character | None:
    """What is said of a character in lower case, None if it may stand in no label."""
    if code in _CONTEXT:
        return Character(code, _CONTEXT[code], script="hebrew" if code in (GERESH, GERSHAYIM) else "")
    if not _has("valid", code):
        return None
    return Character(
        code,
        next((name for name in ("L", "R", "AN", "EN", "NSM") if _has(f"bidi {name}", code)), "ON"),
        _has("mark", code),
        _has("virama", code),
        next((name for name in "DLRT" if _has(f"joining {name}", code)), ""),
        combining(chr(code)),
        _has("composed", code),
        _has("composing", code),
        _script(code),
    )


def next_valid(code: int) -> int | None:
    """The first character from `code` on that may stand in a label."""
    ranges = admitted()
    at = bisect_right(ranges, (code, LAST_CODE_POINT)) - 1
    if at >= 0 and ranges[at][1] >= code:
        return code
    return ranges[at + 1][0] if at + 1 < len(ranges) else None


@cache
def edges() -> tuple[int, ...]:
    """Where any of the tables has an edge; marks stand alone."""
    found = {*range(0x81)}
    scripts = [table_ranges("sc", name) or () for name in ("greek", "hebrew", *_KANA)]
    for ranges in (*_tables().values(), *scripts, admitted()):
        found.update(edge for low, high in ranges for edge in (low, high + 1))
    found.update(code for low, high in _tables()["combining"] for code in range(low, high + 2))
    return tuple(sorted(found))


def _script(code: int) -> str:
    for name in ("greek", "hebrew"):
        if _within(table_ranges("sc", name) or (), code):
            return name
    return "kana" if any(_within(table_ranges("sc", name) or (), code) for name in _KANA) else ""


def _has(name: str, code: int) -> bool:
    return _within(_tables()[name], code)


def _within(ranges: Ranges, code: int) -> bool:
    at = bisect_right(ranges, (code, LAST_CODE_POINT)) - 1
    return at >= 0 and ranges[at][1] >= code


@cache
def admitted() -> Ranges:
    """The characters that may stand in a label."""
    return tuple(sorted({*_tables()["valid"], *((code, code) for code in _CONTEXT)}))


@cache
def _tables() -> dict[str, Ranges]:
    text = files("grammars.schema.recognizers").joinpath("idna.txt").read_text(encoding="ascii")
    return {line.partition(":")[0]: _ranges(line.partition(":")[2]) for line in text.splitlines()[1:]}


def _ranges(encoded: str) -> Ranges:
    numbers, begin = iter(encoded.split()), 0
    found: list[tuple[int, int]] = []
    for skipped, further in zip(numbers, numbers, strict=True):
        begin += int(skipped, 36)
        found.append((begin, begin + int(further, 36)))
        begin = found[-1][1] + 1
    return tuple(found)
