"""Demands on the text to come, as boolean combinations of "the thread at this instruction will match".

Demands are numbers; equal ones have equal numbers. Reading a character turns a demand into the demand on what follows
it (Brzozowski's derivative, for an alternating automaton); at the end of the text no thread that waits for a
character can match any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

FALSE, TRUE = 0, 1
_ATOM, _NOT, _AND = range(3)

Key = tuple[int, int] | tuple[int, frozenset[int]]


class Futures:
    """The demands of one program.

    >>> futures = Futures()
    >>> futures.all([futures.will_match(7), futures.negation(futures.will_match(7))]) == FALSE
    True
    """

    def __init__(self) -> None:
        self._keys: list[Key] = [(_AND, frozenset({-1})), (_AND, frozenset())]
        self._numbers: dict[Key, int] = {key: number for number, key in enumerate(self._keys)}

    def _number(self, key: Key) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return number

    def will_match(self, instruction: int) -> int:
        """The thread at a `CHAR` instruction reads on to a match."""
        return self._number((_ATOM, instruction))

    def negation(self, demand: int) -> int:
        if demand <= TRUE:
            return TRUE - demand
        kind, value = self._keys[demand]
        return value if kind == _NOT and isinstance(value, int) else self._number((_NOT, demand))

    def all(self, demands: Iterable[int]) -> int:
        """Every one of the demands."""
        parts: set[int] = set()
        for demand in demands:
            kind, value = self._keys[demand]
            parts.update(value if kind == _AND and isinstance(value, frozenset) else (demand,))
        if -1 in parts or any(self.negation(part) in parts for part in parts):
            return FALSE
        return next(iter(parts)) if len(parts) == 1 else self._number((_AND, frozenset(parts)))

    def any(self, demands: Iterable[int]) -> int:
        """At least one of the demands."""
        return self.negation(self.all([self.negation(demand) for demand in demands]))

    def replace(self, demand: int, atom: Callable[[int], int]) -> int:
        """The demand with every thread's promise replaced.

        Demands are as deep as assertions are nested in a pattern, which the parser bounds.
        """
        kind, value = self._keys[demand]
        if isinstance(value, frozenset):
            return demand if demand <= TRUE else self.all([self.replace(part, atom) for part in value])
        return atom(value) if kind == _ATOM else self.negation(self.replace(value, atom))

    def parts(self, demand: int) -> list[int]:
        """Demands that together are this one."""
        _, value = self._keys[demand]
        if demand <= TRUE or not isinstance(value, frozenset):
            return [] if demand == TRUE else [demand]
        return sorted(value)

    def threads(self, demand: int) -> set[int]:
        """The instructions of the threads whose matching the demand is about."""
        found: set[int] = set()

        def note(instruction: int) -> int:
            found.add(instruction)
            return self.will_match(instruction)

        self.replace(demand, note)
        return found

    def at_end(self, demand: int) -> bool:
        """Whether the demand holds when no text comes any more."""
        return self.replace(demand, lambda _: FALSE) == TRUE
