r"""Spelling: how characters are written inside a JSON string.

A character may stand for itself or be escaped, `\n`, `\u000A` and `\u000a` alike; one outside the basic plane is a
pair of escapes. The spellings of two characters share no string and none is a prefix of another, so reading a spelled
text is deterministic, and replacing every character of an expression by the choice of its spellings commutes with all
operations on languages: union, concatenation, repetition, and also intersection, complement (relative to all spelled
texts) and assertions. That is how a pattern, which speaks of characters, becomes an expression for the bytes between
two quotes.

Lone surrogates (`"\uD800"`) spell no character, so no string is spelled with them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import lru_cache
from typing import Any

from grammars.errors import UnsupportedFeature
from grammars.expression import (
    ANY_BYTES,
    ANY_CHAR,
    EPSILON,
    NOTHING,
    Both,
    Bytes,
    Chars,
    Choice,
    Lexeme,
    Look,
    Named,
    Node,
    Not,
    Ranges,
    Repeat,
    Sequence,
    Text,
    both,
    byte_set,
    chars,
    choice,
    complement,
    repeat,
    sequence,
    text,
)
from grammars.regular import closed
from grammars.schema.written import character_automaton, spellable, word_lexeme
from grammars.trampoline import run

_LETTERS = {0x22: b'\\"', 0x5C: b"\\\\", 0x2F: b"\\/", 8: b"\\b", 12: b"\\f", 10: b"\\n", 13: b"\\r", 9: b"\\t"}
_HEX = "0123456789abcdef"
_LAST_BASIC = 0xFFFF


class Spelling:
    """Expressions for spelled characters and texts; `minimal` escapes only where JSON demands it.

    >>> from grammars.grammar import Grammar
    >>> Grammar(Spelling(minimal=False).word("é")).matches(b"\\u00E9")
    True
    """

    def __init__(self, minimal: bool):
        self.minimal = minimal
        self.any_char: Node = self.characters(ANY_CHAR.ranges)
        self.any_text: Node = repeat(self.any_char)

    def word(self, value: str) -> Node:
        """Exactly this text."""
        words = spellable([value])
        if not words or not value:
            return EPSILON if words else NOTHING
        return word_lexeme(words, False, False, self.minimal, lambda: (self._written_out(words), {}))

    def quoted_words(self, values: Iterable[str]) -> Node:
        """One of these texts between quotation marks."""
        words = spellable(values)
        if not words:
            return NOTHING
        return word_lexeme(words, False, True, self.minimal, lambda: (_between_quotes(self._written_out(words)), {}))

    def quoted_others(self, values: Iterable[str]) -> Node:
        """Any text but these between quotation marks."""
        words = spellable(values)
        return word_lexeme(words, True, True, self.minimal, lambda: (_between_quotes(self.all_but(words)), {}))

    def _written_out(self, words: tuple[str, ...]) -> Node:
        return choice(sequence(_spelled_char(ord(char), self.minimal) for char in word) for word in words)

    def characters(self, ranges: Ranges) -> Node:
        """One character out of the ranges."""
        return _spelled_ranges(ranges, self.minimal)

    def of(self, node: Node) -> Node:
        """The spellings of the texts of an expression over characters."""
        return closed(run(self._of(node, {})))

    def all_but(self, words: Iterable[str]) -> Node:
        """Every text but these, as a tree of prefixes: it is deterministic and as small as the words."""
        root: dict[str, Any] = {}
        for word in words:
            branch = root
            for char in word:
                branch = branch.setdefault(char, {})
            branch[""] = {}
        return run(self._outside(root))

    def _outside(self, branch: dict[str, Any]) -> Generator[Any, Any, Node]:
        options: list[Node] = [] if "" in branch else [EPSILON]
        first = [char for char in branch if char]
        for char in first:
            rest = yield self._outside(branch[char])
            options.append(sequence([_spelled_char(ord(char), self.minimal), rest]))
        options.append(sequence([self.characters(_all_but(first)), self.any_text]))
        return choice(options)

    def _of(self, node: Node, known: dict[Node, Node]) -> Generator[Any, Any, Node]:
        if node in known:
            return known[node]
        if node == ANY_BYTES:
            found = self.any_text
        elif isinstance(node, Text):
            found = self.word(_decoded(node.data))
        elif isinstance(node, Chars):
            found = self.characters(node.ranges)
        elif isinstance(node, Bytes):
            found = self.characters(_characters_of(node.mask))
        else:
            parts: list[Node] = []
            for child in node.children():
                parts.append((yield self._of(child, known)))
            found = self._rebuilt(node, parts)
        known[node] = found
        return found

    def _rebuilt(self, node: Node, parts: list[Node]) -> Node:
        if isinstance(node, Sequence):
            return sequence(parts)
        if isinstance(node, Choice):
            return choice(parts)
        if isinstance(node, Repeat):
            return repeat(parts[0], node.low, node.high)
        if isinstance(node, Both):
            return both(*parts)
        if isinstance(node, Not):
            return both(self.any_text, complement(parts[0]))
        if isinstance(node, Look):
            return Look(parts[0], node.ahead, node.negative)
        if isinstance(node, Named):
            return parts[0]
        raise UnsupportedFeature(f"a pattern with {type(node).__name__} has no spelling")


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UnsupportedFeature("a pattern over bytes that are no characters") from error


def _characters_of(mask: int) -> Ranges:
    """The characters that a set of bytes stands for.

    Patterns are over characters, with one exception: an assertion that asks whether something follows, or something
    but a line end, looks at one byte. It begins a character, so all bytes beyond ASCII together are all characters
    beyond it.
    """
    beyond = mask >> 128
    if beyond and beyond != (1 << 128) - 1:
        raise UnsupportedFeature("a pattern over bytes that are no characters")
    ascii_part = [(code, code) for code in range(128) if mask >> code & 1]
    merged = chars([*ascii_part, (0x80, 0x10FFFF)] if beyond else ascii_part)
    return merged.ranges if isinstance(merged, Chars) else tuple(ascii_part)


def _all_but(first: list[str]) -> Ranges:
    ranges: list[tuple[int, int]] = []
    low = 0
    for code in sorted(map(ord, first)):
        if low < code:
            ranges.append((low, code - 1))
        low = code + 1
    ranges.append((low, 0x10FFFF))
    merged = chars(ranges)
    return merged.ranges if isinstance(merged, Chars) else ()


@lru_cache(maxsize=4096)
def _spelled_char(code: int, minimal: bool) -> Node:
    raw = [] if code < 0x20 or code in (0x22, 0x5C) else [chr(code).encode("utf-8", "surrogatepass")]
    if 0xD800 <= code <= 0xDFFF:
        return NOTHING
    short = [_LETTERS[code]] if code in _LETTERS else []
    if minimal and (raw or short):
        return Text((raw or short)[0])
    return choice([*map(Text, raw + short), *_hex_spellings(code)])


def _hex_spellings(code: int) -> list[Node]:
    units = [code] if code <= _LAST_BASIC else [0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)]
    letters = sum(digit in "abcdef" for unit in units for digit in f"{unit:04x}")
    if letters > 3:  # sixteen spellings of one character as literals are enough; beyond it, a class for each digit
        return [sequence(part for unit in units for part in [text("\\u"), *(_digit(d) for d in f"{unit:04x}")])]
    spelled = [""]
    for char in "".join(f"\\u{unit:04x}" for unit in units):
        variants = (char, char.upper()) if char in "abcdef" else (char,)
        spelled = [head + tail for head in spelled for tail in variants]
    return [text(word) for word in spelled]


def _digit(digit: str) -> Node:
    return byte_set({ord(digit), ord(digit.upper())})


def _between_quotes(node: Node) -> Node:
    return sequence([text('"'), node, text('"')])


@lru_cache(maxsize=1024)
def _spelled_ranges(ranges: Ranges, minimal: bool) -> Node:
    plain = chars(ranges)
    if isinstance(plain, Text):
        code = ord(plain.data.decode())
        ranges = ((code, code),)
    elif isinstance(plain, Chars):
        ranges = plain.ranges
    else:
        return NOTHING
    return Lexeme(*character_automaton(ranges, minimal), lambda: (_ranges_written_out(ranges, minimal), {}))


def _ranges_written_out(ranges: Ranges, minimal: bool) -> Node:
    escaped = [code for code in (*range(0x20), 0x22, 0x5C) if _within(code, ranges)]
    options = [chars(_without_escaped(ranges))]
    if minimal:
        options.extend(_spelled_char(code, True) for code in escaped)
        return choice(option for option in options if option != NOTHING)
    options.extend(Text(letter) for code, letter in _LETTERS.items() if _within(code, ranges))
    basic = [(low, min(high, _LAST_BASIC)) for low, high in ranges if low <= _LAST_BASIC]
    merged = chars(basic)
    if isinstance(merged, Text):
        code = ord(merged.data.decode())
        options.extend(_hex_spellings(code))
    elif isinstance(merged, Chars):
        options.append(sequence([text("\\u"), _hex_tree(merged.ranges, 4)]))
    options.extend(_pairs([(max(low, 0x10000), high) for low, high in ranges if high > _LAST_BASIC]))
    return choice(option for option in options if option != NOTHING)


def _within(code: int, ranges: Ranges) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _without_escaped(ranges: Ranges) -> list[tuple[int, int]]:
    plain = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x10FFFF))
    return [(max(a, c), min(b, d)) for a, b in ranges for c, d in plain if max(a, c) <= min(b, d)]


def _hex_tree(ranges: Iterable[tuple[int, int]], digits: int) -> Node:
    """Numbers of the ranges with this many hexadecimal digits; the depth is at most four."""
    below: dict[Node, list[int]] = {}
    size = 16 ** (digits - 1)
    for digit in range(16):
        first, last = digit * size, digit * size + size - 1
        inner = [(max(a, first) - first, min(b, last) - first) for a, b in ranges if max(a, first) <= min(b, last)]
        if inner:
            full = inner == [(0, size - 1)]
            rest = EPSILON if digits == 1 else _any_hex(digits - 1) if full else _hex_tree(inner, digits - 1)
            below.setdefault(rest, []).append(digit)
    return choice(sequence([_digits(found), rest]) for rest, found in below.items())


def _digits(values: Iterable[int]) -> Node:
    return byte_set({ord(form) for value in values for form in (_HEX[value], _HEX[value].upper())})


def _any_hex(count: int) -> Node:
    return sequence([_digits(range(16))] * count)


def _pairs(ranges: list[tuple[int, int]]) -> Iterable[Node]:
    """Pairs of escapes for characters outside the basic plane."""
    for low, high in ranges:
        for first, last in _whole_blocks(low, high):
            lead = [(0xD7C0 + (first >> 10), 0xD7C0 + (last >> 10))]
            trail = [(0xDC00 + (first & 0x3FF), 0xDC00 + (last & 0x3FF))]
            yield sequence([text("\\u"), _hex_tree(lead, 4), text("\\u"), _hex_tree(trail, 4)])


def _whole_blocks(low: int, high: int) -> Iterable[tuple[int, int]]:
    """Split a range so that each part has one first unit, or runs over all second units."""
    if low & 0x3FF and low >> 10 != high >> 10:
        yield low, low | 0x3FF
        low = (low | 0x3FF) + 1
    if high & 0x3FF != 0x3FF and low >> 10 != high >> 10:
        yield high & ~0x3FF, high
        high = (high & ~0x3FF) - 1
    yield low, high
