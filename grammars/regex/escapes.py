r"""Escapes that stand for characters: `\n`, `\x41`, `\u{1F600}`, `\d`, `\p{Lu}` and their kin.

An escape stands for one code point (an `int`) or for a set of them (`Ranges`, other cases included where case is
ignored). The two dialects differ more here than anywhere else, so each has its own reading of single characters. What
is an assertion or a reference outside a class (`\b`, `\Z`, `\1`) is not read here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from grammars.expression import LAST_CODE_POINT, SURROGATES, Ranges
from grammars.regex.folding import folded
from grammars.regex.mode import Mode
from grammars.regex.properties import property_ranges, similar_properties, table_ranges
from grammars.regex.rangesets import invert, union
from grammars.regex.source import Source

_CONTROLS = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_PYTHON_CONTROLS = _CONTROLS | {"a": 0x07}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_HEX = re.compile("[0-9a-fA-F]*")
_OCTAL = re.compile("[0-7]{1,3}")
_BRACED = re.compile(r"\{([^{}]*)\}")
_LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")

_ASCII_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_ASCII_DIGIT: Ranges = ((0x30, 0x39),)
_ASCII_SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20))
_BLANKS: Ranges = (
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
_PYTHON_SPACE = union(((0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0)), _BLANKS)  # str.isspace()
_ECMA_SPACE = union(_ASCII_SPACE, ((0xA0, 0xA0), (0xFEFF, 0xFEFF)), _BLANKS)


def read_escape(source: Source, start: int, mode: Mode, in_class: bool) -> tuple[int | Ranges, int]:
    """What the escape at `start` (a backslash) stands for, and where it ends."""
    letter = source.text[start + 1 : start + 2]
    if not letter:
        raise source.error("the pattern ends with a lone backslash", start, hint=r"write \\ for a backslash")
    if letter in "dDsSwW":
        return category(letter, mode), start + 2
    if letter in "pP":
        return _property(source, start, mode)
    if mode.ecma:
        return _ecma_character(source, start, letter, in_class)
    return _python_character(source, start, letter, in_class)


@lru_cache(maxsize=256)
def category(letter: str, mode: Mode) -> Ranges:
    r"""The code points of `\d`, `\s`, `\w` or, with a capital letter, of their complement.

    >>> category("d", Mode(ascii=True))
    ((48, 57),)
    """
    if letter.isupper():
        return invert(category(letter.lower(), mode))
    if mode.ecma:
        return {"d": _ASCII_DIGIT, "s": _ECMA_SPACE, "w": folded(_ASCII_WORD, mode)}[letter]
    if mode.ascii:
        return {"d": _ASCII_DIGIT, "s": _ASCII_SPACE, "w": _ASCII_WORD}[letter]
    if letter == "s":
        return _PYTHON_SPACE
    return (table_ranges("python", "word") if letter == "w" else table_ranges("gc", "nd")) or ()


def _property(source: Source, start: int, mode: Mode) -> tuple[Ranges, int]:
    braced = _BRACED.match(source.text, start + 2)
    if braced is None:
        hint = r"for example \p{L} or \p{Script=Greek}"
        raise source.error(r"\p needs a property in braces", start, start + 2, hint)
    ranges = property_ranges(braced[1], bare_scripts=not mode.ecma)
    if ranges is None:
        raise _unknown_property(source, start, braced.end(), braced[1])
    return _with_cases(ranges, source.text[start + 1] == "P", mode), braced.end()


@lru_cache(maxsize=64)
def _with_cases(ranges: Ranges, negated: bool, mode: Mode) -> Ranges:
    """Other cases are added before the complement in Python's world (`regex`), after it in ECMA-262."""
    if not negated:
        return folded(ranges, mode)
    return folded(invert(ranges), mode) if mode.ecma else invert(folded(ranges, mode))


def _unknown_property(source: Source, start: int, end: int, name: str) -> Exception:
    if name.lower().replace("_", "") in ("changeswhennfkccasefolded", "cwkcf"):
        return source.unsupported(f"the Unicode property {name} is not available", start, end, "leave it out")
    similar = " or ".join(rf"\p{{{other}}}" for other in similar_properties(name))
    hint = f"did you mean {similar}?" if similar else None
    return source.error(f"unknown Unicode property {name!r}", start, end, hint)


def _python_character(source: Source, start: int, letter: str, in_class: bool) -> tuple[int, int]:
    if letter in _PYTHON_CONTROLS:
        return _PYTHON_CONTROLS[letter], start + 2
    if letter == "b" and in_class:
        return 0x08, start + 2
    if letter in _HEX_DIGITS:
        return _hex(source, start, _HEX_DIGITS[letter])
    if letter == "N":
        return _named(source, start)
    if letter in "01234567":
        return _octal(source, start)
    if letter.isascii() and letter.isalnum():
        raise _bad_escape(source, start, letter)
    return ord(letter), start + 2


def _ecma_character(source: Source, start: int, letter: str, in_class: bool) -> tuple[int, int]:
    if letter in _CONTROLS:
        return _CONTROLS[letter], start + 2
    if letter == "b" and in_class:
        return 0x08, start + 2
    if letter == "x":
        return _hex(source, start, 2)
    if letter == "u":
        return _ecma_unicode(source, start)
    if letter == "c":
        return _control(source, start)
    if letter == "0" and not source.text[start + 2 : start + 3].isdecimal():
        return 0, start + 2
    if letter.isascii() and letter.isalnum():
        raise _bad_escape(source, start, letter)
    return ord(letter), start + 2


def _bad_escape(source: Source, start: int, letter: str) -> Exception:
    hint = rf"write \\{letter} for a backslash and {letter!r}, or {letter!r} alone for the character"
    if letter in "AZz":
        hint = "anchors of this dialect are ^ and $"
    return source.error(rf"unknown escape \{letter}", start, start + 2, hint=hint)


def _hex(source: Source, start: int, digits: int) -> tuple[int, int]:
    end = start + 2 + digits
    found = _HEX.match(source.text, start + 2, end)
    if found is None or found.end() != end:
        message = f"incomplete escape: {digits} hexadecimal digits expected"
        raise source.error(message, start, min(end, len(source.text)))
    return _code_point(source, found[0], start, end), end


def _code_point(source: Source, digits: str, start: int, end: int) -> int:
    if len(digits.lstrip("0")) > 6 or (value := int(digits, 16)) > LAST_CODE_POINT:
        raise source.error("not a Unicode code point", start, end, hint="the last code point is 10FFFF")
    return value


def _octal(source: Source, start: int) -> tuple[int, int]:
    found = _OCTAL.match(source.text, start + 1)
    digits = "" if found is None else found[0]
    value, end = int(digits, 8), start + 1 + len(digits)
    if value > 0o377:
        raise source.error("octal escape above 377", start, end, hint=r"use \u with four hexadecimal digits")
    return value, end


def _named(source: Source, start: int) -> tuple[int, int]:
    braced = _BRACED.match(source.text, start + 2)
    if braced is None:
        raise source.error(r"\N needs a character name in braces", start, start + 2, hint=r"for example \N{EM DASH}")
    try:
        return ord(unicodedata.lookup(braced[1])), braced.end()
    except (KeyError, TypeError):  # unknown, or the name of a sequence of characters
        raise source.error(f"unknown character name {braced[1]!r}", start, braced.end()) from None


def _ecma_unicode(source: Source, start: int) -> tuple[int, int]:
    r"""`\u{1F600}`, `\u0041`, or the two halves of a surrogate pair, which are one character."""
    braced = _BRACED.match(source.text, start + 2)
    if braced is not None:
        if not _HEX.fullmatch(braced[1]) or not braced[1]:
            raise source.error("hexadecimal digits expected", start, braced.end())
        return _code_point(source, braced[1], start, braced.end()), braced.end()
    value, end = _hex(source, start, 4)
    low = _LOW_SURROGATE.match(source.text, end)
    if low is None or not SURROGATES[0] <= value < 0xDC00:
        return value, end
    return 0x10000 + ((value - SURROGATES[0]) << 10) + (int(low[1], 16) - 0xDC00), low.end()


def _control(source: Source, start: int) -> tuple[int, int]:
    letter = source.text[start + 2 : start + 3]
    if not (letter.isascii() and letter.isalpha()):
        raise source.error(r"\c needs a letter", start, start + 2, hint=r"for example \cJ for a line feed")
    return ord(letter) % 32, start + 3
