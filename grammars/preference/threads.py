"""The machine: ordered lists of threads over one program.

A *context* is what look-behind can know: the states of the trackers after the text so far. A *thread* is an
instruction that waits for a character (or has matched) with a demand on the text to come. In a list, earlier threads
are preferred.
"""

from __future__ import annotations

from collections.abc import Iterable

from grammars.limits import Budget
from grammars.preference.charsets import Alphabet
from grammars.preference.futures import FALSE, TRUE, Futures
from grammars.preference.program import AHEAD, BEHIND, CHAR, LOOP, MATCH, SPLIT, Program

_THREADS_PER_STEP = 8

Thread = tuple[int, int]
Threads = tuple[Thread, ...]


class Machine:
    """Runs a program, class of characters by class of characters."""

    def __init__(self, program: Program, budget: Budget):
        self.code = program.code
        self.futures = Futures()
        self.alphabet = Alphabet(program.sets)
        self._budget = budget
        self._trackers = program.trackers
        self._reads = [frozenset(self.alphabet.classes(number)) for number in range(len(program.sets))]
        self._contexts: list[tuple[frozenset[int], ...]] = []
        self._context_numbers: dict[tuple[frozenset[int], ...], int] = {}
        self._next_contexts: dict[tuple[int, int], int] = {}
        self._successes: dict[tuple[int, int], int] = {}
        self._derivatives: dict[tuple[int, int, int], int] = {}
        self.first_context = self._context(tuple(self.spread((entry,)) for entry in self._trackers))

    # -- what look-behind knows -----------------------------------------------------------------------------------

    def next_context(self, context: int, letter: int) -> int:
        """The context after one more character."""
        key = (context, letter)
        if key not in self._next_contexts:
            after = [
                self.spread([*self._read(self._contexts[context][number], letter), entry])
                for number, entry in enumerate(self._trackers)
            ]
            self._next_contexts[key] = self._context(tuple(after))
        return self._next_contexts[key]

    def _context(self, trackers: tuple[frozenset[int], ...]) -> int:
        number = self._context_numbers.setdefault(trackers, len(self._contexts))
        if number == len(self._contexts):
            self._contexts.append(trackers)
        return number

    def spread(self, places: Iterable[int]) -> frozenset[int]:
        """Where threads without preference stand when they have followed every branch, past all assertions."""
        seen: set[int] = set()
        stack = list(places)
        while stack:
            place = stack.pop()
            if place not in seen:
                seen.add(place)
                kind, a, b, c = self.code[place]
                if kind in (SPLIT, LOOP):
                    stack += (a, b)
                elif kind in (AHEAD, BEHIND):
                    stack.append(c)
        return frozenset(place for place in seen if self.code[place].kind in (CHAR, MATCH))

    def spread_step(self, places: Iterable[int], letter: int) -> frozenset[int]:
        """Where threads without preference stand after a character."""
        return self.spread(self._read(places, letter))

    def letters(self, place: int) -> frozenset[int]:
        """The classes that a `CHAR` instruction reads."""
        return self._reads[self.code[place].a]

    def _read(self, places: Iterable[int], letter: int) -> list[int]:
        code = self.code
        return [code[p].b for p in places if code[p].kind == CHAR and letter in self._reads[code[p].a]]

    def _is_behind(self, context: int, tracker: int) -> bool:
        return any(self.code[place].kind == MATCH for place in self._contexts[context][tracker])

    # -- threads --------------------------------------------------------------------------------------------------

    def started(self, entries: Iterable[int], context: int) -> Threads:
        """The threads that begin at some instructions, the preferred first."""
        return self._followed([(entry, TRUE) for entry in entries], context)

    def step(self, threads: Threads, letter: int, context: int) -> Threads:
        """The threads after a character; `context` is the one after it."""
        self._budget.charge(1 + len(threads) // _THREADS_PER_STEP)
        moved: list[Thread] = []
        for place, demand in threads:
            kind, a, b, _ = self.code[place]
            if kind == CHAR and letter in self._reads[a]:
                left = self.derivative(demand, letter, context)
                if left != FALSE:
                    moved.append((b, left))
        return self._followed(moved, context)

    def _followed(self, seeds: list[Thread], context: int) -> Threads:
        out: list[Thread] = []
        seen: set[Thread] = set()
        free = TRUE  # the demand that no match found so far holds
        stack = seeds[::-1]
        while stack and free != FALSE:
            place, demand = stack.pop()
            kind, a, b, c = self.code[place]
            if kind == LOOP:
                again = (a, demand) not in seen and (a, TRUE) not in seen
                stack.append((a if again else b, demand))
                continue
            if (place, TRUE) in seen or (place, demand) in seen:
                continue
            seen.add((place, demand))
            if kind == SPLIT:
                stack += ((b, demand), (a, demand))
            elif kind == BEHIND:
                if self._is_behind(context, a) == b:
                    stack.append((c, demand))
            elif kind == AHEAD:
                asked = self.success(a, context)
                stack.append((c, self.futures.all((demand, asked if b else self.futures.negation(asked)))))
            else:
                held = self.futures.all((demand, free))
                if held != FALSE:
                    out.append((place, held))
                if kind == MATCH:
                    free = self.futures.all((free, self.futures.negation(demand)))
        return tuple(out)

    # -- demands --------------------------------------------------------------------------------------------------

    def success(self, place: int, context: int) -> int:
        """The demand that a thread here can match."""
        key = (place, context)
        if key not in self._successes:
            threads = self._followed([(place, TRUE)], context)
            self._successes[key] = self.futures.any(self.promise(thread) for thread in threads)
        return self._successes[key]

    def promise(self, thread: Thread) -> int:
        """The demand that this thread matches."""
        place, demand = thread
        if self.code[place].kind == MATCH:
            return demand
        return self.futures.all((demand, self.futures.will_match(place)))

    def derivative(self, demand: int, letter: int, context: int) -> int:
        """What a demand asks of the text after a character; `context` is the one after it."""
        if demand <= TRUE:
            return demand
        key = (demand, letter, context)
        if key not in self._derivatives:
            self._budget.charge()

            def read(place: int) -> int:
                _, number, after, _ = self.code[place]
                return self.success(after, context) if letter in self._reads[number] else FALSE

            self._derivatives[key] = self.futures.replace(demand, read)
        return self._derivatives[key]
