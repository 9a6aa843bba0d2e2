r"""Assertions: `^ $ \A \Z \z \b \B` as look-around.

Every assertion says something about the text around a place, so all of them are `Look` nodes: the text behind the place
ends with a match of some body, or does not; the text ahead begins with one, or does not.

* beginning: not preceded by any byte. End: not followed by any byte.
* `^` with the flag m: not preceded by a character other than a line end. `$` with m: not followed by one.
* Python's `$` without m: not followed by a character other than `\n`, nor by `\n` and something more.
* `\b`: a word character on exactly one side. Usually one side is known from the pattern itself, as in `\bfoo`; then a
  look at the other side is all that is left (`settle`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from grammars.expression import (
    ANY_BYTE,
    EPSILON,
    NOTHING,
    Chars,
    Choice,
    Look,
    Named,
    Node,
    Ranges,
    Repeat,
    Sequence,
    Text,
    byte_set,
    chars,
    choice,
    sequence,
    text,
)
from grammars.regex.classes import LINE_ENDS, category_node
from grammars.regex.mode import Mode
from grammars.regex.rangesets import invert, overlap

_NEWLINE = ord("\n")
_INSIDE_PYTHON_LINE = byte_set(set(range(256)) - {_NEWLINE})
_INSIDE_ECMA_LINE = chars(invert(LINE_ENDS))
_BEYOND_LAST_LINE = choice([_INSIDE_PYTHON_LINE, sequence([text("\n"), ANY_BYTE])])

TEXT_START = Look(ANY_BYTE, ahead=False, negative=True)
TEXT_END = Look(ANY_BYTE, ahead=True, negative=True)
PYTHON_DOLLAR = Look(_BEYOND_LAST_LINE, ahead=True, negative=True)
PYTHON_LINE_START = Look(_INSIDE_PYTHON_LINE, ahead=False, negative=True)
PYTHON_LINE_END = Look(_INSIDE_PYTHON_LINE, ahead=True, negative=True)
ECMA_LINE_START = Look(_INSIDE_ECMA_LINE, ahead=False, negative=True)
ECMA_LINE_END = Look(_INSIDE_ECMA_LINE, ahead=True, negative=True)


def caret(mode: Mode) -> Node:
    """What `^` means."""
    if not mode.multiline:
        return TEXT_START
    return ECMA_LINE_START if mode.ecma else PYTHON_LINE_START


def dollar(mode: Mode) -> Node:
    """What `$` means."""
    if mode.multiline:
        return ECMA_LINE_END if mode.ecma else PYTHON_LINE_END
    return TEXT_END if mode.ecma else PYTHON_DOLLAR


class _Border(NamedTuple):
    r"""`\b` (`inner` false) or `\B` (`inner` true) for a set of word characters."""

    word: Node
    inner: bool


@lru_cache(maxsize=32)
def word_boundary(letter: str, mode: Mode) -> Node:
    r"""What `\b` or `\B` (by `letter`) means."""
    word = category_node("w", mode)
    inner = letter == "B"
    border = choice([sequence([_look(word, False, side), _look(word, True, side == inner)]) for side in (True, False)])
    _borders[border] = _Border(word, inner)
    return border


_borders: dict[Node, _Border] = {}  # as many as there are modes


def _look(word: Node, ahead: bool, wanted: bool) -> Node:
    return Look(word, ahead=ahead, negative=not wanted)


def settle(parts: list[Node]) -> list[Node]:
    r"""The parts of a sequence with `\b` and `\B` decided, or halved, where their neighbours are known."""
    settled = list(parts)
    for place, part in enumerate(parts):
        border = _borders.get(part)
        if border is not None:
            before = _edge(parts[place - 1], border.word, last=True) if place else None
            after = _edge(parts[place + 1], border.word, last=False) if place + 1 < len(parts) else None
            settled[place] = _settled(part, border, before, after)
    return settled


def _settled(part: Node, border: _Border, before: bool | None, after: bool | None) -> Node:
    if before is not None and after is not None:
        return EPSILON if (before == after) == border.inner else NOTHING
    if before is not None:
        return _look(border.word, True, before == border.inner)
    if after is not None:
        return _look(border.word, False, after == border.inner)
    return part


_EFFORT = 64  # nodes looked at to find the edge of a neighbour


def _edge(node: Node, word: Node, last: bool) -> bool | None:
    """Whether the last (first) character of every text of `node` is a word character; `None` if that is not known."""
    verdicts: set[bool | None] = set()
    stack = [node]
    for _ in range(_EFFORT):
        if not stack or len(verdicts) > 1 or None in verdicts:
            break
        inside = _inside(stack.pop(), last)
        if isinstance(inside, list):
            stack.extend(inside)
        else:
            verdicts.add(_membership(inside, word))
    return verdicts.pop() if len(verdicts) == 1 and not stack else None


def _inside(node: Node, last: bool) -> list[Node] | Node | None:
    """The parts of `node` that hold its edge; or a leaf; or `None` if the edge may lie outside of the node."""
    if isinstance(node, Named):
        return [node.body]
    if isinstance(node, Choice):
        return list(node.options) if len(node.options) <= _EFFORT else None
    if isinstance(node, Sequence):
        return [node.parts[-1 if last else 0]]
    if isinstance(node, Repeat):
        return [node.body] if node.low else None
    if isinstance(node, Text) and node.data:
        string = node.data.decode()
        return text(string[-1] if last else string[0])
    return node if isinstance(node, Chars) else None


def _membership(leaf: Node | None, word: Node) -> bool | None:
    if isinstance(leaf, Text):
        point = ord(leaf.data.decode())
        leaf = Chars(((point, point),))
    if not isinstance(leaf, Chars) or not isinstance(word, Chars):
        return None
    if not overlap(leaf.ranges, word.ranges):
        return False
    return None if overlap(leaf.ranges, _others(word)) else True


@lru_cache(maxsize=32)
def _others(word: Chars) -> Ranges:
    """The characters that are no word characters."""
    return invert(word.ranges)
