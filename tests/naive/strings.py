"""The strings of a grammar, by the definition: sets that grow from nothing, round by round, until a round adds none.

Only strings of a finite universe are kept. It contains every part of its strings, so nothing that matters is lost.
"""

from __future__ import annotations

from grammars.expression import Both, Call, Choice, Look, Named, Node, Not, Repeat, Rules, Sequence, subexpressions
from tests.naive.spans import matches

Strings = frozenset[bytes]


def strings(start: Node, rules: Rules, universe: Strings) -> Strings:
    """What the grammar has of the universe."""
    found: dict[str, Strings] = dict.fromkeys(rules, frozenset())
    plain: dict[Node, Strings] = {}
    while True:
        this_round = _Round(found, universe, plain)
        step = {name: this_round.of_rule(body) for name, body in rules.items()}
        if step == found:
            return this_round.of(start)
        found = step


class _Round:
    def __init__(self, found: dict[str, Strings], universe: Strings, plain: dict[Node, Strings]):
        self._found, self._universe, self._plain = found, universe, plain
        self._known: dict[Node, Strings] = {}

    def of_rule(self, body: Node) -> Strings:
        """Assertions see the text of their own rule only."""
        return self._by_matching(body) if _sees_beyond(body) and not _has_calls(body) else self.of(body)

    def of(self, node: Node) -> Strings:
        if not _has_calls(node):
            return self._by_matching(node)
        if node not in self._known:
            self._known[node] = self._of(node)
        return self._known[node]

    def _by_matching(self, node: Node) -> Strings:
        if node not in self._plain:
            self._plain[node] = frozenset(data for data in self._universe if matches(node, data))
        return self._plain[node]

    def _of(self, node: Node) -> Strings:
        if isinstance(node, Call):
            return self._found[node.rule]
        if isinstance(node, Named):
            return self.of(node.body)
        if isinstance(node, Choice):
            return frozenset().union(*(self.of(option) for option in node.options))
        if isinstance(node, Both):
            return self.of(node.left) & self.of(node.right)
        if isinstance(node, Repeat):
            return self._repeat(self.of(node.body), node.low, node.high)
        assert isinstance(node, Sequence)
        joined: Strings = frozenset([b""])
        for part in node.parts:
            joined = self._joined(joined, self.of(part))
        return joined

    def _joined(self, left: Strings, right: Strings) -> Strings:
        return frozenset(a + b for a in left for b in right) & self._universe

    def _repeat(self, body: Strings, low: int, high: int | None) -> Strings:
        """Copy by copy; more copies than low + the longest string add nothing but empty ones."""
        most = low + max(map(len, self._universe)) + 1
        copies: Strings = frozenset([b""])
        result: Strings = frozenset()
        for count in range((most if high is None else min(high, most)) + 1):
            if count >= low:
                result |= copies
            copies = self._joined(copies, body)
        return result


def _has_calls(node: Node) -> bool:
    return any(isinstance(part, Call) for part in subexpressions(node))


def _sees_beyond(node: Node) -> bool:
    if isinstance(node, Both | Not):
        return False
    return isinstance(node, Look) or any(_sees_beyond(child) for child in node.children())
