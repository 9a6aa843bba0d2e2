"""Sets of strings, and of keys, as terms.

Atoms are lists of strings, bounds on the number of characters, expressions over characters (patterns and formats),
and readers of what is not regular. A term over them becomes an expression over characters, and that one for the bytes
between the quotes. The cheap cases are found first: a list that bounds the term is filtered value by value, and lengths
are merged into one counter. What is left is intersection and complement of automata, which are made as far as they are
walked; with readers among them, automata are all there is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from grammars.errors import UnsupportedFeature
from grammars.expression import (
    ANY_CHAR,
    ANY_TEXT,
    NOTHING,
    Chars,
    Choice,
    Lexeme,
    Named,
    Node,
    Repeat,
    Sequence,
    Text,
    both,
    choice,
    complement,
    is_boolean,
    repeat,
    subexpressions,
    text,
)
from grammars.limits import Budget
from grammars.regular import closed
from grammars.residuals import DEAD, Residuals
from grammars.schema.recognizers.logic import Combination, Regular
from grammars.schema.recognizers.recognizer import Recognizer
from grammars.schema.recognizers.spelled import SpelledRecognizer
from grammars.schema.spelled_residuals import spelled_residuals
from grammars.schema.spelling import Spelling
from grammars.schema.terms import FALSE, TRUE, Term, atom, atoms_of, conj, digest, disj, finite, fold, neg
from grammars.schema.written import spellable
from grammars.trampoline import run

_MANY_COUNTS = 8


@dataclass(frozen=True, slots=True)
class Listed:
    """One of these strings."""

    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Length:
    """A number of characters within bounds."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Matching:
    """A text of the expression, which is over characters, not over their spellings."""

    node: Node


@dataclass(frozen=True, slots=True)
class Recognized:
    """The texts that a reader accepts."""

    reader: Recognizer


@dataclass(frozen=True, slots=True)
class Unknown:
    """A set that cannot be told, and that the caller does without: neither it nor its complement excludes anything."""

    name: str


def listed(values: Iterable[str]) -> Term:
    """These strings."""
    known = frozenset(values)
    words = (value.encode("utf-8", "surrogatepass") for value in sorted(known))
    return atom(Listed(known), digest(b"listed", *words)) if known else FALSE


def length(low: int, high: int | None) -> Term:
    """The strings of so many characters."""
    return atom(Length(low, high), digest(b"length", repr((low, high)).encode()))


def all_of(terms: Iterable[Term]) -> Term:
    """The strings of all the terms; what is listed, as admitted or as excluded, becomes one list.

    >>> all_of([listed(["a", "b"]), neg(listed(["a"]))]) == listed(["b"])
    True
    """
    found = conj(terms)
    parts = found.parts if found.op == "and" else ()
    admitted = [values for part in parts if (values := _values(part)) is not None]
    excluded = [values for part in parts if (values := _excluded(part)) is not None]
    if len(admitted) + len(excluded) < 2:
        return found
    others = [part for part in parts if _values(part) is None and _excluded(part) is None]
    banned = frozenset[str]().union(*excluded)
    lists = listed(admitted[0].intersection(*admitted) - banned) if admitted else neg(listed(banned))
    return conj([lists, *others])


def _values(part: Term) -> frozenset[str] | None:
    return part.atom.values if isinstance(part.atom, Listed) else None


def _excluded(part: Term) -> frozenset[str] | None:
    return _values(part.parts[0]) if part.op == "not" else None


def matching(node: Node) -> Term:
    """The strings of an expression over characters."""
    return TRUE if node == ANY_TEXT else atom(Matching(node), digest(b"matching", node.key))


def recognized(reader: Recognizer) -> Term:
    """The strings that a reader accepts; its name tells it from all others."""
    return atom(Recognized(reader), digest(b"recognized", reader.name.encode()))


def is_recognized(term: Term) -> bool:
    """Whether a part of the term has a reader, so that no expression has its strings."""
    return any(isinstance(part, Recognized) for part in atoms_of(term))


def unknown(name: str) -> Term:
    """A set that cannot be told."""
    return atom(Unknown(name), digest(b"unknown", name.encode("utf-8", "surrogatepass")))


def has_unknown(term: Term) -> bool:
    """Whether a part of the term cannot be told."""
    return any(isinstance(part, Unknown) for part in atoms_of(term))


def relaxed(term: Term) -> Term:
    """The term without its unknown parts: as wide as they could make it.

    >>> relaxed(conj([neg(unknown("a pattern")), length(1, 3)])) == length(1, 3)
    True
    """
    if not has_unknown(term):
        return term

    def all_of(parts: list[Term | None]) -> Term | None:
        return conj(part for part in parts if part is not None)

    def any_of(parts: list[Term | None]) -> Term | None:
        return None if None in parts else disj(part for part in parts if part is not None)

    found = fold(term, _as_term, all_of, any_of, lambda part: None if part is None else neg(part))
    return TRUE if found is None else found


def _as_term(part: Listed | Length | Matching | Recognized | Unknown) -> Term | None:
    if isinstance(part, Unknown):
        return None
    if isinstance(part, Recognized):
        return recognized(part.reader)
    if isinstance(part, Listed):
        return listed(part.values)
    return length(part.low, part.high) if isinstance(part, Length) else matching(part.node)


class Strings:
    """What can be asked of sets of strings; answers are remembered.

    >>> strings = Strings(Spelling(minimal=True), Budget("compile_work", 1000))
    >>> strings.holds(conj([length(1, 3), matching(ANY_TEXT)]), "four")
    False
    """

    def __init__(self, spelling: Spelling, budget: Budget):
        self.spelling = spelling
        self._budget = budget
        self._automata: dict[Node, Residuals] = {}
        self._nodes: dict[Term, Node] = {}
        self._empty: dict[Term, bool] = {}
        self._matching: dict[tuple[Node, str], bool] = {}

    def holds(self, term: Term, value: str) -> bool:
        """Whether the string is in the set."""
        return fold(term, lambda part: self._holds(part, value), all, any, lambda inner: not inner)

    def values_of(self, term: Term) -> frozenset[str] | None:
        """The strings of a set that a list bounds."""
        return finite(term, lambda part: part.values if isinstance(part, Listed) else None, self.holds)

    def is_empty(self, term: Term) -> bool:
        """Whether no string is in the set."""
        known = self._empty.get(term)
        if known is None:
            known = self._empty[term] = self._is_empty(term)
        return known

    def characters(self, term: Term) -> Node:
        """The strings of the set as an expression over characters."""
        return run(self._node(term))

    def node(self, term: Term) -> Node:
        """The spellings of the strings of the set, without quotes."""
        values = self.values_of(term)
        if values is None and is_recognized(term):
            return self._automatic(term)
        node = self.characters(term)
        if not any(is_boolean(part) for part in subexpressions(node)) and not _counts_anywhere(node):
            return self.spelling.of(node)
        name = b"spelled %d " % self.spelling.minimal + node.key
        automaton = partial(spelled_residuals, node, self.spelling)
        return Lexeme(name, automaton, lambda: (self.spelling.of(node), {}))

    def _automatic(self, term: Term) -> Node:
        """The strings of a term with readers: an automaton that no expression stands for."""
        if self.is_empty(term):
            return NOTHING
        name = b"recognized %d " % self.spelling.minimal + term.key

        def automaton(budget: Budget) -> SpelledRecognizer:
            return SpelledRecognizer(self._combination(term, budget), self.spelling.minimal)

        return Lexeme(name, automaton, _refused)

    def _combination(self, term: Term, budget: Budget) -> Combination:
        """The term with all that has an expression in as few parts as possible."""
        return Combination(self._gathered(term), partial(self._reader, budget), budget)

    def _gathered(self, term: Term) -> Term:
        """The term with its expressions in one atom each."""
        if not is_recognized(term):
            return matching(self.characters(term))
        plain = [part for part in term.parts if not is_recognized(part)]
        others = [part for part in term.parts if is_recognized(part)]
        if term.op == "and":
            plain = [part for part in plain if not _is_kept(part, others)]
        if term.op not in ("and", "or") or not plain:
            return conj(others) if term.op == "and" else term
        joined = conj if term.op == "and" else disj
        return joined([matching(closed(self.characters(joined(plain)))), *others])

    def _reader(self, budget: Budget, part: Any) -> Recognizer:
        if isinstance(part, Recognized):
            return part.reader
        return Regular(self.characters(_as_term(part) or TRUE), budget)

    def _holds(self, part: Any, value: str) -> bool:
        if isinstance(part, Listed):
            return value in part.values
        if isinstance(part, Recognized):
            return self._reads(part.reader, value)
        if isinstance(part, Length):
            return part.low <= len(value) and (part.high is None or len(value) <= part.high)
        known = self._matching.get((part.node, value))
        if known is None:
            known = self._matching[part.node, value] = self._matches(part.node, value)
        return known

    def _matches(self, node: Node, value: str) -> bool:
        automaton = self._automata.get(node)
        if automaton is None:
            automaton = self._automata[node] = Residuals(node, self._budget)
        state = automaton.start
        for byte in value.encode("utf-8", "surrogatepass"):
            if state == DEAD:
                break
            self._budget.charge()
            state = automaton.step(state, byte)
        return state != DEAD and automaton.accepts(state)

    def _reads(self, reader: Recognizer, value: str) -> bool:
        state = reader.start
        for char in value:
            self._budget.charge()
            state = None if 0xD800 <= ord(char) <= 0xDFFF else reader.step(state, ord(char))
            if state is None:
                return False
        return reader.accepts(state)

    def _is_empty(self, term: Term) -> bool:
        values = self.values_of(term)
        if values is not None:
            return not values
        if is_recognized(term):
            return self._combination(term, self._budget).start is None
        node = closed(self.characters(term))
        if not any(is_boolean(part) for part in subexpressions(node)):
            return node == NOTHING
        return Residuals(node, self._budget).start == DEAD

    def excluded(self, term: Term) -> frozenset[str] | None:
        """The strings that are not in the set, if it is said by naming them."""
        return _excluded(term)

    # -- expressions ----------------------------------------------------------------------------------------------

    def _node(self, term: Term) -> Generator[Any, Any, Node]:
        if term not in self._nodes:
            self._budget.charge()
            self._nodes[term] = yield self._new_node(term)
        return self._nodes[term]

    def _new_node(self, term: Term) -> Generator[Any, Any, Node]:
        values = self.values_of(term)
        if values is not None:
            return choice(text(value) for value in spellable(values))
        if term.op == "is":
            return _of_atom(term.atom)
        if term.op == "or":
            options: list[Node] = []
            for part in term.parts:
                options.append((yield self._node(part)))
            return choice(options)
        if term.op == "not" and not isinstance(term.parts[0].atom, Listed):
            return both(ANY_TEXT, complement((yield self._node(term.parts[0]))))
        return (yield self._intersection(term.parts if term.op == "and" else (term,)))

    def _intersection(self, parts: tuple[Term, ...]) -> Generator[Any, Any, Node]:
        banned, low, high, others = _sorted_out(parts)
        others = [_without(part, banned) for part in others]
        bounds = length(low, high) if low or high is not None else TRUE
        rest = conj([bounds, *others])
        banned = frozenset(value for value in banned if self.holds(rest, value))
        factors: list[Node] = []
        for part in others:
            factors.append((yield self._node(part)))
        if bounds != TRUE and not _fits(others, low, high):
            factors.append(_of_atom(bounds.atom))
        if banned:
            factors.append(both(ANY_TEXT, complement(choice(text(value) for value in spellable(banned)))))
        node = factors[0] if factors else ANY_TEXT
        for factor in factors[1:]:
            node = both(node, factor)
        return node


def _refused() -> NoReturn:
    raise UnsupportedFeature(
        "a schema with a format that no regular expression can say (regex, hostname) does not intersect",
        hint="state both conditions in the schema, with allOf",
    )


def _is_kept(part: Term, others: Iterable[Term]) -> bool:
    """Whether one of the readers keeps some bounds of the length by itself."""
    bounds = part.atom
    if not isinstance(bounds, Length):
        return False
    for other in others:
        if isinstance(other.atom, Recognized):
            shortest, longest = other.atom.reader.lengths
            if bounds.low <= shortest and (bounds.high is None or (longest is not None and longest <= bounds.high)):
                return True
    return False


def _counts_anywhere(node: Node) -> bool:
    """Whether counting may begin at every character: a parser would carry all these counts along at once."""
    if not isinstance(node, Sequence) or node.parts[0] != ANY_TEXT:
        return False
    repeats = (part for part in subexpressions(node) if isinstance(part, Repeat))
    return any(max(part.low, part.high or 0) >= _MANY_COUNTS for part in repeats)


def _of_atom(part: Length | Matching) -> Node:
    return repeat(ANY_CHAR, part.low, part.high) if isinstance(part, Length) else closed(part.node)


def _sorted_out(parts: tuple[Term, ...]) -> tuple[frozenset[str], int, int | None, list[Term]]:
    """The strings listed as excluded, the bounds of the length, and all other parts of a conjunction."""
    banned: set[str] = set()
    low, high = 0, None
    others: list[Term] = []
    for part in parts:
        inner = part.parts[0].atom if part.op == "not" else None
        if isinstance(inner, Listed):
            banned |= inner.values
        elif isinstance(part.atom, Length):
            low = max(low, part.atom.low)
            high = part.atom.high if high is None else high if part.atom.high is None else min(high, part.atom.high)
        else:
            others.append(part)
    return frozenset(banned), low, high, others


def _without(term: Term, banned: frozenset[str]) -> Term:
    """The term, free of listed options that are excluded anyway."""
    if term.op != "or" or not banned:
        return term
    return disj(listed(part.atom.values - banned) if isinstance(part.atom, Listed) else part for part in term.parts)


def _fits(others: list[Term], low: int, high: int | None) -> bool:
    """Whether one of the expressions keeps the bounds by itself."""
    for part in others:
        if isinstance(part.atom, Matching):
            shortest, longest = run(_lengths(part.atom.node))
            if shortest >= low and (high is None or (longest is not None and longest <= high)):
                return True
    return False


Lengths = tuple[int, int | None]


def _lengths(node: Node) -> Generator[Any, Any, Lengths]:
    """Bounds of the number of characters of an expression without calls; they may be wider than the truth."""
    if isinstance(node, Text):
        count = len(node.data.decode("utf-8", "replace"))
        return count, count
    if isinstance(node, Chars):
        return 1, 1
    if not isinstance(node, Sequence | Choice | Repeat | Named):
        return 0, None
    inner: list[Lengths] = []
    for child in node.children():
        inner.append((yield _lengths(child)))
    tops = [high for _, high in inner]
    known = [high for high in tops if high is not None]
    if isinstance(node, Sequence):
        return sum(low for low, _ in inner), sum(known) if len(known) == len(tops) else None
    if isinstance(node, Choice):
        return min((low for low, _ in inner), default=0), max(known, default=0) if len(known) == len(tops) else None
    if isinstance(node, Repeat):
        top = None if node.high is None or tops[0] is None else node.high * tops[0]
        return node.low * inner[0][0], top
    return inner[0]
