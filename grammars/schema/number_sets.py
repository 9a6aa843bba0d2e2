"""Sets of numbers as terms, in exact decimal arithmetic.

Atoms are lists of values, comparisons with a bound, multiples and, for draft 4, being written as an integer.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from grammars.schema.terms import Term, atom, atoms_of, digest, finite, fold


@dataclass(frozen=True, slots=True)
class Among:
    """One of these values."""

    values: frozenset[Decimal]


@dataclass(frozen=True, slots=True)
class Below:
    """Less than the bound, or equal to it if it is included."""

    bound: Decimal
    included: bool


@dataclass(frozen=True, slots=True)
class MultipleOf:
    """A whole multiple of the step, which is positive."""

    step: Decimal


@dataclass(frozen=True, slots=True)
class WrittenWhole:
    """Written without fraction and exponent: what draft 4 calls an integer."""


def plain(value: Decimal) -> bytes:
    """A number in the one spelling that equal numbers share; nothing is rounded, as `Decimal.normalize` would do.

    >>> plain(Decimal("1.50")) == plain(Decimal("15e-1")), plain(Decimal(10**40)) == plain(Decimal(10**40 + 1))
    (True, False)
    """
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    return f"{'-' * sign}{kept}e{int(exponent) + len(text) - len(kept)}".encode() if kept else b"0"


def among(values: frozenset[Decimal]) -> Term:
    """The numbers that equal one of these."""
    return atom(Among(values), digest(b"among", *sorted(plain(value) for value in values)))


def below(bound: Decimal, included: bool) -> Term:
    """The numbers below a bound."""
    return atom(Below(bound, included), digest(b"below", plain(bound), bytes([included])))


def multiple_of(step: Decimal) -> Term:
    """The whole multiples of a positive number."""
    return atom(MultipleOf(step), digest(b"multiple", plain(step)))


INTEGER = multiple_of(Decimal(1))
WRITTEN_WHOLE = atom(WrittenWhole(), b"written whole")


def in_units(step: Decimal) -> tuple[int, int]:
    """A positive number as M and s with the value M / 10^s, s as small as possible and not negative.

    >>> in_units(Decimal("2.50")), in_units(Decimal("3e2"))
    ((25, 1), (300, 0))
    """
    whole, _, places = format(step, "f").partition(".")
    places = places.rstrip("0")
    return int(whole + places), len(places)


def holds(term: Term, value: Decimal) -> bool:
    """Whether a number is in the set; how it is written is another matter.

    >>> holds(below(Decimal("0.3"), True), Decimal("0.1") + Decimal("0.2"))
    True
    """
    return fold(term, lambda part: _holds(part, value), all, any, lambda inner: not inner)


def _holds(part: Any, value: Decimal) -> bool:
    if isinstance(part, Among):
        return value in part.values
    if isinstance(part, Below):
        return value < part.bound or (part.included and value == part.bound)
    if isinstance(part, MultipleOf):
        return Fraction(value) % Fraction(part.step) == 0
    return value == value.to_integral_value()


def values_of(term: Term) -> frozenset[Decimal] | None:
    """The values of a set that a list bounds."""
    if any(isinstance(part, WrittenWhole) for part in atoms_of(term)):
        return None
    return finite(term, lambda part: part.values if isinstance(part, Among) else None, holds)
