"""Richness: how many different values a set has.

Values that must differ from each other can run out. Whether they do is decided when the grammar is made, from counts
that are exact for scalars and lower bounds for arrays and objects: a set is endless if one of its parts is. Sets of
numbers are counted between their bounds, sets of strings as paths through the automaton of their pattern.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Context, Decimal
from fractions import Fraction
from itertools import combinations
from math import lcm, prod
from typing import NamedTuple

from grammars.expression import ANY_CHAR, ANY_TEXT, Node, both, choice, complement, text
from grammars.limits import Budget
from grammars.regular import closed
from grammars.residuals import DEAD, Residuals
from grammars.schema.arrays import ArraySet
from grammars.schema.number_sets import Among, Below, MultipleOf, holds, values_of
from grammars.schema.objects import ObjectSet
from grammars.schema.registers.used import ENOUGH
from grammars.schema.shapes import Shape, Task
from grammars.schema.strings import Length, Recognized, Strings, is_recognized, listed
from grammars.schema.terms import FALSE, TRUE, Term, atoms_of, conj, neg

_MOST_STATES = 4_000
_MOST_CANDIDATES = 4_096
_EXACT = Context(prec=50_000)  # numbers have at most 10,000 digits


class Count(NamedTuple):
    """At least this many values (ENOUGH stands for any number from there on); `exact` if not more."""

    least: int
    exact: bool = False

    @property
    def endless(self) -> bool:
        return self.least >= ENOUGH


ENDLESS = Count(ENOUGH)


def _count(least: int, exact: bool) -> Count:
    return ENDLESS if least >= ENOUGH else Count(least, exact)


class Richness:
    """Counts the values of terms; `shape` expands one."""

    def __init__(self, shape: Callable[[Term], Task], budget: Budget):
        self._shape = shape
        self._budget = budget
        self._characters = Strings(_Unspelled(), budget)  # pyright: ignore[reportArgumentType]
        self._known: dict[Term, Count] = {}
        self._open: set[Term] = set()

    def of(self, term: Term) -> Task:
        """The count of a term, as a task of the trampoline; inside itself a term counts for nothing."""
        if term == FALSE:
            return Count(0, True)
        if term in self._open:
            return Count(0)
        if term not in self._known:
            self._open.add(term)
            shape: Shape = yield self._shape(term)
            self._known[term] = yield self._of_shape(shape)
            self._open.discard(term)
        return self._known[term]

    def _of_shape(self, shape: Shape) -> Task:
        counts = [Count(len(shape.constants), True), self.of_numbers(shape.number), self.of_strings(shape.string)]
        for arrays in shape.arrays:
            counts.append((yield self._of_arrays(arrays)))
        for objects in shape.objects:
            counts.append((yield self._of_objects(objects)))
        if len(shape.arrays) + len(shape.objects) > 1:  # they may overlap
            scalars, containers = counts[:3], counts[3:]
            counts = [*scalars, Count(max(count.least for count in containers))]
        return _count(sum(count.least for count in counts), all(count.exact for count in counts))

    # -- arrays and objects ---------------------------------------------------------------------------------------

    def _of_arrays(self, arrays: ArraySet) -> Task:
        if arrays.repeated or any(part.high is not None for part in arrays.contains):
            return Count(0)
        asked = [part.term for part in arrays.contains]  # it is enough to count arrays all of whose items are found
        prefix: list[Count] = []
        for term in arrays.prefix[: arrays.low]:
            prefix.append((yield self.of(conj([term, *asked]))))
        rest: Count = yield self.of(conj([arrays.rest, *asked]))
        if arrays.unique and not all(count.endless for count in (*prefix, rest)):
            return Count(0)
        counts = [count.least for count in prefix]
        if arrays.high is None and rest.least:
            return ENDLESS if all(counts) else Count(0)
        if arrays.low > len(arrays.prefix) or (arrays.high is not None and arrays.high > len(arrays.prefix)):
            counts.append(rest.least)
        return _count(prod(counts), False)

    def _of_objects(self, objects: ObjectSet) -> Task:
        if objects.some:
            return Count(0)
        properties, counts = dict(objects.properties), list[int]()
        names = dict.fromkeys([*properties, *objects.required])
        for name in names:
            patterns = [rule.value for rule in objects.patterns if self._characters.holds(rule.keys, name)]
            count: Count = yield self.of(conj([properties.get(name, TRUE), *patterns]))
            if name in objects.required:
                counts.append(count.least)
            elif objects.high is None:
                counts.append(count.least + 1)
        if not all(counts):
            return Count(0)
        may_have_more = objects.high is None or objects.high > len(objects.required)
        if may_have_more and (yield self._has_endless_keys(objects, list(names))):
            return ENDLESS
        return Count(0) if objects.low > len(objects.required) else _count(prod(counts), False)

    def _has_endless_keys(self, objects: ObjectSet, names: list[str]) -> Task:
        """Whether endlessly many keys that are not declared, and that at most one pattern matches, may have values."""
        undeclared, keys = neg(listed(names)), [rule.keys for rule in objects.patterns]
        if self.of_strings(conj([undeclared, *map(neg, keys)])).endless:
            return True
        for index, rule in enumerate(objects.patterns):
            others = [neg(other) for other in (*keys[:index], *keys[index + 1 :])]
            possible: Count = yield self.of(rule.value)
            if possible.least and self.of_strings(conj([undeclared, rule.keys, *others])).endless:
                return True
        return False

    # -- strings --------------------------------------------------------------------------------------------------

    def of_strings(self, term: Term) -> Count:
        """How many strings a set has."""
        values = self._characters.values_of(term)
        if values is not None:
            return _count(len(values), True)
        if term == TRUE or self._characters.excluded(term) is not None:
            return ENDLESS
        if is_recognized(term):
            return ENDLESS if isinstance(term.atom, Recognized) else Count(0)
        if isinstance(term.atom, Length):
            low, high = term.atom.low, term.atom.high
            return Count(1, True) if high == 0 else ENDLESS if high is None or low <= high else Count(0, True)
        return _paths(Residuals(closed(self._characters.characters(term)), self._budget))

    # -- numbers --------------------------------------------------------------------------------------------------

    def of_numbers(self, term: Term) -> Count:
        """How many numbers a set has."""
        values = frozenset[Decimal]() if term == FALSE else values_of(term)
        if values is not None:
            return _count(len(values), True)
        points = _Points(term)
        found: set[int] = set()
        for point, endless in points.candidates():
            if point not in found and points.holds(point):
                if endless:
                    return ENDLESS
                found.add(point)
        return _count(len(found), points.complete)


class _Unspelled:
    """Characters as they are, where `Strings` expects them spelled."""

    any_char: Node = ANY_CHAR
    any_text: Node = ANY_TEXT

    def word(self, value: str) -> Node:
        return text(value)

    def of(self, node: Node) -> Node:
        return closed(node)

    def all_but(self, words: Iterable[str]) -> Node:
        return both(ANY_TEXT, complement(choice(text(word) for word in words)))


class _Points:
    """The numbers that decide how many there are in a set, all multiplied by one power of ten.

    Between two neighbouring bounds a number is in the set or not by the steps that it is a multiple of. So a multiple
    of the steps of each subset stands for all such multiples in an endless interval, and a number that is no multiple
    of anything for endlessly many, wherever it lies. What else there is are the bounds themselves and the multiples
    between them, which are listed.
    """

    def __init__(self, term: Term):
        self._term = term
        values = {Decimal(0)}
        steps: set[Decimal] = set()
        for part in atoms_of(term):
            if isinstance(part, Below):
                values.add(part.bound)
            elif isinstance(part, Among):
                values |= part.values
            else:
                steps.add(part.step if isinstance(part, MultipleOf) else Decimal(1))
        self._places = 1 + max(0, *(-int(value.as_tuple().exponent) for value in (*values, *steps)))
        self._bounds = sorted(map(self._scaled, values))
        self._steps = sorted(map(self._scaled, steps))
        spread = self._bounds[-1] - self._bounds[0]
        self.complete = len(steps) < 2 and all(spread // step < _MOST_CANDIDATES for step in self._steps)

    def _scaled(self, value: Decimal) -> int:
        return int(Fraction(value) * 10**self._places)

    def holds(self, point: int) -> bool:
        """Whether the number is in the set."""
        return holds(self._term, Decimal(point).scaleb(-self._places, _EXACT))

    def candidates(self) -> Iterator[tuple[int, bool]]:
        """Numbers, and whether each stands for endlessly many."""
        low, high = self._bounds[0], self._bounds[-1]
        for size in range(1, len(self._steps) + 1):
            for part in combinations(self._steps, size):
                step = lcm(*part)
                yield from (((low // step - offset) * step, True) for offset in (1, 2, 3))
                yield from (((high // step + offset) * step, True) for offset in (1, 2, 3))
        for point in (low - 2, *self._bounds):
            yield point + 1, True  # all bounds and steps are multiples of ten
        yield from ((bound, False) for bound in self._bounds)
        for step in self._steps:
            count = min((high - low) // step + 1, _MOST_CANDIDATES)
            yield from (((low // step + index) * step, False) for index in range(count + 1))


def _paths(automaton: Residuals) -> Count:
    """How many strings an automaton reads; all of its states are alive, so a cycle makes them endless."""
    if automaton.start == DEAD:
        return Count(0, True)
    edges: dict[int, Counter[int]] = {}
    waiting = [automaton.start]
    while waiting:
        state = waiting.pop()
        if state in edges:
            continue
        if len(edges) >= _MOST_STATES:
            return Count(1)
        edges[state] = _moves(automaton, state)
        waiting.extend(edges[state])
    order = _sorted(edges)
    if order is None:
        return ENDLESS
    counts: dict[int, int] = {}
    for state in order:
        counts[state] = automaton.accepts(state) + sum(n * counts[to] for to, n in edges[state].items())
    return _count(counts[automaton.start], True)


def _moves(automaton: Residuals, state: int) -> Counter[int]:
    moves: Counter[int] = Counter()
    sizes = Counter(automaton.byte_classes)
    for byte_class, size in sizes.items():
        after = automaton.step(state, automaton.byte_classes.index(byte_class))
        if after != DEAD:
            moves[after] += size
    return moves


def _sorted(edges: dict[int, Counter[int]]) -> list[int] | None:
    """The states, each behind those it leads to; None if there is a cycle."""
    left = {state: len(targets) for state, targets in edges.items()}
    sources: dict[int, list[int]] = {}
    for state, targets in edges.items():
        for target in targets:
            sources.setdefault(target, []).append(state)
    ready = [state for state, count in left.items() if not count]
    order: list[int] = []
    while ready:
        state = ready.pop()
        order.append(state)
        for source in sources.get(state, ()):
            left[source] -= 1
            if not left[source]:
                ready.append(source)
    return order if len(order) == len(edges) else None
