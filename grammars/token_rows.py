"""What of masks depends on a vocabulary alone, shared by every automaton over it.

*Regions*: below a node of the trie, the tokens that begin with a character of some set (the inside of a string, of a
name, of a number). Most have nothing else: they are a row. The others, as `.", "` does, leave the set in one of few
ways: those ends are a small trie of their own. Whoever stands before a string takes the row and walks the ends instead
of a hundred thousand tokens. Building a region costs ten walks, so it is built when it is asked for again.

Where characters are counted, the same set is left after so and so many of them: then there is such a trie for each
number, and the tokens that stay inside are sorted out by how many characters they have.

*Lengths*: the tokens shorter than a number of bytes, or of at most a number of characters.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from grammars.forking import lock_for
from grammars.kernels.walk import clear_tokens, exits
from grammars.trie import Trie, build_trie

_KEPT = 128  # regions, and rows of lengths: some 5 MB for a vocabulary of 128,000 tokens
_MOST_EXITS = 20_000  # tokens

T = TypeVar("T")
Mask = NDArray[np.uint32]
Set = tuple[int, ...]  # characters: two words of ASCII bytes, and one of the first bytes, from C0 on, of all others


class Place(NamedTuple):
    """What a region depends on."""

    node: int
    depth: int
    loops: Set
    leads: int  # first bytes of other characters than ASCII that may come first
    ends: int  # one of the following


AT_NODE, WHERE_LEFT, BY_STEPS = range(3)  # ends begin at the node, or where they leave the set; or that, one by one


class Region(NamedTuple):
    """The tokens that stay inside, and the ends of those that leave."""

    row: Mask
    exits: tuple[tuple[int, Trie], ...]  # behind how many characters; 0 unless they are told apart by that


class TokenRows:
    """Small caches of regions and rows, least recently used out."""

    def __init__(self, tokens: Sequence[bytes], trie: Trie, offsets: NDArray[np.int64], words: int):
        self._tokens = tokens
        self._trie = trie
        self._offsets = offsets
        self._words = words
        self._regions: OrderedDict[Place, Region | None] = OrderedDict()
        self._seen: OrderedDict[Place, bool] = OrderedDict()
        self._shorter: OrderedDict[int, Mask] = OrderedDict()
        self._no_longer: OrderedDict[int, Mask] = OrderedDict()
        self._lock = lock_for(self)

    def region(self, place: Place) -> Region | None:
        """The region below a node, or None if it does not pay."""
        with self._lock:
            if place in self._regions:
                self._regions.move_to_end(place)
            elif place in self._seen:
                _keep(self._regions, place, self._region(place))
            else:
                _keep(self._seen, place, True)
                return None
            return self._regions[place]

    def _region(self, place: Place) -> Region | None:
        firsts = (*place.loops[:2], place.leads)
        row = np.zeros(self._words, np.uint32)
        found, begins = np.empty((2, len(self._trie.tokens)), np.int64)
        t = self._trie
        size = int(
            exits(t.byte, t.nodes, t.tokens, place.node, np.array(firsts), np.array(place.loops), row, found, begins)
        )
        if size > _MOST_EXITS:
            return None
        row.flags.writeable = False
        if place.ends == AT_NODE:
            begins[:size] = 0
        tokens, begins = found[:size], place.depth + begins[:size]
        if place.ends != BY_STEPS:
            return Region(row, ((0, self._exits(tokens, begins)),))
        at = self._offsets[tokens]
        steps = self._characters[at + begins] - self._characters[at]
        kinds = [(count, steps == count) for count in np.unique(steps).tolist()]
        return Region(row, tuple((count, self._exits(tokens[which], begins[which])) for count, which in kinds))

    def without(self, node: int, firsts: Set, row: Mask) -> None:
        """Clear the tokens below a node that go on with one of some ASCII characters."""
        t = self._trie
        clear_tokens(t.byte, t.nodes, t.tokens, node, firsts[0], firsts[1], row)

    def _exits(self, found: NDArray[np.int64], begins: NDArray[np.int64]) -> Trie:
        pairs: list[tuple[int, int]] = list(zip(found.tolist(), begins.tolist(), strict=True))
        ends = [self._tokens[token][begin:] for token, begin in pairs]
        offsets = np.cumsum([0, *map(len, ends)], dtype=np.int64)
        trie = build_trie(ends, np.arange(len(ends)), np.frombuffer(b"".join(ends), np.uint8), offsets)
        return trie._replace(tokens=found[trie.tokens].astype(np.int32))

    def shorter_than(self, length: int) -> Mask:
        """Tokens of fewer than `length` bytes."""
        with self._lock:
            return self._kept(self._shorter, length, lambda: np.diff(self._offsets) < length)

    def no_longer_than(self, characters: int) -> Mask:
        """Tokens of at most so many characters, if they are whole ones."""
        with self._lock:
            return self._kept(
                self._no_longer, characters, lambda: np.diff(self._characters[self._offsets]) <= characters
            )

    @cached_property
    def _characters(self) -> NDArray[np.int32]:
        """How many characters begin before each byte of all tokens, one behind the other."""
        data = np.frombuffer(b"".join(self._tokens), np.uint8)
        return np.concatenate([np.zeros(1, np.int32), np.cumsum((data & 0xC0) != 0x80, dtype=np.int32)])

    def _kept(self, cache: OrderedDict[int, Mask], number: int, chosen: Callable[[], NDArray[np.bool_]]) -> Mask:
        if number not in cache:
            row = np.zeros(self._words, np.uint32)
            bits = np.packbits(chosen(), bitorder="little")
            row.view(np.uint8)[: len(bits)] = bits
            row.flags.writeable = False
            _keep(cache, number, row)
        return cache[number]


def _keep(cache: OrderedDict[Any, T], key: object, value: T) -> None:
    cache[key] = value
    if len(cache) > _KEPT:
        cache.popitem(last=False)
