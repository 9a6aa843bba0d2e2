"""Boundaries between tokens, and the automaton that leads from one to the next.

A *boundary* is (lexer, demand on the text to come, context of look-behind). From it the lexer's threads run in order
of preference. Wherever one of them has matched, the token may end, if the threads preferred to it will not match:
that becomes part of the demand at the next boundary. The demand of the previous token, as long as it is open, is read
along.
"""

from __future__ import annotations

from typing import NamedTuple

from grammars.expression import Node, choice, sequence
from grammars.lexing.lexers import Lexers
from grammars.lexing.symbols import Shift
from grammars.limits import Budget
from grammars.preference.elimination import expression_of
from grammars.preference.futures import FALSE, TRUE
from grammars.preference.program import CHAR, MATCH
from grammars.preference.threads import Threads


class Boundary(NamedTuple):
    lexer: int
    demand: int
    context: int


class End(NamedTuple):
    """How a token ends: as which terminal (that the parser may not see), with which demand and context."""

    terminal: int
    ignored: bool
    demand: int
    context: int


class _Place(NamedTuple):
    """A place inside a token: the threads, those of the strings that rename, and the demand of the token before."""

    lexer: int
    threads: Threads
    strings: frozenset[int]
    demand: int
    context: int


class Boundaries:
    """Boundaries by number, with the tokens between them as expressions."""

    def __init__(self, lexers: Lexers, budget: Budget):
        self._lexers, self._budget = lexers, budget
        self._machine = lexers.machine
        self._boundaries: list[Boundary] = []
        self._numbers: dict[Boundary, int] = {}
        self._places: list[_Place] = []
        self._place_numbers: dict[_Place, int] = {}
        self._edges: dict[int, dict[int, Node]] = {}
        self._kept: dict[tuple[int, Shift], int] = {}
        self._ending: list[list[End]] = []
        self._ends: dict[int, dict[End, list[int]]] = {}
        self._lexemes: dict[tuple[int, End], Node] = {}
        self._tails: dict[tuple[int, End], Node] = {}
        self._skips: dict[int, dict[int, Node]] = {}

    def first(self, lexer: int) -> int:
        """The boundary at the beginning of the text."""
        return self._number(Boundary(lexer, TRUE, self._machine.first_context))

    def after(self, end: End, shift: Shift) -> int:
        """The boundary after a token that the parser shifts."""
        return self._number(Boundary(shift.lexer, self._relevant(end.demand, shift), end.context))

    def _relevant(self, demand: int, shift: Shift) -> int:
        """The demand without those parts that nothing which may come next can fail to meet."""
        key = (demand, shift)
        if key not in self._kept:
            futures, possible = self._machine.futures, self._lexers.after_match[shift.terminal]
            parts: list[int] = []
            for part in futures.parts(demand):
                letters = frozenset[int]().union(*map(self._machine.letters, futures.threads(part)))
                if not (letters <= possible and letters.isdisjoint(shift.relevant) and futures.at_end(part)):
                    parts.append(part)
            self._kept[key] = futures.all(parts)
        return self._kept[key]

    def tokens(self, boundary: int) -> list[End]:
        """How a token that the parser sees can end, if ignored ones may come before it."""
        ends = {end: None for between in self._skips_from(boundary) for end in self._ends_from(between)}
        return [end for end in ends if not end.ignored]

    def token(self, boundary: int, end: End) -> Node:
        """The texts from a boundary to the end of a token, ignored tokens before it included."""
        return choice(
            sequence([skipped, self._lexeme(between, end)])
            for between, skipped in self._skips_from(boundary).items()
            if end in self._ends_from(between)
        )

    def last(self, boundary: int) -> Node:
        """The texts, all ignored, with which the whole text can end after a boundary."""
        demands = {between: self._boundaries[between].demand for between in self._skips_from(boundary)}
        skips = self._skips_from(boundary)
        return choice(skips[between] for between, demand in demands.items() if self._machine.futures.at_end(demand))

    def _number(self, boundary: Boundary) -> int:
        number = self._numbers.setdefault(boundary, len(self._boundaries))
        if number == len(self._boundaries):
            self._budget.charge()
            self._boundaries.append(boundary)
        return number

    # -- ignored tokens -------------------------------------------------------------------------------------------

    def _skips_from(self, boundary: int) -> dict[int, Node]:
        """The boundaries that ignored tokens lead to, each with the texts on the way."""
        if boundary not in self._skips:
            found = {boundary: 0}
            edges: list[dict[int, Node]] = []
            for between in (queue := [boundary]):
                row: dict[int, list[Node]] = {}
                for end in self._ends_from(between):
                    if end.ignored:
                        lexer = self._boundaries[between].lexer
                        target = self._number(Boundary(lexer, end.demand, end.context))
                        if found.setdefault(target, len(queue)) == len(queue):
                            queue.append(target)
                        row.setdefault(found[target], []).append(self._lexeme(between, end))
                edges.append({target: choice(nodes) for target, nodes in row.items()})
            self._skips[boundary] = {b: expression_of(edges, [number], self._budget) for b, number in found.items()}
        return self._skips[boundary]

    # -- one token ------------------------------------------------------------------------------------------------

    def _ends_from(self, boundary: int) -> dict[End, list[int]]:
        """How a token can end, and in which places."""
        if boundary not in self._ends:
            ends: dict[End, list[int]] = {}
            first = self._started(boundary)
            seen = {first}
            for place in (queue := [first]):
                for target in self._edges_from(place):
                    if target not in seen:
                        seen.add(target)
                        queue.append(target)
                        for end in self._ending[target]:
                            ends.setdefault(end, []).append(target)
            self._ends[boundary] = ends
        return self._ends[boundary]

    def _started(self, boundary: int) -> int:
        lexer, demand, context = self._boundaries[boundary]
        entries = self._lexers.entries
        tried, renamed = self._lexers.lexers[lexer].tried, self._lexers.lexers[lexer].renamed
        threads = self._machine.started([entries[number] for number in tried], context)
        strings = self._machine.spread(entries[string] for found in renamed.values() for string in found)
        return self._place(_Place(lexer, threads, strings, demand, context))

    def _place(self, place: _Place) -> int:
        number = self._place_numbers.setdefault(place, len(self._places))
        if number == len(self._places):
            self._places.append(place)
            self._ending.append(self._endings(place))
        return number

    def _endings(self, place: _Place) -> list[End]:
        """Every way in which a token may end here."""
        machine, futures = self._machine, self._machine.futures
        ends: list[End] = []
        preferred: list[int] = [place.demand]
        for thread in place.threads:
            at, demand = thread
            if machine.code[at].kind == MATCH:
                asked = futures.all([*preferred, demand])
                if asked != FALSE:
                    number = machine.code[at].a
                    ignored = number in self._lexers.ignored
                    ends.append(End(self._renamed(place, number), ignored, asked, place.context))
            else:
                preferred.append(futures.negation(machine.promise(thread)))
        return ends

    def _renamed(self, place: _Place, number: int) -> int:
        code = self._machine.code
        matched = {code[at].a for at in place.strings if code[at].kind == MATCH}
        strings = self._lexers.lexers[place.lexer].renamed.get(number, ())
        return next((string for string in strings if string in matched), number)

    def _edges_from(self, number: int) -> dict[int, Node]:
        """The places after one more character, with the characters that lead there."""
        if number not in self._edges:
            place, row = self._places[number], dict[tuple[object, ...], list[int]]()
            readers = [at for at, _ in place.threads if self._machine.code[at].kind == CHAR]
            letters = frozenset[int]().union(*map(self._machine.letters, readers))
            for letter in sorted(letters):
                row.setdefault(self._difference(place, readers, letter), []).append(letter)
            members = self._machine.alphabet.members
            self._edges[number] = {}
            for alike in row.values():
                target = self._step(place, alike[0])
                if target is not None:
                    known = self._edges[number].get(target)
                    self._edges[number][target] = choice([*([known] if known else []), *(members[i] for i in alike)])
        return self._edges[number]

    def _difference(self, place: _Place, readers: list[int], letter: int) -> tuple[object, ...]:
        """What a step depends on: letters that do not differ here lead to the same place."""
        machine = self._machine
        context = machine.next_context(place.context, letter)
        strings = (at for at in place.strings if machine.code[at].kind == CHAR)
        return (
            machine.derivative(place.demand, letter, context),
            context,
            tuple(at for at in readers if letter in machine.letters(at)),
            frozenset(at for at in strings if letter in machine.letters(at)),
            letter if any(demand != TRUE for _, demand in place.threads) else -1,
        )

    def _step(self, place: _Place, letter: int) -> int | None:
        machine = self._machine
        context = machine.next_context(place.context, letter)
        demand = machine.derivative(place.demand, letter, context)
        threads = machine.step(place.threads, letter, context) if demand != FALSE else ()
        if not threads:
            return None
        return self._place(_Place(place.lexer, threads, machine.spread_step(place.strings, letter), demand, context))

    def _lexeme(self, boundary: int, end: End) -> Node:
        """The texts of a token that ends like this; all but the first character is shared by many boundaries."""
        key = (boundary, end)
        if key not in self._lexemes:
            first = self._edges_from(self._started(boundary))
            self._lexemes[key] = choice(sequence([head, self._tail(place, end)]) for place, head in first.items())
        return self._lexemes[key]

    def _tail(self, first: int, end: End) -> Node:
        key = (first, end)
        if key not in self._tails:
            numbers = {first: 0}
            edges: list[dict[int, Node]] = []
            for place in (queue := [first]):
                for target in self._edges_from(place):
                    if numbers.setdefault(target, len(queue)) == len(queue):
                        queue.append(target)
                edges.append({numbers[target]: node for target, node in self._edges_from(place).items()})
            accepting = [numbers[place] for place in queue if end in self._ending[place]]
            self._tails[key] = expression_of(_useful(edges, accepting), accepting, self._budget)
        return self._tails[key]


def _useful(edges: list[dict[int, Node]], accepting: list[int]) -> list[dict[int, Node]]:
    """The edges that lead to an accepting state."""
    sources: list[list[int]] = [[] for _ in edges]
    for state, row in enumerate(edges):
        for target in row:
            sources[target].append(state)
    useful, stack = set(accepting), list(accepting)
    while stack:
        for source in sources[stack.pop()]:
            if source not in useful:
                useful.add(source)
                stack.append(source)
    return [{t: node for t, node in row.items() if t in useful} if s in useful else {} for s, row in enumerate(edges)]
