"""Building the byte trie of a vocabulary and what is known of its subtrees.

The trie is built in depth-first order and then laid out so that children stand side by side (see `grammars.trie`).
Three facts about the strings below a node let a walk take or skip the subtree as a whole: which ASCII bytes occur
(two words of 64 bits), whether other bytes occur and which from C0 on (a word), and in which states of a UTF-8 decoder
all of those strings can be read (one bit for each state).
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Data, Table, Words
from grammars.kernels.policy import kernel, part

UTF8_STATES = 8
OTHER_BYTES = 1 << UTF8_STATES  # bit of the third word of `below`: a byte >= 0x80 occurs below

DEPTH, SKIP, PARENT, TOKEN, HEIGHT = range(5)  # columns of the table that is built, in depth-first order
CHILD, CHILDREN_END, FIRST, OWN_END, END, BELOW_HEIGHT = range(6)  # columns of the table that is walked


@part
def ascii_bit(n: int) -> int:
    """A word with bit n set; bit 63 is the sign."""
    return 1 << n if n < 63 else -1 << 63


@kernel
def utf8_step(state: int, byte: int) -> int:
    """A decoder of UTF-8 with eight states, 0 between characters; -1 for an error.

    1, 2, 3: one to three plain continuation bytes to come; 4: after E0; 5: after ED; 6: after F0; 7: after F4.
    """
    if state == 0:
        if byte < 0x80:
            return 0
        if 0xC2 <= byte <= 0xDF:
            return 1
        if byte == 0xE0:
            return 4
        if byte == 0xED:
            return 5
        if 0xE1 <= byte <= 0xEF:
            return 2
        if byte == 0xF0:
            return 6
        if 0xF1 <= byte <= 0xF3:
            return 3
        return 7 if byte == 0xF4 else -1
    low, high = 0x80, 0xBF
    if state == 4:
        low = 0xA0
    elif state == 5:
        high = 0x9F
    elif state == 6:
        low = 0x90
    elif state == 7:
        high = 0x8F
    if byte < low or byte > high:
        return -1
    if state <= 3:
        return state - 1
    return 1 if state <= 5 else 2


@kernel
def common_prefixes(data: Data, offsets: Words, order: Table, common: Words) -> int:
    """`common[i]`: length of the common prefix of tokens `order[i - 1]` and `order[i]`. Returns the number of trie
    nodes."""
    nodes = 1
    for i in range(len(order)):
        begin, length = offsets[order[i]], offsets[order[i] + 1] - offsets[order[i]]
        n = 0
        if i > 0:
            before = offsets[order[i - 1]]
            most = min(length, offsets[order[i - 1] + 1] - before)
            while n < most and data[begin + n] == data[before + n]:
                n += 1
        common[i] = n
        nodes += length - n
    return nodes


@kernel
def build_nodes(data: Data, offsets: Words, order: Table, common: Words, byte: Data, nodes: Table) -> None:
    """Fill byte and DEPTH, SKIP, PARENT, TOKEN from the sorted tokens, in depth-first order."""
    path = np.zeros(len(nodes) + 1, np.int64)
    node, level = 0, 0
    nodes[0, PARENT] = -1
    for i in range(len(order)):
        begin = offsets[order[i]]
        length = offsets[order[i] + 1] - begin
        while level > common[i]:
            nodes[path[level], SKIP] = node + 1
            level -= 1
        while level < length:
            node += 1
            nodes[node, PARENT] = path[level]
            level += 1
            byte[node] = data[begin + level - 1]
            nodes[node, DEPTH] = level
            nodes[node, TOKEN] = i
            path[level] = node
    while level >= 0:
        nodes[path[level], SKIP] = node + 1
        level -= 1
    nodes[node + 1, TOKEN] = len(order)


@kernel
def summarise(byte: Data, nodes: Table, below: Words) -> None:
    """Gather, from the last node to the first, what occurs below each node and how far the deepest node lies below
    it."""
    every_state = (1 << UTF8_STATES) - 1
    for node in range(len(below) - 1, -1, -1):
        low, high, states, others, leads, height = 0, 0, every_state, 0, 0, 0
        child = node + 1
        while child < nodes[node, SKIP]:
            b = int(byte[child])
            low |= below[child, 0]
            high |= below[child, 1]
            others |= below[child, 2] & OTHER_BYTES
            leads |= below[child, 3]
            if b < 64:
                low |= ascii_bit(b)
            elif b < 128:
                high |= ascii_bit(b - 64)
            else:
                others = OTHER_BYTES
                leads |= ascii_bit(b - 0xC0) if b >= 0xC0 else 0
            for state in range(UTF8_STATES):
                after = utf8_step(state, b)
                if after < 0 or (below[child, 2] >> after) & 1 == 0:
                    states &= ~(1 << state)
            height = max(height, int(nodes[child, HEIGHT]) + 1)
            child = int(nodes[child, SKIP])
        below[node, 0] = low
        below[node, 1] = high
        below[node, 2] = states | others
        below[node, 3] = leads
        nodes[node, HEIGHT] = height
