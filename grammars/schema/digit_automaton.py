"""Sets of decimals as automata over digits: comparisons, multiples and lists of values in any boolean combination.

A number is read from the left: sign, digits, point, digits, and maybe a zero exponent. Every atom of the term follows
it with a small state of its own, and a state of the automaton is the tuple of them:

* A bound c compares the digits read with those of |c|: how many digits were read and how the comparison stands. As
  numbers have no leading zeros, the count decides at the point which of the two is longer.
* A multiple of m = M / 10^s keeps the digits read, as a number modulo M, up to the s-th place; from there on digits
  must be zero. Steps with the same s share the number modulo the least common multiple of their M.

Whether the number is in the set is decided from the tuple by the term. Equivalent states are merged (Moore), dead
ones dropped, and what is left is a lexeme. Written as rules, each state reads one character and calls the next.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from math import lcm
from typing import Any

import numpy as np

from grammars.expression import EPSILON, NOTHING, ByteAutomaton, Call, Lexeme, Node, byte_set, choice, sequence
from grammars.limits import Budget
from grammars.schema.number_sets import Among, Below, MultipleOf, in_units
from grammars.schema.terms import Term, atoms_of, fold

_START, _SIGN, _ZERO, _WHOLE, _POINT, _FRACTION, _E, _E_SIGN, _E_ZERO = range(9)
_NUMBERS = (_ZERO, _WHOLE, _FRACTION, _E_ZERO)
_CHARACTERS = "0123456789-+.eE"

State = tuple[int, bool, tuple[Any, ...]]


def digit_lexeme(term: Term, exponents: bool, budget: Budget) -> Node:
    """The decimals of the term."""
    automaton = _Automaton(term, exponents, budget)
    budget.charge(max((tracker.modulus for tracker in automaton.trackers if isinstance(tracker, _Residue)), default=0))
    states: list[State] = [automaton.start]
    numbers = {automaton.start: 0}
    rows: list[list[int]] = []
    while len(rows) < len(states):
        budget.charge(1 + len(automaton.trackers) // 4)
        state = states[len(rows)]
        row: list[int] = []
        for character in _CHARACTERS:
            target = automaton.step(state, character)
            if target is not None and target not in numbers:
                numbers[target] = len(states)
                states.append(target)
            row.append(-1 if target is None else numbers[target])
        rows.append(row)
    accepting = [automaton.accepts(state) for state in states]
    if 0 not in _alive(rows, accepting):
        return NOTHING
    rows, accepting = _smallest(rows, accepting)
    name = f"number {term.key.hex()} {int(exponents)}"
    return Lexeme(name.encode(), _as_bytes(rows, accepting), lambda: _as_rules(rows, accepting, name))


def _smallest(rows: list[list[int]], accepting: list[bool]) -> tuple[list[list[int]], list[bool]]:
    """One row for each class of equivalent states that can accept, the first first; -1 leads nowhere."""
    alive = _alive(rows, accepting)
    block = _merged([[t if t in alive else -1 for t in row] for row in rows], accepting)
    first = {block[state]: state for state in sorted(alive, reverse=True)}
    chosen = sorted(first.values())
    number = {block[state]: i for i, state in enumerate(chosen)}
    smaller = [[number[block[t]] if t in alive else -1 for t in rows[state]] for state in chosen]
    return smaller, [accepting[state] for state in chosen]


def _as_bytes(rows: list[list[int]], accepting: list[bool]) -> ByteAutomaton:
    edges: list[tuple[int, int, int]] = []
    row_edge = [0]
    for row in rows:
        for code, target in sorted(zip(_CHARACTERS.encode(), row, strict=True)):
            if target >= 0 and len(edges) > row_edge[-1] and edges[-1][1:] == (code - 1, target):
                edges[-1] = (edges[-1][0], code, target)
            elif target >= 0:
                edges.append((code, code, target))
        row_edge.append(len(edges))
    return ByteAutomaton(
        np.array(row_edge, np.int64), np.array(accepting, np.int64), np.array(edges, np.int64).reshape(-1, 3)
    )


def _as_rules(rows: list[list[int]], accepting: list[bool], name: str) -> tuple[Node, dict[str, Node]]:
    rules = {
        f"{name} {i}": _rule(row, accepts, name) for i, (row, accepts) in enumerate(zip(rows, accepting, strict=True))
    }
    return Call(f"{name} 0"), rules


def _rule(row: list[int], accepts: bool, name: str) -> Node:
    by_target: dict[int, list[int]] = {}
    for character, target in zip(_CHARACTERS, row, strict=True):
        if target >= 0:
            by_target.setdefault(target, []).append(ord(character))
    options: list[Node] = [
        sequence([byte_set(characters), Call(f"{name} {target}")]) for target, characters in by_target.items()
    ]
    return choice([*options, EPSILON] if accepts else options)


def _alive(rows: list[list[int]], accepting: list[bool]) -> set[int]:
    before: list[list[int]] = [[] for _ in rows]
    for state, row in enumerate(rows):
        for target in row:
            if target >= 0:
                before[target].append(state)
    alive = {state for state, accepts in enumerate(accepting) if accepts}
    stack = list(alive)
    while stack:
        for state in before[stack.pop()]:
            if state not in alive:
                alive.add(state)
                stack.append(state)
    return alive


def _merged(rows: list[list[int]], accepting: list[bool]) -> list[int]:
    """The number of each state's class of equivalent states."""
    block = [int(accepts) for accepts in accepting]
    count = len(set(block))
    while True:
        classes: dict[tuple[int, ...], int] = {}
        block = [
            classes.setdefault((block[state], *(-1 if t < 0 else block[t] for t in row)), len(classes))
            for state, row in enumerate(rows)
        ]
        if len(classes) == count:
            return block
        count = len(classes)


class _Automaton:
    """The product of the atoms' automata with the grammar of decimals."""

    def __init__(self, term: Term, exponents: bool, budget: Budget):
        self._term = term
        self._exponents = exponents
        residues = _residues(atoms_of(term), budget)
        self._parts = [(part, _trackers(part, residues)) for part in atoms_of(term)]
        self.trackers = list(dict.fromkeys(tracker for _, trackers in self._parts for tracker in trackers))
        self._is_whole = all(tracker.is_whole for tracker in self.trackers)
        self.start: State = (_START, False, tuple(tracker.start for tracker in self.trackers))

    def step(self, state: State, character: str) -> State | None:
        phase, negative, inner = state
        target = _phase_after(phase, character)
        if target is None or (target >= _E and not self._exponents):
            return None
        if target == _E:  # only zeros may follow: the number is known
            return (target, False, ()) if self._is_in(_E_ZERO, state) else None
        if target > _E:
            return target, False, ()
        if target == _SIGN:
            return target, True, inner
        if self._is_whole and target >= _POINT:
            return self._behind_whole(state, target, character)
        if target == _POINT:
            return target, negative, self._after_whole(phase, inner)
        return target, negative, self._with_digit(inner, int(character), target == _FRACTION)

    def _behind_whole(self, state: State, target: int, character: str) -> State | None:
        """If nothing is asked of single places all that counts behind the point is whether one is not zero: the state
        is the answer without and with such a place."""
        phase, negative, inner = state
        if target == _POINT:
            whole = self._after_whole(phase, inner)
            more = self._with_digit(whole, 1, True)
            inner = tuple(self._is_in(_FRACTION, (_FRACTION, negative, read)) for read in (whole, more))
        elif character != "0":
            inner = inner[1], inner[1]
        return (target, False, inner) if True in inner else None

    def _with_digit(self, inner: tuple[Any, ...], digit: int, place: bool) -> tuple[Any, ...]:
        return tuple(t.digit(s, digit, place) for t, s in zip(self.trackers, inner, strict=True))

    def _after_whole(self, phase: int, inner: tuple[Any, ...]) -> tuple[Any, ...]:
        if phase not in (_ZERO, _WHOLE):
            return inner
        return tuple(tracker.point(s) for tracker, s in zip(self.trackers, inner, strict=True))

    def accepts(self, state: State) -> bool:
        phase, _, inner = state
        if phase == _E_ZERO:
            return True
        if phase == _FRACTION and self._is_whole:
            return inner[0]
        return phase in _NUMBERS and self._is_in(phase, state)

    def _is_in(self, phase: int, state: State) -> bool:
        """Whether the number that was read is in the set if it ends in a phase."""
        before, negative, inner = state
        if before == _FRACTION and self._is_whole and phase != before:
            return inner[0]
        inner = self._after_whole(before, inner)
        ends = {tracker: tracker.end(s) for tracker, s in zip(self.trackers, inner, strict=True)}
        decided: dict[Any, bool] = {}
        for part, trackers in self._parts:
            decided[part] = _decide(part, [ends[tracker] for tracker in trackers], negative, phase in (_ZERO, _WHOLE))
        return fold(self._term, lambda part: decided[part], all, any, lambda inner: not inner)


def _trackers(part: Any, residues: dict[int, _Residue]) -> list[_Comparison | _Residue]:
    if isinstance(part, Among):
        return [_Comparison(value.copy_abs()) for value in sorted(part.values)]
    if isinstance(part, Below):
        return [_Comparison(part.bound.copy_abs())]
    return [residues[in_units(part.step)[1]]] if isinstance(part, MultipleOf) else []


def _residues(parts: list[Any], budget: Budget) -> dict[int, _Residue]:
    """One tracker for all steps with equally many places, modulo their least common multiple."""
    moduli: dict[int, int] = {}
    for part in parts:
        if isinstance(part, MultipleOf):
            modulus, scale = in_units(part.step)
            moduli[scale] = lcm(moduli.get(scale, 1), modulus)
            budget.foresee(moduli[scale])
    return {scale: _Residue(modulus, scale) for scale, modulus in moduli.items()}


def _decide(part: Any, ends: list[int], negative: bool, whole: bool) -> bool:
    """Whether the number that was read is in an atom's set, from how its trackers ended."""
    if isinstance(part, Among):
        return any(_sign(value, end, negative) == 0 for value, end in zip(sorted(part.values), ends, strict=True))
    if isinstance(part, Below):
        sign = _sign(part.bound, ends[0], negative)
        return sign < 0 or (part.included and sign == 0)
    return ends[0] >= 0 and ends[0] % in_units(part.step)[0] == 0 if isinstance(part, MultipleOf) else whole


def _sign(bound: Decimal, magnitudes: int, negative: bool) -> int:
    """How a number compares with a bound, given how their magnitudes do."""
    if bound == 0:
        return -magnitudes if negative else magnitudes
    if negative != (bound < 0):
        return -1 if negative else 1
    return -magnitudes if negative else magnitudes


def _phase_after(phase: int, character: str) -> int | None:
    if character.isdigit():
        if phase in (_START, _SIGN):
            return _ZERO if character == "0" else _WHOLE
        if phase in (_WHOLE, _FRACTION):
            return phase
        if phase == _POINT:
            return _FRACTION
        return _E_ZERO if phase >= _E and character == "0" else None
    if character == "-" and phase == _START:
        return _SIGN
    if character == "." and phase in (_ZERO, _WHOLE):
        return _POINT
    if character in "eE" and phase in (_ZERO, _WHOLE, _FRACTION):
        return _E
    return _E_SIGN if character in "+-" and phase == _E else None


class _Comparison:
    """How the digits read compare with those of a bound: -1, 0 or 1 at the end."""

    def __init__(self, magnitude: Decimal):
        whole, _, places = format(magnitude, "f").partition(".")
        self.whole, self.places = whole, places.rstrip("0")
        self.is_whole = not self.places
        self.start: Hashable = (0, 0)

    def digit(self, state: Any, digit: int, place: bool) -> Hashable:
        count, sign = state
        reference = self.places if place else self.whole
        if place and sign:
            return state
        if sign == 0 and count < len(reference):
            sign = (digit > int(reference[count])) - (digit < int(reference[count]))
        elif sign == 0 and place and digit:
            sign = 1
        if place:
            return (0, sign) if sign else (min(count + 1, len(reference)), 0)
        return (min(count + 1, len(reference) + 1), sign)

    def point(self, state: Any) -> Hashable:
        count, sign = state
        if count != len(self.whole):
            sign = 1 if count > len(self.whole) else -1
        return (0, sign)

    def end(self, state: Any) -> int:
        count, sign = state
        return sign if sign else -1 if count < len(self.places) else 0


class _Residue:
    """The digits read modulo M, for steps that divide M / 10^s; less than 0 at the end if there are more places."""

    def __init__(self, modulus: int, scale: int):
        self.modulus, self.scale = modulus, scale
        self.is_whole = not scale
        self.start: Hashable = (0, 0)

    def digit(self, state: Any, digit: int, place: bool) -> Hashable:
        count, residue = state
        if not place:
            return (0, (residue * 10 + digit) % self.modulus)
        if residue < 0 or count >= self.scale:
            return (self.scale, -1 if digit else residue)
        return (count + 1, (residue * 10 + digit) % self.modulus)

    def point(self, state: Any) -> Hashable:
        return state

    def end(self, state: Any) -> int:
        count, residue = state
        return residue if residue < 0 else residue * 10 ** (self.scale - count) % self.modulus
