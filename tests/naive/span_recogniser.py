"""A recogniser for (start, rules) that is slow and obviously right: which ends can a node reach from which position?

Every (node, position) has a set of ends. Recursive rules make the sets depend on each other; they start empty and grow
until nothing changes any more, which is the least solution and therefore the language.
"""

from __future__ import annotations

from collections.abc import Mapping

from grammars.expression import (
    Both,
    Bytes,
    Call,
    Chars,
    Choice,
    Look,
    Named,
    Node,
    Not,
    Repeat,
    Sequence,
    Text,
    subexpressions,
)


def looks(node: Node) -> bool:
    return any(isinstance(part, Look) for part in subexpressions(node))


class SpanRecogniser:
    def __init__(self, start: Node, rules: Mapping[str, Node]):
        self.start, self.rules = start, rules

    def accepts(self, text: str | bytes) -> bool:
        self.data = text.encode() if isinstance(text, str) else text
        self.ends: dict[tuple[bytes, int], frozenset[int]] = {}
        while True:
            self.visited: set[tuple[bytes, int]] = set()
            self.changed = False
            result = self._ends(self.start, 0)
            if not self.changed:
                return len(self.data) in result

    def _ends(self, node: Node, i: int) -> frozenset[int]:
        key = (node.key, i)
        if key not in self.visited:
            self.visited.add(key)
            found = self._compute(node, i) | self.ends.get(key, frozenset())
            if found != self.ends.get(key, frozenset()):
                self.ends[key] = found
                self.changed = True
        return self.ends.get(key, frozenset())

    def _compute(self, node: Node, i: int) -> frozenset[int]:
        data = self.data
        match node:
            case Text(data=literal):
                return frozenset({i + len(literal)} if data.startswith(literal, i) else ())
            case Bytes(mask=mask):
                return frozenset({i + 1} if i < len(data) and mask >> data[i] & 1 else ())
            case Chars(ranges=ranges):
                return frozenset(self._char_ends(ranges, i))
            case Sequence(parts=parts):
                reached = frozenset({i})
                for part in parts:
                    reached = frozenset(end for j in reached for end in self._ends(part, j))
                return reached
            case Choice(options=options):
                return frozenset(end for option in options for end in self._ends(option, i))
            case Repeat(body=body, low=low, high=high):
                return self._repeat(body, low, high, i)
            case Call(rule=rule):
                body = self.rules[rule]
                return self._window_ends(body, i) if looks(body) else self._ends(body, i)
            case Look(body=body, ahead=ahead, negative=negative):
                found = bool(self._ends(body, i)) if ahead else any(i in self._ends(body, j) for j in range(i + 1))
                return frozenset({i} if found != negative else ())
            case Both(left=left, right=right):
                return self._ends(left, i) & self._ends(right, i)
            case Not(body=body):
                return frozenset(range(i, len(data) + 1)) - self._ends(body, i)
            case Named(body=body):
                return self._ends(body, i)
        raise TypeError(node)

    def _window_ends(self, body: Node, i: int) -> frozenset[int]:
        """Assertions see the text of their own rule only, so every candidate text is tried by itself."""
        alone = SpanRecogniser(body, self.rules)
        return frozenset(j for j in range(i, len(self.data) + 1) if alone.accepts(self.data[i:j]))

    def _char_ends(self, ranges: tuple[tuple[int, int], ...], i: int) -> set[int]:
        for length in (1, 2, 3, 4):
            try:
                char = self.data[i : i + length].decode()
            except UnicodeDecodeError:
                continue
            if len(char) == 1 and any(low <= ord(char) <= high for low, high in ranges):
                return {i + length}
        return set()

    def _repeat(self, body: Node, low: int, high: int | None, i: int) -> frozenset[int]:
        # more copies than there are bytes left must contain empty ones, which any copy may be if one may
        copies, reached, result = 0, frozenset({i}), set[int]()
        enough = min(low, len(self.data) + 1)
        most = enough + len(self.data) + 1 if high is None else high - low + enough
        while reached and copies <= min(most, enough + len(self.data) + 1):
            if copies >= enough:
                result |= reached
            reached = frozenset(end for j in reached for end in self._ends(body, j))
            copies += 1
        return frozenset(result)
