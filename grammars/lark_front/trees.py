"""Walks over lark's parse trees that never recurse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import lark

from grammars.errors import GrammarSyntaxError, LimitExceeded
from grammars.lark_front.source import Source, Tree
from grammars.limits import Limits

T = TypeVar("T")

_MAX_DIGITS = 20  # more than any limit, few enough for int()
_OPERATORS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}


def fold(tree: Tree, combine: Callable[[Tree, list[T]], T]) -> T:
    """Evaluate a tree from its leaves up: `combine` gets a tree and the values of its sub-trees."""
    results: list[T] = []
    stack: list[tuple[Tree, int]] = [(tree, -1)]
    while stack:
        node, mark = stack.pop()
        if mark < 0:
            stack.append((node, len(results)))
            stack.extend((child, -1) for child in reversed(node.children) if isinstance(child, lark.Tree))
        else:
            values = results[mark:]
            del results[mark:]
            results.append(combine(node, values))
    return results[0]


def bounds(expr: Tree, source: Source, limits: Limits) -> tuple[int, int | None]:
    """How often the body of an `expr` (`x?`, `x*`, `x+`, `x ~ n`, `x ~ n..m`) may stand."""
    operator, *numbers = (token for token in expr.children if isinstance(token, lark.Token))
    if operator in _OPERATORS:
        return _OPERATORS[operator]
    values = [_count(token, source, limits) for token in numbers]
    if values[-1] < values[0]:
        raise GrammarSyntaxError("the bounds of this repetition are in the wrong order", span=source.span(numbers[0]))
    return values[0], values[-1]


def _count(token: lark.Token, source: Source, limits: Limits) -> int:
    if token.startswith("-"):
        raise GrammarSyntaxError("a repetition cannot be negative", span=source.span(token))
    digits = token.lstrip("+0")
    if len(digits) > _MAX_DIGITS or int(digits or "0") > limits.repeat:
        raise LimitExceeded(f"more repetitions than Limits.repeat = {limits.repeat}", span=source.span(token))
    return int(digits or "0")
