r"""Texts of an expression that have a bounded number of characters: a pattern together with a length.

Deriving the intersection makes a term for every pair of a residual and a count, hundreds for one mask. But the two
parts know nothing of each other except when a text can still end. So a state here is a pair (residual p of the
expression alone, characters n so far), alive if p accepts some text of low - n to high - n more characters.

That need not be asked while no residual is further from an end than `high` is: in a regular expression without
booleans, the way from inside of it to its end takes at most

    c(ab) = max(c(a) + s(b), c(b))    c(a|b) = max(c(a), c(b))    c(a{l,h}) = c(a) + (max(l, 1) - 1) s(a)

characters, where s is the length of its shortest text. So, except near `high`, the count decides nothing, and `far`
tells the engine from how many bytes on a token can notice it. Expressions for which that bound is unknown or large are
derived together with their length.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar, Final

from grammars.expression import (
    ANY_CHAR,
    ANY_TEXT,
    Both,
    Bytes,
    Chars,
    Choice,
    LazyAutomaton,
    Named,
    Node,
    Repeat,
    Sequence,
    Text,
    both,
    byte_set,
    repeat,
    sequence,
)
from grammars.limits import Budget
from grammars.residuals import DEAD, Residuals
from grammars.trampoline import run

_UNKNOWN = -2
_LONG_WAY = 8  # characters: what has to be longer mostly counts by itself, and each of its counts is a residual
_FREE = -1  # in place of a number of characters: far from the bounds
_ENDS_OF_CHARACTERS: Final = repeat(byte_set(range(0x80, 0xC0)), 1, 3)
_NEVER = 1 << 40

State = tuple[int, int]  # residual, characters


def residuals_of(node: Node, budget: Budget) -> LazyAutomaton:
    """The automaton of an expression without calls, a bounded one if a bound on its length stands outside.

    >>> from grammars.expression import byte_set, repeat
    >>> words = residuals_of(both(repeat(byte_set(b"ab")), repeat(ANY_CHAR, 2, 300)), Budget("compile_work", 1000))
    >>> state = words.step(words.start, ord("a"))
    >>> words.accepts(state), words.accepts(words.step(state, ord("b"))), type(words).__name__
    (False, True, 'BoundedResiduals')
    """
    factors, bounds = _factors(node)
    low = max((bound.low for bound in bounds), default=0)
    high = min((bound.high for bound in bounds if bound.high is not None), default=None)
    if not factors or (low == 0 and high is None):
        return Residuals(node, budget)
    texts = factors[0]
    for factor in factors[1:]:
        texts = both(texts, factor)
    way = run(_way(texts))
    if way is None or way > _LONG_WAY:
        return Residuals(node, budget)
    return BoundedResiduals(node, texts, low, high, way, budget)


def _factors(node: Node) -> tuple[list[Node], list[Repeat]]:
    """The parts of an intersection that say more than a length, and those that do not."""
    factors: list[Node] = []
    bounds: list[Repeat] = []
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, Both):
            stack.extend((part.right, part.left))
        elif isinstance(part, Repeat) and part.body == ANY_CHAR:
            bounds.append(part)
        else:
            factors.append(part)
    return factors, bounds


class BoundedResiduals:
    """The states of `texts` of `low` to `high` characters, which is what `node` says too; used like `Residuals`."""

    is_quick: ClassVar[bool] = False  # a step derives

    def __init__(self, node: Node, texts: Node, low: int, high: int | None, way: int, budget: Budget):
        self.node: Final = node
        self._texts = Residuals(both(texts, ANY_TEXT), budget)
        self._low, self._high = low, high
        self._longest_way = way
        self.byte_classes: Final = self._texts.byte_classes
        self._examples = [self.byte_classes.index(number) for number in range(max(self.byte_classes) + 1)]
        self._continuations = [byte for byte in self._examples if not _begins_character(byte)]
        self._alive: dict[State, bool] = {}
        self._states: list[State] = []
        self._numbers: dict[State, int] = {}
        self._rows: list[list[int]] = []
        begin = self._texts.start
        self.start: Final = DEAD if begin == DEAD or not self._is_alive(begin, 0) else self._number((begin, 0))

    def __len__(self) -> int:
        return len(self._states)

    def refill(self) -> None:
        """Have the whole budget again: for steps that belong to another mask than those before."""
        self._texts.refill()

    def targets(self, state: int) -> list[int]:
        """Where the byte classes lead from a state, as far as that is known: -2 if it is not."""
        return self._rows[state]

    def accepts(self, state: int) -> bool:
        """Whether the bytes that led to the state are a text of the language."""
        residual, count = self._states[state]
        return (count == _FREE or count >= self._low) and self._texts.accepts(residual)

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte, -1 if no text of the language continues like that."""
        row, number = self._rows[state], self.byte_classes[byte]
        if row[number] == _UNKNOWN:
            self._learn(row, self._states[state], number)
        return row[number]

    def far(self, state: int) -> tuple[int, int]:
        """A state in which the count decides nothing, and from how many bytes on tokens can tell the two apart."""
        residual, count = self._states[state]
        if count < self._low or self._high is None:
            return state, _NEVER
        return self._number((residual, _FREE)), self._high - self._longest_way - count + 1

    def _learn(self, row: list[int], state: State, number: int) -> None:
        """Note where a class leads, and all those that the expression does not tell apart from it."""
        residual, count = state
        begins = _begins_character(self._examples[number])
        after = self._texts.step(residual, self._examples[number])
        count = self._counted(count) if begins else count
        target = self._number((after, count)) if after != DEAD and self._is_alive(after, count) else DEAD
        for other, known in enumerate(self._texts.targets(residual)):
            if known == after and _begins_character(self._examples[other]) == begins:
                row[other] = target

    def _counted(self, count: int) -> int:
        """One character more; beyond `low` there is nothing to count if there is no `high`."""
        if count == _FREE or (self._high is None and count == self._low):
            return count
        return count + 1

    def _number(self, state: State) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
            self._rows.append([_UNKNOWN] * len(self._examples))
        return number

    # -- what is alive --------------------------------------------------------------------------------------------

    def _is_alive(self, residual: int, count: int) -> bool:
        """Whether some text of the right length is left."""
        if count == _FREE:
            return True
        if count >= self._low and (self._high is None or count + self._longest_way <= self._high):
            return True
        known = self._alive.get((residual, count))
        if known is None:
            low, high = max(0, self._low - count), None if self._high is None else self._high - count
            known = self._alive[residual, count] = self._ends_within(residual, low, high)
        return known

    def _ends_within(self, residual: int, low: int, high: int | None) -> bool:
        """Whether a text of `low` to `high` characters leads from a residual to its end."""
        rest = repeat(ANY_CHAR, low, high)
        inside_character = any(self._texts.step(residual, byte) != DEAD for byte in self._continuations)
        return self._texts.meets(residual, sequence([_ENDS_OF_CHARACTERS, rest]) if inside_character else rest)


def _begins_character(byte: int) -> bool:
    return not 0x80 <= byte < 0xC0


Ways = tuple[int, int]  # characters of the shortest text, and at most from anywhere inside to the end


def _way(node: Node) -> Generator[Any, Any, int | None]:
    """How many characters it takes at most to get from anywhere inside an expression to its end; None if unknown."""
    ways = yield _ways(node)
    return None if ways is None else ways[1]


def _ways(node: Node) -> Generator[Any, Any, Ways | None]:
    if isinstance(node, Chars) or (isinstance(node, Bytes) and node.mask < 1 << 128):
        return 1, 1
    if isinstance(node, Text):
        return _ways_of_text(node)
    if not isinstance(node, Sequence | Choice | Repeat | Named) or not node.children():
        return None
    inner: list[Ways] = []
    for child in node.children():
        ways = yield _ways(child)
        if ways is None:
            return None
        inner.append(ways)
    if isinstance(node, Sequence):
        return _ways_of_sequence(inner)
    shortest, longest = inner[0]
    if isinstance(node, Repeat):
        return node.low * shortest, max(node.low * shortest, longest + (max(node.low, 1) - 1) * shortest)
    return min(short for short, _ in inner), max(long for _, long in inner)


def _ways_of_text(node: Text) -> Ways | None:
    try:
        length = len(node.data.decode())
    except UnicodeDecodeError:
        return None
    return length, length


def _ways_of_sequence(parts: list[Ways]) -> Ways:
    shortest, longest = 0, 0
    for short, long in reversed(parts):
        longest = max(longest, long + shortest)
        shortest += short
    return shortest, longest
