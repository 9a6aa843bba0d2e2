"""Rebuilding expressions: with other names for the rules they call, or without lexemes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from grammars.expression import (
    Both,
    Call,
    Choice,
    Lexeme,
    Look,
    Named,
    Node,
    Not,
    Repeat,
    Rules,
    Sequence,
    subexpressions,
)
from grammars.trampoline import run


def rename(node: Node, names: Mapping[str, str]) -> Node:
    """The expression with every call of `a` turned into a call of `names[a]`.

    >>> rename(Call("a"), {"a": "b"}).rule
    'b'
    """
    return run(_renamed(node, names, {}))


def _renamed(node: Node, names: Mapping[str, str], known: dict[Node, Node]) -> Generator[Any, Any, Node]:
    children = node.children()
    if isinstance(node, Call):
        return Call(names.get(node.rule, node.rule))
    if not children:
        return node
    if node not in known:
        renamed: list[Node] = []
        for child in children:
            renamed.append(
                child if not child.children() and not isinstance(child, Call) else (yield _renamed(child, names, known))
            )
        known[node] = rebuild(node, renamed)
    return known[node]


class Unpacked(Mapping[str, Node]):
    """Rules without lexemes: an expression takes the place of each, and its rules join the others.

    >>> from grammars.expression import ByteAutomaton, text
    >>> import numpy as np
    >>> a = ByteAutomaton(np.array([0, 1]), np.array([0]), np.array([[97, 97, -1]]))
    >>> Unpacked({}).node(Lexeme(b"a", a, lambda: (text("a"), {}))).data
    b'a'
    """

    def __init__(self, rules: Rules):
        self._rules: dict[str, Node] = dict(rules)
        self._known: dict[Node, Node] = {}

    def __getitem__(self, name: str) -> Node:
        return self.node(self._rules[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def node(self, node: Node) -> Node:
        """The expression without lexemes; the rules that they bring are among these from now on."""
        if not any(isinstance(part, Lexeme) for part in subexpressions(node)):
            return node
        return run(self._node(node))

    def all(self) -> dict[str, Node]:
        """All rules, also those that only the others bring."""
        found: dict[str, Node] = {}
        while len(found) < len(self._rules):
            found.update({name: self[name] for name in list(self._rules) if name not in found})
        return found

    def _node(self, node: Node) -> Generator[Any, Any, Node]:
        if node not in self._known:
            if isinstance(node, Lexeme):
                expression, rules = node.expression()
                self._rules.update(rules)
                self._known[node] = yield self._node(expression)
            else:
                children: list[Node] = []
                for child in node.children():
                    children.append((yield self._node(child)))
                self._known[node] = rebuild(node, children)
        return self._known[node]


def rebuild(node: Node, children: list[Node]) -> Node:
    """A node of the same kind over other children."""
    if isinstance(node, Sequence):
        return Sequence(tuple(children))
    if isinstance(node, Choice):
        return Choice(tuple(children))
    if isinstance(node, Repeat):
        return Repeat(children[0], node.low, node.high)
    if isinstance(node, Both):
        return Both(children[0], children[1])
    if isinstance(node, Not):
        return Not(children[0])
    if isinstance(node, Look):
        return Look(children[0], node.ahead, node.negative)
    if isinstance(node, Named):
        return Named(node.name, children[0])
    return node
