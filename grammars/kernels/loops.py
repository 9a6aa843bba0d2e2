"""Loops: characters that lead from a configuration back to itself, or around among a few.

Most of the tokens in an open string, name or comment stay inside it. What a configuration is known to loop by lets a
walk take whole subtrees of the trie, and whole regions of it, at once (see `walk`).
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Table, Words
from grammars.kernels.layout import CONFIG, DEAD, EXACT, FRAME_MASK, HEAP, KIND, KNOWN, LEADS, LENGTH, LOOPS, OFFSET
from grammars.kernels.policy import part
from grammars.kernels.step import advance_byte
from grammars.kernels.trie import ascii_bit, utf8_step
from grammars.program import BYTE_CLASS

_MAX_PAIRS = 160
_MAX_MEMBERS = 40
_FEW_ITEMS = 12
_MOST_FAILURES = 8


@part
def learn_loops(program: Words, store: Words, moves: Table, config: int) -> int:
    """Find the characters that lead from a configuration back to itself and, where that succeeds, a larger set whose
    strings stay among a few configurations that all allow it. Returns 0 or a negative code."""
    loops = store[LOOPS] + 4 * config
    members = np.empty(_MAX_MEMBERS, np.int64)
    members[0] = config
    set_ = np.zeros(4, np.int64)  # characters that loop, characters that may be added
    for byte in range(128):
        after = advance_byte(program, store, moves, config, byte)
        if after < DEAD:
            return after
        if after == config:
            set_[byte >> 6] |= ascii_bit(byte & 63)
        elif after != DEAD and _stays_inside(store, config, after):
            set_[2 + (byte >> 6)] |= ascii_bit(byte & 63)
    leads = leads_to(program, store, moves, config, members, 1)
    if leads < 0:
        return leads
    store[loops], store[loops + 1], store[loops + KIND], store[loops + LEADS] = set_[0], set_[1], KNOWN | EXACT, leads
    if set_[2] | set_[3] == 0:
        return 0
    code = _drop_narrowing(program, store, moves, config, set_)
    if code < 0:
        return code
    set_[0] |= set_[2]
    set_[1] |= set_[3]
    size = _closed_under(program, store, moves, members, set_)
    if size <= 1:
        return size
    all_leads = ~0
    for i in range(size):
        code = leads_to(program, store, moves, members[i], members, size)
        if code < 0:
            return code
        all_leads &= code
    if leads & ~all_leads != 0:
        return 0
    for i in range(size):
        row = store[LOOPS] + 4 * members[i]
        if not _loops_beyond(program, store, moves, members[i], set_):
            store[row], store[row + 1], store[row + KIND], store[row + LEADS] = set_[0], set_[1], KNOWN, all_leads
    return 0


@part
def _loops_beyond(program: Words, store: Words, moves: Table, config: int, set_: Words) -> bool:
    """Whether a configuration is known to loop by ASCII characters that are not in a set."""
    row = store[LOOPS] + 4 * config
    if store[row + KIND] & KNOWN != 0:
        return (store[row] & ~set_[0]) | (store[row + 1] & ~set_[1]) != 0
    for byte in range(128):
        is_loop = moves[config, program[program[BYTE_CLASS] + byte]] - 2 == config
        if is_loop and (set_[byte >> 6] >> (byte & 63)) & 1 == 0:
            return True
    return False


@part
def _stays_inside(store: Words, config: int, after: int) -> bool:
    """Whether a configuration is inside the same lexemes in the same contexts as another, and both are small."""
    here, there = store[CONFIG] + 4 * config, store[CONFIG] + 4 * after
    if store[here + LENGTH] > _FEW_ITEMS or store[there + LENGTH] > _FEW_ITEMS:
        return False
    begin, end = store[HEAP] + store[here + OFFSET], store[HEAP] + store[here + OFFSET] + store[here + LENGTH]
    for i in range(store[HEAP] + store[there + OFFSET], store[HEAP] + store[there + OFFSET] + store[there + LENGTH]):
        known = False
        for j in range(begin, end):
            known |= (store[i] ^ store[j]) & FRAME_MASK == 0
        if not known:
            return False
    return True


@part
def _drop_narrowing(program: Words, store: Words, moves: Table, config: int, set_: Words) -> int:
    """Drop the additional characters behind which some of the set cannot be read at once. Returns 0 or a code."""
    for byte in range(128):
        if (set_[2 + (byte >> 6)] >> (byte & 63)) & 1 == 0:
            continue
        inside = moves[config, program[program[BYTE_CLASS] + byte]] - 2
        for other in range(128):
            if ((set_[other >> 6] | set_[2 + (other >> 6)]) >> (other & 63)) & 1 == 0:
                continue
            after = advance_byte(program, store, moves, inside, other)
            if after < DEAD:
                return after
            if after == DEAD:
                set_[2 + (byte >> 6)] &= ~ascii_bit(byte & 63)
                break
    return 0


@part
def _closed_under(program: Words, store: Words, moves: Table, members: Words, set_: Words) -> int:
    """Add to `members` what the set leads to. Returns their number, 0 if one dies or there are many, or a code."""
    done, size = 0, 1
    while done < size:
        for byte in range(128):
            if (set_[byte >> 6] >> (byte & 63)) & 1 == 0:
                continue
            after = advance_byte(program, store, moves, members[done], byte)
            if after < DEAD:
                return after
            if after == DEAD:
                return 0
            if not _holds(members, size, after):
                if size == _MAX_MEMBERS or not _stays_inside(store, members[0], after):
                    return 0
                members[size] = after
                size += 1
        done += 1
    return size


@part
def _holds(members: Words, size: int, config: int) -> bool:
    for i in range(size):
        if members[i] == config:
            return True
    return False


@part
def leads_to(program: Words, store: Words, moves: Table, config: int, to: Words, size: int) -> int:
    """Which bytes from C0 on, a bit for each, begin characters that all lead from a configuration to one of some
    others, while broken ones lead nowhere. Or a negative code."""
    leads, good, failed = 0, False, 0
    class_before, decoder_before = -1, -1
    for byte in range(0xC2, 0xF5):
        decoder, byte_class = utf8_step(0, byte), program[program[BYTE_CLASS] + byte]
        if byte_class != class_before or decoder != decoder_before:
            class_before, decoder_before = byte_class, decoder
            after = advance_byte(program, store, moves, config, byte)
            if after >= DEAD:
                after = _character_leads_to(program, store, moves, after, decoder, to, size)
            if after < 0:
                return after
            good = after != 0
            failed += int(not good)
            if failed > _MOST_FAILURES:
                break  # the set is cut up too finely to be worth the steps
        if good:
            leads |= 1 << (byte - 0xC0)
    return leads


@part
def _character_leads_to(
    program: Words, store: Words, moves: Table, config: int, begun: int, to: Words, size: int
) -> int:
    """1 if all ends of a character that has begun lead to one of `to`, and nothing else leads anywhere; 0 if not; or a
    negative code."""
    if config == DEAD:
        return 0
    pairs = np.empty((_MAX_PAIRS, 2), np.int64)  # (configuration, state of a UTF-8 decoder)
    pairs[0, 0], pairs[0, 1] = config, begun
    done, found = 0, 1
    while done < found:
        class_before, decoder_before = -1, 0
        for byte in range(256):
            decoder, byte_class = utf8_step(pairs[done, 1], byte), program[program[BYTE_CLASS] + byte]
            if byte_class == class_before and decoder == decoder_before:
                continue
            class_before, decoder_before = byte_class, decoder
            after = advance_byte(program, store, moves, pairs[done, 0], byte)
            if after < DEAD:
                return after
            if (after == DEAD) != (decoder < 0) or (decoder == 0 and not _holds(to, size, after)):
                return 0
            known = decoder <= 0
            for i in range(found):
                known |= pairs[i, 0] == after and pairs[i, 1] == decoder
            if not known:
                if found == _MAX_PAIRS:
                    return 0
                pairs[found, 0], pairs[found, 1] = after, decoder
                found += 1
        done += 1
    return 1
