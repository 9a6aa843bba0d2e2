"""Masks: which tokens of a vocabulary may follow a configuration.

A walk goes through the byte trie depth first and carries one configuration per depth. A dead byte cuts its whole subtree.

Most of the tokens in an open string or comment stay inside it, so two shortcuts take them at once. A configuration knows its
*loops*: the ASCII bytes, and possibly all other characters, that lead back to itself. Where the strings below a node use
loops alone, the whole subtree is allowed. And the tokens that use loops from their first byte on are a row of their own,
cached by the vocabulary, so a walk that starts from it visits only what is left.

Counted repetitions are far from their bounds most of the time. `far_config` replaces such counts by "free" or "locked"; a
token with fewer bytes than the distance to the nearest bound cannot tell the difference. So one mask serves all far counts,
and near a bound only the long tokens are walked anew.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.intern import intern_config, intern_context, sort_run, touch
from grammars.kernels.layout import (
    ACCEPTING,
    AGE,
    BROAD,
    CONFIG,
    CONFIGS,
    CONTEXT,
    COUNT,
    CTX_MASK,
    DEAD,
    EXHAUSTED,
    FINISHED,
    FLAGS,
    FREE_COUNT,
    GONE,
    GROW,
    HEAP,
    ITEM,
    LENGTH,
    LOCKED_COUNT,
    LOOP,
    LOOPS,
    LOST,
    NEED,
    OFFSET,
    OUTER,
    WORK,
)
from grammars.kernels.policy import kernel, part
from grammars.kernels.step import advance_byte
from grammars.kernels.trie import BYTE, DEPTH, FIRST, LONGEST, OTHER_BYTES, SKIP, utf8_step
from grammars.program import HIGH, LOW, RULES, UNBOUNDED

END_TOKEN, SPECIAL_TOKEN = 2, 1

_KNOWN, _OTHERS = 1, 2  # bits of the third word of LOOPS
_SMALL_SUBTREE = 48
_MAX_PAIRS = 64


@kernel
def walk(program, store, moves, nodes, below, tokens, config, shortest, row_is_loops, budget, out):
    """Set the bits of all tokens of at least `shortest` bytes that may follow `config`.

    `row_is_loops`: the tokens that only use loops of `config` are set in `out` already. A walk that would visit more than
    `budget` nodes stops with BROAD, having learnt the loops.
    """
    path = np.empty(nodes[0, LONGEST] + 1, np.int64)
    clean = np.empty(nodes[0, LONGEST] + 1, np.int64)
    path[0], clean[0] = config, row_is_loops
    if shortest == 0:
        _set_tokens(tokens, 0, nodes[1, FIRST], out)
    node, visited, end = 1, 0, len(nodes) - 1
    while node < end:
        skip = int(nodes[node, SKIP])
        if nodes[node, LONGEST] < shortest:
            node = skip
            continue
        visited += 1
        if visited > budget:
            code = learn_loops(program, store, moves, config)
            return code if code < 0 else BROAD
        depth = int(nodes[node, DEPTH])
        before = path[depth - 1]
        byte = int(nodes[node, BYTE])
        after = advance_byte(program, store, moves, before, byte)
        if after == DEAD:
            node = skip
            continue
        if after < DEAD:
            return after
        if depth >= shortest:
            _set_tokens(tokens, nodes[node, FIRST], nodes[node + 1, FIRST], out)
        node += 1
        if skip == node:
            continue
        path[depth] = after
        clean[depth] = clean[depth - 1] & _is_loop(store, config, byte)
        loops = store[LOOPS] + 3 * after
        if skip - node > _SMALL_SUBTREE and after == before and store[loops + 2] == 0:
            code = learn_loops(program, store, moves, after)
            if code < 0:
                return code
        if store[loops + 2] != 0 and _covered(store, below, node - 1, loops):
            if clean[depth] == 0 or after != config:
                _set_long_tokens(nodes, tokens, node - 1, shortest, out)
            node = skip
    store[WORK] -= visited
    return 0


@part
def _set_tokens(tokens, begin, end, out):
    for i in range(begin, end):
        token = tokens[i]
        out[token >> 5] |= np.uint32(1) << np.uint32(token & 31)


@part
def _set_long_tokens(nodes, tokens, node, shortest, out):
    end = nodes[node, SKIP]
    if shortest <= nodes[node, DEPTH]:
        _set_tokens(tokens, nodes[node, FIRST], nodes[end, FIRST], out)
        return
    for inner in range(node, end):
        if nodes[inner, DEPTH] >= shortest:
            _set_tokens(tokens, nodes[inner, FIRST], nodes[inner + 1, FIRST], out)


@part
def _is_loop(store, config, byte):
    loops = store[LOOPS] + 3 * config
    if byte >= 128:
        return (store[loops + 2] >> 1) & 1
    return (store[loops + (byte >> 6)] >> (byte & 63)) & 1


@part
def _covered(store, below, node, loops):
    """Whether the strings below a node, which stands between two characters, use nothing but loops."""
    if below[node, 0] & ~store[loops] != 0 or below[node, 1] & ~store[loops + 1] != 0:
        return False
    utf8 = below[node, 2]
    return utf8 & OTHER_BYTES == 0 or (utf8 & 1 != 0 and store[loops + 2] & _OTHERS != 0)


@part
def learn_loops(program, store, moves, config):
    """Find the bytes that lead from a configuration back to itself. Returns 0 or a negative code."""
    low, high = 0, 0
    for byte in range(128):
        after = advance_byte(program, store, moves, config, byte)
        if after < DEAD:
            return after
        if after == config:
            if byte < 64:
                low |= 1 << byte
            else:
                high |= 1 << (byte - 64)
    others = _other_characters_loop(program, store, moves, config)
    if others < 0:
        return others
    loops = store[LOOPS] + 3 * config
    store[loops] = low
    store[loops + 1] = high
    store[loops + 2] = _KNOWN | others * _OTHERS
    return 0


@part
def _other_characters_loop(program, store, moves, config):
    """1 if every character beyond ASCII leads back to `config`, 0 if not, or a negative code."""
    pairs = np.empty((_MAX_PAIRS, 2), np.int64)  # (configuration, state of a UTF-8 decoder)
    pairs[0, 0], pairs[0, 1] = config, 0
    done, found = 0, 1
    while done < found:
        for byte in range(128, 256):
            decoder = utf8_step(pairs[done, 1], byte)
            if decoder < 0:
                continue
            after = advance_byte(program, store, moves, pairs[done, 0], byte)
            if after < DEAD:
                return after
            if after == DEAD or (decoder == 0 and after != config):
                return 0
            known = decoder == 0
            for i in range(found):
                known |= pairs[i, 0] == after and pairs[i, 1] == decoder
            if not known:
                if found == _MAX_PAIRS:
                    return 0
                pairs[found, 0], pairs[found, 1] = after, decoder
                found += 1
        done += 1
    return 1


@kernel
def loop_tokens(nodes, tokens, low, high, others, out):
    """Set the bits of the tokens made of the given ASCII bytes and, with `others`, of well-formed further characters."""
    decoder = np.zeros(nodes[0, LONGEST] + 1, np.int64)
    _set_tokens(tokens, 0, nodes[1, FIRST], out)
    node, end = 1, len(nodes) - 1
    while node < end:
        byte = int(nodes[node, BYTE])
        depth = nodes[node, DEPTH]
        after = utf8_step(decoder[depth - 1], byte)
        allowed = others
        if byte < 64:
            allowed = (low >> byte) & 1
        elif byte < 128:
            allowed = (high >> (byte - 64)) & 1
        if after < 0 or allowed == 0:
            node = int(nodes[node, SKIP])
            continue
        _set_tokens(tokens, nodes[node, FIRST], nodes[node + 1, FIRST], out)
        decoder[depth] = after
        node += 1


@kernel
def far_config(program, store, config, longest):
    """The configuration with far counts in place of counts, and the byte length from which tokens can tell the difference.

    In copy k of X{low,high}, leaving takes the ends of low - k copies, and high - k copies may end; each takes a byte or more.
    """
    here = store[CONFIG] + 4 * config
    begin = store[HEAP] + store[here + OFFSET]
    length = store[here + LENGTH]
    if length > store[ITEM + 1]:
        store[NEED] = ITEM
        return GROW, 0
    nearest = longest + 1
    changed = False
    for i in range(length):
        item = store[begin + i]
        row = store[CONTEXT] + 5 * (item & CTX_MASK)
        loop = store[row + LOOP]
        number = store[row + COUNT]
        if loop >= 0 and number < FREE_COUNT:
            rule = program[RULES] + 6 * loop
            to_leave = program[rule + LOW] - number
            to_bound = nearest if program[rule + HIGH] == UNBOUNDED else program[rule + HIGH] - number
            nearest = min(nearest, to_bound)
            far = FREE_COUNT
            if to_leave > 1:
                nearest = min(nearest, to_leave)
                far = LOCKED_COUNT
            ctx = intern_context(store, 0, 0, loop, far, store[row + OUTER])
            if ctx < 0:
                return ctx, 0
            item = (item & ~CTX_MASK) | ctx
            changed = True
        store[store[ITEM] + i] = item
    if not changed or nearest <= 1:
        return config, longest + 1
    distinct = sort_run(store, store[ITEM], length)
    return intern_config(store, store[ITEM], distinct, store[here + FLAGS]), nearest


@kernel
def advance_tokens(program, store, moves, data, offsets, kind, configs, tokens, first, out):
    """`out[i]`: the configuration after `tokens[i]`. Returns (rows done, code)."""
    for i in range(first, len(tokens)):
        after = _advance_token(program, store, moves, data, offsets, kind, configs[i], tokens[i])
        if after < DEAD:
            return i, after
        if after >= 0:
            touch(store, after)
        out[i] = after
        if store[WORK] < 0:
            return i, EXHAUSTED
    return len(tokens), 0


@part
def _advance_token(program, store, moves, data, offsets, kind, config, token):
    if config == DEAD:
        return DEAD
    row = store[CONFIG] + 4 * config
    if config < DEAD or config >= store[CONFIGS] or store[row + AGE] < 0 or store[row + FLAGS] & GONE != 0:
        return LOST
    if kind[token] == END_TOKEN:
        return FINISHED if store[row + FLAGS] & ACCEPTING != 0 else DEAD
    if kind[token] == SPECIAL_TOKEN or config == FINISHED:
        return DEAD
    for i in range(offsets[token], offsets[token + 1]):
        config = advance_byte(program, store, moves, config, int(data[i]))
        if config < 0:
            return config
    return config


@kernel
def hash_mask(row):
    """A 46-bit hash of a mask row, to find equal rows."""
    h = 40503
    for i in range(len(row)):
        h = ((h ^ int(row[i])) * 1000003) & 0x3FFFFFFFFFFF
        h ^= h >> 19
    return h
