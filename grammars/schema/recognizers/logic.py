"""Boolean combinations of readers and regular expressions.

The state of a combination is the tuple of the states of its parts, None where a part can have no text any more; that
part is then false whatever follows. A part alone can always be finished. Of several nobody knows, so a continuation is
searched: best first, a character out of each set that no part tells apart. The search is exact; it ends with a text,
when nothing is left to be tried, or with `LimitExceeded`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heappop, heappush, merge
from itertools import count
from typing import Any, Final

from grammars.expression import Chars, Node, Text, subexpressions
from grammars.limits import Budget
from grammars.residuals import DEAD, Residuals
from grammars.schema.recognizers.recognizer import CountingRecognizer, Recognizer
from grammars.schema.terms import FALSE, TRUE, Term, atom, conj, disj, fold, neg

_CLOSING: Final = frozenset(map(ord, ')]}>"'))
_SURROGATES: Final = range(0xD800, 0xE000)
_CHARACTERS_PER_CHARGE = 4
_NEVER: Final = 1 << 40
_LAST: Final = 0x10FFFF

State = tuple[Any, ...]


class Regular:
    """An expression over characters as a reader."""

    def __init__(self, node: Node, budget: Budget):
        self.foreign = frozenset[int]()
        self.name = node.key.hex()
        self._residuals = Residuals(node, budget)
        self._edges = _edges_of(node)
        self.start = None if self._residuals.start == DEAD else self._residuals.start
        self.lengths: tuple[int, int | None] = (0, None)

    def step(self, state: int, code: int) -> int | None:
        """The state after a character."""
        for byte in chr(code).encode():
            state = self._residuals.step(state, byte)
            if state == DEAD:
                return None
        return state

    def accepts(self, state: int) -> bool:
        """Whether a text ends here."""
        return self._residuals.accepts(state)

    def edges(self, state: int) -> Sequence[int]:
        """Where the sets of the expression begin and end."""
        return self._edges

    def grain(self, state: int) -> int:
        """Characters between two edges are in the same sets."""
        return _LAST + 1


def _edges_of(node: Node) -> tuple[int, ...]:
    found = {0, *range(0x81)}
    for part in subexpressions(node):
        if isinstance(part, Chars):
            found.update(edge for low, high in part.ranges for edge in (low, high + 1))
        elif isinstance(part, Text):
            found.update(edge for char in part.data.decode("utf-8", "replace") for edge in (ord(char), ord(char) + 1))
    return tuple(sorted(found))


class Combination:
    """The automaton of a term over readers, character by character.

    >>> from grammars.schema.recognizers.ecma import EcmaPattern
    >>> term = neg(atom(EcmaPattern(), b"regex"))
    >>> no_pattern = Combination(term, lambda reader: reader, Budget("compile_work", 100))
    >>> no_pattern.accepts(no_pattern.start), no_pattern.accepts(no_pattern.step(no_pattern.start, ord("(")))
    (False, True)
    """

    def __init__(self, term: Term, reader: Callable[[Any], Recognizer], budget: Budget):
        self._budget = budget
        self._parts: list[Recognizer] = []
        self._term = fold(term, partial(self._part, reader), conj, disj, neg)
        self._rests: dict[tuple[bool, ...], Term] = {}
        self._known: dict[State, bool] = {}
        self._steps = 0
        first = tuple(part.start for part in self._parts)
        self.start: Final = first if self._can_finish(first) else None

    def _part(self, reader: Callable[[Any], Recognizer], value: Any) -> Term:
        part = reader(value)
        names = [known.name for known in self._parts]
        if part.name not in names:
            self._parts.append(part)
            names.append(part.name)
        number = names.index(part.name)
        return atom(number, b"%d" % number)

    @property
    def foreign(self) -> frozenset[int]:
        """Bytes that stand for themselves in no text."""
        return self._parts[0].foreign if self._term.op == "is" else frozenset()

    def refill(self) -> None:
        """Have the whole budget again."""
        self._budget.refill()

    def step(self, state: State, code: int) -> State | None:
        """The state after a character; None if no text goes on like that."""
        after = self._moved(state, code)
        return after if self._can_finish(after) else None

    def far(self, state: State) -> tuple[State, int]:
        """A state in which a count decides nothing, and from how many characters on texts can tell the two apart."""
        part = self._parts[0]
        if self._term.op != "is" or not isinstance(part, CountingRecognizer):
            return state, _NEVER
        far, nearest = part.far(state[0])
        return (far,), nearest

    def accepts(self, state: State) -> bool:
        """Whether the characters that led to the state are a text."""
        found = [s is not None and part.accepts(s) for part, s in zip(self._parts, state, strict=True)]
        return fold(self._term, found.__getitem__, all, any, lambda value: not value)

    def leads(self, state: State, low: int, high: int) -> bool:
        """Whether one of the characters between two others may follow."""
        return any(self.step(state, code) is not None for code in _between(self._edges(state), low, high))

    def alike(self, state: State, low: int, high: int) -> tuple[int, int] | None:
        """The characters around some that all lead to one state; None if they do not."""
        first, last = 0, _LAST
        for part, s in zip(self._parts, state, strict=True):
            if s is not None:
                edges, grain = part.edges(s), part.grain(s)
                at = bisect_right(edges, low)
                block = low - low % grain
                first = max(first, block, edges[at - 1] if at else 0)
                last = min(last, block + grain - 1, edges[at] - 1 if at < len(edges) else _LAST)
        return (first, last) if high <= last else None

    def _moved(self, state: State, code: int) -> State:
        self._steps += 1
        if not self._steps % _CHARACTERS_PER_CHARGE:
            self._budget.charge()
        return tuple(None if s is None else part.step(s, code) for part, s in zip(self._parts, state, strict=True))

    def _edges(self, state: State) -> Iterable[int]:
        found = [part.edges(s) for part, s in zip(self._parts, state, strict=True) if s is not None]
        return found[0] if len(found) == 1 else dict.fromkeys(merge((0,), *found))

    # -- what can be finished -------------------------------------------------------------------------------------

    def _can_finish(self, state: State) -> bool:
        rest = self._rest(state)
        if rest in (FALSE, TRUE) or rest.op == "is":
            return rest != FALSE
        if state not in self._known:
            self._search(state)
        return self._known[state]

    def _rest(self, state: State) -> Term:
        """The term without the parts that are false for good."""
        alive = tuple(s is not None for s in state)
        if alive not in self._rests:
            values = [atom(number, b"%d" % number) if lives else FALSE for number, lives in enumerate(alive)]
            self._rests[alive] = fold(self._term, values.__getitem__, conj, disj, neg)
        return self._rests[alive]

    def _search(self, first: State) -> None:
        order = count()
        before: dict[State, State | None] = {first: None}
        heap: list[tuple[int, int, State]] = [(0, next(order), first)]
        while heap:
            cost, _, state = heappop(heap)
            if self._is_fine(state):
                self._remember_way(state, before)
                return
            for rank, code in enumerate(_by_preference(self._edges(state))):
                after = self._moved(state, code)
                if after not in before and self._rest(after) != FALSE and self._known.get(after) is not False:
                    before[after] = state
                    heappush(heap, (cost + 1 + rank, next(order), after))
        self._known.update(dict.fromkeys(before, False))

    def _is_fine(self, state: State) -> bool:
        rest = self._rest(state)
        return self._known.get(state, False) or rest == TRUE or rest.op == "is" or self.accepts(state)

    def _remember_way(self, state: State | None, before: dict[State, State | None]) -> None:
        while state is not None:
            self._known[state] = True
            state = before[state]


def _by_preference(edges: Iterable[int]) -> list[int]:
    """What closes something first, then letters and digits, then the rest."""
    codes = [code for code in edges if code <= _LAST and code not in _SURROGATES]
    return sorted(codes, key=lambda code: (code not in _CLOSING, code > 0x7F or not chr(code).isalnum(), code))


def _between(edges: Iterable[int], low: int, high: int) -> Iterable[int]:
    """A character of each set that has one between two others."""
    behind = _SURROGATES[-1] + 1
    low = behind if low in _SURROGATES else low
    if low <= high:
        yield low
    if low < behind <= high:
        yield behind
    for code in edges:
        if low < code <= high and code not in _SURROGATES:
            yield code
