"""Far counts: a counted repetition is far from its bounds most of the time.

`learn_far` replaces such counts by "free" or "locked"; a token with fewer bytes than the distance to the nearest bound
cannot tell the difference. So one mask serves all far counts, and near a bound only the long tokens are walked anew.
"""

from __future__ import annotations

from grammars.kernels.arrays import Words
from grammars.kernels.intern import intern_config, intern_context, sort_run
from grammars.kernels.layout import (
    CONFIG,
    CONTEXT,
    COUNT,
    CTX_MASK,
    FAR,
    FILL,
    FLAGS,
    FRAME_MASK,
    FREE_COUNT,
    GROW,
    HEAP,
    ITEM,
    LAZY_CLASS,
    LAZY_FAR,
    LAZY_ROW,
    LENGTH,
    LOCKED_COUNT,
    LOOP,
    NEED,
    OFFSET,
    OUTER,
    ROOT,
    ROW_SHIFT,
)
from grammars.kernels.policy import kernel
from grammars.program import HIGH, LOW, ROWS, RULE_WIDTH, RULES, SHORTEST, UNBOUNDED

_NEVER = 1 << 40


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
