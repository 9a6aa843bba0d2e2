r"""Character classes: `[...]`, and the classes with a name: `.`, `\w`, `\p{L}`.

In ECMA-262 `[]` matches nothing and `[^]` anything; in Python a `]` in first place is an ordinary character. `[\w-.]`
is a syntax error in Python; ECMA-262 (annex B) reads the hyphen as itself, and so do we in that dialect.

Schemas repeat their classes, so those that were read are kept by their text and mode.
"""

from __future__ import annotations

import re
from functools import lru_cache

from grammars.expression import ANY_CHAR, Chars, Node, Ranges, chars
from grammars.limits import Budget
from grammars.regex.escapes import category, read_escape
from grammars.regex.folding import folded
from grammars.regex.mode import Mode
from grammars.regex.rangesets import invert, union
from grammars.regex.source import Source

_STEP = 16  # characters of a class read per unit of compile work
LINE_ENDS: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))  # of ECMA-262; Python knows \n only

_PYTHON_EXTENT = re.compile(r"\[\^?+\]?+(?:[^\]\\]++|\\.)*+\]", re.DOTALL)
_ECMA_EXTENT = re.compile(r"\[\^?+(?:[^\]\\]++|\\.)*+\]", re.DOTALL)


def line_ends(mode: Mode) -> Ranges:
    """The characters that end a line."""
    return LINE_ENDS if mode.ecma else LINE_ENDS[:1]


@lru_cache(maxsize=32)
def dot(mode: Mode) -> Node:
    """What `.` matches."""
    return ANY_CHAR if mode.dotall else chars(invert(line_ends(mode)))


@lru_cache(maxsize=256)
def category_node(letter: str, mode: Mode) -> Node:
    r"""What `\d`, `\D`, `\s`, `\S`, `\w` or `\W` matches."""
    return chars(category(letter, mode))


def read_class(source: Source, start: int, mode: Mode, budget: Budget) -> tuple[Node, int]:
    """The class whose `[` stands at `start`, and where it ends."""
    extent = (_ECMA_EXTENT if mode.ecma else _PYTHON_EXTENT).match(source.text, start)
    if extent is None:
        hint = r"add a closing ']', or write \[ for the character"
        raise source.error("unterminated character class", start, hint=hint)
    budget.charge((extent.end() - start) // _STEP)
    node = _KNOWN.get(extent[0], mode)
    if node is None:
        node = chars(_class_ranges(source, start, extent.end(), mode))
        _KNOWN.put(extent[0], mode, node)
    return node, extent.end()


def read_named_set(source: Source, start: int, mode: Mode) -> tuple[Node | int, int]:
    r"""An escape outside a class: a set as an expression, or one code point."""
    member, end = read_escape(source, start, mode, in_class=False)
    if isinstance(member, int):
        return member, end
    text = source.text[start:end]
    node = _KNOWN.get(text, mode)
    if node is None:
        node = chars(member)
        _KNOWN.put(text, mode, node)
    return node, end


class _Store:
    """Sets by their text and mode, emptied when they hold too many ranges (some 20 MB)."""

    ROOM = 200_000
    LONGEST_TEXT = 256

    def __init__(self) -> None:
        self.nodes: dict[tuple[str, Mode], Node] = {}
        self.weight = 0

    def get(self, text: str, mode: Mode) -> Node | None:
        return self.nodes.get((text, mode))

    def put(self, text: str, mode: Mode, node: Node) -> None:
        if len(text) > self.LONGEST_TEXT:
            return
        self.weight += 10 + (len(node.ranges) if isinstance(node, Chars) else 0)
        if self.weight > self.ROOM:
            self.nodes.clear()
            self.weight = 0
        self.nodes[text, mode] = node


_KNOWN = _Store()


class _Members:
    """What stands between the brackets of a class. `literal`: other cases of these are still to be added."""

    def __init__(self) -> None:
        self.literal: list[tuple[int, int]] = []
        self.named: list[Ranges] = []

    def add(self, member: int | Ranges) -> None:
        if isinstance(member, int):
            self.literal.append((member, member))
        else:
            self.named.append(member)

    def ranges(self, mode: Mode) -> Ranges:
        return union(folded(union(self.literal), mode), *self.named)


def _class_ranges(source: Source, start: int, end: int, mode: Mode) -> Ranges:
    """The set of the class between `start` and `end`, brackets included."""
    text = source.text
    negated = text[start + 1] == "^"
    members = _Members()
    place = start + 1 + negated
    while place < end - 1:
        first, after = _member(source, place, mode)
        if text[after] != "-" or after + 1 >= end - 1:
            members.add(first)
        else:
            last, after = _member(source, after + 1, mode)
            _add_range(members, first, last, source, (place, after), mode)
        place = after
    ranges = members.ranges(mode)
    return invert(ranges) if negated else ranges


def _member(source: Source, place: int, mode: Mode) -> tuple[int | Ranges, int]:
    character = source.text[place]
    return read_escape(source, place, mode, in_class=True) if character == "\\" else (ord(character), place + 1)


def _add_range(
    members: _Members, first: int | Ranges, last: int | Ranges, source: Source, span: tuple[int, int], mode: Mode
) -> None:
    if isinstance(first, int) and isinstance(last, int):
        if first > last:
            raise source.error("character range out of order", *span, hint="write the smaller end first")
        members.literal.append((first, last))
    elif mode.ecma:
        for member in (first, ord("-"), last):
            members.add(member)
    else:
        raise source.error("a range needs single characters at both ends", *span, hint=r"write \- for a hyphen")
