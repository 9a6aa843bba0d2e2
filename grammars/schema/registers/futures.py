"""Futures: whether a thread can be finished.

If no used value can be met again by what is at hand, and fresh values never run out, a thread is free: whatever the
grammar can finish, it can. Otherwise a witness is searched, a continuation that frees the thread or ends the text:
best first, where bytes that close something are best, and those that repeat a value if one must be repeated. The
search is exact: it ends with a witness, or when nothing is left to be read (runs of zeros that no used number has are
all alike), or with `LimitExceeded`.

What was found is remembered: all threads on the way to a witness can be finished, and if there is none, no thread
that was seen can.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count

from grammars.errors import UnsatisfiableGrammar
from grammars.expression import Node, Rules
from grammars.limits import Budget, Limits
from grammars.lowering import lower
from grammars.schema.registers.threads import OUTSIDE, MarkedAutomaton, Thread, Threads

WORK_PER_STEP = 400  # item moves that one step of a thread stands for

_KEPT = 1 << 16
_QUOTE = 0x22
_COSTS = {**dict.fromkeys(b'"]}:', 1), **dict.fromkeys(b"tfn[{", 2), ord(","): 3, **dict.fromkeys(b" \t\n\r", 50)}


class Futures:
    """Remembers which threads can be finished."""

    def __init__(self, threads: Threads, budget: Budget):
        self._threads = threads
        self._budget = budget
        self._known: dict[Thread, bool] = {}
        self.searching: list[tuple[Thread, ...]] = []

    def possible(self, threads: tuple[Thread, ...]) -> tuple[Thread, ...]:
        """The threads that can be finished."""
        return tuple(thread for thread in threads if thread.is_free() or self._can_finish(thread))

    def any_possible(self, threads: tuple[Thread, ...]) -> bool:
        """Whether one of the threads can be finished."""
        return any(thread.is_free() for thread in threads) or any(map(self._can_finish, threads))

    def _can_finish(self, thread: Thread) -> bool:
        if thread not in self._known:
            if len(self._known) > _KEPT:
                self._known = {}
            self._search(thread)
        return self._known[thread]

    def _search(self, first: Thread) -> None:
        order = count()
        before: dict[Thread, Thread | None] = {_blurred(first): None}
        heap: list[tuple[int, int, Thread]] = [(0, next(order), first)]
        self.searching = [(first,)]
        while heap:
            cost, _, thread = heappop(heap)
            for step, byte in _preferences(self._threads.bytes_after(thread), thread):
                self._budget.charge()
                for after in self._threads.read((thread,), byte):
                    key = _blurred(after)
                    if key in before:
                        continue
                    before[key] = thread
                    if after.is_free() or self._known.get(after) or self._threads.accepts((after,)):
                        self._remember_way(thread, before)
                        return
                    self.searching.append((after,))
                    heappush(heap, (cost + (0 if after.may_repeat() else step), next(order), after))
        self._known.update(dict.fromkeys(before, False))
        self._known[first] = False
        self.searching = []

    def _remember_way(self, thread: Thread | None, before: dict[Thread, Thread | None]) -> None:
        while thread is not None:
            self._known[thread] = True
            thread = before[_blurred(thread)]
        self.searching = []


def _preferences(possible: list[int], thread: Thread) -> list[tuple[int, int]]:
    """Bytes with what they cost: what closes or separates is cheap, and of what fills, each costs more than the one
    before it, so that the search goes deep before it goes wide."""
    found: list[tuple[int, int]] = []
    rank = 3
    for byte in possible:
        cost = _COSTS.get(byte) if thread.place == OUTSIDE else 1 if byte == _QUOTE else None
        if cost is None:
            cost = rank
            rank += 1
        found.append((cost, byte))
    return sorted(found)


def _blurred(thread: Thread) -> Thread:
    levels = tuple(
        level if level.reader is None else level._replace(reader=level.reader.blurred()) for level in thread.levels
    )
    return Thread(thread.state, levels, thread.place)


def has_text(start: Node, rules: Rules, limits: Limits) -> bool:
    """Whether an array or object with registers, which begins with a bracket, has a text at all.

    >>> from grammars.expression import Call, sequence, text
    >>> from grammars.schema.registers import marks
    >>> two = sequence([text("["), marks.mark(marks.OPEN_TIGHT), text("1"), marks.mark(marks.END)])
    >>> end = sequence([marks.mark(marks.CLOSE), text("]")])
    >>> rules = marks.mark_rules()
    >>> has_text(sequence([two, end]), rules, Limits())
    True
    >>> has_text(sequence([two, text(",1"), marks.mark(marks.END), end]), rules, Limits())
    False
    """
    try:
        lowered = lower(start, rules, limits)
    except UnsatisfiableGrammar:
        return False
    threads = Threads(MarkedAutomaton(lowered, 1, limits))
    futures = Futures(threads, Budget("mask_work", limits.mask_work, WORK_PER_STEP))
    return any(futures.any_possible(threads.read(threads.start, byte)) for byte in b"[{")
