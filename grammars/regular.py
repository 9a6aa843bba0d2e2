"""Which expressions are regular, and how rules that are not recursive become part of them.

A regular expression may call rules as long as no rule leads back to itself. `inline` puts their bodies in place. A
body with assertions is closed on the way: what it looks at ends with the rule, whatever surrounds the call.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from grammars.expression import (
    ANY_BYTES,
    Both,
    Bytes,
    Call,
    Chars,
    Lexeme,
    Look,
    Node,
    Not,
    Rules,
    Text,
    subexpressions,
)
from grammars.renaming import Unpacked, rebuild
from grammars.trampoline import run

_CHILDLESS = frozenset((Text, Bytes, Chars, Call, Lexeme))


def is_assertion_free(node: Node) -> bool:
    """Whether no assertion of the expression can look beyond it: intersections and complements keep theirs inside.

    >>> from grammars.expression import text
    >>> is_assertion_free(text("a")), is_assertion_free(Look(text("a"), True, False))
    (True, False)
    """
    seen: set[int] = set()
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, Look):
            return False
        if id(node) not in seen and not isinstance(node, Both | Not):
            seen.add(id(node))
            stack.extend([child for child in node.children() if type(child) not in _CHILDLESS])
    return True


def closed(node: Node) -> Node:
    """The same language, with assertions that see nothing beyond it."""
    return node if is_assertion_free(node) else Both(node, ANY_BYTES)


def inline(node: Node, rules: Rules) -> Node | None:
    """The expression without calls and lexemes, or None if it is recursive or calls a recursive rule.

    >>> from grammars.expression import text
    >>> inline(Call("a"), {"a": text("x")}).data
    b'x'
    >>> inline(Call("a"), {"a": Call("a")}) is None
    True
    """
    if not any(isinstance(part, Call | Lexeme) for part in subexpressions(node)):
        return node
    plain = Unpacked(rules)
    node = plain.node(node)
    return None if _is_recursive(node, plain) else run(_inlined(node, plain, {}))


def _called(node: Node) -> list[str]:
    return [part.rule for part in subexpressions(node) if isinstance(part, Call)]


def _is_recursive(node: Node, rules: Rules) -> bool:
    """Depth-first search for a rule that is reached while it is open."""
    opened: set[str] = set()
    finished: set[str] = set()
    stack: list[tuple[str, bool]] = [(rule, False) for rule in _called(node)]
    while stack:
        rule, leaving = stack.pop()
        if leaving:
            opened.discard(rule)
            finished.add(rule)
        elif rule in opened:
            return True
        elif rule not in finished:
            opened.add(rule)
            stack.append((rule, True))
            stack.extend((callee, False) for callee in _called(rules[rule]))
    return False


def _inlined(node: Node, rules: Rules, known: dict[Node, Node]) -> Generator[Any, Any, Node]:
    if node not in known:
        if isinstance(node, Call):
            known[node] = closed((yield _inlined(rules[node.rule], rules, known)))
        else:
            children: list[Node] = []
            for child in node.children():
                children.append((yield _inlined(child, rules, known)))
            known[node] = rebuild(node, children)
    return known[node]
