"""Whether a language has a string: exact, by search.

Most terms tell at once (`Term.sure`). For the others residuals are searched for one that does, those first that lack
least: of what every part of an intersection still needs, the sum. So twenty conditions are met one after the other,
and a counter up to 100,000 is left at its first exit. Unions are split into their options, so the search walks pairs
of options, not sets of them. If nothing is found everything that was visited is empty, and all of it is remembered.

Residuals that differ in their counters only need not all be searched, for L{a,b} grows with its interval:

* if s' is contained in a visited s, the shortest string of s is no longer than that of s', and a shortest string
  overall never has to pass s' (the antichain argument of De Wulf et al., 2006);
* what contains a language that is known to have a string has one too. So a wide interval is first narrowed to bounds
  of few digits, which it shares with its neighbours: among the residuals of `.{0,100000}`, which count down, the
  hundredth finds what was learnt for the first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import product
from math import prod

from grammars.algebra.booleans import intersection, with_counter
from grammars.algebra.derivatives import derivative
from grammars.algebra.partitions import blocks
from grammars.algebra.scopes import scope
from grammars.algebra.terms import AND, ENDLESS, OR, PENDING, SCOPE, Term, Terms

_MOST_SPLITS = 4096
_MOST_COMPARED = 4  # a counter that runs down is contained in one of the last few, or in none
_WIDE = 64  # intervals of counts from this length on are narrowed
_DIGITS = 3  # binary digits that a narrowed bound keeps

Counters = tuple[tuple[int, int], ...]


class Emptiness:
    """Decides emptiness for the terms of one automaton and remembers all it learns."""

    def __init__(self, terms: Terms):
        self._terms = terms
        self._memory = _Memory(terms)

    def inhabited(self, term: Term) -> bool:
        """Whether the language of a closed term has a string."""
        if term.sure or term is self._terms.nothing:
            return term.sure
        known = self._memory.answer(term)
        if known is None:
            narrow = _narrowed(self._terms, term)
            known = (narrow is not term and self._finds(narrow)) or self._finds(term)
            self._memory.note(term, known)
        return known

    def _finds(self, term: Term) -> bool:
        return term.sure or _Search(self._terms, self._memory).finds(term)


class _Memory:
    """What is known to have a string, or none."""

    def __init__(self, terms: Terms):
        self._terms = terms
        self._known: dict[Term, bool] = {}
        self._living: dict[object, tuple[int, int]] = {}

    def answer(self, term: Term) -> bool | None:
        """Whether a term has a string, if that is known."""
        if term.sure:
            return True
        known = self._known.get(term)
        if known is None and self._contains_a_living(term):
            known = self._known[term] = True
        return known

    def is_empty(self, term: Term) -> bool:
        """Whether a term is known to have no string."""
        return term is self._terms.nothing or self._known.get(term) is False

    def note(self, term: Term, lives: bool) -> None:
        """Remember an answer."""
        self._known[term] = lives
        if lives and term.kind == AND:
            for key, interval in _intervals(term):
                self._living[key] = interval

    def _contains_a_living(self, term: Term) -> bool:
        """Whether a language that lives is the same but for one counter, which is narrower there."""
        if term.kind != AND:
            return False
        self._terms.tick()
        for key, (low, high) in _intervals(term):
            living = self._living.get(key)
            if living is not None and low <= living[0] and living[1] <= high:
                return True
        return False


def _intervals(term: Term) -> Iterator[tuple[object, tuple[int, int]]]:
    """For each counted part of an intersection: all else, and the interval."""
    for part in term.parts:
        if part.shape is not None and part.shape_low < part.shape_high < ENDLESS:
            rest = frozenset(term.parts) - {part}
            yield (part.shape, rest), (part.shape_low, part.shape_high)


def _narrowed(terms: Terms, term: Term) -> Term:
    """An intersection with narrower counters of rounder bounds."""
    if term.kind != AND:
        return term
    parts = [_rounded(terms, part) for part in term.parts]
    return intersection(terms, parts) if tuple(parts) != term.parts else term


def _rounded(terms: Terms, part: Term) -> Term:
    low, high = part.shape_low, part.shape_high
    if part.shape is None or high - low < _WIDE:
        return part
    low += -low % _grid(low)
    high -= 0 if high == ENDLESS else high % _grid(high)
    if low >= high or (low, high) == (part.shape_low, part.shape_high):
        return part
    return with_counter(terms, part.shape, low, high)


def _grid(bound: int) -> int:
    return 1 << max(0, bound.bit_length() - _DIGITS)


class _Search:
    def __init__(self, terms: Terms, memory: _Memory):
        self._terms, self._memory = terms, memory
        self._parent: dict[Term, Term] = {}
        self._visited: set[Term] = set()
        self._counters: dict[object, deque[Counters]] = {}
        self._pushed = 0
        self._queue: list[tuple[int, int, Term, Iterator[Term]]] = []

    def finds(self, start: Term) -> bool:
        for term in self._options(start):
            if self._memory.answer(term):
                return True
            self._discover(term)
        while self._queue:
            _, _, term, successors = heappop(self._queue)
            found = self._expand(term, successors)
            if found is not None:
                self._remember_path(found)
                return True
        for term in self._visited:
            self._memory.note(term, lives=False)
        return False

    def _expand(self, term: Term, successors: Iterator[Term]) -> Term | None:
        """Visit successors until one promises a shorter completion; a term with an inhabited successor is returned."""
        for successor in successors:
            nearer = False
            for option in self._options(successor):
                if self._memory.answer(option):
                    return term
                if self._discover(option):
                    self._parent[option] = term
                    nearer = nearer or _lack(option) < _lack(term)
            if nearer:
                self._push(term, successors)
                return None
        return None

    def _discover(self, term: Term) -> bool:
        """Whether a term is seen for the first time; then it will be searched unless one that was contains it."""
        if term in self._visited or self._memory.is_empty(term):
            return False
        self._visited.add(term)
        if not self._is_contained(term):
            self._push(term, self._successors(term))
        return True

    def _push(self, term: Term, successors: Iterator[Term]) -> None:
        self._pushed += 1
        heappush(self._queue, (_lack(term), -self._pushed, term, successors))

    def _successors(self, term: Term) -> Iterator[Term]:
        seen: set[Term] = set()
        for byte_class in blocks(self._terms, term):
            self._terms.tick()
            successor = derivative(self._terms, term, byte_class)
            if successor not in seen:
                seen.add(successor)
                yield successor

    def _options(self, term: Term) -> Iterator[Term]:
        """The term as a union of terms that are none."""
        if term.kind == OR:
            yield from term.parts
        elif term.kind == SCOPE and term.parts[0].kind == OR:
            running = dict(zip(term.numbers, term.parts[1:], strict=True))
            for option in term.parts[0].parts:
                yield scope(self._terms, option, running)
        elif term.kind == AND:
            yield from self._split(term)
        else:
            yield term

    def _split(self, term: Term) -> Iterator[Term]:
        """An intersection of unions as a union of intersections, if they are not too many."""
        choices = [part.parts if part.kind == OR else (part,) for part in term.parts]
        if not 1 < prod(map(len, choices)) <= _MOST_SPLITS:
            yield term
            return
        for parts in product(*choices):
            self._terms.tick()
            yield intersection(self._terms, parts)

    def _is_contained(self, term: Term) -> bool:
        """Whether a visited term is the same but for wider counters; if not, keep this one."""
        counted = _counted(term)
        if all(part.shape is None for part in counted):
            return False
        key = (term.kind, *term.parts[len(counted) :], *[part.shape or part for part in counted])
        counters = tuple([(part.shape_low, part.shape_high) for part in counted])
        visited = self._counters.setdefault(key, deque(maxlen=_MOST_COMPARED))
        self._terms.tick(3)
        if any(all(a[0] <= b[0] and b[1] <= a[1] for a, b in zip(old, counters, strict=True)) for old in visited):
            return True
        visited.append(counters)
        return False

    def _remember_path(self, term: Term) -> None:
        while self._memory.answer(term) is None:
            self._memory.note(term, lives=True)
            parent = self._parent.get(term)
            if parent is None:
                return
            term = parent


def _lack(term: Term) -> int:
    """A measure of what is missing: the lengths that all parts still need."""
    if term.kind == SCOPE:
        term = term.parts[0]
    if term.kind not in (AND, PENDING):
        return term.least
    duties, last = term.parts[:-1], term.parts[-1]
    if duties[0].kind == AND:
        duties = duties[0].parts
    return sum([duty.least for duty in duties]) + last.least


def _counted(term: Term) -> tuple[Term, ...]:
    """The parts whose growth makes the whole grow. What a look-behind has read is not among them: it may be negated."""
    if term.kind in (AND, PENDING):
        return term.parts
    return term.parts[:1] if term.kind == SCOPE else (term,)
