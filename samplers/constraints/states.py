"""States of a constraint written in Python: any hashable value, known to the outside by its number."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from grammars.errors import StateError

S = TypeVar("S", bound=Hashable)


class Numbered(Generic[S]):
    """Values and their numbers, given in the order of first sight.

    >>> states = Numbered("start")
    >>> states.number("other"), states.number("start"), states[1]
    (1, 0, 'other')
    """

    def __init__(self, start: S):
        self._values: list[S] = [start]
        self._numbers: dict[S, int] = {start: 0}

    def number(self, value: S) -> int:
        """The number of a value, new or known."""
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self._values)
            self._values.append(value)
        return number

    def __getitem__(self, number: int) -> S:
        if not 0 <= number < len(self._values):
            raise StateError(f"{number} is no state of this constraint")
        return self._values[number]

    def __len__(self) -> int:
        return len(self._values)
