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

Counted repetitions are far from their bounds most of the time. `learn_far` replaces such counts by "free" or
"locked"; a token with fewer bytes than the distance to the nearest bound cannot tell the difference. So one mask
serves all far counts, and near a bound only the long tokens are walked anew.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Data, Mask, Paths, Table, Words
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
    FILL,
    FINISHED,
    FLAGS,
    FRAME_MASK,
    FREE_COUNT,
    GENERATION,
    GROW,
    HEAP,
    INSIDE,
    ITEM,
    LAZY_CLASS,
    LAZY_FAR,
    LAZY_ROW,
    LENGTH,
    LOCKED_COUNT,
    LOOP,
    LOOPS,
    LOST,
    NEED,
    OFFSET,
    OUTER,
    ROOT,
    ROW_SHIFT,
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
from grammars.program import BYTE_CLASS, COUNTS, HIGH, LOW, ROWS, RULE_WIDTH, RULES, SHORTEST, UNBOUNDED

UNKNOWN = -2  # a move that was not computed yet
END_TOKEN, SPECIAL_TOKEN = 2, 1

# Columns of a path: what is carried along, by depth
AT, NEXT, LAST, GIVEN = range(4)  # GIVEN and the two behind it: first characters that are taken care of
PATH_WIDTH = 6
# Cells of a desk, on which an interrupted walk leaves what it needs to go on, and what it asks
DEPTH, VISITED, ANSWER, NODE, INNER, FROM, FIRSTS = range(7)
DESK_SIZE = FIRSTS + 3
NOT_ASKED, TAKEN, LEFT_ALONE = range(3)  # answers

_KNOWN, _EXACT = 1, 2  # bits of the third word of LOOPS
_LEADS = 3  # its fourth word
_SMALL_SUBTREE = 48  # tokens
_MAX_PAIRS = 160
_MAX_MEMBERS = 40
_FEW_ITEMS = 12
_MOST_FAILURES = 8
_NEVER = 1 << 40
_FEW_FIRSTS = 8  # characters: not worth a region
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
    own configuration, else DEAD. If it is TAKEN care of, they are left out. An impatient walk asks too, at the root, if
    these are many; then it goes on with a negative patience.

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
        code = _enter(program, store, moves, nodes, config, 0, 0, patience, path, desk)
        if code < 0:
            return code
        path[0, NEXT] = 1
    while depth > 0:
        node = path[depth, NEXT]
        if node == path[depth, LAST]:
            depth -= 1
            continue
        path[depth, NEXT] = node + 1
        visited += 1
        byte = int(bytes_[node])
        if _is_given(path, depth - 1, byte):
            continue
        before = path[depth - 1, AT]
        after = moves[before, program[byte_class + byte]] - 2
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
        if store[loops + 2] != 0 and _covered(store, below, node, loops):
            _set_long_tokens(nodes, tokens, node, depth, shortest, out)
            continue
        code = _enter(program, store, moves, nodes, after, node, depth, patience, path, desk)
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
def _enter(
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
    """Go down to the children of a node; returns INSIDE, or what else is needed first, or 0."""
    for column in range(GIVEN, GIVEN + 3):
        path[depth, column] = 0
    if (patience > 0 and node == 0) or (patience < 0 and nodes[node, END] - nodes[node, OWN_END] > -patience):
        if desk[ANSWER] == NOT_ASKED or desk[NODE] != node:
            code = _find_inside(program, store, moves, config, _MANY_FIRSTS if patience > 0 else 0, desk)
            if code < 0:
                desk[NODE] = node
                return code
        elif desk[ANSWER] == TAKEN:
            for i in range(3):
                path[depth, GIVEN + i] = desk[FIRSTS + i]
        desk[ANSWER] = NOT_ASKED
    path[depth, AT] = config
    path[depth + 1, NEXT] = nodes[node, CHILD]
    path[depth + 1, LAST] = nodes[node, CHILDREN_END]
    return 0


@part
def _is_given(path: Paths, depth: int, byte: int) -> bool:
    """Whether all tokens that go on with a byte are taken care of."""
    if byte < 128:
        return (path[depth, GIVEN + (byte >> 6)] >> (byte & 63)) & 1 != 0
    return byte >= 0xC0 and (path[depth, GIVEN + 2] >> (byte - 0xC0)) & 1 != 0


@part
def _find_inside(program: Words, store: Words, moves: Table, config: int, least: int, desk: Words) -> int:
    """Put a region's configuration and first characters on the desk and return INSIDE; 0 if there is none with more
    than `least` of them in ASCII."""
    targets = np.empty(128, np.int64)
    for byte in range(128):
        targets[byte] = advance_byte(program, store, moves, config, byte)
        if targets[byte] < DEAD:
            return targets[byte]
    inner = _most_common(targets)
    if inner == DEAD:
        return 0
    loops = store[LOOPS] + 4 * inner
    if store[loops + 2] == 0:
        code = learn_loops(program, store, moves, inner)
        if code < 0:
            return code
    exact = store[loops + 2] & _EXACT != 0
    desk[FIRSTS], desk[FIRSTS + 1] = 0, 0
    for byte in range(128):
        leads = targets[byte] == inner
        if not leads and not exact and targets[byte] != DEAD:
            leads = _loop_alike(store, targets[byte], inner)
        if leads and (store[loops + (byte >> 6)] >> (byte & 63)) & 1 != 0:
            desk[FIRSTS + (byte >> 6)] |= ascii_bit(byte & 63)
    if _size(desk[FIRSTS]) + _size(desk[FIRSTS + 1]) <= least:
        return 0
    desk[FIRSTS + 2] = 0
    if exact or _loop_alike(store, config, inner):
        desk[FIRSTS + 2] = store[loops + _LEADS]
    if exact and config != inner and desk[FIRSTS + 2] != 0:
        code = _leads_to(program, store, moves, config, np.array([inner]), 1)
        if code < 0:
            return code
        desk[FIRSTS + 2] &= code
    desk[INNER], desk[FROM] = inner, DEAD if exact else config
    return INSIDE


@part
def _loop_alike(store: Words, a: int, b: int) -> bool:
    """Whether two configurations are known to loop by the same characters."""
    x, y = store[LOOPS] + 4 * a, store[LOOPS] + 4 * b
    for i in range(4):
        if store[x + i] != store[y + i]:
            return False
    return True


@part
def _size(word: int) -> int:
    """How many bits are set."""
    count = 0
    while word != 0:
        word &= word - 1
        count += 1
    return count


@part
def _most_common(targets: Words) -> int:
    """The configuration to which most letters lead, DEAD if they are few."""
    best, most = DEAD, _FEW_FIRSTS
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
def _look_far(program: Words, store: Words, moves: Table, before: int, after: int, height: int) -> int:
    """In front of a large subtree: forget counts that are too far for it, and learn the loops of what loops."""
    if program[COUNTS] != 0 or store[LAZY_FAR + 1] != 0:
        code = learn_far(program, store, after)
        if code < 0:
            return code
        far = store[FAR] + 2 * after
        if height < store[far + 1]:
            after = store[far] - 1
    if store[store[LOOPS] + 4 * after + 2] == 0:
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
    return utf8 & OTHER_BYTES == 0 or (utf8 & 1 != 0 and below[node, 3] & ~store[loops + _LEADS] == 0)


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
    leads = _leads_to(program, store, moves, config, members, 1)
    if leads < 0:
        return leads
    store[loops], store[loops + 1], store[loops + 2], store[loops + _LEADS] = set_[0], set_[1], _KNOWN | _EXACT, leads
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
        code = _leads_to(program, store, moves, members[i], members, size)
        if code < 0:
            return code
        all_leads &= code
    if leads & ~all_leads != 0:
        return 0
    for i in range(size):
        row = store[LOOPS] + 4 * members[i]
        store[row], store[row + 1], store[row + 2], store[row + _LEADS] = set_[0], set_[1], _KNOWN, all_leads
    return 0


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
def _leads_to(program: Words, store: Words, moves: Table, config: int, to: Words, size: int) -> int:
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
def learn_far(program: Words, store: Words, config: int) -> int:
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
    nearest = _NEVER
    far = config
    for i in range(length):
        item = store[begin + i]
        lazy = (item >> ROW_SHIFT) - program[ROWS]
        if lazy >= 0 and store[LAZY_FAR + 1] != 0:
            known = store[LAZY_FAR] + 2 * lazy
            if store[known] == 0:
                store[LAZY_ROW], store[LAZY_CLASS] = lazy, -1
                return FILL
            if store[known] - 1 != lazy:
                nearest = min(nearest, store[known + 1])
                item = ((store[known] - 1 + program[ROWS]) << ROW_SHIFT) | (item & FRAME_MASK)
                far = -1
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
                count = LOCKED_COUNT
                if store[row + OUTER] != ROOT:  # no token goes on behind the whole text
                    nearest = min(nearest, 1 + to_leave * program[rule + SHORTEST])
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
