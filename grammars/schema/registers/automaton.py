"""The automaton over tokens of a grammar with registers.

A state is a state of the grammar without marks, which has the fast masks, and the threads that can be finished. A
mask is that of the grammar without marks, less the tokens that repeat a value or lead to where nothing fresh is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars.automaton import DEAD, TokenAutomaton
from grammars.errors import StateError, UnsatisfiableGrammar, UnsupportedFeature
from grammars.forking import lock_for
from grammars.kernels.layout import FINISHED
from grammars.limits import Budget, Limits
from grammars.lowering import Lowered
from grammars.masks import Mask, MaskRows
from grammars.schema.registers.choice import Choice
from grammars.schema.registers.futures import WORK_PER_STEP, Futures
from grammars.schema.registers.threads import MarkedAutomaton, Thread, Threads
from grammars.serialization.files import Destination
from grammars.vocabulary import Vocabulary

_KEPT_STATES = 1 << 15
_END_TOKEN = 2


class Situation(NamedTuple):
    """A state of the grammar without marks, and the threads that can be finished."""

    outer: int
    threads: tuple[Thread, ...]


class RegisterAutomaton(TokenAutomaton):
    """A compiled language with registers; made by `Grammar.compile`.

    >>> from grammars import Vocabulary, json_schema
    >>> tokens = [b"[", b"]", b",", b"1", b"2", b"<end>"]
    >>> grammar = json_schema({"type": "array", "items": {"type": "integer"}, "uniqueItems": True})
    >>> automaton = grammar.compile(Vocabulary(tokens, eos=[5]))
    >>> state = automaton.start
    >>> for token in (0, 3, 2, 3):
    ...     state = automaton.advance(state, token)
    >>> [tokens[token] for token in range(6) if automaton.allows(state, token)]
    [b'1', b'2']
    """

    def __init__(
        self, marked: Lowered, erased: Lowered, vocabulary: Vocabulary, limits: Limits, report: Sequence[Any] = ()
    ):
        super().__init__(erased, vocabulary, limits, report)
        inner = MarkedAutomaton(marked, vocabulary.trie.longest, limits)
        self._within = inner.over(marked, vocabulary, limits)  # tokens that read no mark
        self._threads = Threads(inner)
        self._budget = Budget("mask_work", limits.mask_work, WORK_PER_STEP)
        self._futures = Futures(self._threads, self._budget)
        self._choice = Choice(self._threads, self._futures, self._within, self._budget)
        self._situations: dict[int, Situation] = {}
        self._numbers: dict[Situation, int] = {}
        self._next_number = FINISHED + 1
        self._after: dict[tuple[int, int], int] = {}
        self._rows = MaskRows(vocabulary.words, limits.cache_bytes // 4)
        self._threads_lock = lock_for(self._threads)
        inner.kept += [self._standing, lambda: self._futures.searching]
        self.start = self._number(Situation(self.start, self._futures.possible(self._threads.start)))
        if self.start == DEAD:
            raise UnsatisfiableGrammar("the language is empty: values that must differ from each other run out")

    def _standing(self) -> list[tuple[Thread, ...]]:
        return [situation.threads for situation in list(self._situations.values())]

    # -- states ---------------------------------------------------------------------------------------------------

    def _number(self, situation: Situation) -> int:
        if not situation.threads:
            return DEAD
        known = self._numbers.get(situation)
        if known is None:
            if len(self._numbers) >= _KEPT_STATES:
                self._forget()
            known = self._numbers[situation] = self._next_number
            self._situations[known] = situation
            self._next_number += 1
        return known

    def _forget(self) -> None:
        """Keep the younger half of the states, the start and those of matchers."""
        held = {self.start}
        for matcher in tuple(self._matchers):
            held.update(matcher.states())
        oldest = self._next_number - _KEPT_STATES // 2
        self._situations = {n: s for n, s in self._situations.items() if n >= oldest or n in held}
        self._numbers = {situation: number for number, situation in self._situations.items()}
        self._after = {}

    def _situation(self, state: int) -> Situation:
        found = self._situations.get(state)
        if found is None:
            raise StateError(
                "this state is not known to the automaton",
                hint="use states that advance() returned; one unused for long may be dropped when the caches are full",
            )
        return found

    def _in_use(self, generous: bool) -> set[int]:
        return super()._in_use(generous) | {situation.outer for situation in list(self._situations.values())}

    # -- moving ---------------------------------------------------------------------------------------------------

    def advance(self, state: int, token: int) -> int:
        """The state after `token`, or DEAD (-1) if it is not allowed. DEAD stays DEAD."""
        known = self._after.get((state, token))
        if known is not None:
            return known
        self._check_numbers(state, token)
        if state == DEAD:
            return DEAD
        if state == FINISHED:
            return DEAD
        with self._threads_lock:
            after = self._moved(self._situation(state), token)
            if len(self._after) >= 2 * _KEPT_STATES:
                self._after = {}
            self._after[state, token] = after
        return after

    def _moved(self, situation: Situation, token: int) -> int:
        kind = self.vocabulary.kind[token]
        if kind == _END_TOKEN:
            return FINISHED if self._threads.accepts(situation.threads) else DEAD
        outer = super().advance(situation.outer, token)
        if outer == DEAD:
            return DEAD
        self._budget.refill()
        threads = situation.threads
        for byte in self.vocabulary.tokens[token]:
            self._budget.charge()
            threads = self._threads.read(threads, byte)
        return self._number(Situation(outer, self._futures.possible(threads)))

    def advance_many(self, states: ArrayLike, tokens: ArrayLike) -> NDArray[np.int64]:
        """The states after one token each."""
        pairs = zip(np.asarray(states).tolist(), np.asarray(tokens).tolist(), strict=True)
        return np.array([self.advance(state, token) for state, token in pairs], np.int64)

    def allows(self, state: int, token: int) -> bool:
        """Whether `token` may follow; cheaper than a mask."""
        return self.advance(state, token) != DEAD

    def accepts(self, state: int) -> bool:
        """Whether the text so far is complete."""
        if state == FINISHED:
            return True
        with self._threads_lock:
            return self._threads.accepts(self._situation(state).threads)

    # -- masks ----------------------------------------------------------------------------------------------------

    def mask(self, state: int) -> Mask:
        """The mask of a state as a row that must not be written to."""
        if state == FINISHED:
            return super().mask(state)
        row = self._rows.views.get(state)
        if row is not None:
            return row
        with self._threads_lock:
            situation = self._situation(state)
            self._budget.refill()
            tokens = self._choice.tokens(super().mask(situation.outer), situation.threads)
            if self._threads.accepts(situation.threads):
                tokens |= self.vocabulary.end_row
            return self._rows.add(state, tokens)

    # -- the rest -------------------------------------------------------------------------------------------------

    def save(self, file: Destination, *, report: bool = True) -> None:
        """Automata with registers cannot be saved."""
        raise UnsupportedFeature(
            "a grammar that remembers values (uniqueItems) cannot be saved yet", hint="save the schema and compile it"
        )

    def stats(self) -> dict[str, int]:
        """Sizes of the program and of the caches."""
        with self._threads_lock:
            return {**super().stats(), "register_states": len(self._situations), "register_masks": self._rows.rows}
