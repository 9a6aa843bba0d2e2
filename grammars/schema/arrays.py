"""Sets of arrays: conjunctions of what keywords say, and their boolean combinations as unions of such conjunctions.

The complement of a conjunction is the union of the complements of its parts, and each of these is a conjunction
again: an item fails, an item somewhere in the rest fails (`contains` of the opposite), there are too few or too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from grammars.schema.terms import FALSE, TRUE, Term, conj, disj, neg

ALL_ITEMS = 1 << 60


@dataclass(frozen=True, slots=True)
class Contains:
    """From index `start` on, between `low` and `high` items are of the term."""

    start: int
    term: Term
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class ArraySet:
    """Arrays whose items are of `prefix`, then of `rest`, and so on; `seen` and `seen_matching` are the evaluated
    items."""

    prefix: tuple[Term, ...] = ()
    rest: Term = TRUE
    low: int = 0
    high: int | None = None
    contains: tuple[Contains, ...] = ()
    unique: bool = False
    repeated: bool = False
    seen: int = 0
    seen_matching: Term = FALSE

    def item(self, index: int) -> Term:
        """What the item at an index must be."""
        return self.prefix[index] if index < len(self.prefix) else self.rest


ANY_ARRAY = ArraySet()


def least(left: int | None, right: int | None) -> int | None:
    """The smaller of two upper bounds."""
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)


def normal(arrays: ArraySet) -> ArraySet | None:
    """The same set with the bounds that impossible items imply; None if it is plainly empty."""
    prefix, rest, high = arrays.prefix, arrays.rest, arrays.high
    if rest == FALSE:
        high = least(high, len(prefix))
    for index, term in enumerate(prefix):
        if term == FALSE:
            high = least(high, index)
            break
    if high is not None and high <= len(prefix):
        prefix, rest = prefix[:high], FALSE
    while prefix and prefix[-1] == rest:
        prefix = prefix[:-1]
    low, contains = arrays.low, list[Contains]()
    for part in arrays.contains:
        if part.high is not None and part.low > part.high:
            return None
        if part.term == FALSE:
            if part.low:
                return None
        elif part.low or part.high is not None:
            low = max(low, part.start + part.low if part.low else 0)
            contains.append(part)
    if (high is not None and low > high) or (arrays.unique and arrays.repeated):
        return None
    unique = arrays.unique and (high is None or high > 1)
    if arrays.repeated:
        low = max(low, 2)
    kept = tuple(dict.fromkeys(contains))
    return replace(arrays, prefix=prefix, rest=rest, low=low, high=high, contains=kept, unique=unique)


def meet(left: ArraySet, right: ArraySet) -> ArraySet | None:
    """The arrays of both."""
    count = max(len(left.prefix), len(right.prefix))
    return normal(
        ArraySet(
            tuple(conj([left.item(index), right.item(index)]) for index in range(count)),
            conj([left.rest, right.rest]),
            max(left.low, right.low),
            least(left.high, right.high),
            left.contains + right.contains,
            left.unique or right.unique,
            left.repeated or right.repeated,
            max(left.seen, right.seen),
            disj([left.seen_matching, right.seen_matching]),
        )
    )


def outside(arrays: ArraySet) -> Iterator[ArraySet]:
    """Sets whose union is all other arrays."""
    for index, term in enumerate(arrays.prefix):
        if term != TRUE:
            yield ArraySet((TRUE,) * index + (neg(term),), low=index + 1)
    if arrays.rest == FALSE:
        yield ArraySet(low=len(arrays.prefix) + 1)
    elif arrays.rest != TRUE:
        yield ArraySet(contains=(Contains(len(arrays.prefix), neg(arrays.rest), 1, None),))
    if arrays.low:
        yield ArraySet(high=arrays.low - 1)
    if arrays.high is not None:
        yield ArraySet(low=arrays.high + 1)
    for part in arrays.contains:
        if part.low:
            yield ArraySet(contains=(Contains(part.start, part.term, 0, part.low - 1),))
        if part.high is not None:
            yield ArraySet(contains=(Contains(part.start, part.term, part.high + 1, None),))
    if arrays.unique:
        yield ArraySet(repeated=True)
    if arrays.repeated:
        yield ArraySet(unique=True)
