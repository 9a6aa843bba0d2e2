"""The grammar of an array: its items in order, with what has been counted as the state of the rules.

Without `contains` and `uniqueItems` an array is a prefix and a counted repetition. With them a rule stands for: this
many items were read, of which each `contains` has found so many, and these values were used. A lower bound guesses
which items it counts, which is as good as counting all of them; an upper bound decides for every item whether it is
one.

Items that must differ and are not drawn from a very short list leave marks, and the automaton remembers them
(`registers`). The complement, arrays in which a value repeats, is remembered in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from grammars.expression import EPSILON, NOTHING, Call, Node, choice, optional, repeat, sequence, text
from grammars.schema.arrays import ArraySet, Contains, least
from grammars.schema.registers.marks import (
    CLOSE,
    END,
    OPEN_REPEATED,
    OPEN_TIGHT,
    OPEN_TIGHT_REPEATED,
    OPEN_UNIQUE,
    TIGHT,
    mark,
    mark_rules,
)
from grammars.schema.registers.used import ENOUGH
from grammars.schema.terms import FALSE, TRUE, Term, conj, neg

if TYPE_CHECKING:
    from grammars.schema.assembly import Assembly

_MOST_LISTED = 5

State = tuple[int, tuple[int, ...], int]


class ItemRules:
    """Writes arrays into the rules of an assembly."""

    def __init__(self, assembly: Assembly):
        self._assembly = assembly

    def array(self, name: str, arrays: ArraySet) -> Node:
        """The arrays of a set."""
        registers = None
        values: list[Term] | None = None
        if arrays.repeated:
            registers = OPEN_REPEATED if self._can_repeat(arrays) else OPEN_TIGHT_REPEATED
        elif arrays.unique:
            values = self._listed(arrays)
            if values is None:
                arrays, registers = self._with_registers(arrays)
                if arrays.high is not None and arrays.low > arrays.high:
                    return NOTHING
        if arrays.contains or values is not None:
            items: Node = _Counting(self._assembly, name, arrays, values, registers).start()
        else:
            items = self._plain(arrays, _item_end(registers))
        if items == NOTHING:
            return NOTHING
        space = self._assembly.space
        opening, closing = text("["), text("]")
        if registers is not None:
            self._assembly.rules.update(mark_rules())
            opening, closing = sequence([opening, mark(registers)]), sequence([mark(CLOSE), closing])
        found = sequence([opening, space, closing] if items == EPSILON else [opening, space, items, closing])
        empty_is_one = not arrays.low and not arrays.repeated and not any(part.low for part in arrays.contains)
        if registers not in TIGHT or empty_is_one:
            return found
        return self._assembly.doubtful(name, found)

    def _listed(self, arrays: ArraySet) -> list[Term] | None:
        """The few values that the items of a unique array are drawn from; None if they are many."""
        values: dict[Term, None] = {}
        for term in dict.fromkeys([*arrays.prefix, arrays.rest]):
            found = [] if term == FALSE else self._assembly.values_of(term, _MOST_LISTED)
            if found is None:
                return None
            values.update(dict.fromkeys(found))
        return list(values) if len(values) <= _MOST_LISTED else None

    def _with_registers(self, arrays: ArraySet) -> tuple[ArraySet, int]:
        """The array, not longer than there are values, and the mark that opens its registers.

        Values never run out if at every place there are more than places before it.
        """
        counts = [self._assembly.count_of(term) for term in arrays.prefix]
        rest = self._assembly.count_of(arrays.rest)
        for index, count in enumerate(counts):
            if count.exact and count.least <= index and _same_values(arrays.prefix[: index + 1]):
                arrays = _at_most(arrays, index)
        if not arrays.prefix and rest.exact and not rest.endless:
            arrays = _at_most(arrays, rest.least)
        high = ENOUGH if arrays.high is None else arrays.high
        enough = all(count.least > index for index, count in enumerate(counts[:high]))
        if not enough or (high > len(counts) and rest.least < high) or not self._finds_fresh(arrays):
            return arrays, OPEN_TIGHT
        return arrays, OPEN_UNIQUE

    def _can_repeat(self, arrays: ArraySet) -> bool:
        """Whether any item may be followed by two equal ones."""
        terms = (*arrays.prefix, arrays.rest)
        return not arrays.contains and arrays.high is None and all(self._assembly.count_of(t).least for t in terms)

    def _finds_fresh(self, arrays: ArraySet) -> bool:
        """Whether all that `contains` may ask of an item has endlessly many values, or none."""
        for item in (*arrays.prefix, arrays.rest) if arrays.contains else ():
            for picked in product(*([TRUE, part.term, neg(part.term)] for part in arrays.contains)):
                count = self._assembly.count_of(conj([item, *picked]))
                if not (count.endless or (count.exact and not count.least)):
                    return False
        return True

    def _plain(self, arrays: ArraySet, end: Node) -> Node:
        """The items, each with its end, and the whitespace behind them."""
        comma, space = self._assembly.separator(","), self._assembly.space

        def value(term: Term) -> Node:
            return sequence([self._assembly.value(term), end])

        count, low, high = len(arrays.prefix), arrays.low, arrays.high
        rest = value(arrays.rest)
        most = None if high is None else max(high - count, 0)
        if count == 0:
            if high == 0 or rest == NOTHING:
                return EPSILON if low == 0 else NOTHING
            some = sequence(
                [rest, repeat(sequence([comma, rest]), max(low - 1, 0), None if most is None else most - 1), space]
            )
            return some if low else optional(some)
        tail = repeat(sequence([comma, rest]), max(low - count, 0), most) if rest != NOTHING else EPSILON
        if rest == NOTHING and low > count:
            return NOTHING
        for index in range(count - 1, -1, -1):
            if high is not None and index >= high:
                tail = EPSILON
                continue
            item = sequence([comma if index else EPSILON, value(arrays.prefix[index]), tail])
            item = item if index else sequence([item, space])
            tail = item if index < low else choice([item, EPSILON])
        return tail


class _Counting:
    """An array whose rules carry counts."""

    def __init__(
        self, assembly: Assembly, name: str, arrays: ArraySet, values: list[Term] | None, registers: int | None
    ):
        self._assembly = assembly
        self._name = name
        self._arrays = arrays
        self._values = values
        self._end = _item_end(registers)
        starts = [part.start for part in arrays.contains]
        self._last = max(len(arrays.prefix), arrays.low, 0 if arrays.high is None else arrays.high + 1, 1, *starts)

    def start(self) -> Node:
        first: State = (0, (0,) * len(self._arrays.contains), 0)
        waiting: list[State] = [first]
        known: set[State] = {first}
        while waiting:
            state = waiting.pop()
            self._assembly.budget.charge()
            options: list[Node] = [EPSILON] if self._complete(state) else []
            for item, target in self._steps(state):
                if target not in known:
                    known.add(target)
                    waiting.append(target)
                comma = self._assembly.separator(",") if state[0] else EPSILON
                options.append(sequence([comma, item, Call(self._rule(target))]))
            if state[0] == 0:
                space = self._assembly.space
                options = [option if option == EPSILON else sequence([option, space]) for option in options]
            self._assembly.rules[self._rule(state)] = choice(options)
        return Call(self._rule(first))

    def _rule(self, state: State) -> str:
        return f"{self._name} {state}"

    def _complete(self, state: State) -> bool:
        index, counts, _ = state
        enough = all(part.low <= count for part, count in zip(self._arrays.contains, counts, strict=True))
        return enough and self._arrays.low <= index and (self._arrays.high is None or index <= self._arrays.high)

    def _steps(self, state: State) -> Iterator[tuple[Node, State]]:
        index, counts, used = state
        if self._arrays.high is not None and index >= self._arrays.high:
            return
        after = min(index + 1, self._last)
        parts = zip(self._arrays.contains, counts, strict=True)
        for picked in product(*(_ways(part, count, index) for part, count in parts)):
            term = conj([self._arrays.item(index), *(condition for condition, _ in picked)])
            seen = tuple(count for _, count in picked)
            if self._values is None:
                item = sequence([self._assembly.value(term), self._end])
                if item != NOTHING:
                    yield item, (after, seen, used)
                continue
            for bit, value in enumerate(self._values):
                if not used >> bit & 1:
                    yield self._assembly.value(conj([value, term])), (after, seen, used | 1 << bit)


def _item_end(registers: int | None) -> Node:
    return EPSILON if registers is None else mark(END)


def _at_most(arrays: ArraySet, high: int) -> ArraySet:
    return replace(arrays, high=least(arrays.high, high))


def _same_values(terms: tuple[Term, ...]) -> bool:
    return len(set(terms)) == 1


def _ways(part: Contains, count: int, index: int) -> list[tuple[Term, int]]:
    """How an item may be counted: what it must be then, and the count after it."""
    anything = conj([])
    if index < part.start:
        return [(anything, count)]
    if part.high is None:
        return [(part.term, count + 1), (anything, count)] if count < part.low else [(anything, count)]
    ways = [(neg(part.term), count)]
    return [*ways, (part.term, count + 1)] if count < part.high else ways
