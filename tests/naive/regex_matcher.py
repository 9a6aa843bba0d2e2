"""An obviously correct matcher for expressions without rules: every node becomes a set of end positions.

`Matching(data).ends(node, start)` is the set of all places where a match of `node` that begins at `start` may end. The
definition of each node is written down as it stands; results are remembered because they are asked for again.
"""

from __future__ import annotations

from grammars.expression import Both, Bytes, Chars, Choice, Look, Named, Node, Not, Repeat, Sequence, Text


def match(node: Node, data: str | bytes) -> bool:
    """Whether the whole of `data` belongs to the language of `node`."""
    text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return len(text) in Matching(text).ends(node, 0)


class Matching:
    """The end positions of matches within one text."""

    def __init__(self, data: bytes):
        self.data = data
        self.known: dict[tuple[bytes, int], frozenset[int]] = {}

    def ends(self, node: Node, start: int) -> frozenset[int]:
        key = (node.key, start)
        if key not in self.known:
            self.known[key] = frozenset(self._ends(node, start))
        return self.known[key]

    def _ends(self, node: Node, start: int) -> set[int]:
        match node:
            case Text(data):
                return {start + len(data)} if self.data.startswith(data, start) else set()
            case Bytes(mask):
                return {start + 1} if start < len(self.data) and mask >> self.data[start] & 1 else set()
            case Chars(ranges):
                return self._character(ranges, start)
            case Sequence(parts):
                places = {start}
                for part in parts:
                    places = {end for place in places for end in self.ends(part, place)}
                return places
            case Choice(options):
                return {end for option in options for end in self.ends(option, start)}
            case Repeat(body, low, high):
                return self._repeated(body, low, high, start)
            case Both(left, right):
                return set(self.ends(left, start) & self.ends(right, start))
            case Not(body):
                return set(range(start, len(self.data) + 1)) - self.ends(body, start)
            case Look(body, ahead, negative):
                return {start} if self._seen(body, ahead, start) != negative else set()
            case Named(_, body):
                return set(self.ends(body, start))
            case _:
                raise TypeError(f"no meaning for {type(node).__name__} here")

    def _character(self, ranges: tuple[tuple[int, int], ...], start: int) -> set[int]:
        for end in range(start + 1, min(start + 4, len(self.data)) + 1):
            try:
                point = ord(self.data[start:end].decode())
            except (UnicodeDecodeError, TypeError):
                continue
            return {end} if any(low <= point <= high for low, high in ranges) else set()
        return set()

    def _repeated(self, body: Node, low: int, high: int | None, start: int) -> set[int]:
        found: set[int] = set()
        places = frozenset({start})
        seen: set[frozenset[int]] = set()  # once the places after some number of copies recur, nothing new can come
        count = 0
        while places and places not in seen and (high is None or count <= high):
            if count >= low:
                found |= places
                seen.add(places)
            places = frozenset(end for place in places for end in self.ends(body, place))
            count += 1
        return found

    def _seen(self, body: Node, ahead: bool, place: int) -> bool:
        if ahead:
            return bool(self.ends(body, place))
        return any(place in self.ends(body, start) for start in range(place + 1))
