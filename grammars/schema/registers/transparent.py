"""Regular languages that do not see marks.

With h the map that erases marks, L ∩ R of a marked grammar for L is the marked grammar ∩ h⁻¹(R). Inverse images commute
with union, concatenation, intersection and complement, so it is enough to admit marks before every character, and where
something is repeated no times. The marks are calls of rules, which vanish where all marks are erased.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from grammars.expression import (
    NOTHING,
    Bytes,
    Call,
    Chars,
    Node,
    Repeat,
    Text,
    choice,
    repeat,
    sequence,
)
from grammars.renaming import rebuild
from grammars.schema.registers import marks
from grammars.trampoline import run

_NAME = "between:"
BETWEEN: Final = {_NAME + name: body for name, body in marks.mark_rules().items()}
_SOME_MARKS: Final = repeat(choice(map(Call, BETWEEN)))


def watched(node: Node) -> Node:
    """The texts of a node of which nobody knows whether they can be finished: inside, each reading is searched."""
    return sequence([Call(f"{_NAME}mark {marks.OPEN_TIGHT_KEYS}"), node, Call(f"{_NAME}mark {marks.CLOSE}")])


def transparent(node: Node) -> Node:
    """The texts of an expression without calls, with marks anywhere.

    >>> from grammars.expression import text
    >>> from grammars.regular import inline
    >>> from grammars.limits import Budget
    >>> from grammars.residuals import Residuals
    >>> spread = Residuals(inline(transparent(text("ab")), BETWEEN), Budget("compile_work", 1000))
    >>> state = spread.start
    >>> for byte in b"\\xf7a\\xfe\\xffb":
    ...     state = spread.step(state, byte)
    >>> spread.accepts(state)
    True
    """
    return sequence([run(_transparent(node, {})), _SOME_MARKS])


def _transparent(node: Node, known: dict[Node, Node]) -> Generator[Any, Any, Node]:
    if node not in known:
        known[node] = _of_leaf(node) if not node.children() else (yield _of_parts(node, known))
    return known[node]


def _of_parts(node: Node, known: dict[Node, Node]) -> Generator[Any, Any, Node]:
    parts: list[Node] = []
    for child in node.children():
        parts.append((yield _transparent(child, known)))
    found = rebuild(node, parts)
    return sequence([_SOME_MARKS, found]) if isinstance(node, Repeat) else found


def _of_leaf(node: Node) -> Node:
    if isinstance(node, Text):
        pieces = [Text(node.data[at : at + 1]) for at in range(len(node.data))] or [node]
        return sequence(part for piece in pieces for part in (_SOME_MARKS, piece))
    if isinstance(node, Bytes):
        mask = node.mask & ~marks.BITS
        return sequence([_SOME_MARKS, Bytes(mask)]) if mask else NOTHING
    return sequence([_SOME_MARKS, node]) if isinstance(node, Chars) else node
