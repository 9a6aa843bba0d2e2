"""Steps: characters that all lead from a configuration to the same next one.

In a string of at most 20 characters no character leads back, for each is counted. But nearly all of them lead to one
next configuration, and from there to one again, until the count is full, or far from its bounds. What a token may do
then depends on how many such characters it begins with, not on which: those that have nothing else are allowed if they
have at most as many as there are steps, and of the others only the end is walked, from where its step leads (see
`grammars.token_rows`).
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Table, Words
from grammars.kernels.far import learn_far
from grammars.kernels.layout import DEAD, END_OF_STEPS, EXACT, FAR, INSIDE, KIND, LEADS, LOOPS, NEXT_SHIFT
from grammars.kernels.loops import leads_to, learn_loops
from grammars.kernels.policy import part
from grammars.kernels.step import advance_byte
from grammars.kernels.trie import ascii_bit

# Cells of a chain, as a desk holds it: how many steps, whether the last one leads to itself, the configurations
STEPS, ENDLESS, FROM = range(3)
MOST_STEPS = 24
CHAIN_SIZE = FROM + MOST_STEPS + 1

_FEW_CHARACTERS = 8


@part
def find_steps(
    program: Words,
    store: Words,
    moves: Table,
    config: int,
    letter: int,
    longest: int,
    least: int,
    firsts: Words,
    chain: Words,
) -> int:
    """Follow the steps from a configuration. Returns INSIDE with the characters that every step takes, 0 if these are
    at most `least` or the steps do not end evenly, or a negative code. Most characters lead where `letter` does; no
    token has more than `longest` bytes."""
    code = _end_soon(program, store, moves, config, letter, longest)
    if code <= 0:
        return code
    common = np.full(3, -1, np.int64)
    here, count = config, 0
    chain[STEPS], chain[ENDLESS], chain[FROM] = 0, 0, config
    while count < MOST_STEPS:
        row = store[LOOPS] + 4 * here
        if store[row + KIND] == 0 or store[row] | store[row + 1] == 0:
            code = _learn_step(program, store, moves, here, common[2] != 0)
            if code < 0:
                return code
        if store[row + KIND] < 1 << NEXT_SHIFT:
            break
        _intersect(store, row, common)
        count += 1
        here = _far(program, store, (store[row + KIND] >> NEXT_SHIFT) - 1, longest)
        if here < 0:
            return here
        chain[FROM + count] = here
    row = store[LOOPS] + 4 * here
    if count == 0 or count == MOST_STEPS:
        return 0
    if store[row + KIND] & EXACT != 0:
        chain[ENDLESS] = 1
        _intersect(store, row, common)
    elif (common[0] & store[row]) | (common[1] & store[row + 1]) | (common[2] & store[row + LEADS]) != 0:
        return 0
    if size_of(common[0]) + size_of(common[1]) <= least:
        return 0
    chain[STEPS] = count
    for i in range(3):
        firsts[i] = common[i]
    return INSIDE


@part
def _end_soon(program: Words, store: Words, moves: Table, config: int, letter: int, longest: int) -> int:
    """1 if the steps of a letter, which cost little to follow, end or lead around; 0 if not, or a negative code."""
    here = config
    for _ in range(MOST_STEPS):
        after = advance_byte(program, store, moves, here, letter)
        if after == DEAD or after == here:
            return 1
        if after >= 0:
            after = _far(program, store, after, longest)
        if after < 0:
            return after
        here = after
    return 0


@part
def _far(program: Words, store: Words, config: int, longest: int) -> int:
    """The configuration with far counts in place of one that no token can tell from it; or a negative code."""
    code = learn_far(program, store, config)
    if code < 0:
        return code
    far = store[FAR] + 2 * config
    return store[far] - 1 if store[far + 1] > longest else config


@part
def _intersect(store: Words, row: int, common: Words) -> None:
    common[0] &= store[row]
    common[1] &= store[row + 1]
    common[2] &= store[row + LEADS]


@part
def _learn_step(program: Words, store: Words, moves: Table, config: int, beyond: bool) -> int:
    """Find the configuration to which most characters lead, and which ones do (in ASCII, and `beyond`); if these are
    few, the characters that lead anywhere. Returns 0 or a negative code."""
    targets = np.empty(128, np.int64)
    for byte in range(128):
        targets[byte] = advance_byte(program, store, moves, config, byte)
        if targets[byte] < DEAD:
            return targets[byte]
    after = most_common(targets)
    if after == config:
        return learn_loops(program, store, moves, config)
    found = np.zeros(2, np.int64)
    for byte in range(128):
        if (after == DEAD and targets[byte] != DEAD) or (after != DEAD and targets[byte] == after):
            found[byte >> 6] |= ascii_bit(byte & 63)
    leads = 0
    if after == DEAD:
        leads = _alive_leads(program, store, moves, config)
    elif beyond:
        leads = leads_to(program, store, moves, config, np.array([after]), 1)
    if leads < 0:
        return leads
    row = store[LOOPS] + 4 * config
    store[row], store[row + 1], store[row + LEADS] = found[0], found[1], leads
    store[row + KIND] = END_OF_STEPS if after == DEAD else (after + 1) << NEXT_SHIFT
    return 0


@part
def _alive_leads(program: Words, store: Words, moves: Table, config: int) -> int:
    """The bytes from C0 on that lead anywhere, a bit for each; or a negative code."""
    leads = 0
    for byte in range(0xC0, 0xF8):
        after = advance_byte(program, store, moves, config, byte)
        if after < DEAD:
            return after
        if after != DEAD:
            leads |= 1 << (byte - 0xC0)
    return leads


@part
def most_common(targets: Words) -> int:
    """The configuration to which most letters lead, DEAD if they are few."""
    best, most = DEAD, _FEW_CHARACTERS
    for letter in range(ord("A"), ord("z") + 1):
        if targets[letter] == DEAD or targets[letter] == best:
            continue
        count = 0
        for byte in range(128):
            count += int(targets[byte] == targets[letter])
        if count > most:
            best, most = targets[letter], count
    return best


@part
def size_of(word: int) -> int:
    """How many bits are set."""
    count = 0
    while word != 0:
        word &= word - 1
        count += 1
    return count
