"""The machine: a program together with its caches, driven by kernels that stop when they need something.

A kernel that finds a section full, a lazy row missing or its work used up returns a code and leaves everything
consistent. `Machine.run` answers the code (more room, a new row, an error) and calls the kernel again; what was
computed before the interruption is cached, so the second call soon gets to where the first one stopped.

Sections start small and double, so a tiny grammar costs tiny memory. When the budget `Limits.cache_bytes` is used up,
the caches are collected: configurations that nobody was handed are dropped and will be found again when they are
needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from grammars.errors import LimitExceeded, StateError
from grammars.expression import CountingAutomaton, LazyAutomaton
from grammars.kernels.collect import collect
from grammars.kernels.intern import intern_config, intern_context, rehash, touch
from grammars.kernels.layout import (
    ACCEPTING,
    AGE,
    CONFIG,
    CONFIG_BITS,
    CONFIG_MASK,
    CONFIG_SLOTS,
    CONFIGS,
    CONTEXT,
    CONTEXT_SLOTS,
    CONTEXTS,
    CTX_BITS,
    CTX_MASK,
    DEAD,
    EPOCH,
    EXHAUSTED,
    FAR,
    FILL,
    FINISHED,
    FLAGS,
    FRAMES,
    FREE,
    GENERATION,
    GROW,
    HEADER,
    HEADS,
    HEAP,
    ITEM,
    LAZY_ACCEPTS,
    LAZY_CLASS,
    LAZY_FAR,
    LAZY_MOVES,
    LAZY_ROW,
    LOOPS,
    LOST,
    MAX_ROWS,
    NEED,
    PENDING,
    POINT,
    POINT_SLOTS,
    ROW_SHIFT,
    SEED,
    SEED_SLOTS,
    SEEDS,
    UNUSED,
    USED,
    WAKE,
    WIDTH,
    WORK,
)
from grammars.kernels.walk import advance_tokens
from grammars.limits import Limits
from grammars.lowering import Lowered
from grammars.program import BOOT_BYTE, BOOT_STATE

START_CONFIG = 2

_END_ONLY = 4  # flags of the configuration behind an end token, unlike those of any other
_EPOCHS_KEPT = (8, 1)
_SMALL_STORE = 2 << 20  # bytes
_FIRST_CONFIGS = 256  # as many as a short text goes through
_NEVER = 1 << 40
_CHUNK = 4096  # bytes that are read under one grant of work
_SECTIONS = tuple(range(CONFIG, LAZY_FAR + 1, 2))
_GROW_TOGETHER = {
    CONFIG: (CONFIG, LOOPS, FAR, UNUSED, GENERATION, CONFIG_SLOTS),
    CONTEXT: (CONTEXT, CONTEXT_SLOTS),
    SEED: (SEED, SEED_SLOTS),
    POINT: (POINT, POINT_SLOTS),
}
_HASH_TABLES = (CONFIG_SLOTS, CONTEXT_SLOTS, SEED_SLOTS)

Array = NDArray[np.int64]


class Machine:
    """A lowered language and its caches. Not thread-safe: callers hold a lock."""

    def __init__(self, lowered: Lowered, limits: Limits):
        self.program: Array = lowered.program.packed()
        self.limits = limits
        self.collections = 0
        self._collected = False
        self.on_collect: Callable[[bool], Iterable[int]] = lambda generous: ()
        _, row, after = lowered.program.ops[BOOT_STATE].tolist()
        self._boot_item = row << ROW_SHIFT | after << CTX_BITS
        self._plain_rows = len(lowered.program.row_accepts)
        self._class_byte = lowered.program.class_byte
        self._residuals = lowered.residuals
        self._residuals_lock = lowered.lock
        self._class_maps = [np.array(r.byte_classes)[self._class_byte] for r in lowered.residuals]
        self._lazy_examples = [_first_of_each(r.byte_classes) for r in lowered.residuals]
        self._asked_rows: set[int] = set()
        self._stepped = False  # whether the work at hand has asked for residuals
        self._lazy_states: list[tuple[int, int]] = [(n, r.start) for n, r in enumerate(lowered.residuals)]
        self._lazy_rows: dict[tuple[int, int], int] = {state: row for row, state in enumerate(self._lazy_states)}
        self._room = self._first_room(len(lowered.program.components) - 1)
        self.store: Array = np.zeros(HEADER, np.int64)
        self.moves: NDArray[np.int32] = np.zeros((self._room[CONFIG], len(self._class_byte) + 1), np.int32)
        self._classes: list[int] = lowered.program.byte_class.tolist()
        self._moves_view: memoryview[int] = _view(self.moves)
        self._viewed_moves: NDArray[np.int32] | None = None  # single entries are read through views, in a third of the
        self._viewed_store: Array | None = None  # time that an array takes
        self._lay_out()
        self._intern_first_configs()

    def _first_room(self, components: int) -> dict[int, int]:
        lazy = max(2, 2 * len(self._lazy_states)) if self._lazy_states else 0
        configs = _FIRST_CONFIGS if self.limits.cache_bytes > _SMALL_STORE else _FIRST_CONFIGS // 4
        return {
            CONFIG: configs,
            LOOPS: configs,
            FAR: configs,
            UNUSED: configs,
            GENERATION: configs,
            CONFIG_SLOTS: 4 * configs,
            CONTEXT: 64,
            CONTEXT_SLOTS: 256,
            HEAP: 512,
            POINT: 128,
            POINT_SLOTS: 512,
            ITEM: 128,
            PENDING: 128,
            HEADS: components,
            WAKE: components,
            LAZY_MOVES: lazy * len(self._class_byte),
            LAZY_ACCEPTS: lazy,
            LAZY_FAR: lazy if any(isinstance(automaton, CountingAutomaton) for automaton in self._residuals) else 0,
            SEED: 64,
            SEED_SLOTS: 256,
        }

    def _intern_first_configs(self) -> None:
        """Context 0 returns to acceptance; configuration 0 stands behind an end token, 1 boots, 2 is the start."""
        store = self.store
        for row, (number, state) in enumerate(self._lazy_states):
            self._begin_lazy_row(row, number, state)
        items = int(store[ITEM])  # zeros: the one frame of context 0 is state 0 in context 0
        intern_context(store, items, 1, FRAMES, 0, 0)
        touch(store, intern_config(store, items, 0, _END_ONLY | ACCEPTING))
        store[items] = self._boot_item
        boot = intern_config(store, items, 1, 0)
        touch(store, boot)
        self.read(boot, BOOT_BYTE)

    # -- running kernels ------------------------------------------------------------------------------------------

    def run(self, kernel: Callable[[], int]) -> int:
        """Call `kernel` until its code needs no answer; returns it."""
        self.begin_work()
        return self.go_on(kernel)

    def go_on(self, kernel: Callable[[], int]) -> int:
        """The same, as a part of work that has begun."""
        while True:
            code = int(kernel())
            if code >= DEAD or code < LOST:
                return code
            self.answer(code)

    def begin_work(self) -> None:
        """Grant the work of one call."""
        self.store[WORK] = self.limits.mask_work
        self._stepped = False
        self._collected = False

    def answer(self, code: int) -> None:
        """Do what a kernel asked for with a negative code."""
        if code == GROW:
            self._make_room(int(self.store[NEED]))
        elif code == FILL:
            self._fill_row(int(self.store[LAZY_ROW]), int(self.store[LAZY_CLASS]))
        elif code == EXHAUSTED:
            raise LimitExceeded(
                f"one step needs more than Limits.mask_work = {self.limits.mask_work} item moves",
                hint="the grammar is extremely ambiguous here; rewrite it, or raise Limits(mask_work=...)",
            )
        else:
            raise StateError(
                "this state is not known to the automaton",
                hint="use states that advance() returned; one unused for long may be dropped when the caches are full",
            )

    def is_known(self, state: int) -> bool:
        """Whether the state was handed out and still exists."""
        if self._viewed_store is not self.store:
            self._viewed_store, self._store_view = self.store, _view(self.store)
        store, config = self._store_view, state & CONFIG_MASK
        if state < 0 or config >= store[CONFIGS] or state >> CONFIG_BITS != store[store[GENERATION] + config]:
            return False
        return store[store[CONFIG] + 4 * config + AGE] >= 0

    def config(self, state: int) -> int:
        """The configuration of a state, marked as used; raises `StateError` unless the state is known."""
        if not self.is_known(state):
            self.answer(LOST)
        touch(self.store, state & CONFIG_MASK)
        return state & CONFIG_MASK

    def state(self, config: int) -> int:
        """The state by which users know a configuration."""
        return config | int(self.store[self.store[GENERATION] + config]) << CONFIG_BITS

    def accepts(self, config: int) -> bool:
        """Whether the text that led to a configuration is complete."""
        return bool(self.store[self.store[CONFIG] + 4 * config + FLAGS] & ACCEPTING)

    def loops(self, config: int) -> tuple[int, int, int]:
        """What `learn_loops` found: two words of ASCII bytes, and one of the bytes that begin other characters."""
        at = self.store[LOOPS] + 4 * config
        low, high, _, leads = self.store[at : at + 4].tolist()
        return low, high, leads

    def far(self, config: int) -> tuple[int, int]:
        """What `learn_far` found: the configuration with far counts, and from how many bytes on tokens differ."""
        at = self.store[FAR] + 2 * config
        far, nearest = self.store[at : at + 2].tolist()
        return far - 1, nearest

    def follow(self, state: int, data: bytes) -> int | None:
        """A configuration after `data` or DEAD, if all the moves are known: for a few bytes quicker than a kernel."""
        if self._viewed_moves is not self.moves:
            self._viewed_moves, self._moves_view = self.moves, _view(self.moves)
        if state == FINISHED or not self.is_known(state):
            return None
        moves, classes, width = self._moves_view, self._classes, len(self._class_byte) + 1
        config = state & CONFIG_MASK
        for byte in data:
            config = moves[config * width + classes[byte]] - 2
            if config < 0:
                return DEAD if config == DEAD else None
        return config

    def read(self, state: int, data: bytes) -> int:
        """The state after `data`, or DEAD."""
        array = np.frombuffer(data, np.uint8)
        for begin in range(0, max(1, len(data)), _CHUNK):
            state = self._read(state, array[begin : begin + _CHUNK])
            if state < 0:
                break
        return state

    def _read(self, state: int, chunk: NDArray[np.uint8]) -> int:
        """A chunk is read as one long token."""
        out = np.empty(1, np.int64)
        offsets, kind = np.array([0, len(chunk)]), np.zeros(1, np.uint8)
        states, tokens = np.array([state]), np.zeros(1, np.int64)

        def advance() -> int:
            store, moves = self.store, self.moves
            return advance_tokens(self.program, store, moves, chunk, offsets, kind, states, tokens, 0, out)[1]

        self.run(advance)
        return int(out[0])

    def sizes(self) -> dict[str, int]:
        """How many configurations, contexts and words are in use."""
        store = self.store
        return {
            "configurations": int(store[CONFIGS] - store[FREE]),
            "contexts": int(store[CONTEXTS]),
            "heap_words": int(store[USED]),
            "lazy_rows": len(self._lazy_states),
        }

    # -- room -----------------------------------------------------------------------------------------------------

    def memory(self) -> int:
        """Bytes of the caches."""
        return self.store.nbytes + self.moves.nbytes

    def _lay_out(self) -> None:
        """Move every section to a store in which it has the room it needs."""
        old, room, at = self.store, self._room, HEADER
        header: list[int] = old[:HEADER].tolist()
        moved: list[tuple[int, int, int]] = []  # from where, to where, how much
        for section in _SECTIONS:
            width = WIDTH.get(section, 1)
            if header[section + 1] and section not in _HASH_TABLES:
                moved.append((header[section], at, header[section + 1] * width))
            header[section], header[section + 1] = at, room[section]
            at += room[section] * width
        store = np.zeros(at, np.int64)
        store[:HEADER] = header
        for begin, to, length in moved:
            store[to : to + length] = old[begin : begin + length]
        self.store = store
        if self._room[CONFIG] > len(self.moves):
            moves = np.zeros((self._room[CONFIG], self.moves.shape[1]), np.int32)
            moves[: len(self.moves)] = self.moves
            self.moves = moves
        rehash(store)

    def _make_room(self, need: int) -> None:
        kept = need in self._used()
        full = 2 * self.memory() > self.limits.cache_bytes
        if kept and full and not self._collected and self._collect(need):
            self._collected = True  # work that fills the caches again needs more room, not another collection
            return
        packed = self.store[CONTEXTS] >= CTX_MASK or self.store[CONFIGS] > CONFIG_MASK
        if self.memory() > 4 * self.limits.cache_bytes or packed:
            raise LimitExceeded(
                f"the states in use need far more memory than Limits.cache_bytes = {self.limits.cache_bytes}",
                hint="keep fewer states alive, or raise Limits(cache_bytes=...)",
            )
        # moving a store costs more than the room, as long as there is plenty
        plenty = 8 * self.memory() < self.limits.cache_bytes
        factor = 4 if plenty and self.memory() < _SMALL_STORE else 2
        for section in (need, *(self._nearly_full(need) if plenty else ())):
            for together in _GROW_TOGETHER.get(section, (section,)):
                self._room[together] *= factor
        self._lay_out()

    def _nearly_full(self, need: int) -> list[int]:
        """What will soon need room too."""
        return [section for section, used in self._used().items() if section != need and 3 * used > self._room[section]]

    def _used(self) -> dict[int, int]:
        """Entries in use of the sections that are kept."""
        store = self.store
        configs = int(store[CONFIGS] - store[FREE])
        return {CONFIG: configs, CONTEXT: int(store[CONTEXTS]), HEAP: int(store[USED]), SEED: int(store[SEEDS])}

    def _collect(self, need: int) -> bool:
        """Drop what was never handed out or not used lately; if that is not enough, all that nobody is known to hold.

        Returns whether it made enough room.
        """
        return any(self._collect_epochs(need, epochs) for epochs in _EPOCHS_KEPT)

    def _collect_epochs(self, need: int, epochs: int) -> bool:
        store = self.store
        for state in self.on_collect(epochs > 1):
            if self.is_known(state):
                touch(store, state & CONFIG_MASK)
        for section in (LOOPS, FAR, *_HASH_TABLES):
            begin = int(store[section])
            store[begin : begin + self._room[section] * WIDTH.get(section, 1)] = 0
        self.moves = np.zeros_like(self.moves)
        collect(store, epochs)
        rehash(store)
        store[EPOCH] += 1
        self.collections += 1
        return 4 * self._used()[need] < 3 * self._room[need]

    # -- lazy rows ------------------------------------------------------------------------------------------------

    def _fill_row(self, row: int, byte_class: int) -> None:
        """Compute one transition of a boolean lexeme; of a row that is asked for again all of them."""
        number, state = self._lazy_states[row]
        residuals = self._residuals[number]
        if byte_class < 0:
            self._fill_far(row, number, state)
            return
        with self._residuals_lock:  # they are shared by all machines of a grammar
            self._refill(residuals)
            everything = residuals.is_quick and row in self._asked_rows
            for byte in self._lazy_examples[number] if everything else (int(self._class_byte[byte_class]),):
                residuals.step(state, byte)
            targets = list(residuals.targets(state))
        self._asked_rows.add(row)
        rows = {after: self._lazy_row(number, after) for after in set(targets) if after >= 0}
        moves = np.array([rows[after] + 2 if after >= 0 else after + 2 for after in targets])
        begin = self.store[LAZY_MOVES] + row * len(self._class_byte)
        self.store[begin : begin + len(self._class_byte)] = moves[self._class_maps[number]]

    def _fill_far(self, row: int, number: int, state: int) -> None:
        """Find the state of a boolean lexeme whose count decides nothing."""
        automaton = cast("CountingAutomaton", self._residuals[number])
        with self._residuals_lock:
            self._refill(self._residuals[number])
            state, nearest = automaton.far(state)
        far = self._lazy_row(number, state)
        begin = self.store[LAZY_FAR] + 2 * row
        self.store[begin : begin + 2] = far + 1, nearest

    def _refill(self, automaton: LazyAutomaton) -> None:
        """Grant an automaton its work, once for all that is done for one call."""
        if not self._stepped:
            automaton.refill()
            self._stepped = True

    def _lazy_row(self, number: int, state: int) -> int:
        row = self._lazy_rows.get((number, state))
        if row is None:
            row = len(self._lazy_states)
            if row + self._plain_rows >= MAX_ROWS:
                raise LimitExceeded("the boolean parts of the grammar need more rows than can be numbered")
            if row == self._room[LAZY_ACCEPTS]:
                self._room[LAZY_ACCEPTS] *= 2
                self._room[LAZY_MOVES] *= 2
                self._room[LAZY_FAR] *= 2
                self._lay_out()
            self._lazy_states.append((number, state))
            self._lazy_rows[number, state] = row
            self._begin_lazy_row(row, number, state)
        return row

    def _begin_lazy_row(self, row: int, number: int, state: int) -> None:
        store, automaton = self.store, self._residuals[number]
        store[store[LAZY_ACCEPTS] + row] = automaton.accepts(state)
        if self._room[LAZY_FAR] and not isinstance(automaton, CountingAutomaton):
            begin = store[LAZY_FAR] + 2 * row
            store[begin : begin + 2] = row + 1, _NEVER


def _first_of_each(classes: Sequence[int]) -> tuple[int, ...]:
    """A byte of every class."""
    return tuple(classes.index(number) for number in range(max(classes) + 1))


def _view(array: NDArray[Any]) -> memoryview[int]:
    """The entries of an array one after the other, as plain integers."""
    return memoryview(cast("Any", array.reshape(-1)))
