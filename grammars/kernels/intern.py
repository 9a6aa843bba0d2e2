"""Interning: sorted runs of words to small numbers."""

from __future__ import annotations

from grammars.kernels.arrays import Words
from grammars.kernels.layout import (
    AGE,
    CONFIG,
    CONFIG_SLOTS,
    CONFIGS,
    CONTEXT,
    CONTEXT_SLOTS,
    CONTEXTS,
    COUNT,
    CTX_MASK,
    EPOCH,
    FLAGS,
    FRAMES,
    FREE,
    GROW,
    HEAP,
    LENGTH,
    LOOP,
    NEED,
    OFFSET,
    OUTER,
    SEED,
    SEED_SLOTS,
    SEEDS,
    UNUSED,
    USED,
)
from grammars.kernels.policy import kernel, part

_WORD = (1 << 46) - 1


@part
def hash_run(store: Words, at: int, length: int, seed: int) -> int:
    """A 46-bit hash of a run of the store."""
    h = seed + 40503
    for i in range(at, at + length):
        w = int(store[i])
        h = ((h ^ (w & 0x7FFFFFFF)) * 1000003) & _WORD
        h = ((h ^ (w >> 31)) * 998244353) & _WORD
        h ^= h >> 19
    return h


@part
def _same_run(store: Words, i: int, j: int, length: int) -> bool:
    for k in range(length):
        if store[i + k] != store[j + k]:
            return False
    return True


@part
def sort_run(store: Words, at: int, length: int) -> int:
    """Sort a run in place, insertion for short ones, heapsort for long ones. Returns the number of distinct words,
    which stand in front."""
    if length < 24:
        for i in range(at + 1, at + length):
            w = store[i]
            j = i - 1
            while j >= at and store[j] > w:
                store[j + 1] = store[j]
                j -= 1
            store[j + 1] = w
    else:
        for i in range(length // 2 + length - 1):
            # first build the heap from its last parent up, then move the largest word behind it, one by one
            root = length // 2 - 1 - i
            end = length
            if root < 0:
                end = length + root
                root = 0
                w = store[at]
                store[at] = store[at + end]
                store[at + end] = w
            _sift(store, at, root, end)
    if length == 0:
        return 0
    kept = 1
    for i in range(1, length):
        if store[at + i] != store[at + kept - 1]:
            store[at + kept] = store[at + i]
            kept += 1
    return kept


@part
def _sift(store: Words, at: int, root: int, length: int) -> None:
    w = store[at + root]
    child = 2 * root + 1
    while child < length:
        if child + 1 < length and store[at + child + 1] > store[at + child]:
            child += 1
        if store[at + child] <= w:
            break
        store[at + root] = store[at + child]
        root = child
        child = 2 * root + 1
    store[at + root] = w


@part
def push_run(store: Words, source: int, length: int) -> int:
    """Copy a run to the heap; where it stands, or GROW. Offsets count from the start of the heap."""
    at = store[USED]
    if at + length > store[HEAP + 1]:
        store[NEED] = HEAP
        return GROW
    to = store[HEAP] + at
    for i in range(length):
        store[to + i] = store[source + i]
    store[USED] = at + length
    return at


@kernel
def intern_config(store: Words, at: int, length: int, flags: int) -> int:
    """The number of the configuration with these items; made if it is new."""
    slots = store[CONFIG_SLOTS]
    mask = store[CONFIG_SLOTS + 1] - 1
    slot = hash_run(store, at, length, flags) & mask
    while store[slots + slot] != 0:
        known = store[slots + slot] - 1
        row = store[CONFIG] + 4 * known
        if (
            store[row + LENGTH] == length
            and store[row + FLAGS] == flags
            and _same_run(store, store[HEAP] + store[row + OFFSET], at, length)
        ):
            return known
        slot = (slot + 1) & mask
    if store[FREE] == 0 and store[CONFIGS] >= store[CONFIG + 1]:
        store[NEED] = CONFIG
        return GROW
    offset = push_run(store, at, length)
    if offset < 0:
        return offset
    if store[FREE] > 0:
        store[FREE] -= 1
        new = store[store[UNUSED] + store[FREE]]
    else:
        new = store[CONFIGS]
        store[CONFIGS] += 1
    row = store[CONFIG] + 4 * new
    store[row + OFFSET] = offset
    store[row + LENGTH] = length
    store[row + FLAGS] = flags
    store[row + AGE] = -1
    store[slots + slot] = new + 1
    return new


@part
def find_context(store: Words, at: int, length: int, loop: int, number: int, outer: int) -> int:
    """The slot of a context in the hash table: occupied if it is known, empty if it is new."""
    slots = store[CONTEXT_SLOTS]
    mask = store[CONTEXT_SLOTS + 1] - 1
    slot = hash_run(store, at, length, _context_seed(loop, number, outer)) & mask
    while store[slots + slot] != 0:
        row = store[CONTEXT] + 5 * (store[slots + slot] - 1)
        if (
            store[row + LOOP] == loop
            and store[row + LENGTH] == length
            and store[row + COUNT] == number
            and store[row + OUTER] == outer
            and _same_run(store, store[HEAP] + store[row + OFFSET], at, length)
        ):
            return slots + slot
        slot = (slot + 1) & mask
    return slots + slot


@part
def _context_seed(loop: int, number: int, outer: int) -> int:
    return (loop * 7 + number * 1000003 + outer * 31) & _WORD


@part
def add_context(store: Words, at: int, length: int, loop: int, number: int, outer: int) -> int:
    """Append a context without looking for an equal one."""
    new = store[CONTEXTS]
    if new >= store[CONTEXT + 1] or new >= CTX_MASK:
        store[NEED] = CONTEXT
        return GROW
    offset = push_run(store, at, length)
    if offset < 0:
        return offset
    row = store[CONTEXT] + 5 * new
    store[row + OFFSET] = offset
    store[row + LENGTH] = length
    store[row + LOOP] = loop
    store[row + COUNT] = number
    store[row + OUTER] = outer
    store[CONTEXTS] = new + 1
    return new


@kernel
def intern_context(store: Words, at: int, length: int, loop: int, number: int, outer: int) -> int:
    """The number of a context; made if it is new."""
    slot = find_context(store, at, length, loop, number, outer)
    if store[slot] != 0:
        return store[slot] - 1
    new = add_context(store, at, length, loop, number, outer)
    if new >= 0:
        store[slot] = new + 1
    return new


@part
def intern_seed(store: Words, at: int, length: int) -> int:
    """Where the entry of a seed stands in the store; made if it is new."""
    slots = store[SEED_SLOTS]
    mask = store[SEED_SLOTS + 1] - 1
    slot = hash_run(store, at, length, 0) & mask
    while store[slots + slot] != 0:
        entry = store[SEED] + 3 * (store[slots + slot] - 1)
        if store[entry + LENGTH] == length and _same_run(store, store[HEAP] + store[entry + OFFSET], at, length):
            return entry
        slot = (slot + 1) & mask
    new = store[SEEDS]
    if new >= store[SEED + 1]:
        store[NEED] = SEED
        return GROW
    offset = push_run(store, at, length)
    if offset < 0:
        return offset
    entry = store[SEED] + 3 * new
    store[entry + OFFSET] = offset
    store[entry + LENGTH] = length
    store[entry + 2] = 0
    store[SEEDS] = new + 1
    store[slots + slot] = new + 1
    return entry


@kernel
def rehash(store: Words) -> None:
    """Fill the empty hash tables anew. Contexts of a left-recursive component are found by its key alone."""
    mask = store[CONFIG_SLOTS + 1] - 1
    for number in range(store[CONFIGS]):
        row = store[CONFIG] + 4 * number
        if store[row + OFFSET] >= 0:
            at = store[HEAP] + store[row + OFFSET]
            slot = hash_run(store, at, store[row + LENGTH], store[row + FLAGS]) & mask
            while store[store[CONFIG_SLOTS] + slot] != 0:
                slot = (slot + 1) & mask
            store[store[CONFIG_SLOTS] + slot] = number + 1
    mask = store[CONTEXT_SLOTS + 1] - 1
    number = 0
    while number < store[CONTEXTS]:
        row = store[CONTEXT] + 5 * number
        seed = _context_seed(store[row + LOOP], store[row + COUNT], store[row + OUTER])
        slot = hash_run(store, store[HEAP] + store[row + OFFSET], store[row + LENGTH], seed) & mask
        while store[store[CONTEXT_SLOTS] + slot] != 0:
            slot = (slot + 1) & mask
        store[store[CONTEXT_SLOTS] + slot] = number + 1
        number += 1 if store[row + LOOP] >= FRAMES else 1 + store[row + COUNT]
    mask = store[SEED_SLOTS + 1] - 1
    for number in range(store[SEEDS]):
        entry = store[SEED] + 3 * number
        slot = hash_run(store, store[HEAP] + store[entry + OFFSET], store[entry + LENGTH], 0) & mask
        while store[store[SEED_SLOTS] + slot] != 0:
            slot = (slot + 1) & mask
        store[store[SEED_SLOTS] + slot] = number + 1


@kernel
def touch(store: Words, config: int) -> None:
    """Mark a configuration as one a user holds."""
    store[store[CONFIG] + 4 * config + AGE] = store[EPOCH]
