"""Collecting the caches: keep the configurations that somebody holds, drop the rest, close the gaps.

Numbers of configurations stay what they are, since users hold them; a number that is given up may come back in a new
generation. Numbers of contexts change: they are only known inside. A context refers to older contexts or to those of
its own left-recursive component, whose header stands in front of them; so one pass from the newest to the oldest marks
what is reachable, and one pass back moves it.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Words
from grammars.kernels.layout import (
    AGE,
    CONFIG,
    CONFIGS,
    CONTEXT,
    CONTEXTS,
    COUNT,
    CTX_MASK,
    EPOCH,
    FRAMES,
    FREE,
    GENERATION,
    HEAP,
    LENGTH,
    LOOP,
    OFFSET,
    OUTER,
    ROOT,
    SEEDS,
    UNUSED,
    USED,
)
from grammars.kernels.policy import kernel

_ALWAYS_KEPT = 3  # the finished configuration, the one that boots and the start


@kernel
def collect(store: Words, epochs: int) -> None:
    """Compact the store, keeping configurations that were used in the last `epochs` periods between collections.

    Seeds are forgotten: they can be computed again.
    """
    store[SEEDS] = 0
    _drop_configs(store, epochs)
    moved = np.zeros(store[CONTEXTS], np.int64)
    _mark(store, moved)
    heap = np.empty(store[USED], np.int64)
    _move_contexts(store, moved, heap)
    _move_configs(store, moved, heap)
    for i in range(store[USED]):
        store[store[HEAP] + i] = heap[i]


@kernel
def _drop_configs(store: Words, epochs: int) -> None:
    """Free the numbers that were never handed out; those handed out too long ago go to a new generation."""
    store[FREE] = 0
    for config in range(store[CONFIGS]):
        row = store[CONFIG] + 4 * config
        age = store[row + AGE]
        if config >= _ALWAYS_KEPT and (age < 0 or age <= store[EPOCH] - epochs):
            store[row + OFFSET] = -1
            store[row + LENGTH] = 0
            store[row + AGE] = -1
            store[store[UNUSED] + store[FREE]] = config
            store[FREE] += 1
            if age >= 0:
                store[store[GENERATION] + config] += 1


@kernel
def _mark(store: Words, moved: Words) -> None:
    """Set `moved` to 1 for every context that a configuration reaches."""
    moved[ROOT] = 1
    for config in range(store[CONFIGS]):
        row = store[CONFIG] + 4 * config
        if store[row + OFFSET] >= 0:
            _mark_run(store, moved, row)
    keys = _keys(store)
    for ctx in range(store[CONTEXTS] - 1, -1, -1):
        if moved[ctx] == 0:
            continue
        key = keys[ctx]
        if key >= 0:
            for member in range(key, key + store[store[CONTEXT] + 5 * key + COUNT] + 1):
                moved[member] = 1
                _mark_references(store, moved, member)
        _mark_references(store, moved, ctx)


@kernel
def _keys(store: Words) -> Words:
    """For each context the key of its left-recursive component, -1 for plain ones."""
    keys = np.full(store[CONTEXTS], -1, np.int64)
    ctx = 0
    while ctx < store[CONTEXTS]:
        row = store[CONTEXT] + 5 * ctx
        last = ctx
        if store[row + LOOP] < FRAMES:
            last = ctx + store[row + COUNT]
            for member in range(ctx, last + 1):
                keys[member] = ctx
        ctx = last + 1
    return keys


@kernel
def _mark_references(store: Words, moved: Words, ctx: int) -> None:
    row = store[CONTEXT] + 5 * ctx
    if store[row + LOOP] >= 0:
        moved[store[row + OUTER]] = 1
    else:
        _mark_run(store, moved, row)


@kernel
def _mark_run(store: Words, moved: Words, row: int) -> None:
    at = store[HEAP] + store[row + OFFSET]
    for i in range(at, at + store[row + LENGTH]):
        moved[store[i] & CTX_MASK] = 1


@kernel
def _move_contexts(store: Words, moved: Words, heap: Words) -> None:
    """Give the marked contexts new numbers (`moved` holds number + 1 afterwards) and copy their runs."""
    live = 0
    for ctx in range(store[CONTEXTS]):
        if moved[ctx] != 0:
            live += 1
            moved[ctx] = live
    used = 0
    for ctx in range(store[CONTEXTS]):
        if moved[ctx] == 0:
            continue
        old = store[CONTEXT] + 5 * ctx
        new = store[CONTEXT] + 5 * (moved[ctx] - 1)
        begin, length, loop = store[old + OFFSET], store[old + LENGTH], store[old + LOOP]
        store[new + LENGTH], store[new + LOOP], store[new + COUNT] = length, loop, store[old + COUNT]
        store[new + OUTER] = moved[store[old + OUTER]] - 1 if loop >= 0 else 0
        store[new + OFFSET] = used
        used = _move_run(store, moved, heap, begin, length, used)
    store[CONTEXTS] = live
    store[USED] = used


@kernel
def _move_run(store: Words, moved: Words, heap: Words, offset: int, length: int, used: int) -> int:
    """Copy a run with new numbers of contexts. They keep their order, so the run stays sorted."""
    for i in range(offset, offset + length):
        word = store[store[HEAP] + i]
        heap[used] = (word & ~CTX_MASK) | (moved[word & CTX_MASK] - 1)
        used += 1
    return used


@kernel
def _move_configs(store: Words, moved: Words, heap: Words) -> None:
    used = store[USED]
    for config in range(store[CONFIGS]):
        row = store[CONFIG] + 4 * config
        if store[row + OFFSET] >= 0:
            length = store[row + LENGTH]
            begin = store[row + OFFSET]
            store[row + OFFSET] = used
            used = _move_run(store, moved, heap, begin, length, used)
    store[USED] = used
