"""The intersection of any grammar with a regular language, as a grammar.

>>> from grammars.expression import EPSILON, choice, repeat, sequence, text
>>> from grammars.limits import Budget
>>> nested = choice([sequence([text("("), Call("nested"), text(")")]), EPSILON])
>>> depth_two = sequence([repeat(text("("), 2, 2), repeat(text(")"))])
>>> start, rules = intersect(Call("nested"), {"nested": nested}, depth_two, Budget("compile_work", 1000))
>>> sorted(rules)
['nested@0>2', 'nested@1>2', 'nested@2>2']

A grammar without recursion is regular itself; then the intersection is left to the automaton of `Both`, which is
lazy. Otherwise see `grammars.product`. Intersections inside the grammar are worked out first, innermost first; one
that contains itself has no grammar in general and is refused.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from grammars.errors import UnsupportedFeature
from grammars.expression import ANY_BYTES, NOTHING, Both, Call, Look, Node, Not, Rules, both
from grammars.limits import Budget
from grammars.product.emission import Emission, Names
from grammars.product.goals import Goals
from grammars.regular import closed, inline
from grammars.renaming import Unpacked
from grammars.residuals import DEAD, Residuals
from grammars.trampoline import run

Grammar = tuple[Node, dict[str, Node]]


def intersect(start: Node, rules: Rules, regular: Node, budget: Budget) -> Grammar:
    """A grammar for the strings of (`start`, `rules`) that `regular`, an expression without calls, contains too.

    All work is charged to `budget` before it is done. An empty intersection is a start without strings.

    >>> from grammars.expression import repeat, text
    >>> intersect(repeat(text("ab"), 1, 2), {}, text("abab"), Budget("compile_work", 100))[1]
    {}
    """
    plain = inline(start, rules)
    if plain is not None:
        return both(closed(plain), closed(regular)), {}
    if regular == ANY_BYTES:
        return start, dict(rules)
    unpacked = Unpacked(rules)
    start = unpacked.node(start)
    return run(_Products(unpacked.all(), budget).product(start, regular))


class _Products:
    """The products that one intersection needs: its own, and those of intersections inside its grammar."""

    def __init__(self, rules: Rules, budget: Budget):
        self._rules = rules
        self._budget = budget
        self._names = Names(set(rules))
        self._open: set[Node] = set()
        self._replaced: dict[Node, Node] = {}
        self._new_rules: dict[str, Node] = {}

    def product(self, start: Node, regular: Node) -> Generator[Any, Any, Grammar]:
        start, regular = self._unwrapped(start, regular)
        for node in _reachable(start, self._rules):
            self._budget.charge()
            if isinstance(node, Both) and node not in self._replaced and inline(node, self._rules) is None:
                yield self._replace(node)
        automaton = Residuals(regular, self._budget)
        if automaton.start == DEAD:
            return NOTHING, {}
        goals = Goals({**self._rules, **self._new_rules}, self._replaced, automaton, self._budget)
        start = goals.closed_body(start)
        return Emission(goals, self._names, self._budget).write(start, goals.solve(start))

    def _unwrapped(self, start: Node, regular: Node) -> tuple[Node, Node]:
        """(G & R) & S is G & (R & S): one product instead of two."""
        while isinstance(start, Both):
            self._budget.charge()
            start, other = self._sides(start)
            regular = Both(other, regular)
        return start, regular

    def _sides(self, node: Both) -> tuple[Node, Node]:
        """The sides of an intersection, the regular one last."""
        for grammar, other in ((node.left, node.right), (node.right, node.left)):
            regular = inline(other, self._rules)
            if regular is not None:
                return grammar, regular
        raise UnsupportedFeature(
            "the intersection of two recursive grammars has no grammar in general",
            hint="one side of an intersection must be regular",
        )

    def _replace(self, node: Both) -> Generator[Any, Any, None]:
        """Work out an intersection inside the grammar."""
        if node in self._open:
            raise UnsupportedFeature(
                "an intersection that contains itself has no grammar in general",
                hint="move the intersection out of the recursion",
            )
        self._open.add(node)
        start, rules = yield self.product(node, ANY_BYTES)
        self._open.discard(node)
        self._new_rules.update(rules)
        self._replaced[node] = start


def _reachable(start: Node, rules: Rules) -> Iterator[Node]:
    """Every node in reach of the start; what stands inside boolean nodes is theirs."""
    seen: set[Node] = set()
    stack = [start]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if isinstance(node, Call):
            stack.append(rules[node.rule])
        elif not isinstance(node, Both | Not | Look):
            stack.extend(node.children())
