"""Masks: which tokens of a vocabulary may follow a configuration.

A walk goes through the byte trie depth first and carries one configuration per depth. A dead byte cuts its whole
subtree.

Most of the tokens in an open string, name or comment stay inside it, so two shortcuts take them at once. A
configuration knows its *loops*: the ASCII bytes, and of all other characters the first bytes, that lead back to
itself, or around among some configurations that allow them all. Where the strings below a node use loops alone, the
whole subtree is allowed. And below a node whose configuration takes many first characters to one inner configuration
that loops, the tokens are: first character, loops, and an end that leaves. Which tokens these are depends on the
vocabulary and the two sets of characters alone, so they are kept there (`grammars.token_rows.Region`): those without
an end as a row, and the ends as a small trie, which is walked from the inner configuration. Where the loops lead
around among several, the tokens that leave are walked as a whole, from where the node stands.

Where characters are counted no loop is left, unless the count is far from its bounds (`grammars.kernels.far`); near
them there are steps (`grammars.kernels.steps`), and regions by number of characters.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Data, Mask, Paths, Table, Words
from grammars.kernels.far import learn_far
from grammars.kernels.intern import touch
from grammars.kernels.layout import (
    ACCEPTING,
    AGE,
    BROAD,
    CONFIG,
    CONFIG_BITS,
    CONFIG_MASK,
    CONFIGS,
    DEAD,
    EXACT,
    EXHAUSTED,
    FAR,
    FINISHED,
    FLAGS,
    GENERATION,
    INSIDE,
    KIND,
    KNOWN,
    LAZY_FAR,
    LEADS,
    LOOPS,
    LOST,
    WORK,
)
from grammars.kernels.loops import leads_to, learn_loops
from grammars.kernels.policy import kernel, part
from grammars.kernels.step import advance_byte
from grammars.kernels.steps import CHAIN_SIZE, STEPS, find_steps, most_common, size_of
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
from grammars.program import BYTE_CLASS, COUNTS

UNKNOWN = -2  # a move that was not computed yet
END_TOKEN, SPECIAL_TOKEN = 2, 1

# Columns of a path: what is carried along, by depth
AT, NEXT, LAST, GIVEN = range(4)  # GIVEN and the two behind it: first characters that are taken care of
PATH_WIDTH = 6
# Cells of a desk, on which an interrupted walk leaves what it needs to go on, and what it asks
DEPTH, VISITED, ANSWER, NODE, INNER, FROM, FIRSTS = range(7)
CHAIN = FIRSTS + 3  # the steps that the characters take, if they do not loop
DESK_SIZE = CHAIN + CHAIN_SIZE
NOT_ASKED, TAKEN, LEFT_ALONE = range(3)  # answers

_SMALL_SUBTREE = 48  # tokens
_NEVER = 1 << 40
_MANY_FIRSTS = 48  # characters: worth one at once


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
    patience: int,
    out: Mask,
    path: Paths,
    desk: Words,
) -> int:
    """Set the bits of all tokens of at least `shortest` bytes that may follow `config`.

    A walk that would visit more than `patience` > 0 nodes stops with BROAD. With a negative patience it visits as many
    as it needs, but below nodes with more than -`patience` tokens it asks with INSIDE for a region: FIRSTS are the
    characters that lead from the node to the configuration INNER, or to one that loops like it; then FROM is the node's
    own configuration, else DEAD. At the root they may also be characters that do not loop but take the steps of CHAIN
    (see `grammars.kernels.steps`). If the region is TAKEN care of, they are left out. An impatient walk asks too, at
    the root, if these are many; then it goes on with a negative patience.

    A walk begins when the desk's DEPTH is 0, else it goes on where it stopped.
    """
    if desk[DEPTH] == 0:
        path[0, AT], path[0, NEXT], path[0, LAST] = config, 0, 1
        desk[DEPTH], desk[VISITED], desk[ANSWER] = 1, 0, NOT_ASKED
        if shortest == 0:
            _set_tokens(tokens, 0, nodes[0, OWN_END], out)
    byte_class = program[BYTE_CLASS]
    depth, visited = desk[DEPTH], desk[VISITED]
    if depth == 1 and path[0, NEXT] == 0:
        _enter(path, nodes, 0, 0, config)
        is_broad = patience < 0 and nodes[0, END] - nodes[0, OWN_END] > -patience
        if is_broad or (patience > 0 and shortest == 0):  # few nodes may be left of what is long
            code = _ask(program, store, moves, nodes, config, 0, 0, patience, path, desk)
            if code < 0:
                return code
        path[0, NEXT] = 1
    while depth > 0:
        before, node, last = path[depth - 1, AT], path[depth, NEXT], path[depth, LAST]
        after = DEAD
        while node < last:  # most children are dead ends, so looking at them has to be quick
            after = moves[before, program[byte_class + bytes_[node]]] - 2
            node += 1
            if after != DEAD:
                break
        visited += node - path[depth, NEXT]
        path[depth, NEXT] = node
        if after == DEAD:
            depth -= 1
            continue
        node -= 1
        byte = int(bytes_[node])
        if _is_given(path, depth - 1, byte):
            continue
        if after == UNKNOWN:
            after = advance_byte(program, store, moves, before, byte)
            if after < DEAD:
                return _interrupted(path, desk, depth, node, visited, after)
        if after == DEAD or depth + nodes[node, BELOW_HEIGHT] < shortest:
            continue
        if depth >= shortest:
            _set_tokens(tokens, nodes[node, FIRST], nodes[node, OWN_END], out)
        if nodes[node, CHILD] == nodes[node, CHILDREN_END]:
            continue
        if visited > patience > 0:
            return BROAD
        if nodes[node, END] - nodes[node, OWN_END] > _SMALL_SUBTREE:
            code = _look_far(program, store, moves, before, after, nodes[node, BELOW_HEIGHT])
            if code < DEAD:
                return _interrupted(path, desk, depth, node, visited, code)
            after = code
        elif nodes[node, BELOW_HEIGHT] < store[store[FAR] + 2 * after + 1]:
            after = store[store[FAR] + 2 * after] - 1  # learned in front of a larger one
        loops = store[LOOPS] + 4 * after
        if store[loops + KIND] & KNOWN != 0 and _covered(store, below, node, loops):
            _set_long_tokens(nodes, tokens, node, depth, shortest, out)
            continue
        _enter(path, nodes, node, depth, after)
        if patience < 0 and nodes[node, END] - nodes[node, OWN_END] > -patience:
            code = _ask(program, store, moves, nodes, after, node, depth, patience, path, desk)
            if code < 0:
                return _interrupted(path, desk, depth, node, visited, code)
        depth += 1
    store[WORK] -= visited
    return 0


@part
def _interrupted(path: Paths, desk: Words, depth: int, node: int, visited: int, code: int) -> int:
    """Note where a walk that needs something goes on; returns what it needs."""
    desk[DEPTH], desk[VISITED] = depth, visited - 1
    path[depth, NEXT] = node
    return code


@part
def _enter(path: Paths, nodes: Table, node: int, depth: int, config: int) -> None:
    """Go down to the children of a node."""
    path[depth, AT] = config
    path[depth, GIVEN], path[depth, GIVEN + 1], path[depth, GIVEN + 2] = 0, 0, 0
    path[depth + 1, NEXT] = nodes[node, CHILD]
    path[depth + 1, LAST] = nodes[node, CHILDREN_END]


@part
def _ask(
    program: Words,
    store: Words,
    moves: Table,
    nodes: Table,
    config: int,
    node: int,
    depth: int,
    patience: int,
    path: Paths,
    desk: Words,
) -> int:
    """Look for a region below a node; returns INSIDE, or what else is needed first, or 0."""
    if desk[ANSWER] == NOT_ASKED or desk[NODE] != node:
        longest = nodes[0, BELOW_HEIGHT] if node == 0 else 0
        code = _find_inside(program, store, moves, config, _MANY_FIRSTS if patience > 0 else 0, longest, desk)
        if code < 0:
            desk[NODE] = node
            return code
    elif desk[ANSWER] == TAKEN:
        for i in range(3):
            path[depth, GIVEN + i] = desk[FIRSTS + i]
    desk[ANSWER] = NOT_ASKED
    return 0


@part
def _is_given(path: Paths, depth: int, byte: int) -> bool:
    """Whether all tokens that go on with a byte are taken care of."""
    if byte < 128:
        return (path[depth, GIVEN + (byte >> 6)] >> (byte & 63)) & 1 != 0
    return byte >= 0xC0 and (path[depth, GIVEN + 2] >> (byte - 0xC0)) & 1 != 0


@part
def _find_inside(program: Words, store: Words, moves: Table, config: int, least: int, longest: int, desk: Words) -> int:
    """Put a region's configuration and first characters on the desk and return INSIDE; 0 if there is none with more
    than `least` of them in ASCII. At the root no token has more than `longest` bytes; elsewhere this is 0."""
    desk[CHAIN + STEPS] = 0
    targets = np.empty(128, np.int64)
    for byte in range(128):
        targets[byte] = advance_byte(program, store, moves, config, byte)
        if targets[byte] < DEAD:
            return targets[byte]
    inner = most_common(targets)
    if inner == DEAD:
        return 0
    loops = store[LOOPS] + 4 * inner
    if store[loops + KIND] == 0:
        code = learn_loops(program, store, moves, inner)
        if code < 0:
            return code
    known, exact = store[loops + KIND] & KNOWN != 0, store[loops + KIND] & EXACT != 0
    desk[FIRSTS], desk[FIRSTS + 1] = 0, 0
    leading = 0
    for byte in range(128):
        leads = targets[byte] == inner
        leading += int(leads)
        if not leads and known and not exact and targets[byte] != DEAD:
            leads = _loops_as_far(store, targets[byte], inner)
        if leads and known and (store[loops + (byte >> 6)] >> (byte & 63)) & 1 != 0:
            desk[FIRSTS + (byte >> 6)] |= ascii_bit(byte & 63)
    looping = size_of(desk[FIRSTS]) + size_of(desk[FIRSTS + 1])
    few = max(least, 2 * looping)
    if longest > 0 and leading > few:
        letter = ord("A")
        while targets[letter] != inner:
            letter += 1
        code = find_steps(program, store, moves, config, letter, longest, few, desk[FIRSTS:], desk[CHAIN:])
        if code != 0:
            return code
    if looping <= least:
        return 0
    desk[FIRSTS + 2] = 0
    if exact or _loops_as_far(store, config, inner):
        desk[FIRSTS + 2] = store[loops + LEADS]
    if exact and config != inner and desk[FIRSTS + 2] != 0:
        code = leads_to(program, store, moves, config, np.array([inner]), 1)
        if code < 0:
            return code
        desk[FIRSTS + 2] &= code
    desk[INNER], desk[FROM] = inner, DEAD if exact else config
    return INSIDE


@part
def _loops_as_far(store: Words, a: int, b: int) -> bool:
    """Whether one configuration is known to loop by all the characters by which another does."""
    x, y = store[LOOPS] + 4 * a, store[LOOPS] + 4 * b
    missing = (store[y] & ~store[x]) | (store[y + 1] & ~store[x + 1]) | (store[y + LEADS] & ~store[x + LEADS])
    return store[x + KIND] & KNOWN != 0 and missing == 0


@part
def _look_far(program: Words, store: Words, moves: Table, before: int, after: int, height: int) -> int:
    """In front of a large subtree: forget counts that are too far for it, and learn the loops of what loops."""
    if program[COUNTS] != 0 or store[LAZY_FAR + 1] != 0:
        code = learn_far(program, store, after)
        if code < 0:
            return code
        far = store[FAR] + 2 * after
        if height < store[far + 1]:
            after = store[far] - 1
    if store[store[LOOPS] + 4 * after + KIND] == 0:
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
def _covered(store: Words, below: Words, node: int, loops: int) -> bool:
    """Whether the strings below a node, which stands between two characters, use nothing but loops."""
    if below[node, 0] & ~store[loops] != 0 or below[node, 1] & ~store[loops + 1] != 0:
        return False
    utf8 = below[node, 2]
    return utf8 & OTHER_BYTES == 0 or (utf8 & 1 != 0 and below[node, 3] & ~store[loops + LEADS] == 0)


@kernel
def exits(
    bytes_: Data,
    nodes: Table,
    tokens: Table,
    node: int,
    firsts: Words,
    loops: Words,
    out: Mask,
    found: Words,
    begins: Words,
) -> int:
    """Sort the tokens below a node that go on with a first character of one set and then some of another.

    Those that end there are set in `out`; `found` holds those that go on with something else, `begins` where that
    begins, in bytes behind the node. Tokens that end inside their first character, or break it, are among these.
    Returns how many these are.
    """
    # by depth: decoder + 1 inside the sets, 0 outside; next child, end; where the last whole character ends
    path = np.zeros((nodes[node, BELOW_HEIGHT] + 2, 4), np.int64)
    path[0, 0] = 1
    path[1, 1], path[1, 2] = nodes[node, CHILD], nodes[node, CHILDREN_END]
    depth, size = 1, 0
    while depth > 0:
        child = path[depth, 1]
        if child == path[depth, 2]:
            depth -= 1
            continue
        path[depth, 1] = child + 1
        byte, whole = int(bytes_[child]), path[depth - 1, 3]
        one_of = firsts if whole == 0 else loops
        after = _set_step(path[depth - 1, 0], byte, one_of[0], one_of[1], one_of[2])
        if depth == 1 and after == 0:
            continue
        if after == 1:
            whole = depth
            _set_tokens(tokens, nodes[child, FIRST], nodes[child, OWN_END], out)
        else:
            for i in range(nodes[child, FIRST], nodes[child, OWN_END]):
                found[size], begins[size] = tokens[i], whole
                size += 1
        path[depth, 0], path[depth, 3] = after, whole
        depth += 1
        path[depth, 1], path[depth, 2] = nodes[child, CHILD], nodes[child, CHILDREN_END]
    return size


@kernel
def clear_tokens(bytes_: Data, nodes: Table, tokens: Table, node: int, low: int, high: int, out: Mask) -> None:
    """Clear the bits of the tokens below a node that go on with one of the given ASCII bytes."""
    for child in range(nodes[node, CHILD], nodes[node, CHILDREN_END]):
        byte = int(bytes_[child])
        if byte < 128 and ((low if byte < 64 else high) >> (byte & 63)) & 1 != 0:
            for i in range(nodes[child, FIRST], nodes[child, END]):
                token = tokens[i]
                out[token >> 5] &= ~(np.uint32(1) << np.uint32(token & 31))


@part
def _set_step(before: int, byte: int, low: int, high: int, leads: int) -> int:
    """The state of the UTF-8 decoder + 1 while only characters of a set are read, 0 from then on."""
    if before == 0:
        return 0
    if byte >= 128:
        inside = before > 1 or (byte >= 0xC0 and (leads >> (byte - 0xC0)) & 1 != 0)
        return utf8_step(before - 1, byte) + 1 if inside else 0
    if before != 1:
        return 0
    return (low >> byte) & 1 if byte < 64 else (high >> (byte - 64)) & 1


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
