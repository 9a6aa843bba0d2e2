"""One byte: from a configuration to the next, the heart of the engine.

Earley's algorithm with two changes. Items remember not the position where their rule began but an interned *context*,
the set of places to return to; so equal situations at different positions are one configuration. And a call in tail
position forwards its caller's frames instead of adding one; so lists written with right recursion stay in finitely
many contexts.

After the lexemes have read the byte, the closure runs in two phases. First every completed rule returns, which may
complete more. Then the calls found on the way are entered, component by component in the order of
`program.components`: when a component's turn comes, all frames of its rules are known, so its contexts can be
interned once and for all. Rules of a left-recursive component call each other where they stand: their contexts refer
to one another and are interned together, keyed by the frames that come from outside.

Zero-length returns never happen at run time: a call of a nullable rule goes on behind the call at once, and a rule that
has read nothing yet (its point is *fresh*) does not return.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Table, Words
from grammars.kernels.intern import (
    add_context,
    find_context,
    intern_config,
    intern_context,
    intern_seed,
    push_run,
    sort_run,
)
from grammars.kernels.layout import (
    ABANDONED,
    ACCEPTING,
    ACTIVE,
    CONFIG,
    CONTEXT,
    CONTEXTS,
    COUNT,
    CTX_BITS,
    CTX_MASK,
    DEAD,
    EXHAUSTED,
    FILL,
    FRAME_MASK,
    FRAMES,
    FREE_COUNT,
    GROW,
    HEADS,
    HEAP,
    ITEM,
    ITEMS,
    KEY,
    LAZY_ACCEPTS,
    LAZY_CLASS,
    LAZY_MOVES,
    LAZY_ROW,
    LENGTH,
    LOCKED_COUNT,
    LOOP,
    NEED,
    NEXT_MASK,
    OFFSET,
    OUTER,
    PENDING,
    POINT,
    POINT_ROW,
    POINT_SLOTS,
    POINTS,
    ROW_SHIFT,
    WAITING,
    WAKE,
    WORK,
)
from grammars.kernels.policy import part
from grammars.program import (
    ACCEPT,
    BYTE_CLASS,
    CALL,
    CLASS_BYTE,
    CLASSES,
    COMPONENT,
    COMPONENTS,
    CORNERS,
    EDGES,
    FINAL,
    HIGH,
    LEX,
    LOW,
    MEMBER,
    MEMBERS,
    NOT_A_LOOP,
    NULLABLE,
    OPS,
    RETURN,
    ROW_ACCEPTS,
    ROW_EDGE,
    ROWS,
    RULE_WIDTH,
    RULES,
    SPLIT,
    START,
    TARGETS,
    UNBOUNDED,
)

_NO_COMPONENT = -1
_COMPARED = 8  # items at the same place that an item is compared with
_OUTWARDS = 16  # contexts that are compared one within the other


@part
def advance_byte(program: Words, store: Words, moves: Table, config: int, byte: int) -> int:
    """The configuration after a byte, or DEAD, or another negative code when the caller must act."""
    byte_class = program[program[BYTE_CLASS] + byte]
    known = moves[config, byte_class]
    if known != 0:
        return known - 2
    if moves[config, program[CLASSES]] == 0:
        sweep(program, store, moves, config)
        if moves[config, byte_class] != 0:
            return DEAD
    interval = np.array([0, 255])
    result = _step(program, store, config, byte_class, interval)
    if result >= DEAD:
        moves[config, byte_class] = result + 2
        _note_alike(program, store, moves, config, byte_class, interval)
    return result


@part
def _note_alike(program: Words, store: Words, moves: Table, config: int, byte_class: int, interval: Words) -> None:
    """Bytes that no edge of a configuration tells apart, nor a boolean lexeme, lead to the same one."""
    here = store[CONFIG] + 4 * config
    begin = store[HEAP] + store[here + OFFSET]
    end = begin + store[here + LENGTH]
    while end > begin and store[begin] >> ROW_SHIFT < program[ROWS]:
        begin += 1
    before = byte_class
    for byte in range(interval[0], interval[1] + 1):
        other = program[program[BYTE_CLASS] + byte]
        if other == before:
            continue
        before = other
        alike = True
        for i in range(begin, end):
            lazy = store[LAZY_MOVES] + ((store[i] >> ROW_SHIFT) - program[ROWS]) * program[CLASSES]
            alike &= store[lazy + other] == store[lazy + byte_class]
        if alike:
            moves[config, other] = moves[config, byte_class]


@part
def sweep(program: Words, store: Words, moves: Table, config: int) -> None:
    """Note which byte classes no item of a configuration can read: most of them, for most configurations."""
    if moves[config, program[CLASSES]] != 0:
        return
    moves[config, program[CLASSES]] = 1
    here = store[CONFIG] + 4 * config
    begin = store[HEAP] + store[here + OFFSET]
    readable = np.zeros(4, np.int64)  # a bit for each byte
    for i in range(begin, begin + store[here + LENGTH]):
        row = store[i] >> ROW_SHIFT
        if row >= program[ROWS]:
            return  # boolean lexemes learn their moves one by one
        for edge in range(program[program[ROW_EDGE] + row], program[program[ROW_EDGE] + row + 1]):
            _add_range(readable, program[program[EDGES] + 3 * edge], program[program[EDGES] + 3 * edge + 1])
    for byte_class in range(program[CLASSES]):
        byte = program[program[CLASS_BYTE] + byte_class]
        if (readable[byte >> 6] >> (byte & 63)) & 1 == 0:
            moves[config, byte_class] = DEAD + 2


@part
def _add_range(readable: Words, low: int, high: int) -> None:
    for word in range(low >> 6, (high >> 6) + 1):
        bits = -1
        if word == low >> 6:
            bits &= -1 << (low & 63)
        if word == high >> 6 and high & 63 != 63:
            bits &= ~(-1 << ((high & 63) + 1))
        readable[word] |= bits


@part
def _begin(store: Words) -> None:
    store[POINTS] = 0
    store[ITEMS] = 0
    store[WAITING] = 0
    store[ACTIVE] = 0


@part
def _step(program: Words, store: Words, config: int, byte_class: int, interval: Words) -> int:
    """Read a byte: gather the seed, then close it unless that was done before."""
    _begin(store)
    code = _read(program, store, config, byte_class, interval)
    if code < 0:
        return code
    if store[ITEMS] == 0:
        return DEAD
    length = sort_run(store, store[ITEM], store[ITEMS])
    if store[store[ITEM] + length - 1] >> ROW_SHIFT != POINT_ROW:
        return _close(program, store, length)
    seed = intern_seed(store, store[ITEM], length)
    if seed < 0:
        return seed
    if store[seed + 2] == 0:
        result = _close(program, store, length)
        if result < DEAD:
            return result
        store[seed + 2] = result + 2
    return store[seed + 2] - 2


@part
def _read(program: Words, store: Words, config: int, byte_class: int, interval: Words) -> int:
    """Gather what a byte leads to: items whose lexeme goes on, and as items of POINT_ROW those whose lexeme is
    complete. The interval is narrowed to the bytes that take the same edges."""
    byte = program[program[CLASS_BYTE] + byte_class]
    rows = program[ROWS]
    row_accepts = program[ROW_ACCEPTS]
    here = store[CONFIG] + 4 * config
    begin = store[HEAP] + store[here + OFFSET]
    end = begin + store[here + LENGTH]
    store[WORK] -= end - begin + 1
    code = 0
    for i in range(begin, end):
        item = store[i]
        row = item >> ROW_SHIFT
        if row < rows:
            to = _follow_edge(program, row, byte, interval)
            if to < 0:
                continue
            done = program[row_accepts + to] != 0
            more = to != FINAL
        else:
            known = store[store[LAZY_MOVES] + (row - rows) * program[CLASSES] + byte_class]
            if known == 0:
                store[LAZY_ROW] = row - rows
                store[LAZY_CLASS] = byte_class
                return FILL
            if known == 1:
                continue
            to = known - 2 + rows
            done = store[store[LAZY_ACCEPTS] + known - 2] != 0
            more = True
        if done:
            code |= _add_item(store, (POINT_ROW << ROW_SHIFT) | (item & FRAME_MASK))
        if more:
            code |= _add_item(store, (to << ROW_SHIFT) | (item & FRAME_MASK))
    return code


@part
def _follow_edge(program: Words, row: int, byte: int, interval: Words) -> int:
    """Where a byte leads from a row, -1 if nowhere; the interval is narrowed to the bytes between the same edges."""
    low = program[program[ROW_EDGE] + row]
    high = program[program[ROW_EDGE] + row + 1]
    edges = program[EDGES]
    while high - low > 4:
        middle = (low + high) >> 1
        if program[edges + 3 * middle] <= byte:
            low = middle
        else:
            high = middle
    for e in range(low, high):
        first = program[edges + 3 * e]
        last = program[edges + 3 * e + 1]
        if byte < first:
            interval[1] = min(interval[1], first - 1)
            return -1
        if byte <= last:
            interval[0] = max(interval[0], first)
            interval[1] = min(interval[1], last)
            return program[edges + 3 * e + 2]
        interval[0] = max(interval[0], last + 1)
    if high < program[program[ROW_EDGE] + row + 1]:
        interval[1] = min(interval[1], program[edges + 3 * high] - 1)
    return -1


@part
def _close(program: Words, store: Words, length: int) -> int:
    """Run the closure of a seed and intern the resulting configuration."""
    code = _unpack(store, length)
    done = 0
    component = _NO_COMPONENT
    flags = 0
    while code == 0:
        # first what returns, then what the calls found on the way begin with
        while done < store[POINTS] and code == 0:
            code = _visit(program, store, store[store[POINT] + done], component)
            if code == ACCEPTING:
                flags = ACCEPTING
                code = 0
            done += 1
        if code != 0 or store[ACTIVE] == 0:
            break
        component = _pop_active(store)
        code = _enter(program, store, component)
    if code == 0 and store[WORK] < 0:
        code = EXHAUSTED
    if code != 0:
        return _abandon(store, code)
    _forget_points(store)
    distinct = _drop_dominated(program, store, store[ITEM], sort_run(store, store[ITEM], store[ITEMS]))
    if distinct == 0 and flags == 0:
        return DEAD
    return intern_config(store, store[ITEM], distinct, flags)


@part
def _unpack(store: Words, length: int) -> int:
    """Turn the items of POINT_ROW, which stand behind the others, into points. Returns 0 or GROW."""
    while length > 0 and store[store[ITEM] + length - 1] >> ROW_SHIFT == POINT_ROW:
        length -= 1
        word = store[store[ITEM] + length]
        if add_point(store, (word >> CTX_BITS) & NEXT_MASK, word & CTX_MASK, 0) != 0:
            return GROW
    store[ITEMS] = length
    return 0


@part
def _abandon(store: Words, code: int) -> int:
    """Leave the scratch sections clean after a closure that could not finish."""
    _forget_points(store)
    for i in range(store[HEADS + 1]):
        store[store[HEADS] + i] = 0
    return code


@part
def _forget_points(store: Words) -> None:
    slots = store[POINT_SLOTS]
    mask = store[POINT_SLOTS + 1] - 1
    for i in range(store[POINTS]):
        slot = _point_hash(store[store[POINT] + i]) & mask
        while store[slots + slot] != 0:
            store[slots + slot] = 0
            slot = (slot + 1) & mask
    store[POINTS] = 0


@part
def _point_hash(point: int) -> int:
    p = int(point)
    return ((p & 0x3FFFFFFF) * 668265263 + (p >> 30) * 374761393) >> 7


@part
def add_point(store: Words, state: int, ctx: int, fresh: int) -> int:
    """Add `(state, ctx)` to the work list unless it was there before. Returns 0 or GROW."""
    point = ((state << CTX_BITS | ctx) << 1) | fresh
    slots = store[POINT_SLOTS]
    mask = store[POINT_SLOTS + 1] - 1
    slot = _point_hash(point) & mask
    while store[slots + slot] != 0:
        if store[store[POINT] + store[slots + slot] - 1] == point:
            return 0
        slot = (slot + 1) & mask
    n = store[POINTS]
    if n >= store[POINT + 1]:
        store[NEED] = POINT
        return GROW
    store[store[POINT] + n] = point
    store[slots + slot] = n + 1
    store[POINTS] = n + 1
    return 0


@part
def _add_item(store: Words, item: int) -> int:
    n = store[ITEMS]
    if n >= store[ITEM + 1]:
        store[NEED] = ITEM
        return GROW
    store[store[ITEM] + n] = item
    store[ITEMS] = n + 1
    return 0


@part
def _visit(program: Words, store: Words, point: int, component: int) -> int:
    """Do the operation of one point. Returns 0, ACCEPTING or a negative code."""
    store[WORK] -= 1
    if store[WORK] < 0:
        return EXHAUSTED
    fresh = point & 1
    ctx = (point >> 1) & CTX_MASK
    op = program[OPS] + 3 * (point >> (CTX_BITS + 1))
    kind = program[op]
    a = program[op + 1]
    b = program[op + 2]
    code = 0
    if kind == LEX:
        code = _add_item(store, (a << ROW_SHIFT) | (b << CTX_BITS) | ctx)
    elif kind == SPLIT:
        targets = program[TARGETS]
        for i in range(a, b):
            code |= add_point(store, program[targets + i], ctx, fresh)
    elif kind == CALL:
        code = _call(program, store, a, b, ctx, fresh, component)
    elif kind == ACCEPT:
        code = ACCEPTING
    elif fresh == 0:
        code = return_points(store, ctx) if kind == RETURN else _again(program, store, ctx)
    return code


@part
def return_points(store: Words, ctx: int) -> int:
    """Add the points that a rule in context `ctx` returns to."""
    code = 0
    row = store[CONTEXT] + 5 * ctx
    begin = store[HEAP] + store[row + OFFSET]
    end = begin + store[row + LENGTH]
    for i in range(begin, end):
        code |= add_point(store, store[i] >> CTX_BITS, store[i] & CTX_MASK, 0)
    store[WORK] -= end - begin
    return code


@part
def _again(program: Words, store: Words, ctx: int) -> int:
    """A copy of a counted repetition is complete: leave, begin the next copy, or both."""
    row = store[CONTEXT] + 5 * ctx
    loop = store[row + LOOP]
    outer = store[row + OUTER]
    low = program[program[RULES] + RULE_WIDTH * loop + LOW]
    high = program[program[RULES] + RULE_WIDTH * loop + HIGH]
    following = store[row + COUNT]
    leave = following == FREE_COUNT
    again = True
    if following < FREE_COUNT:
        following += 1
        leave = following >= low
        again = high == UNBOUNDED or following < high
        if high == UNBOUNDED and following > low:
            following = low
    code = return_points(store, outer) if leave else 0
    if again and code == 0:
        code = _begin_copy(program, store, loop, following, outer)
    return code


@part
def _begin_copy(program: Words, store: Words, loop: int, number: int, outer: int) -> int:
    inner = intern_context(store, 0, 0, loop, number, outer)
    if inner < 0:
        return inner
    return add_point(store, program[program[RULES] + RULE_WIDTH * loop + START], inner, 1)


@part
def _call(program: Words, store: Words, rule: int, after: int, ctx: int, fresh: int, component: int) -> int:
    code = 0
    row = program[RULES] + RULE_WIDTH * rule
    if program[row + NULLABLE] != 0:
        code = add_point(store, after, ctx, fresh)
    if program[row + COMPONENT] == component:
        return code  # a left-recursive call: its frame stands among the component's corners
    if program[program[OPS] + 3 * after] != RETURN:
        return code | _add_pending(program, store, rule, (after << CTX_BITS) | ctx)
    begin = store[HEAP] + store[store[CONTEXT] + 5 * ctx + OFFSET]
    end = begin + store[store[CONTEXT] + 5 * ctx + LENGTH]
    store[WORK] -= end - begin
    for i in range(begin, end):
        code |= _add_pending(program, store, rule, store[i])
    return code


@part
def _add_pending(program: Words, store: Words, rule: int, frame: int) -> int:
    n = store[WAITING]
    if n >= store[PENDING + 1]:
        store[NEED] = PENDING
        return GROW
    row = program[RULES] + RULE_WIDTH * rule
    head = store[HEADS] + program[row + COMPONENT]
    if store[head] == 0:
        _push_active(store, program[row + COMPONENT])
    entry = store[PENDING] + 2 * n
    store[entry] = store[head]
    store[entry + 1] = (program[row + MEMBER] << ROW_SHIFT) | frame
    store[head] = n + 1
    store[WAITING] = n + 1
    return 0


@part
def _push_active(store: Words, component: int) -> None:
    wake = store[WAKE]
    i = store[ACTIVE]
    store[ACTIVE] = i + 1
    while i > 0 and store[wake + ((i - 1) >> 1)] > component:
        store[wake + i] = store[wake + ((i - 1) >> 1)]
        i = (i - 1) >> 1
    store[wake + i] = component


@part
def _pop_active(store: Words) -> int:
    wake = store[WAKE]
    top = store[wake]
    n = store[ACTIVE] - 1
    store[ACTIVE] = n
    last = store[wake + n]
    i = 0
    while 2 * i + 1 < n:
        child = 2 * i + 1
        if child + 1 < n and store[wake + child + 1] < store[wake + child]:
            child += 1
        if store[wake + child] >= last:
            break
        store[wake + i] = store[wake + child]
        i = child
    store[wake + i] = last
    return top


@part
def _gather(store: Words, component: int) -> int:
    """Move the pending frames of a component behind the items, sorted and distinct; their number, or GROW."""
    head = store[HEADS] + component
    entry = store[head]
    store[head] = 0
    at = store[ITEM] + store[ITEMS]
    n = 0
    while entry != 0:
        if store[ITEMS] + n >= store[ITEM + 1]:
            store[NEED] = ITEM
            return GROW
        store[at + n] = store[store[PENDING] + 2 * entry - 1]
        n += 1
        entry = store[store[PENDING] + 2 * entry - 2]
    store[WORK] -= n
    return sort_run(store, at, n)


@part
def _enter(program: Words, store: Words, component: int) -> int:
    """Enter the rules of a component, now that every frame they return to is known."""
    n = _gather(store, component)
    if n < 0:
        return n
    at = store[ITEM] + store[ITEMS]
    n = _drop_dominated(program, store, at, n)
    row = program[COMPONENTS] + 2 * component
    members = program[row + 2] - program[row]
    if program[row + 1] == program[row + 3]:
        ctx = intern_context(store, at, n, FRAMES, 0, 0)
        if ctx < 0:
            return ctx
        return _enter_rule(program, store, program[program[MEMBERS] + program[row]], ctx)
    key = _recursive_contexts(program, store, component, at, n, members)
    if key < 0:
        return key
    code = 0
    for m in range(members):
        code |= _enter_rule(program, store, program[program[MEMBERS] + program[row] + m], key + 1 + m)
    return code


@part
def _enter_rule(program: Words, store: Words, rule: int, ctx: int) -> int:
    row = program[RULES] + RULE_WIDTH * rule
    if program[row + LOW] != NOT_A_LOOP:
        return _begin_copy(program, store, rule, 0, ctx)
    return add_point(store, program[row + START], ctx, 1)


@part
def _recursive_contexts(program: Words, store: Words, component: int, at: int, n: int, members: int) -> int:
    """The number of the key behind which the contexts of a left-recursive component stand, one for each member."""
    slot = find_context(store, at, n, KEY - component, members, 0)
    if store[slot] != 0:
        return store[slot] - 1
    key = _serving_key(program, store, component, at, n, members)
    if key >= 0:
        return key
    if store[CONTEXTS] + members + 1 > min(store[CONTEXT + 1], CTX_MASK):
        store[NEED] = CONTEXT
        return GROW
    key = add_context(store, at, n, KEY - component, members, 0)
    if key < 0:
        return key
    for _ in range(members):
        add_context(store, at, 0, FRAMES, 0, 0)
    for m in range(members):
        code = _fill_member(program, store, component, key, m)
        if code != 0:
            store[store[CONTEXT] + 5 * key + LOOP] = ABANDONED  # the retry makes new ones
            return code
    # the contexts of loops made on the way may stand in the slot that was free before
    store[find_context(store, at, n, KEY - component, members, 0)] = key + 1
    return key


@part
def _serving_key(program: Words, store: Words, component: int, at: int, n: int, members: int) -> int:
    """The key of contexts that serve the frames `F` at `at` as well as new ones would, or -1.

    New contexts would be the least solution of Y = F | corners(Y), those of an earlier key are X = O | corners(X). If O
    is contained in F and F in X, then Y contains X since O does, and X contains Y since X = F | corners(X). So it is
    whenever a rule calls itself last: in `s: s "+" s | "x"` the tenth operand finds the contexts of the first. Of the
    keys that `F` refers to, the latest is the one that may have all the others in it.
    """
    key = -1
    for i in range(n):
        ctx = store[at + i] & CTX_MASK
        if ctx > key + members:
            key = max(key, _key_of(store, component, ctx, members))
    store[WORK] -= n
    if (
        key < 0
        or not _covers_key(program, store, key, at, n, members)
        or not _has_frames(program, store, key, at, n, members)
    ):
        return -1
    return key


@part
def _key_of(store: Words, component: int, ctx: int, members: int) -> int:
    """The key of the component's contexts among which `ctx` is, or -1: they stand behind it."""
    for number in range(ctx - 1, max(0, ctx - members) - 1, -1):
        loop = store[store[CONTEXT] + 5 * number + LOOP]
        if loop == KEY - component:
            return number
        if loop != FRAMES:
            return -1
    return -1


@part
def _covers_key(program: Words, store: Words, key: int, at: int, n: int, members: int) -> bool:
    """Whether every frame of the key is among those at `at`, or among those that one of them returns into."""
    reached = np.empty(members, np.int64)
    row = store[CONTEXT] + 5 * key
    begin = store[HEAP] + store[row + OFFSET]
    for o in range(begin, begin + store[row + LENGTH]):
        found = _stands_in(store, at, at + n, store[o])
        for i in range(n):
            if found:
                break
            word = store[at + i]
            ctx = word & CTX_MASK
            store[WORK] -= 1
            if (
                word >> ROW_SHIFT == store[o] >> ROW_SHIFT
                and _returns(program, word)
                and key < ctx
                and ctx <= key + members
            ):
                count = _returned_into(program, store, key, ctx - key - 1, members, reached)
                found = _is_frame_of(store, reached, count, store[o] & FRAME_MASK)
        if not found:
            return False
    return True


@part
def _has_frames(program: Words, store: Words, key: int, at: int, n: int, members: int) -> bool:
    """Whether every frame at `at` is one of its member's context, or of those that this context returns into."""
    reached = np.empty(members, np.int64)
    count = 0
    member = -1
    for i in range(n):
        word = store[at + i]
        if word >> ROW_SHIFT != member:
            member = word >> ROW_SHIFT
            count = _returned_into(program, store, key, member, members, reached)
        leads_on = _returns(program, word) and _is_among(reached, count, word & CTX_MASK)
        if not leads_on and not _is_frame_of(store, reached, count, word & FRAME_MASK):
            return False
    return True


@part
def _returns(program: Words, frame: int) -> bool:
    """Whether a frame only returns further."""
    return program[program[OPS] + 3 * ((frame >> CTX_BITS) & NEXT_MASK)] == RETURN


@part
def _is_among(contexts: Words, count: int, ctx: int) -> bool:
    for i in range(count):
        if contexts[i] == ctx:
            return True
    return False


@part
def _is_frame_of(store: Words, contexts: Words, count: int, frame: int) -> bool:
    for i in range(count):
        store[WORK] -= 1
        row = store[CONTEXT] + 5 * contexts[i]
        begin = store[HEAP] + store[row + OFFSET]
        if _stands_in(store, begin, begin + store[row + LENGTH], frame):
            return True
    return False


@part
def _returned_into(program: Words, store: Words, key: int, member: int, members: int, reached: Words) -> int:
    """The context of a member and those of the component that a frame (RETURN, context) leads on to; their number."""
    reached[0] = key + 1 + member
    count = 1
    done = 0
    while done < count:
        row = store[CONTEXT] + 5 * reached[done]
        begin = store[HEAP] + store[row + OFFSET]
        done += 1
        for i in range(begin, begin + store[row + LENGTH]):
            store[WORK] -= 1
            ctx = store[i] & CTX_MASK
            if (
                key < ctx
                and ctx <= key + members
                and _returns(program, store[i])
                and not _is_among(reached, count, ctx)
            ):
                reached[count] = ctx
                count += 1
    return count


@part
def _stands_in(store: Words, low: int, end: int, word: int) -> bool:
    """Whether a sorted run holds a word."""
    high = end
    while low < high:
        middle = (low + high) >> 1
        if store[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low < end and store[low] == word


@part
def _fill_member(program: Words, store: Words, component: int, key: int, member: int) -> int:
    """Gather the frames of one member: those from outside, and those of the corners that call it."""
    row = program[COMPONENTS] + 2 * component
    outside = store[CONTEXT] + 5 * key
    offset = store[outside + OFFSET]
    length = store[outside + LENGTH]
    at = store[ITEM] + store[ITEMS] + length
    if store[ITEMS] + 2 * length + program[row + 3] - program[row + 1] > store[ITEM + 1]:
        store[NEED] = ITEM
        return GROW
    n = 0
    for i in range(offset, offset + length):
        word = store[store[HEAP] + i]
        if word >> ROW_SHIFT == member:
            store[at + n] = word & FRAME_MASK
            n += 1
    for e in range(program[row + 1], program[row + 3]):
        corner = program[CORNERS] + 3 * e
        if program[corner] == member:
            ctx = key + 1 + program[corner + 2]
            rule = program[program[MEMBERS] + program[row] + program[corner + 2]]
            if program[program[RULES] + RULE_WIDTH * rule + LOW] != NOT_A_LOOP:
                ctx = intern_context(store, 0, 0, rule, 0, ctx)
                if ctx < 0:
                    return ctx
            store[at + n] = (program[corner + 1] << CTX_BITS) | ctx
            n += 1
    store[WORK] -= length + program[row + 3] - program[row + 1]
    n = sort_run(store, at, n)
    offset = push_run(store, at, n)
    if offset < 0:
        return offset
    inside = outside + 5 * (1 + member)
    store[inside + OFFSET] = offset
    store[inside + LENGTH] = n
    return 0


@part
def _drop_dominated(program: Words, store: Words, at: int, length: int) -> int:
    """Drop items, or frames, when one that differs in its counts alone allows all that they allow.

    Copy k may be followed by max(0, low - k - 1) to high - k - 1 more copies. Of two counts that reached `low` the
    smaller allows more; without an upper bound the larger one does. What stands further out is compared in the same
    way: after `aaa` in `(a{0,9}b?){0,9}` the first copy with three letters and the second with one are left.
    """
    kept = 0
    group = 0  # where the items at the same place begin
    for i in range(length):
        item = store[at + i]
        if kept > 0 and (store[at + kept - 1] >> CTX_BITS) != (item >> CTX_BITS):
            group = kept
        begin = max(group, kept - _COMPARED)
        drop = False
        for j in range(begin, kept):
            if _dominates(program, store, store[at + j] & CTX_MASK, item & CTX_MASK):
                drop = True
                break
        if drop:
            continue
        free = begin
        for j in range(begin, kept):
            if not _dominates(program, store, item & CTX_MASK, store[at + j] & CTX_MASK):
                store[at + free] = store[at + j]
                free += 1
        store[at + free] = item
        kept = free + 1
    return kept


@part
def _dominates(program: Words, store: Words, a: int, b: int) -> bool:
    """Whether context `a` allows all that `b` allows, as far as the counts on the way out tell."""
    for _ in range(_OUTWARDS):
        if a == b:
            return True
        x = store[CONTEXT] + 5 * a
        y = store[CONTEXT] + 5 * b
        loop = store[x + LOOP]
        if loop != store[y + LOOP]:
            return False
        if loop >= 0:
            if not _allows_more(program, loop, store[x + COUNT], store[y + COUNT]):
                return False
            a = store[x + OUTER]
            b = store[y + OUTER]
        else:
            if loop != FRAMES or store[x + LENGTH] != 1 or store[y + LENGTH] != 1:
                return False
            f = store[store[HEAP] + store[x + OFFSET]]
            g = store[store[HEAP] + store[y + OFFSET]]
            if f >> CTX_BITS != g >> CTX_BITS:
                return False
            a = f & CTX_MASK
            b = g & CTX_MASK
    return False


@part
def _allows_more(program: Words, loop: int, i: int, j: int) -> bool:
    """Whether copy i of a repetition may be followed by all that copy j may be followed by."""
    if i == j:
        return True
    if i >= FREE_COUNT or j >= FREE_COUNT:
        return i == FREE_COUNT and j < LOCKED_COUNT
    rule = program[RULES] + RULE_WIDTH * loop
    if program[rule + HIGH] == UNBOUNDED:
        return i > j
    return i < j and i >= program[rule + LOW] - 1
