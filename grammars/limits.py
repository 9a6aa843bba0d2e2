"""Limits: budgets that keep one request from taking a whole machine.

Work is counted, never timed, so the same input has the same outcome on every machine. Each budget is charged before the
work it pays for; over it the answer is `LimitExceeded`, never a wider language.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from grammars.errors import LimitExceeded


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets of one compilation and of the automaton it makes.

    >>> Limits(nesting=10).nesting
    10
    """

    source_bytes: int = 8 << 20
    """Size of a grammar, regex or schema text. Reading runs at roughly 1 MB/s, so the default is seconds at worst."""

    nesting: int = 1_000
    """Depth of brackets, groups and nested values in a source text. No front end recurses: this bounds memory only."""

    repeat: int = 1_000_000_000
    """Largest bound of a counted repetition. Counters are numbers, never unrolled: a large bound costs nothing."""

    states: int = 1_000_000
    """States of the compiled program, at roughly 2 µs and 60 bytes each. At most 2**20: states are packed into
    words."""

    compile_work: int = 40_000
    """Reading, products, and residuals with their emptiness searches, in steps of roughly 30 µs: about a second. What
    is left to be done when masks are computed has this budget for each mask."""

    mask_work: int = 20_000_000
    """Items moved while one mask is computed, at 10 to 70 ns each: a second for the most ambiguous grammar."""

    cache_bytes: int = 96 << 20
    """Memory of the caches of one automaton: configurations, transitions and mask rows."""

    @classmethod
    def trusted(cls) -> Limits:
        """No limits but those of the data structures themselves, for grammars you wrote yourself.

        >>> Limits.trusted().nesting > 10**6
        True
        """
        lifted = {f.name: 1 << 40 for f in fields(cls)}
        return cls(**(lifted | {"states": 1 << 20, "cache_bytes": 1 << 30, "repeat": (1 << 30) - 1}))


class Budget:
    """A counter that is charged before work is done.

    `price` is what one charge stands for, where a limit counts something smaller.

    >>> Budget("mask_work", 10_000, price=400).left
    25
    """

    __slots__ = ("_left", "_limit", "_total", "name")

    def __init__(self, name: str, limit: int, price: int = 1):
        self.name, self._limit = name, limit
        self._total = self._left = limit // price

    def charge(self, amount: int = 1) -> None:
        """Take `amount` from the budget or raise `LimitExceeded`."""
        self._left -= amount
        if self._left < 0:
            raise self._exceeded()

    @property
    def left(self) -> int:
        """What is left of the budget."""
        return self._left

    def foresee(self, amount: int) -> None:
        """Raise `LimitExceeded` at once if what will be charged, one by one, is more than the whole budget."""
        if amount > self._total:
            raise self._exceeded()

    def _exceeded(self) -> LimitExceeded:
        return LimitExceeded(
            f"the grammar needs more than Limits.{self.name} = {self._limit}",
            hint=f"simplify the grammar, or raise Limits({self.name}=...) if you trust its author",
        )

    def refill(self) -> None:
        """Start again with the whole budget, for the next piece of work that is bounded by itself."""
        self._left = self._total
