"""Recursion without the interpreter's stack.

A recursive walk is written as a generator that yields the generators of its sub-walks and is sent their results; `run`
keeps them on a list. Nesting a million deep then costs memory, not a crash.

>>> def depth(tree):
...     deepest = 0
...     for child in tree:
...         deepest = max(deepest, (yield depth(child)))
...     return deepest + 1
>>> run(depth([[], [[]]]))
3
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")

Walk = Generator["Walk[Any]", Any, T]


def run(walk: Walk[T]) -> T:
    """The result of a walk."""
    stack: list[Walk[Any]] = [walk]
    value: Any = None
    while stack:
        try:
            child = stack[-1].send(value)
        except StopIteration as done:
            stack.pop()
            value = done.value
        else:
            stack.append(child)
            value = None
    return value
