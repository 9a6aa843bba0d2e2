"""Whether a language has a string: exact, by search.

Most terms tell at once (`Term.sure`). For the others residuals are searched for one that does, those that promise the
shortest completion first, so that a counter up to 100,000 is left at its first exit. Unions are split into their
options, so the search walks pairs of options, not sets of them. If nothing is found everything that was visited is
empty, and all of it is remembered.

Residuals that differ in a counter only need not all be visited: if s' is contained in a visited s, the shortest
string of s is no longer than that of s', and a shortest string overall never has to pass s' (the antichain argument
of De Wulf et al., 2006).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import product
from math import prod

from grammars.algebra.booleans import intersection
from grammars.algebra.derivatives import derivative
from grammars.algebra.scopes import scope
from grammars.algebra.terms import AND, OR, PENDING, SCOPE, Term, Terms

_MOST_SPLITS = 64
_MOST_COMPARED = 4  # a counter that runs down is contained in one of the last few, or in none

Counters = tuple[tuple[int, int], ...]


class Emptiness:
    """Decides emptiness for the terms of one automaton and remembers all it learns."""

    def __init__(self, terms: Terms):
        self._terms = terms
        self._known: dict[Term, bool] = {}

    def inhabited(self, term: Term) -> bool:
        """Whether the language of a closed term has a string."""
        if term.sure or term is self._terms.nothing:
            return term.sure
        known = self._known.get(term)
        if known is None:
            known = self._known[term] = _Search(self._terms, self._known).finds(term)
        return known


class _Search:
    def __init__(self, terms: Terms, known: dict[Term, bool]):
        self._terms, self._known = terms, known
        self._parent: dict[Term, Term] = {}
        self._visited: set[Term] = set()
        self._counters: dict[object, deque[Counters]] = {}
        self._pushed = 0
        self._queue: list[tuple[int, int, Term, Iterator[Term]]] = []

    def finds(self, start: Term) -> bool:
        for term in self._options(start):
            if self._lives(term):
                return True
            self._visit(term)
        while self._queue:
            _, _, term, successors = heappop(self._queue)
            found = self._expand(term, successors)
            if found is not None:
                self._remember_path(found)
                return True
        self._known.update(dict.fromkeys(self._visited, False))
        return False

    def _expand(self, term: Term, successors: Iterator[Term]) -> Term | None:
        """Visit successors until one promises a shorter completion; a term with an inhabited successor is returned."""
        for successor in successors:
            nearer = False
            for option in self._options(successor):
                if self._lives(option):
                    return term
                if self._is_new(option):
                    self._parent[option] = term
                    self._visit(option)
                    nearer = nearer or option.least < term.least
            if nearer:
                self._push(term, successors)
                return None
        return None

    def _lives(self, term: Term) -> bool:
        return term.sure or self._known.get(term, False)

    def _is_new(self, term: Term) -> bool:
        return term is not self._terms.nothing and term not in self._visited and self._known.get(term) is None

    def _visit(self, term: Term) -> None:
        if self._is_new(term):
            self._visited.add(term)
            if not self._is_contained(term):
                self._push(term, self._successors(term))

    def _push(self, term: Term, successors: Iterator[Term]) -> None:
        self._pushed += 1
        heappush(self._queue, (term.least, -self._pushed, term, successors))

    def _successors(self, term: Term) -> Iterator[Term]:
        seen: set[Term] = set()
        classes = term.first
        while classes:
            self._terms.tick()
            successor = derivative(self._terms, term, (classes & -classes).bit_length() - 1)
            if successor not in seen:
                seen.add(successor)
                yield successor
            classes &= classes - 1

    def _options(self, term: Term) -> list[Term]:
        """The term as a union of terms that are none."""
        if term.kind == OR:
            return list(term.parts)
        if term.kind == SCOPE and term.parts[0].kind == OR:
            running = dict(zip(term.numbers, term.parts[1:], strict=True))
            return [scope(self._terms, option, running) for option in term.parts[0].parts]
        if term.kind != AND:
            return [term]
        choices = [part.parts if part.kind == OR else (part,) for part in term.parts]
        ways = prod(map(len, choices))
        if ways == 1 or ways > _MOST_SPLITS:
            return [term]
        self._terms.tick(ways)
        return [intersection(self._terms, parts) for parts in product(*choices)]

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
        while term not in self._known:
            self._known[term] = True
            parent = self._parent.get(term)
            if parent is None:
                return
            term = parent


def _counted(term: Term) -> tuple[Term, ...]:
    """The parts whose growth makes the whole grow. What a look-behind has read is not among them: it may be negated."""
    if term.kind in (AND, PENDING):
        return term.parts
    return term.parts[:1] if term.kind == SCOPE else (term,)
