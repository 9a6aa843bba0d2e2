"""Renaming the rules that an expression calls."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from grammars.expression import Both, Call, Choice, Look, Named, Node, Not, Repeat, Sequence
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
