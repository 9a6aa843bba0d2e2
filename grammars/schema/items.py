"""The grammar of an array: its items in order, with what has been counted as the state of the rules.

Without `contains` and `uniqueItems` an array is a prefix and a counted repetition. With them a rule stands for: this
many items were read, of which each `contains` has found so many, and these values were used. A lower bound guesses
which items it counts, which is as good as counting all of them; an upper bound decides for every item whether it is
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from grammars.errors import UnsupportedFeature
from grammars.expression import EPSILON, NOTHING, Call, Node, choice, optional, repeat, sequence, text
from grammars.schema.arrays import ArraySet, Contains
from grammars.schema.terms import FALSE, Term, conj, neg

if TYPE_CHECKING:
    from grammars.schema.assembly import Assembly

_MOST_UNIQUE = 12

State = tuple[int, tuple[int, ...], int]


class ItemRules:
    """Writes arrays into the rules of an assembly."""

    def __init__(self, assembly: Assembly):
        self._assembly = assembly

    def array(self, name: str, arrays: ArraySet) -> Node:
        """The arrays of a set."""
        if arrays.repeated:
            raise UnsupportedFeature(
                "the complement of uniqueItems: arrays in which a value repeats cannot be enforced yet"
            )
        if arrays.contains or arrays.unique:
            items: Node = _Counting(self._assembly, name, arrays).start()
        else:
            items = self._plain(arrays)
        if items == NOTHING:
            return NOTHING
        space = self._assembly.space
        if items == EPSILON:
            return sequence([text("["), space, text("]")])
        return sequence([text("["), space, items, text("]")])

    def _plain(self, arrays: ArraySet) -> Node:
        """The items and the whitespace behind them."""
        value, comma, space = self._assembly.value, self._assembly.separator(","), self._assembly.space
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

    def __init__(self, assembly: Assembly, name: str, arrays: ArraySet):
        self._assembly = assembly
        self._name = name
        self._arrays = arrays
        starts = [part.start for part in arrays.contains]
        self._last = max(len(arrays.prefix), arrays.low, 0 if arrays.high is None else arrays.high + 1, 1, *starts)
        self._values: list[Term] = self._distinct() if arrays.unique else []

    def _distinct(self) -> list[Term]:
        """The values that the items of a unique array are drawn from."""
        terms = dict.fromkeys([*self._arrays.prefix, self._arrays.rest])
        values: dict[Term, None] = {}
        for term in terms:
            found = None if term == FALSE else self._assembly.values_of(term, _MOST_UNIQUE)
            if term != FALSE and found is None:
                raise UnsupportedFeature(
                    "uniqueItems over items that are not drawn from a short list of scalars cannot be enforced yet",
                    hint="leave uniqueItems out and check it afterwards, or list the items with enum",
                )
            values.update(dict.fromkeys(found or ()))
        if len(values) > _MOST_UNIQUE:
            raise UnsupportedFeature(
                f"uniqueItems over more than {_MOST_UNIQUE} different values cannot be enforced yet"
            )
        return list(values)

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
            if not self._arrays.unique:
                item = self._assembly.value(term)
                if item != NOTHING:
                    yield item, (after, seen, used)
                continue
            for bit, value in enumerate(self._values):
                if not used >> bit & 1:
                    yield self._assembly.value(conj([value, term])), (after, seen, used | 1 << bit)


def _ways(part: Contains, count: int, index: int) -> list[tuple[Term, int]]:
    """How an item may be counted: what it must be then, and the count after it."""
    anything = conj([])
    if index < part.start:
        return [(anything, count)]
    if part.high is None:
        return [(part.term, count + 1), (anything, count)] if count < part.low else [(anything, count)]
    ways = [(neg(part.term), count)]
    return [*ways, (part.term, count + 1)] if count < part.high else ways
