"""TokenAutomaton: a language over the tokens of a vocabulary.

A state is an integer, the number of an interned parser configuration (see `grammars.kernels.layout`). Everything is
computed when it is first needed and remembered under that number: transitions by byte, masks by state. Two situations
in which the same texts may follow are nearly always the same number, so a list's hundredth element finds the masks of
its first.

Why this core. Alternatives that were weighed before it was built:

* *One automaton state per LR stack or per pushdown top* (as xgrammar's token caches and llguidance's row stacks have
  it): needs a separate lexer or a split into context-free and context-dependent tokens; left recursion, ambiguity and
  nullable rules need rewriting first, which changes what is accepted at the edges. Rejected for exactness.
* *Earley sets with positions*: exact for every grammar, but no two positions are ever equal, so nothing computed for
  one position helps at another. Interning the place to return to instead of the position keeps the exactness and
  makes configurations comparable.
* *Determinising whole rules ahead of time*: the masks become pure table look-ups, but `(a|b)*a(a|b){20}` has 2^20
  states. Lazy transitions pay only for what a text visits.
* *Unrolling counters*: `[^"]{0,10000}` is 10,000 states. Counts in contexts cost one number, and far counts share one
  mask.

What it costs stands in the README's table, measured by `bench/masks.py`.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars.errors import StateError
from grammars.expression import CountingAutomaton
from grammars.forking import lock_for
from grammars.kernels.far import learn_far
from grammars.kernels.intern import touch
from grammars.kernels.layout import BROAD, FINISHED, INSIDE
from grammars.kernels.steps import STEPS
from grammars.kernels.walk import (
    ANSWER,
    CHAIN,
    DEPTH,
    DESK_SIZE,
    FIRSTS,
    LEFT_ALONE,
    NODE,
    PATH_WIDTH,
    TAKEN,
    advance_tokens,
    walk,
)
from grammars.limits import Limits
from grammars.lowering import Lowered
from grammars.machine import START_CONFIG, Machine
from grammars.masks import Mask, MaskRows
from grammars.matcher import Matcher, check_array
from grammars.program import LOW, NOT_A_LOOP
from grammars.serialization import load, save
from grammars.serialization.files import Destination, Source
from grammars.token_rows import AT_NODE, BY_STEPS, WHERE_LEFT, Place, Region
from grammars.trie import Trie
from grammars.vocabulary import Vocabulary

DEAD = -1
_PATIENCE = 2_000  # nodes a walk may visit before it is worth looking for regions
_ENDLESS = 0  # patience: no regions
_LARGE_REGION = 1_500  # tokens
_KEPT_MOVES = 1 << 16
_LONGEST_FORCED = 1 << 16
_NO_BOUND = 1 << 62
_NO_STATE = 1 << 62  # states are smaller


class TokenAutomaton:
    """A compiled language; made by `Grammar.compile`. Immutable to its users and shared by threads.

    >>> from grammars import Vocabulary, regex
    >>> a = regex("a+b?").compile(Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3]))
    >>> state = a.advance(a.start, 2)
    >>> a.accepts(state), a.allows(state, 0), a.allows(state, 3)
    (True, False, True)
    """

    DEAD = DEAD

    def __init__(self, lowered: Lowered, vocabulary: Vocabulary, limits: Limits, report: Sequence[Any] = ()):
        self.vocabulary = vocabulary
        self.start = START_CONFIG
        self._limits = limits
        self._lowered = lowered
        self._report = tuple(report)
        self._machine = Machine(lowered, limits)
        self._masks = MaskRows(vocabulary.words, limits.cache_bytes // 2)
        self._moves: dict[tuple[int, int], int] = {}
        self._answers: dict[tuple[int, int], bool] = {}
        self._lock = lock_for(self)
        self._single = (np.empty(1, np.int64), np.empty(1, np.int64), np.empty(1, np.int64))
        self._matchers: weakref.WeakSet[Matcher] = weakref.WeakSet()
        self._advancing: tuple[NDArray[np.int64], ...] = ()  # states that the latest call of advance stands on
        self._asked: NDArray[np.int64] = np.zeros(0, np.int64)  # states whose masks the latest call fills
        self._computing: list[int] = []  # those of them that are being computed
        self._masks_computed = 0
        program = lowered.program
        counted = any(isinstance(residuals, CountingAutomaton) for residuals in lowered.residuals)
        self._counts = counted or bool((program.rules[:, LOW] != NOT_A_LOOP).any())
        self._sizes = {
            "rules": len(program.rules),
            "states": len(program.ops),
            "rows": len(program.row_accepts),
            "byte_classes": len(program.class_byte),
        }
        self._machine.on_collect = self._in_use
        self._masks.add(FINISHED, vocabulary.end_row)
        self._is_text = (vocabulary.kind == 0).tobytes()

    # -- moving ---------------------------------------------------------------------------------------------------

    def advance(self, state: int, token: int) -> int:
        """The state after `token`, or DEAD (-1) if it is not allowed. DEAD stays DEAD."""
        known = self._moves.get((state, token))
        if known is not None:
            return known
        self._check_numbers(state, token)
        with self._lock:
            states, tokens, out = self._single
            states[0], tokens[0] = state, token
            self._advance(states, tokens, out)
            after = int(out[0])
        if len(self._moves) >= _KEPT_MOVES:
            self._moves = {}
        self._moves[state, token] = after
        return after

    def _check_numbers(self, state: int, token: int) -> None:
        try:
            state, token = index(state), index(token)
        except TypeError:
            raise StateError(f"states and tokens are integers, not {state!r} and {token!r}") from None
        if not 0 <= token < self.vocabulary.size:
            raise StateError(f"token id {token} is outside the vocabulary of {self.vocabulary.size}")
        if not DEAD <= state < _NO_STATE:
            raise StateError(f"{state} is no state")

    def advance_many(self, states: ArrayLike, tokens: ArrayLike) -> NDArray[np.int64]:
        """The states after one token each."""
        state_array, token_array = _integers(states, "states"), _integers(tokens, "tokens")
        if state_array.shape != token_array.shape:
            raise StateError(f"{len(state_array)} states but {len(token_array)} tokens")
        self._check_tokens(token_array)
        out = np.empty(len(state_array), np.int64)
        with self._lock:
            self._advance(state_array, token_array, out)
        return out

    def _advance(self, states: NDArray[np.int64], tokens: NDArray[np.int64], out: NDArray[np.int64]) -> None:
        v, machine = self.vocabulary, self._machine
        done, before = 0, -1
        self._advancing = (states, out)
        while True:
            if done > before:
                machine.begin_work()
            before = done
            done, code = advance_tokens(
                machine.program, machine.store, machine.moves, v.data, v.offsets, v.kind, states, tokens, done, out
            )
            if code == 0:
                return
            machine.answer(code)

    def _check_tokens(self, tokens: NDArray[np.int64]) -> None:
        wrong = (tokens < 0) | (tokens >= self.vocabulary.size)
        if wrong.any():
            raise StateError(f"token id {int(tokens[wrong][0])} is outside the vocabulary of {self.vocabulary.size}")

    def allows(self, state: int, token: int) -> bool:
        """Whether `token` may follow; cheaper than a mask."""
        row = self._masks.views.get(state)
        if row is not None and 0 <= token < self.vocabulary.size:
            return bool(row[token >> 5] >> (token & 31) & 1)
        known = self._answers.get((state, token))
        if known is None:
            if len(self._answers) >= _KEPT_MOVES:
                self._answers = {}
            known = self._answers[state, token] = self._asked_anew(state, token)
        return known

    def _asked_anew(self, state: int, token: int) -> bool:
        if type(state) is not int or type(token) is not int or not 0 <= token < self.vocabulary.size:
            self._check_numbers(state, token)
        if self._is_text[token]:
            with self._lock:
                after = self._machine.follow(state, self.vocabulary.tokens[token])
            if after is not None:
                return after != DEAD
        return self.advance(state, token) != DEAD

    def accepts(self, state: int) -> bool:
        """Whether the text so far is complete."""
        with self._lock:
            return self._machine.accepts(self._machine.config(state))

    # -- masks ----------------------------------------------------------------------------------------------------

    def fill_masks(self, states: ArrayLike, out: NDArray[np.uint32]) -> None:
        """Write the mask of each state to the rows of `out`, uint32 of shape (n, words): bit t % 32 of word t // 32."""
        state_array = _integers(states, "states")
        check_array(out)
        if out.dtype != np.uint32 or out.ndim != 2 or out.shape[0] < len(state_array):
            raise StateError(f"masks need a uint32 array of {len(state_array)} rows, not {out.dtype} {out.shape}")
        if out.shape[1] < self.vocabulary.words:
            raise StateError(f"masks need rows of {self.vocabulary.words} words, not {out.shape[1]}")
        out[: len(state_array), self.vocabulary.words :] = 0
        self._asked = state_array
        for i, state in enumerate(state_array.tolist()):
            out[i, : self.vocabulary.words] = self.mask(state)

    def mask(self, state: int) -> Mask:
        """The mask of a state as a row that must not be written to."""
        row = self._masks.views.get(state)
        if row is not None:
            return row
        with self._lock:
            return self._computed(state)

    def _computed(self, state: int) -> Mask:
        """The mask of a state, found or computed; the lock is held."""
        row = self._masks.views.get(state)
        if row is not None:
            return row
        config = self._machine.config(state)
        self._computing.append(state)
        try:
            return self._masks.add(state, self._fresh(config))
        finally:
            self._computing.pop()

    def _fresh(self, config: int) -> Mask:
        machine, vocabulary = self._machine, self.vocabulary
        far, nearest = self._far(config) if self._counts else (config, 0)
        if far == config:
            mask = self._walked(config)
        else:
            mask = self._computed(machine.state(far)) & ~vocabulary.end_row
            if nearest <= self.vocabulary.trie.longest:
                mask &= vocabulary.rows.shorter_than(nearest)
                self._walk_all(config, nearest, mask)
        if machine.accepts(config):
            mask |= vocabulary.end_row
        return mask

    def _far(self, config: int) -> tuple[int, int]:
        """The configuration with far counts, and from how many bytes on tokens must be walked from the one itself."""
        machine = self._machine
        machine.run(lambda: learn_far(machine.program, machine.store, config))
        far, nearest = machine.far(config)
        touch(machine.store, far)
        return (config, _NO_BOUND) if nearest <= 1 else (far, nearest)

    def _walked(self, config: int) -> Mask:
        """The ordinary tokens that may follow a configuration, by a walk through the trie."""
        self._masks_computed += 1
        mask = np.zeros(self.vocabulary.words, np.uint32)
        self._walk_all(config, 0, mask)
        return mask

    def _walk_all(self, config: int, shortest: int, out: Mask) -> None:
        """Set the ordinary tokens of at least `shortest` bytes that may follow a configuration."""
        trie = self.vocabulary.trie
        self._machine.begin_work()
        if self._walk(trie, config, shortest, _PATIENCE, out) == BROAD:
            self._walk(trie, config, shortest, -_LARGE_REGION, out)

    def _walk(self, trie: Trie, config: int, shortest: int, patience: int, out: Mask) -> int:
        m, (byte, nodes, below, tokens) = self._machine, trie
        path, desk = np.empty((trie.longest + 2, PATH_WIDTH), np.int64), np.zeros(DESK_SIZE, np.int64)
        collections = -1

        def go_on() -> int:
            nonlocal collections
            if m.collections != collections:  # not begun, or what the path went through may be gone
                desk[DEPTH], collections = 0, m.collections
            return walk(
                m.program, m.store, m.moves, byte, nodes, below, tokens, config, shortest, patience, out, path, desk
            )

        while True:
            code = m.go_on(go_on)
            if code != INSIDE:
                return code
            patience = -_LARGE_REGION
            take = self._take_steps if desk[CHAIN + STEPS] else self._take_region
            desk[ANSWER] = TAKEN if take(desk, out) else LEFT_ALONE

    def _take_region(self, desk: NDArray[np.int64], out: Mask) -> bool:
        """Set the tokens of the region on the desk, if it is there to be used."""
        m, rows, (node, inner, begin, *firsts) = self._machine, self.vocabulary.rows, desk[NODE:CHAIN].tolist()
        loops, depth = m.loops(inner), int(desk[DEPTH]) if node else 0
        region = rows.region(Place(node, depth, loops, firsts[2], AT_NODE if begin != DEAD else WHERE_LEFT))
        begin = inner if begin == DEAD else begin
        if region is None:
            return False
        left_out = (loops[0] & ~firsts[0], loops[1] & ~firsts[1])
        taken = region.row.copy() if any(left_out) else np.bitwise_or(out, region.row, out=out)
        self._walk_exits(region, [begin], taken)
        if any(left_out):
            rows.without(node, left_out, taken)
            np.bitwise_or(out, taken, out=out)
        return True

    def _take_steps(self, desk: NDArray[np.int64], out: Mask) -> bool:
        """The same for the region at the root whose characters take the steps on the desk."""
        rows, (low, high, leads) = self.vocabulary.rows, desk[FIRSTS : FIRSTS + 3].tolist()
        steps, is_endless, *configs = desk[CHAIN:].tolist()
        region = rows.region(Place(0, 0, (low, high, leads), leads, BY_STEPS))
        if region is None:
            return False
        configs = configs[: steps + 1]
        np.bitwise_or(out, region.row if is_endless else region.row & rows.no_longer_than(steps), out=out)
        if is_endless:
            configs += configs[-1:] * self.vocabulary.trie.longest
        self._walk_exits(region, configs, out)
        return True

    def _walk_exits(self, region: Region, configs: list[int], out: Mask) -> None:
        """Set the tokens whose ends may follow; behind i characters they begin in configuration i, if there is one."""
        machine = self._machine
        for config in set(configs):
            touch(machine.store, config)  # a collection keeps what was handed out
        self._computing.extend(states := [machine.state(config) for config in set(configs)])
        try:
            for steps, ends in region.exits:
                if steps < len(configs):
                    self._walk(ends, configs[steps], 0, _ENDLESS, out)
        finally:
            del self._computing[-len(states) :]

    def forced(self, state: int) -> list[int]:
        """The tokens that must follow: as long as exactly one token is allowed, it is taken. May end with the end
        token."""
        forced: list[int] = []
        while state != FINISHED and len(forced) < _LONGEST_FORCED:
            token = _only_token(self.mask(state))
            if token < 0:
                break
            forced.append(token)
            state = self.advance(state, token)
        return forced

    # -- the rest -------------------------------------------------------------------------------------------------

    def matcher(self) -> Matcher:
        """A matcher for one sequence, at the start."""
        return self.matcher_at(())

    def matcher_at(self, states: Iterable[int]) -> Matcher:
        """A matcher that went through `states`."""
        matcher = Matcher(self, states)
        with self._lock:  # a collection may be looking at the others
            self._matchers.add(matcher)
        return matcher

    def save(self, file: Destination, *, report: bool = True) -> None:
        """Write the compiled program to a path or an open binary file; see `grammars.serialization`. Without `report`
        it is read sooner, and what is loaded has nothing to report.

        >>> from io import BytesIO
        >>> from grammars import Vocabulary, literal
        >>> vocabulary, file = Vocabulary([b"a", b"<end>"], eos=[1]), BytesIO()
        >>> literal("aa").compile(vocabulary).save(file)
        >>> loaded = TokenAutomaton.load(BytesIO(file.getvalue()), vocabulary)
        >>> loaded.forced(loaded.start)
        [0, 0, 1]
        """
        save(file, self._lowered, self._report if report else (), self.vocabulary.fingerprint)

    @classmethod
    def load(cls, file: Source, vocabulary: Vocabulary, limits: Limits | None = None) -> TokenAutomaton:
        """The automaton of a file that `save`, or `Grammar.save`, wrote.

        Raises `SerializationError` if the file is not exactly that or was saved for another vocabulary,
        `LimitExceeded` if it needs more than `limits`. Files may come from anyone: nothing in them is executed, no
        index is trusted.
        """
        limits = limits or Limits()
        lowered, notes = load(file, vocabulary.fingerprint, limits)
        return cls(lowered, vocabulary, limits, notes)

    def report(self) -> list[Any]:
        """What is enforced, by what means, and what is not."""
        return list(self._report)

    def stats(self) -> dict[str, int]:
        """Sizes of the program and of the caches, and how often they were filled and emptied."""
        with self._lock:
            return {
                **self._sizes,
                **self._machine.sizes(),
                "masks": self._masks.rows,
                "masks_computed": self._masks_computed,
                "mask_flushes": self._masks.flushes,
                "collections": self._machine.collections,
                "cache_bytes": self._machine.memory() + self._masks.nbytes,
            }

    def _in_use(self, generous: bool) -> set[int]:
        """The states that a collection must keep and, if it is generous, those that were asked about lately."""
        in_use: set[int] = set(self._computing)
        for states in (*self._advancing, self._asked):
            in_use.update(states.tolist())
        for matcher in tuple(self._matchers):
            in_use.update(matcher.states())
        if generous:
            in_use.update(self._masks.views)
            for (state, _), after in list(self._moves.items()):  # a copy: other threads add moves meanwhile
                in_use.update((state, after))
        self._moves = {}
        self._masks.clear()
        self._masks.add(FINISHED, self.vocabulary.end_row)
        return in_use


def _integers(values: ArrayLike, name: str) -> NDArray[np.int64]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise StateError(f"{name} must be a flat sequence of integers") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise StateError(f"{name} must be a flat sequence of integers, not {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def _only_token(mask: Mask) -> int:
    """The only set bit of a mask, or -1."""
    words = np.flatnonzero(mask)
    if len(words) != 1:
        return -1
    word = int(mask[words[0]])
    return int(words[0]) * 32 + word.bit_length() - 1 if word & (word - 1) == 0 else -1
