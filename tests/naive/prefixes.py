"""Which tokens may follow, by the definition: t is allowed after p if some s completes p·t·s.

`viable(text)` asks whether a text can be completed. A node can be completed from position i if it can swallow the
rest of the text and more. Works for expressions without intersections, complements and assertions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grammars.expression import Bytes, Call, Chars, Choice, Named, Node, Repeat, Sequence, Text
from tests.naive.span_recogniser import SpanRecogniser


class LeastFixpoint:
    """The least solution of a system of yes-or-no questions that refer to each other: all start as no."""

    def __init__(self, question: Callable[[Callable[[object], bool], object], bool]):
        self.question = question
        self.known: set[object] = set()
        self.visited: set[object] = set()

    def ask(self, key: object) -> bool:
        if key not in self.visited:
            self.visited.add(key)
            if key not in self.known and self.question(self.ask, key):
                self.known.add(key)
        return key in self.known

    def solve(self, first: object) -> bool:
        while True:
            before = len(self.known)
            self.visited = set()
            answer = self.ask(first)
            if len(self.known) == before:
                return answer


class Prefixes:
    """Viable prefixes and members of a language."""

    def __init__(self, start: Node, rules: Mapping[str, Node]):
        self.start, self.rules = start, rules

    def accepts(self, text: bytes) -> bool:
        return SpanRecogniser(self.start, self.rules).accepts(text)

    def viable(self, text: bytes) -> bool:
        spans = _Spans(self.rules, text)
        return LeastFixpoint(lambda ask, key: self._swallows(ask, spans, text, *key)).solve((self.start, 0))

    def _swallows(self, ask, spans: _Spans, text: bytes, node: Node, i: int) -> bool:
        """Whether `text[i:]` is the beginning of a string of the node."""
        rest = text[i:]
        match node:
            case Text(data=data):
                return data.startswith(rest)
            case Bytes(mask=mask):
                return (not rest and mask != 0) or (len(rest) == 1 and bool(mask >> rest[0] & 1))
            case Chars(ranges=ranges):
                return any(chr(c).encode().startswith(rest) for low, high in ranges for c in range(low, high + 1))
            case Choice(options=options):
                return any(ask((option, i)) for option in options)
            case Named(body=body):
                return ask((body, i))
            case Call(rule=rule):
                return ask((self.rules[rule], i))
            case Sequence(parts=parts):
                for k, part in enumerate(parts):
                    tail = parts[k + 1 :]
                    reached = spans.ends_of(parts[:k], i)
                    if all(self.productive(later) for later in tail) and any(ask((part, j)) for j in reached):
                        return True
                return False
            case Repeat(body=body, low=low, high=high):
                most = len(rest) + low if high is None else min(high, len(rest) + low)
                if not rest and low == 0:
                    return True
                for copies in range(most + 1):
                    reached = spans.ends_of((body,) * copies, i)
                    if low <= copies and len(text) in reached:
                        return True
                    more_allowed = high is None or copies < high
                    if more_allowed and any(ask((body, j)) for j in reached):
                        return copies + 1 >= low or self.productive(body)
                return False
        raise TypeError(node)

    def productive(self, node: Node) -> bool:
        return LeastFixpoint(self._productive).solve(node)

    def _productive(self, ask, node: Node) -> bool:
        match node:
            case Choice(options=options):
                return any(ask(option) for option in options)
            case Sequence(parts=parts):
                return all(ask(part) for part in parts)
            case Repeat(body=body, low=low):
                return low == 0 or ask(body)
            case Call(rule=rule):
                return ask(self.rules[rule])
            case Named(body=body):
                return ask(body)
        return True


class _Spans:
    """Where a row of nodes can end, asked again for every start: slow and simple."""

    def __init__(self, rules: Mapping[str, Node], text: bytes):
        self.rules, self.text = rules, text
        self.known: dict[tuple[Node, int], frozenset[int]] = {}

    def ends_of(self, nodes: tuple[Node, ...], i: int) -> frozenset[int]:
        reached = frozenset({i})
        for node in nodes:
            reached = frozenset(end for j in reached for end in self._ends(node, j))
        return reached

    def _ends(self, node: Node, i: int) -> frozenset[int]:
        if (node, i) not in self.known:
            found = {
                j for j in range(i, len(self.text) + 1) if SpanRecogniser(node, self.rules).accepts(self.text[i:j])
            }
            self.known[node, i] = frozenset(found)
        return self.known[node, i]
