"""Numbers that are few because they are the multiples of a step between two bounds.

An automaton over digits keeps the digits modulo every step at once: where a set excludes multiples of many numbers
these are as many states as their least common multiple. If few numbers are left to be asked, they are asked one by
one, and the set is a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from fractions import Fraction
from math import ceil, floor, lcm

from grammars.limits import Budget
from grammars.schema.multiples import least_common
from grammars.schema.number_sets import WRITTEN_WHOLE, Below, MultipleOf, holds, in_units
from grammars.schema.terms import Term, atoms_of

_MOST_ASKED = 2_000
_DIGITS = 20_000  # those of a count of steps below a bound, which is a number in a schema
_MANY_RESIDUES = 1_000  # with fewer the automaton is the smaller grammar


def few_numbers(term: Term, budget: Budget) -> frozenset[Decimal] | None:
    """The numbers of a term if it asks for many remainders of few candidates, else None.

    >>> from grammars.schema.number_sets import below, multiple_of
    >>> from grammars.schema.terms import conj, neg
    >>> steps = [multiple_of(Decimal(13)), *(neg(multiple_of(Decimal(step))) for step in (2, 3, 5, 7, 11))]
    >>> bounds = [neg(below(Decimal(200), True)), below(Decimal(250), True)]
    >>> sorted(map(int, few_numbers(conj([*steps, *bounds]), Budget("compile_work", 1000))))
    [221, 247]
    """
    parts = term.parts if term.op == "and" else (term,)
    if WRITTEN_WHOLE in parts or not _has_many_residues(term):
        return None
    steps = [part.atom.step for part in parts if isinstance(part.atom, MultipleOf)]
    lows, highs = _bounds(part.parts[0] for part in parts if part.op == "not"), _bounds(parts)
    if not steps or not lows or not highs:
        return None
    step = least_common(steps)
    first, last = ceil(Fraction(max(lows)) / Fraction(step)), floor(Fraction(min(highs)) / Fraction(step))
    if last - first >= _MOST_ASKED:
        return None
    budget.charge(max(last - first, 0))
    exact = Context(prec=_DIGITS + len(step.as_tuple().digits))
    candidates = (exact.multiply(Decimal(count), step) for count in range(first, last + 1))
    return frozenset(value for value in candidates if holds(term, value))


def _bounds(parts: Iterable[Term]) -> list[Decimal]:
    return [part.atom.bound for part in parts if isinstance(part.atom, Below)]


def _has_many_residues(term: Term) -> bool:
    residues = 1
    for part in atoms_of(term):
        if isinstance(part, MultipleOf) and residues < _MANY_RESIDUES:
            residues = lcm(residues, in_units(part.step)[0])
    return residues >= _MANY_RESIDUES
