"""Union, intersection and complement, kept small by their laws.

The finitely many residuals of an expression are finitely many only up to associativity, commutativity and idempotence
of union and intersection; the other laws here (units, absorption, complements, disjointness, counters) keep their
number near that of the smallest automaton. Options and parts are sorted by age, so equal sets are one term.
"""

from __future__ import annotations

from collections.abc import Iterable

from grammars.algebra.terms import AND, EMPTY, ENDLESS, NOT, OR, PENDING, SET, Shape, Term, Terms

_MANY_OPTIONS = 16


def age(term: Term) -> int:
    """When a term was made: an order that depends on the input only."""
    return term.serial


def _all_of(values: Iterable[bool | None]) -> bool | None:
    """Conjunction of truth values some of which are unknown."""
    result: bool | None = True
    for value in values:
        if value is False:
            return False
        if value is None:
            result = None
    return result


def _any_of(values: Iterable[bool | None]) -> bool | None:
    result: bool | None = False
    for value in values:
        if value is True:
            return True
        if value is None:
            result = None
    return result


# -- union ------------------------------------------------------------------------------------------------------------


def union(terms: Terms, options: Iterable[Term]) -> Term:
    """The union of some languages."""
    flat: set[Term] = set()
    for option in options:
        if option.kind == OR:
            flat.update(option.parts)
        else:
            flat.add(option)
    flat.discard(terms.nothing)
    if len(flat) > 1:
        terms.tick(1 + len(flat) // 4)
        flat = _absorb(terms, flat)
    if len(flat) <= 1:
        return flat.pop() if flat else terms.nothing
    parts = tuple(sorted(flat, key=age))
    key = (OR, *parts)
    return terms.find(key) or _new_union(terms, key, parts)


def _new_union(terms: Terms, key: object, parts: tuple[Term, ...]) -> Term:
    first = behinds = 0
    for part in parts:
        first |= part.first
        behinds |= part.behinds
    null = _any_of(part.null for part in parts)
    return terms.add(
        key,
        Term(
            OR,
            parts,
            first=first,
            empty=any(part.empty for part in parts),
            null=null,
            blind=all(part.blind for part in parts),
            simple=all(part.simple for part in parts),
            sure=any(part.sure for part in parts),
            least=min(part.least for part in parts),
            most=max(part.most for part in parts),
            behinds=behinds,
            marked=any(part.marked for part in parts),
        ),
    )


def _absorb(terms: Terms, flat: set[Term]) -> set[Term]:
    flat = merge_counters(terms, flat)
    if terms.everything in flat or any(part.kind == NOT and part.parts[0] in flat for part in flat):
        return {terms.everything}
    sets = [part for part in flat if part.kind == SET]
    if len(sets) > 1:
        flat.difference_update(sets)
        mask = 0
        for part in sets:
            mask |= part.mask
        flat.add(terms.set_of(mask))
    if terms.epsilon in flat and any(part.null and part.blind and part.kind != EMPTY for part in flat):
        flat.discard(terms.epsilon)
    narrow = [part for part in flat if part.kind in (AND, PENDING)]
    for part in narrow:
        if any(_conjuncts(other) < _conjuncts(part) for other in narrow) or not flat.isdisjoint(_conjuncts(part)):
            flat.discard(part)
    return flat


def _conjuncts(term: Term) -> frozenset[Term]:
    """The languages that a term is known to be the intersection of."""
    if term.kind == AND:
        return frozenset(term.parts)
    return frozenset((*_conjuncts(term.parts[0]), term.parts[1])) if term.kind == PENDING else frozenset((term,))


def merge_counters(terms: Terms, flat: set[Term]) -> set[Term]:
    """P X{a,b} R ∪ P X{c,d} R = P X{min,max} R if the intervals overlap or touch.

    Without this a counted repetition of words of different lengths would have a state for every set of counts.
    """
    groups: dict[Shape, list[Term]] = {}
    for part in sorted(flat, key=age):
        if part.shape is not None:
            groups.setdefault(part.shape, []).append(part)
    if all(len(group) == 1 for group in groups.values()):
        return flat
    merged = flat.copy()
    for shape, group in groups.items():
        if len(group) > 1:
            merged.difference_update(group)
            merged.update(with_counter(terms, shape, low, high) for low, high in _intervals(group))
    return merged


def _intervals(group: list[Term]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for low, high in sorted((term.shape_low, term.shape_high) for term in group):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def with_counter(terms: Terms, shape: Shape, low: int, high: int) -> Term:
    """The term of this shape with these bounds."""
    heads: list[Term] = []
    inner: Shape | None = shape
    while inner is not None and inner.head is not None:
        heads.append(inner.head)
        inner = inner.inner
    term = terms.copies(shape.body, low, high)
    if shape.tail is not terms.epsilon:
        term = terms.pair(term, shape.tail)
    for head in reversed(heads):
        term = terms.pair(head, term)
    return term


def options_for(term: Term, byte_class: int) -> tuple[Term, ...]:
    """The options of an OR whose strings may begin with a byte class, and those that may be empty."""
    if len(term.parts) <= _MANY_OPTIONS:
        return term.parts
    if term.index is None:
        found: dict[int, list[Term]] = {}
        for part in term.parts:
            _file(part, found)
        term.index = {number: tuple(parts) for number, parts in found.items()}
    return term.index.get(byte_class, ()) + term.index.get(-1, ())


def _file(part: Term, found: dict[int, list[Term]]) -> None:
    if part.empty:
        found.setdefault(-1, []).append(part)
        return
    classes = part.first
    while classes:
        found.setdefault((classes & -classes).bit_length() - 1, []).append(part)
        classes &= classes - 1


# -- complement and intersection --------------------------------------------------------------------------------------


def complement(terms: Terms, body: Term) -> Term:
    """All byte strings but those of `body`."""
    if body.kind == NOT:
        return body.parts[0]
    if body is terms.nothing:
        return terms.everything
    if body is terms.everything:
        return terms.nothing
    key = (NOT, body)
    known = terms.find(key)
    if known is not None:
        return known
    null = None if body.null is None else not body.null
    every = terms.any_byte.mask
    return terms.add(
        key,
        Term(
            NOT,
            (body,),
            first=every,
            empty=null is not False,
            null=null,
            simple=False,
            sure=null is True or body.most < ENDLESS or body.first != every,
            least=0 if null is not False else 1,
            most=ENDLESS,
            behinds=body.behinds,
        ),
    )


class _Bounds:
    """What every string of an intersection must look like."""

    __slots__ = ("first", "least", "most", "null")

    def __init__(self, terms: Terms, parts: Iterable[Term]):
        self.first, self.least, self.most = terms.any_byte.mask, 0, ENDLESS
        self.null = _all_of(part.null for part in parts)
        for part in parts:
            self.first &= part.first
            self.least = max(self.least, part.least)
            self.most = min(self.most, part.most)

    def excludes(self, other: Term) -> bool:
        """Whether `other` certainly has no string in common with the intersection."""
        if other.least > self.most or other.most < self.least:
            return True
        return not other.first & self.first and (other.null is False or self.null is False)


def intersection(terms: Terms, parts: Iterable[Term]) -> Term:
    """The intersection of some languages of whole texts."""
    positive: set[Term] = set()
    negative: set[Term] = set()
    for part in parts:
        for piece in part.parts if part.kind == AND else (part,):
            if piece.kind == NOT:
                negative.add(piece.parts[0])
            else:
                positive.add(piece)
    positive.discard(terms.everything)
    terms.tick(3 + (len(positive) + len(negative)) // 2)
    return _intersection(terms, positive, negative)


def _intersection(terms: Terms, positive: set[Term], negative: set[Term]) -> Term:
    sets = [part for part in positive if part.kind == SET]
    if len(sets) > 1:
        positive.difference_update(sets)
        mask = terms.any_byte.mask
        for part in sets:
            mask &= part.mask
        positive.add(terms.set_of(mask))
    bounds = _Bounds(terms, positive)
    if terms.nothing in positive or bounds.least > bounds.most:
        return terms.nothing
    excluded = relevant(terms, union(terms, negative), bounds)
    if excluded in positive or (excluded.kind == OR and not positive.isdisjoint(excluded.parts)):
        return terms.nothing
    if excluded is terms.everything:
        return terms.nothing
    if excluded is not terms.nothing:
        positive.add(complement(terms, excluded))
    if not positive:
        return terms.everything
    return _whole(terms, tuple(sorted(positive, key=age)))


def relevant(terms: Terms, excluded: Term, bounds: _Bounds) -> Term:
    """An excluded language without what the intersection excludes anyway."""
    if excluded.kind == OR:
        return union(terms, [option for option in excluded.parts if not bounds.excludes(option)])
    return terms.nothing if bounds.excludes(excluded) else excluded


def _whole(terms: Terms, parts: tuple[Term, ...]) -> Term:
    if len(parts) == 1:
        return parts[0]
    bounds = _Bounds(terms, parts)
    if bounds.null is not None and (not bounds.first or terms.epsilon in parts):
        return terms.epsilon if bounds.null else terms.nothing
    key = (AND, *parts)
    known = terms.find(key)
    if known is not None:
        return known
    behinds = 0
    for part in parts:
        behinds |= part.behinds
    return terms.add(
        key,
        Term(
            AND,
            parts,
            first=bounds.first,
            empty=bounds.null is not False,
            null=bounds.null,
            simple=False,
            sure=bounds.null is True,
            least=bounds.least,
            most=bounds.most,
            behinds=behinds,
        ),
    )


def pending(terms: Terms, obligations: Iterable[Term], item: Term) -> Term:
    """The rests of the text in `item` that are in every obligation too."""
    gathered = list(obligations)
    while item.kind == PENDING:
        gathered.append(item.parts[0])
        item = item.parts[1]
    if item.kind == OR:
        return union(terms, [pending(terms, gathered, option) for option in item.parts])
    obligation = _needed(terms, intersection(terms, gathered), item)
    if obligation is terms.everything:
        return item
    if terms.nothing in (obligation, item):
        return terms.nothing
    key = (PENDING, obligation, item)
    known = terms.find(key)
    if known is not None:
        return known
    least, most = max(obligation.least, item.least), min(obligation.most, item.most)
    if least > most:
        return terms.nothing
    null = _all_of((obligation.null, item.null))
    return terms.add(
        key,
        Term(
            PENDING,
            (obligation, item),
            first=obligation.first & item.first,
            empty=item.empty,
            null=null,
            blind=False,
            simple=False,
            sure=null is True,
            least=least,
            most=most,
            behinds=obligation.behinds | item.behinds,
            marked=item.marked,
        ),
    )


def _needed(terms: Terms, obligation: Term, item: Term) -> Term:
    """An obligation without what `item` fulfils by itself."""
    bounds = _Bounds(terms, (item,))
    needed: list[Term] = []
    for part in obligation.parts if obligation.kind == AND else (obligation,):
        if part.kind == NOT:
            part = complement(terms, relevant(terms, part.parts[0], bounds))
        needed.append(part)
    return intersection(terms, needed)
