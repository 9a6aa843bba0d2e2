"""Threads: one way to read the text so far, with the registers of the arrays that are open.

A thread is a state of the marked grammar and, for each open array that has registers, the values finished in it and
the one at hand. Reading a byte moves the grammar and all readers; then the marks that may come next are read without
input. A thread whose item repeats a value dies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from grammars.automaton import DEAD, TokenAutomaton
from grammars.limits import Limits
from grammars.lowering import Lowered
from grammars.machine import Machine
from grammars.schema.registers import marks
from grammars.schema.registers.reader import IDLE, Reader
from grammars.schema.registers.used import NONE, Used
from grammars.vocabulary import Vocabulary

_END = 256
OUTSIDE, IN_STRING, IN_ESCAPE = range(3)
_READ = ((1 << _END + 1) - 1) & ~marks.BITS
_KEPT = 1 << 16
_QUOTE, _BACKSLASH = 0x22, 0x5C


class Level(NamedTuple):
    """The registers of one open array or object; `mode` is the mark that opened it."""

    mode: int
    used: Used = NONE
    reader: Reader | None = None
    """The value at hand; None where nothing is read: between the keys of an object, or if a repetition was found."""
    room: int = -1
    """How many more keys there are; -1: endlessly many."""
    missing: int = 0
    """How many members that must be there are not."""

    def is_lasting(self) -> bool:
        """Whether fresh values never run out, or none are needed."""
        return self.mode not in marks.TIGHT or (self.reader is None and self.mode in marks.REPEATED)

    def may_repeat(self) -> bool:
        """Whether the value at hand may become a used one."""
        return self.reader != IDLE and self._could_repeat()

    def is_free(self) -> bool:
        """Whether nothing that was used keeps the array from being finished."""
        return self.is_lasting() and (self.mode in marks.REPEATED or self.reader == IDLE or not self._could_repeat())

    def has_parted(self) -> bool:
        """Whether the value at hand has parted from all used ones: until it ends, nothing changes."""
        return self.is_lasting() and (self.reader is None or (self.reader != IDLE and not self._could_repeat()))

    def risky_bytes(self) -> frozenset[int] | None:
        """The only bytes after which the value at hand may not have parted from all used ones; None if unknown."""
        if self.has_parted():
            return frozenset()
        if self.reader is None or not self.is_lasting():
            return None
        return self.used.next_bytes(self.reader)

    def _could_repeat(self) -> bool:
        return self.reader is not None and self.used.could_equal(self.reader)

    def read(self, byte: int) -> Level:
        """The level after a byte of the text."""
        return self if self.reader is None else self._replace(reader=self.reader.read(byte))

    def ended(self) -> Level | None:
        """The level after an item or key has ended; None if that is not allowed."""
        if self.reader is None:
            return self
        value = self.reader.value()
        if value in self.used:
            return Level(self.mode) if self.mode in marks.REPEATED else None
        used, keys = self.used.with_value(value), self.mode in marks.KEYS
        room = self.room - 1 if keys and self.room >= 0 else self.room
        return self._replace(used=used, reader=None if keys else IDLE, room=room)

    def marked(self, byte: int) -> Level | None:
        """The level after a mark that neither opens nor closes it; None if that is not allowed."""
        if byte == marks.BEGIN:
            return None if self.room == 0 else self._replace(reader=IDLE)
        if byte == marks.ROOM:
            return self._replace(room=max(self.room, 0) + 1)
        if byte == marks.REQUIRE:
            return self._replace(missing=self.missing + 1)
        return self._replace(missing=self.missing - 1) if byte == marks.FOUND else self.ended()

    def closes(self) -> bool:
        """Whether the array or object may be closed: nothing is missing."""
        return not self.missing and (self.mode not in marks.REPEATED or self.reader is None)


Levels = tuple[Level, ...]


class Thread(NamedTuple):
    """A state of the marked grammar, the open levels, and whether the text is inside a string."""

    state: int
    levels: Levels = ()
    place: int = OUTSIDE

    def is_free(self) -> bool:
        """Whether the thread can be finished whatever was used."""
        return all(level.is_free() for level in self.levels)

    def has_parted(self) -> bool:
        """Whether every value at hand has parted from all that it must differ from."""
        return all(level.has_parted() for level in self.levels)

    def may_repeat(self) -> bool:
        """Whether a value must be repeated, and the one at hand may do it."""
        return any(level.mode in marks.REPEATED and level.may_repeat() for level in self.levels)


def _place(place: int, byte: int) -> int:
    if place == IN_ESCAPE:
        return IN_STRING
    if byte == _QUOTE:
        return OUTSIDE if place == IN_STRING else IN_STRING
    return IN_ESCAPE if place == IN_STRING and byte == _BACKSLASH else place


def _marked(levels: Levels, byte: int) -> Levels | None:
    """The levels after a mark, None if it is not allowed there."""
    if byte in marks.OPENING:
        return (*levels, Level(byte, NONE, None if byte in marks.KEYS else IDLE))
    if byte == marks.CLOSE:
        return levels[:-1] if levels[-1].closes() else None
    after = levels[-1].marked(byte)
    return None if after is None else (*levels[:-1], after)


@lru_cache(maxsize=64)
def byte_vocabulary(longest: int) -> Vocabulary:
    """Single bytes, an end token, and one token as long as the longest of another vocabulary: far counts depend on
    that length."""
    singles = [bytes([byte]) for byte in range(256)]
    return Vocabulary([*singles, b"", *([b"\xff" * longest] if longest > 1 else [])], eos=[_END])


class MarkedAutomaton(TokenAutomaton):
    """The marked grammar over single bytes; states that threads stand on are kept."""

    def __init__(self, lowered: Lowered, longest: int, limits: Limits):
        super().__init__(lowered, byte_vocabulary(longest), limits)
        self.kept: list[Callable[[], Iterable[Iterable[Thread]]]] = []

    def over(self, lowered: Lowered, vocabulary: Vocabulary, limits: Limits) -> TokenAutomaton:
        """The same states over the tokens of a vocabulary, none of which reads a mark."""
        automaton = _SameStates(lowered, vocabulary, limits, self._machine)
        self.kept.append(automaton.computing)
        return automaton

    def _in_use(self, generous: bool) -> set[int]:
        in_use = super()._in_use(generous)
        for look_up in self.kept:
            in_use.update(thread.state for threads in look_up() for thread in threads)
        return in_use


class _SameStates(TokenAutomaton):
    """An automaton over the states of another."""

    def __init__(self, lowered: Lowered, vocabulary: Vocabulary, limits: Limits, machine: Machine):
        super().__init__(lowered, vocabulary, limits)
        self._machine = machine

    def computing(self) -> Iterable[Iterable[Thread]]:
        """The states whose masks are being computed."""
        return [[Thread(state) for state in self._computing]]


class Threads:
    """Moves threads through the marked grammar."""

    def __init__(self, automaton: MarkedAutomaton):
        self.automaton = automaton
        self._known_options: dict[int, tuple[tuple[int, ...], bool]] = {}
        self.start: tuple[Thread, ...] = self._settled([Thread(automaton.start)])

    def read(self, threads: Iterable[Thread], byte: int) -> tuple[Thread, ...]:
        """The threads after a byte of the text; they need not be able to finish."""
        moved: list[Thread] = []
        for state, levels, place in threads:
            after = self.automaton.advance(state, byte)
            if after == DEAD or byte in marks.ALL:
                continue
            if not levels:
                moved.append(Thread(after))
                continue
            read = tuple(level.read(byte) for level in levels)
            moved.append(Thread(after, read, _place(place, byte)))
        return self._settled(moved)

    def _settled(self, threads: list[Thread]) -> tuple[Thread, ...]:
        """The threads with all marks read that may come next; those that only wait for a mark are left out."""
        if all(not self._options(thread.state)[0] for thread in threads):
            return tuple(threads)
        found: dict[Thread, None] = {}
        waiting = threads
        while waiting:
            thread = waiting.pop()
            if thread in found:
                continue
            found[thread] = None
            waiting.extend(self._past_marks(thread))
        return tuple(thread for thread in found if self._options(thread.state)[1])

    def _past_marks(self, thread: Thread) -> Iterator[Thread]:
        for byte in self._options(thread.state)[0]:
            levels = _marked(thread.levels, byte)
            if levels is not None:
                after = self.automaton.advance(thread.state, byte)
                yield Thread(after, levels, thread.place if levels else OUTSIDE)

    def _options(self, state: int) -> tuple[tuple[int, ...], bool]:
        """The marks that may come next, and whether a byte of the text, or the end, may."""
        known = self._known_options.get(state)
        if known is None:
            mask = int.from_bytes(self.automaton.mask(state).astype("<u4").tobytes(), "little")
            possible = tuple(byte for byte in marks.ALL if mask >> byte & 1)
            reads = bool(mask & _READ)
            if len(self._known_options) >= _KEPT:
                self._known_options.clear()
            known = self._known_options[state] = possible, reads
        return known

    def accepts(self, threads: Iterable[Thread]) -> bool:
        """Whether the text is complete in one of the readings."""
        return any(self.automaton.accepts(thread.state) for thread in threads)

    def bytes_after(self, thread: Thread) -> list[int]:
        """The bytes of the text that the marked grammar allows next."""
        mask = self.automaton.mask(thread.state).view(np.uint8)[:32]
        bits = np.unpackbits(mask, bitorder="little")
        bits[list(marks.ALL)] = 0
        return np.flatnonzero(bits).tolist()
