"""Masks: which tokens of a vocabulary may follow a configuration.

A walk goes through the byte trie depth first and carries one configuration per depth. A dead byte cuts its whole
subtree.

Most of the tokens in an open string or comment stay inside it, so two shortcuts take them at once. A configuration
knows its *loops*: the ASCII bytes, and possibly all other characters, that lead back to itself. Where the strings
below a node use loops alone, the whole subtree is allowed. And the tokens that use loops from their first byte on are
a row of their own, cached by the vocabulary, so a walk that starts from it visits only what is left.

Counted repetitions are far from their bounds most of the time. `learn_far` replaces such counts by "free" or
"locked"; a token with fewer bytes than the distance to the nearest bound cannot tell the difference. So one mask
serves all far counts, and near a bound only the long tokens are walked anew.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Data, Mask, Table, Words
from grammars.kernels.intern import intern_config, intern_context, sort_run, touch
from grammars.kernels.layout import (
    ACCEPTING,
    AGE,
    BROAD,
    CONFIG,
    CONFIG_BITS,
    CONFIG_MASK,
    CONFIGS,
    CONTEXT,
    COUNT,
    CTX_MASK,
    DEAD,
    EXHAUSTED,
    FAR,
    FINISHED,
    FLAGS,
    FREE_COUNT,
    GENERATION,
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
from grammars.kernels.trie import (
    BELOW_HEIGHT,
    CHILD,
    CHILDREN_END,
    END,
    FIRST,
    OTHER_BYTES,
    OWN_END,
    ascii_bit,
    utf8_step,
)
from grammars.program import BYTE_CLASS, COUNTS, HIGH, LOW, RULE_WIDTH, RULES, SHORTEST, UNBOUNDED

UNKNOWN = -2  # a move that was not computed yet
END_TOKEN, SPECIAL_TOKEN = 2, 1

_KNOWN, _OTHERS = 1, 2  # bits of the third word of LOOPS
_SMALL_SUBTREE = 48
_MAX_PAIRS = 64


@kernel
def walk(
    program: Words,
    store: Words,
    moves: Table,
    bytes_: Data,
    nodes: Table,
    below: Words,
    tokens: Table,
    config: int,
    shortest: int,
    row_is_loops: int,
    budget: int,
    out: Mask,
    path: Words,
) -> int:
    """Set the bits of all tokens of at least `shortest` bytes that may follow `config`.

    `row_is_loops`: the tokens that only use loops of `config` are set in `out` already. A walk that would visit more
    than `budget` nodes stops with BROAD, having learnt the loops.

    `path` holds by depth: configuration, whether only loops led here, next child, end of children. In its first row,
    the last two are the depth and the number of visited nodes where an interrupted walk goes on; depth 0 begins anew.
    """
    if path[0, 2] == 0:
        path[0, 0], path[0, 1], path[0, 2], path[0, 3] = config, row_is_loops, 1, 0
        path[1, 2], path[1, 3] = nodes[0, CHILD], nodes[0, CHILDREN_END]
        if shortest == 0:
            _set_tokens(tokens, 0, nodes[0, OWN_END], out)
    byte_class = program[BYTE_CLASS]
    depth, visited = path[0, 2], path[0, 3]
    while depth > 0:
        node = path[depth, 2]
        if node == path[depth, 3]:
            depth -= 1
            continue
        path[depth, 2] = node + 1
        visited += 1
        before = path[depth - 1, 0]
        byte = int(bytes_[node])
        after = moves[before, program[byte_class + byte]] - 2
        if after == UNKNOWN:
            after = advance_byte(program, store, moves, before, byte)
            if after < DEAD:
                return _interrupted(path, depth, node, visited, after)
        if after == DEAD or depth + nodes[node, BELOW_HEIGHT] < shortest:
            continue
        if depth >= shortest:
            _set_tokens(tokens, nodes[node, FIRST], nodes[node, OWN_END], out)
        if nodes[node, CHILD] == nodes[node, CHILDREN_END]:
            continue
        if visited > budget:
            code = learn_loops(program, store, moves, config)
            return _interrupted(path, depth, node, visited, code) if code < 0 else BROAD
        path[depth, 1] = path[depth - 1, 1] & _is_loop(store, config, byte)
        if nodes[node, END] - nodes[node, OWN_END] > _SMALL_SUBTREE:
            code = _look_far(program, store, moves, before, after, nodes[node, BELOW_HEIGHT], nodes[0, BELOW_HEIGHT])
            if code < DEAD:
                return _interrupted(path, depth, node, visited, code)
            after = code
        loops = store[LOOPS] + 3 * after
        if store[loops + 2] != 0 and _covered(store, below, node, loops):
            if path[depth, 1] == 0 or after != config:
                _set_long_tokens(nodes, tokens, node, depth, shortest, out)
            continue
        path[depth, 0] = after
        depth += 1
        path[depth, 2] = nodes[node, CHILD]
        path[depth, 3] = nodes[node, CHILDREN_END]
    store[WORK] -= visited
    return 0


@part
def _interrupted(path: Words, depth: int, node: int, visited: int, code: int) -> int:
    """Note on the path where a walk that needs something goes on; returns what it needs."""
    path[0, 2], path[0, 3] = depth, visited - 1
    path[depth, 2] = node
    return code


@part
def _look_far(program: Words, store: Words, moves: Table, before: int, after: int, height: int, longest: int) -> int:
    """In front of a large subtree: forget counts that are too far for it, and learn the loops of what loops."""
    if program[COUNTS] != 0:
        code = learn_far(program, store, after, longest)
        if code < 0:
            return code
        far = store[FAR] + 2 * after
        if height < store[far + 1]:
            after = store[far] - 1
    if store[store[LOOPS] + 3 * after + 2] == 0:
        looping = after == before
        for byte in range(32, 128, 16):
            looping |= moves[after, program[program[BYTE_CLASS] + byte]] - 2 == after
        if looping:
            code = learn_loops(program, store, moves, after)
            if code < 0:
                return code
    return after


@part
def _set_tokens(tokens: Table, begin: int, end: int, out: Mask) -> None:
    for i in range(begin, end):
        token = tokens[i]
        out[token >> 5] |= np.uint32(1) << np.uint32(token & 31)


@part
def _set_long_tokens(nodes: Table, tokens: Table, node: int, depth: int, shortest: int, out: Mask) -> None:
    """Set the tokens of a subtree that have at least `shortest` bytes."""
    if shortest <= depth:
        _set_tokens(tokens, nodes[node, FIRST], nodes[node, END], out)
        return
    stack = np.empty(nodes[node, END] - nodes[node, FIRST] + nodes[node, BELOW_HEIGHT] + 1, np.int64)
    depths = np.empty(len(stack), np.int64)
    stack[0], depths[0], size = node, depth, 1
    while size > 0:
        size -= 1
        inner, level = stack[size], depths[size]
        if level >= shortest:
            _set_tokens(tokens, nodes[inner, FIRST], nodes[inner, END], out)
        elif level + nodes[inner, BELOW_HEIGHT] >= shortest:
            for child in range(nodes[inner, CHILD], nodes[inner, CHILDREN_END]):
                stack[size], depths[size] = child, level + 1
                size += 1


@part
def _is_loop(store: Words, config: int, byte: int) -> int:
    loops = store[LOOPS] + 3 * config
    if byte >= 128:
        return (store[loops + 2] >> 1) & 1
    return (store[loops + (byte >> 6)] >> (byte & 63)) & 1


@part
def _covered(store: Words, below: Words, node: int, loops: int) -> bool:
    """Whether the strings below a node, which stands between two characters, use nothing but loops."""
    if below[node, 0] & ~store[loops] != 0 or below[node, 1] & ~store[loops + 1] != 0:
        return False
    utf8 = below[node, 2]
    return utf8 & OTHER_BYTES == 0 or (utf8 & 1 != 0 and store[loops + 2] & _OTHERS != 0)


@part
def learn_loops(program: Words, store: Words, moves: Table, config: int) -> int:
    """Find the bytes that lead from a configuration back to itself. Returns 0 or a negative code."""
    low, high = 0, 0
    for byte in range(128):
        after = advance_byte(program, store, moves, config, byte)
        if after < DEAD:
            return after
        if after == config:
            if byte < 64:
                low |= ascii_bit(byte)
            else:
                high |= ascii_bit(byte - 64)
    others = _other_characters_loop(program, store, moves, config)
    if others < 0:
        return others
    loops = store[LOOPS] + 3 * config
    store[loops] = low
    store[loops + 1] = high
    store[loops + 2] = _KNOWN | others * _OTHERS
    return 0


@part
def _other_characters_loop(program: Words, store: Words, moves: Table, config: int) -> int:
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
def loop_tokens(bytes_: Data, nodes: Table, tokens: Table, low: int, high: int, others: int, out: Mask) -> None:
    """Set the bits of the tokens made of the given ASCII bytes and, with `others`, of well-formed further
    characters."""
    path = np.zeros((nodes[0, BELOW_HEIGHT] + 2, 3), np.int64)  # by depth: state of a UTF-8 decoder, next child, end
    path[1, 1], path[1, 2] = nodes[0, CHILD], nodes[0, CHILDREN_END]
    _set_tokens(tokens, 0, nodes[0, OWN_END], out)
    depth = 1
    while depth > 0:
        node = path[depth, 1]
        if node == path[depth, 2]:
            depth -= 1
            continue
        path[depth, 1] = node + 1
        byte = int(bytes_[node])
        after = utf8_step(path[depth - 1, 0], byte)
        allowed = others
        if byte < 64:
            allowed = (low >> byte) & 1
        elif byte < 128:
            allowed = (high >> (byte - 64)) & 1
        if after >= 0 and allowed != 0:
            _set_tokens(tokens, nodes[node, FIRST], nodes[node, OWN_END], out)
            path[depth, 0] = after
            depth += 1
            path[depth, 1], path[depth, 2] = nodes[node, CHILD], nodes[node, CHILDREN_END]


@kernel
def learn_far(program: Words, store: Words, config: int, longest: int) -> int:
    """Find the configuration with far counts in place of counts, and the byte length from which tokens can tell the
    two apart.

    In copy k of X{low,high}, leaving takes the ends of low - k copies, and high - k copies may end. The first end
    takes a byte or more, every further one at least the shortest copy. Returns 0 or a negative code.
    """
    if store[store[FAR] + 2 * config] != 0:
        return 0
    here = store[CONFIG] + 4 * config
    begin = store[HEAP] + store[here + OFFSET]
    length = store[here + LENGTH]
    if length > store[ITEM + 1]:
        store[NEED] = ITEM
        return GROW
    nearest = longest + 1
    far = config
    for i in range(length):
        item = store[begin + i]
        row = store[CONTEXT] + 5 * (item & CTX_MASK)
        loop = store[row + LOOP]
        number = store[row + COUNT]
        if loop >= 0 and number < FREE_COUNT:
            rule = program[RULES] + RULE_WIDTH * loop
            to_leave = program[rule + LOW] - number - 1
            if program[rule + HIGH] != UNBOUNDED:
                nearest = min(nearest, 1 + (program[rule + HIGH] - number - 1) * program[rule + SHORTEST])
            count = FREE_COUNT
            if to_leave > 0:
                nearest = min(nearest, 1 + to_leave * program[rule + SHORTEST])
                count = LOCKED_COUNT
            ctx = intern_context(store, 0, 0, loop, count, store[row + OUTER])
            if ctx < 0:
                return ctx
            item = (item & ~CTX_MASK) | ctx
            far = -1
        store[store[ITEM] + i] = item
    if far < 0:
        distinct = sort_run(store, store[ITEM], length)
        far = intern_config(store, store[ITEM], distinct, store[here + FLAGS])
        if far < 0:
            return far
    store[store[FAR] + 2 * config] = far + 1
    store[store[FAR] + 2 * config + 1] = nearest
    return 0


@kernel
def advance_tokens(
    program: Words,
    store: Words,
    moves: Table,
    data: Data,
    offsets: Words,
    kind: Data,
    states: Words,
    tokens: Words,
    first: int,
    out: Words,
) -> tuple[int, int]:
    """`out[i]`: the state after `tokens[i]` in state `states[i]`. Returns (rows done, code)."""
    for i in range(first, len(tokens)):
        after = _advance_token(program, store, moves, data, offsets, kind, states[i], tokens[i])
        if after < DEAD:
            return i, after
        if after >= 0:
            touch(store, after)
            after |= store[store[GENERATION] + after] << CONFIG_BITS
        out[i] = after
        if store[WORK] < 0:
            return i, EXHAUSTED
    return len(tokens), 0


@part
def _advance_token(
    program: Words, store: Words, moves: Table, data: Data, offsets: Words, kind: Data, state: int, token: int
) -> int:
    if state == DEAD:
        return DEAD
    config = state & CONFIG_MASK
    row = store[CONFIG] + 4 * config
    if state < DEAD or config >= store[CONFIGS] or store[row + AGE] < 0:
        return LOST
    if state >> CONFIG_BITS != store[store[GENERATION] + config]:
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
