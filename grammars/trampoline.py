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


class Retreat(Exception):
    """A sub-walk cannot go on, and a walk above may know what to do: it is raised where that one waits. All other
    errors end the whole walk at once."""


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
        except Retreat as retreat:
            value = _caught(stack, retreat)
        else:
            stack.append(child)
            value = None
    return value


def _caught(stack: list[Walk[Any]], retreat: Retreat) -> Any:
    """What the walk that catches the retreat goes on with; raises it if none does."""
    stack.pop()
    while stack:
        try:
            child = stack[-1].throw(retreat)
        except StopIteration as done:
            stack.pop()
            return done.value
        except Retreat as another:
            stack.pop()
            retreat = another
        else:
            stack.append(child)
            return None
    raise retreat
