"""Multiples of a step of many digits, as an automaton that is made as far as it is walked.

A number is a multiple of several steps exactly if it is one of their least common multiple M / 10^s, and an integer is
a multiple of 1. The digits read are kept modulo M; there are M states, too many to be written down if M is large. What
was begun can still become a multiple: more digits before the point reach every residue, and of the places behind it
those that are left reach the residues of the numbers that they can write.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from fractions import Fraction
from functools import partial
from math import lcm
from typing import ClassVar, Final

from grammars.errors import UnsupportedFeature
from grammars.expression import Lexeme, Node
from grammars.limits import Budget
from grammars.schema.number_sets import WRITTEN_WHOLE, MultipleOf
from grammars.schema.terms import Term

_DEAD, _UNKNOWN = -1, -2
_MOST_DIGITS = 50_000  # those of a step are 10,000 at most
_START, _SIGN, _ZERO, _WHOLE, _POINT, _PLACES, _E, _E_SIGN, _E_ZERO = range(9)
_COMPLETE: Final = (_ZERO, _WHOLE, _PLACES, _E_ZERO)
_CHARACTERS: Final = b"0123456789-+.eE"
_CLASSES: Final = tuple(_CHARACTERS.find(byte) + 1 for byte in range(256))

State = tuple[int, int, int]  # where, places read behind the point, residue of the digits


def common_step(term: Term) -> Decimal | None:
    """The step of which the numbers of a term are all the multiples; None if the term says anything else."""
    parts = term.parts if term.op == "and" else (term,)
    steps = [Decimal(1) if part == WRITTEN_WHOLE else part.atom.step for part in parts if _is_step(part)]
    return least_common(steps) if len(steps) == len(parts) and steps else None


def _is_step(part: Term) -> bool:
    return part == WRITTEN_WHOLE or isinstance(part.atom, MultipleOf)


def least_common(steps: Iterable[Decimal]) -> Decimal:
    """lcm(a/b, c/d) = lcm(ad, cb) / bd.

    >>> least_common([Decimal(1), Decimal("0.06")])
    Decimal('3')
    """
    exact = list(map(Fraction, steps))
    scale = lcm(*(step.denominator for step in exact))
    units = lcm(*(int(step * scale) for step in exact))
    return Context(prec=_MOST_DIGITS).divide(Decimal(units), Decimal(scale))


def multiples(step: Decimal, exponents: bool, written_whole: bool = False) -> Node:
    """The decimals that are multiples of a step; `written_whole` if they have digits only.

    >>> from grammars import Grammar
    >>> thousand = Grammar(multiples(Decimal("0.123456789"), True))
    >>> thousand.matches(b"-0.246913578"), thousand.matches(b"123456789.0"), thousand.matches(b"1")
    (True, True, False)
    """
    name = f"multiples {step} {int(exponents)}{int(written_whole)}"
    return Lexeme(name.encode(), partial(Multiples, step, exponents, written_whole), _refuse)


def _refuse() -> tuple[Node, dict[str, Node]]:
    raise UnsupportedFeature(
        "multiples of a step of that many digits are no small regular expression, so they do not intersect",
        hint="state both conditions in the schema",
    )


class Multiples:
    """The automaton; states are numbered in the order in which they are reached."""

    start = 0

    is_quick: ClassVar[bool] = True

    def __init__(self, step: Decimal, exponents: bool, written_whole: bool, budget: Budget):
        whole, _, places = format(step, "f").partition(".")
        self._modulus, self._places = int(whole + places), len(places)
        self._exponents, self._points = exponents and not written_whole, not written_whole
        self._budget = budget
        self.byte_classes = _CLASSES
        self._states: list[State] = [(_START, 0, 0)]
        self._numbers: dict[State, int] = {self._states[0]: 0}
        self._rows: list[list[int]] = [[_DEAD] + [_UNKNOWN] * len(_CHARACTERS)]

    @property
    def node(self) -> Node:
        """Refused: the automaton has no expression of any use."""
        return _refuse()[0]

    def refill(self) -> None:
        """Have the whole budget again."""
        self._budget.refill()

    def targets(self, state: int) -> list[int]:
        """Where the byte classes lead from a state, -2 where that is not known."""
        return self._rows[state]

    def accepts(self, state: int) -> bool:
        """Whether the digits that were read are a multiple."""
        where, places, residue = self._states[state]
        return where in _COMPLETE and residue * 10 ** (self._places - places) % self._modulus == 0

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte, -1 if no multiple is written like that."""
        row, number = self._rows[state], _CLASSES[byte]
        if row[number] == _UNKNOWN:
            self._budget.charge()
            after = self._after(self._states[state], chr(byte))
            row[number] = _DEAD if after is None or not self._can_finish(after) else self._number(after)
        return row[number]

    def _number(self, state: State) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            self._rows.append([_DEAD] + [_UNKNOWN] * len(_CHARACTERS))
        return number

    def _after(self, state: State, character: str) -> State | None:
        where, places, residue = state
        if character.isdigit():
            return self._digit(where, places, residue, int(character))
        if character == "-" and where == _START:
            return _SIGN, 0, 0
        if character == "." and where in (_ZERO, _WHOLE) and self._points:
            return _POINT, 0, residue
        if character in "eE" and where in (_ZERO, _WHOLE, _PLACES) and self._exponents:
            return _E, places, residue
        return (_E_SIGN, places, residue) if character in "+-" and where == _E else None

    def _digit(self, where: int, places: int, residue: int, digit: int) -> State | None:
        if where in (_START, _SIGN):
            return (_WHOLE if digit else _ZERO), 0, digit % self._modulus
        if where == _WHOLE:
            return _WHOLE, 0, (residue * 10 + digit) % self._modulus
        if where in (_POINT, _PLACES):
            if places == self._places:
                return None if digit else (_PLACES, places, residue)
            return _PLACES, places + 1, (residue * 10 + digit) % self._modulus
        return None if digit or where == _ZERO else (_E_ZERO, places, residue)

    def _can_finish(self, state: State) -> bool:
        where, places, residue = state
        if where in (_START, _SIGN, _WHOLE):
            return True
        left = 10 ** (self._places - places)
        missing = -residue * left % self._modulus
        return missing < left if where in (_ZERO, _POINT, _PLACES) else missing == 0
