"""Membership by the definition: which spans of a text an expression matches.

`ends(node, text, i)` is the set of all j such that the node matches text[i:j] where it stands. Nothing is clever here.
"""

from __future__ import annotations

from grammars.expression import (
    Both,
    Bytes,
    Chars,
    Choice,
    Look,
    Named,
    Node,
    Not,
    Repeat,
    Sequence,
    Text,
)


class Spans:
    """All matches of one text."""

    def __init__(self, text: bytes):
        self.text = text
        self._known: dict[tuple[Node, int], frozenset[int]] = {}

    def ends(self, node: Node, i: int) -> frozenset[int]:
        key = (node, i)
        if key not in self._known:
            self._known[key] = frozenset(self._ends(node, i))
        return self._known[key]

    def _ends(self, node: Node, i: int) -> set[int]:
        text = self.text
        if isinstance(node, Text):
            return {i + len(node.data)} if text.startswith(node.data, i) else set()
        if isinstance(node, Bytes):
            return {i + 1} if i < len(text) and node.mask >> text[i] & 1 else set()
        if isinstance(node, Chars):
            return {j for j in range(i + 1, min(i + 4, len(text)) + 1) if is_char_of(text[i:j], node)}
        if isinstance(node, Named):
            return set(self.ends(node.body, i))
        if isinstance(node, Choice):
            return {j for option in node.options for j in self.ends(option, i)}
        if isinstance(node, Sequence):
            return self._sequence(node.parts, i)
        if isinstance(node, Repeat):
            return self._repeat(node, i)
        if isinstance(node, Look):
            return {i} if self._holds(node, i) is not node.negative else set()
        every = range(i, len(text) + 1)
        if isinstance(node, Both):
            return {j for j in every if matches(node.left, text[i:j]) and matches(node.right, text[i:j])}
        assert isinstance(node, Not)
        return {j for j in every if not matches(node.body, text[i:j])}

    def _sequence(self, parts: tuple[Node, ...], i: int) -> set[int]:
        places = {i}
        for part in parts:
            places = {j for place in places for j in self.ends(part, place)}
        return places

    def _repeat(self, node: Repeat, i: int) -> set[int]:
        """Copy by copy; more copies than low + the length of the text add nothing but empty ones."""
        most = node.low + len(self.text) + 1
        places, found = {i}, set[int]()
        for count in range((most if node.high is None else min(node.high, most)) + 1):
            if count >= node.low:
                found |= places
            places = {j for place in places for j in self.ends(node.body, place)}
        return found

    def _holds(self, node: Look, i: int) -> bool:
        if node.ahead:
            return bool(self.ends(node.body, i))
        return any(i in self.ends(node.body, start) for start in range(i + 1))


def is_char_of(data: bytes, node: Chars) -> bool:
    """Whether the bytes are one code point of the set."""
    try:
        character = data.decode()
    except UnicodeDecodeError:
        return False
    return len(character) == 1 and any(low <= ord(character) <= high for low, high in node.ranges)


def matches(node: Node, text: bytes) -> bool:
    """Whether the whole text is in the language of an expression without calls."""
    return len(text) in Spans(text).ends(node, 0)
