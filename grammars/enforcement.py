"""A line of `report()`: what is done about one keyword of a schema."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Enforcement:
    """One keyword of a schema: enforced exactly by `means`, or not a constraint at all.

    >>> str(Enforcement("#/properties/a", "maxLength", "a counter"))
    '#/properties/a maxLength: a counter'
    """

    location: str
    keyword: str
    means: str
    enforced: bool = True

    def __str__(self) -> str:
        return f"{self.location} {self.keyword}: {self.means}"
