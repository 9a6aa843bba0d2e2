"""Which tokens may follow a set of threads.

Two masks that cost next to nothing bound the answer. The grammar without marks refuses most tokens. The marked grammar
reads others without a mark: such a token stays inside the item at hand, and once that has parted from every used
value, nothing else matters. What lies between is read byte by byte along the trie of the vocabulary: tokens that end
an item, and those that keep step with a used value.

Where all items have parted, what a token does that ends one hardly ever depends on the values: it is remembered for
the states of the marked grammar, and only tokens that begin another item are read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grammars.automaton import TokenAutomaton
from grammars.limits import Budget
from grammars.masks import Mask
from grammars.schema.registers.futures import Futures
from grammars.schema.registers.reader import IDLE
from grammars.schema.registers.threads import Level, Thread, Threads
from grammars.schema.registers.used import Used
from grammars.schema.registers.values import Value
from grammars.vocabulary import Vocabulary

Bits = NDArray[np.uint8]
ThreadSet = tuple[Thread, ...]
_KEPT = 256
_QUOTE = 0x22
_ALL_BYTES = frozenset(range(256))


class Ends(NamedTuple):
    """What tokens that end an item do where every item has parted: those that may follow whatever was used, and those
    that have to be read."""

    harmless: list[int]
    dependent: list[int]


class _Dependent(Exception):
    """Raised where it would matter which values were used."""


class _AnyValues(Used):
    """Stands for whatever values were used; `more` for those after the item at hand has ended, which has parted from
    them. Of an item that was begun later nothing is known."""

    def __init__(self, more: Used | None):
        super().__init__(frozenset(), [], ())
        self._more = more

    def with_value(self, value: Value) -> Used:
        if self._more is None:
            raise _Dependent
        return self._more


_SOME_MORE = _AnyValues(None)
_SOME = _AnyValues(_SOME_MORE)


class Choice:
    """Computes masks; `within` is the marked grammar over the tokens of the vocabulary."""

    def __init__(self, threads: Threads, futures: Futures, within: TokenAutomaton, budget: Budget):
        self._threads = threads
        self._futures = futures
        self._within = within
        self._budget = budget
        self._vocabulary = within.vocabulary
        self._ends: dict[object, Ends] = {}

    def tokens(self, outer: Mask, threads: ThreadSet) -> Mask:
        """The ordinary tokens that may follow; `outer` is the mask of the grammar without marks."""
        outer = outer & ~self._vocabulary.end_row
        inside = self._inside(threads) & outer  # a token that is a mark is not text
        if all(thread.has_parted() for thread in threads):
            return self._where_parted(outer, inside, threads)
        walk = Walk(self._vocabulary, self._threads, self._futures, self._budget, self._bits(outer))
        walk.run(threads, self._bits(inside))
        mask = np.zeros(self._vocabulary.words, np.uint32)
        packed = np.packbits(walk.bits, bitorder="little")
        mask.view(np.uint8)[: len(packed)] = packed
        return mask

    def _inside(self, threads: ThreadSet) -> Mask:
        """The tokens that the marked grammar reads without a mark."""
        union = np.zeros(self._vocabulary.words, np.uint32)
        for state in {thread.state for thread in threads}:
            union |= self._within.mask(state)
        return union

    def _bits(self, mask: Mask) -> Bits:
        return np.unpackbits(mask.view(np.uint8), bitorder="little")[: self._vocabulary.size]

    def _where_parted(self, outer: Mask, inside: Mask, threads: ThreadSet) -> Mask:
        ends = self._ends_of(outer & ~inside, threads)
        reading = _Reading(self._vocabulary, self._threads, self._budget, threads)
        allowed = [token for token in ends.dependent if self._futures.any_possible(reading.after(token, 0))]
        for token in (*ends.harmless, *allowed):
            inside[token >> 5] |= np.uint32(1 << (token & 31))
        return inside

    def _ends_of(self, undecided: Mask, threads: ThreadSet) -> Ends:
        key = frozenset((thread.state, thread.place, tuple(map(_form, thread.levels))) for thread in threads)
        found = self._ends.get(key)
        if found is None:
            if len(self._ends) >= _KEPT:
                self._ends.clear()
            found = self._ends[key] = self._classified(undecided, threads)
        return found

    def _classified(self, undecided: Mask, threads: ThreadSet) -> Ends:
        whatever = [thread._replace(levels=tuple(map(_with_any_values, thread.levels))) for thread in threads]
        reading = _Reading(self._vocabulary, self._threads, self._budget, tuple(whatever))
        places = self._vocabulary.trie.tokens
        ends = Ends([], [])
        for token in places[self._bits(undecided)[places] != 0].tolist():
            try:
                after = reading.after(token, 0)
            except _Dependent:
                ends.dependent.append(token)
                continue
            if any(map(_is_settled, after)):
                ends.harmless.append(token)
            elif after:
                ends.dependent.append(token)
        return ends


def _form(level: Level) -> tuple[int, ...]:
    """What matters of a level whatever its values are."""
    return level.mode, level.reader is None, level.room, level.missing


def _with_any_values(level: Level) -> Level:
    return level._replace(used=_SOME_MORE if level.reader is None else _SOME)


def _is_settled(thread: Thread) -> bool:
    """Whether a thread can be finished whatever was used: no item was begun where values may have been used."""
    return all(
        level.is_lasting() and (level.used is not _SOME_MORE or level.reader in (None, IDLE)) for level in thread.levels
    )


class _Reading:
    """Reads tokens byte by byte, sharing what neighbours have in common."""

    def __init__(self, vocabulary: Vocabulary, threads: Threads, budget: Budget, here: ThreadSet):
        self._tokens = vocabulary.tokens
        self._threads = threads
        self._budget = budget
        self._path = [here]
        self._before = b""

    def after(self, token: int, depth: int) -> ThreadSet:
        """The threads after the bytes of a token from `depth` on."""
        data = self._tokens[token][depth:]
        del self._path[_common(self._before, data) + 1 :]
        self._before = data
        for byte in data[len(self._path) - 1 :]:
            here = self._path[-1]
            self._budget.charge()
            self._path.append(self._threads.read(here, byte) if here else ())
        return self._path[-1]


class Walk:
    """One walk through the trie, clearing the bits of tokens that lead nowhere."""

    def __init__(self, vocabulary: Vocabulary, threads: Threads, futures: Futures, budget: Budget, bits: Bits):
        self.bits = bits
        self._vocabulary = vocabulary
        self._trie = vocabulary.trie
        self._threads = threads
        self._futures = futures
        self._budget = budget
        self._allowed = bits[self._trie.tokens]
        self._allowed_below = _sums(self._allowed)
        self._undecided_below = self._allowed_below

    def run(self, threads: ThreadSet, inside: Bits) -> None:
        """Decide all tokens; where every item has parted, those that read no mark are decided."""
        undecided = (self._allowed != 0) & (inside[self._trie.tokens] == 0)
        self._undecided_below = _sums(undecided)
        waiting: list[tuple[int, int, ThreadSet]] = [(0, 0, threads)]
        while waiting:
            node, depth, here = waiting.pop()
            first_child, children_end, first, own_end, end, _ = self._trie.nodes[node].tolist()
            if all(thread.has_parted() for thread in here):
                self._decide_each(np.flatnonzero(undecided[first:end]) + first, depth, here)
                continue
            if self._has(first, own_end) and not self._futures.any_possible(here):
                self._clear(first, own_end)
            waiting.extend(self._children(range(first_child, children_end), depth + 1, here))

    def _children(self, children: range, depth: int, here: ThreadSet) -> Iterator[tuple[int, int, ThreadSet]]:
        risky = _risky_bytes(here)
        for child in children:
            first, end = self._trie.nodes[child, 2].item(), self._trie.nodes[child, 4].item()
            byte = self._trie.byte[child].item()
            if byte not in risky and byte != _QUOTE and not self._has_undecided(first, end):
                continue  # the value parts from all used ones, and the item does not end below
            if self._has(first, end):
                self._budget.charge()
                after = self._threads.read(here, byte)
                if after:
                    yield child, depth, after
                else:
                    self._clear(first, end)

    def _decide_each(self, places: NDArray[np.int64], depth: int, here: ThreadSet) -> None:
        reading = _Reading(self._vocabulary, self._threads, self._budget, here)
        for place in places.tolist():
            after = reading.after(self._trie.tokens[place].item(), depth)
            if not after or not self._futures.any_possible(after):
                self._clear(place, place + 1)

    def _has(self, first: int, end: int) -> bool:
        return bool(self._allowed_below[end] > self._allowed_below[first])

    def _has_undecided(self, first: int, end: int) -> bool:
        return bool(self._undecided_below[end] > self._undecided_below[first])

    def _clear(self, first: int, end: int) -> None:
        self.bits[self._trie.tokens[first:end]] = 0


def _sums(bits: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(bits, dtype=np.int64)])


def _risky_bytes(threads: ThreadSet) -> frozenset[int]:
    """The only bytes after which a thread may not have parted from all used values."""
    risky = frozenset[int]()
    for thread in threads:
        for level in thread.levels:
            found = level.risky_bytes()
            if found is None:
                return _ALL_BYTES
            risky |= found
    return risky


def _common(left: bytes, right: bytes) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count
