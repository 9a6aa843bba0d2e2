"""Building the byte trie of a vocabulary and what is known of its subtrees.

Nodes stand in depth-first order, so a subtree is a run of nodes and its tokens are a run of `token`. Three facts about the
strings below a node let a walk take or skip the subtree as a whole: which ASCII bytes occur (two words of 64 bits), whether
other bytes occur, and in which states of a UTF-8 decoder all of those strings can be read (one bit for each state).
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.policy import kernel

UTF8_STATES = 8
OTHER_BYTES = 1 << UTF8_STATES  # bit of the third word of `below`: a byte >= 0x80 occurs below

BYTE, DEPTH, SKIP, FIRST, LONGEST = range(5)  # columns of the node table


@kernel
def utf8_step(state, byte):
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
def common_prefixes(data, offsets, order, common):
    """`common[i]`: length of the common prefix of tokens `order[i - 1]` and `order[i]`. Returns the number of trie nodes."""
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
def build_nodes(data, offsets, order, common, nodes):
    """Fill the node table from the sorted tokens; the row behind the last node closes the last run of tokens."""
    path = np.zeros(len(nodes) + 1, np.int64)
    node, level = 0, 0
    nodes[0, BYTE], nodes[0, DEPTH], nodes[0, FIRST] = 0, 0, 0
    for i in range(len(order)):
        begin = offsets[order[i]]
        length = offsets[order[i] + 1] - begin
        while level > common[i]:
            nodes[path[level], SKIP] = node + 1
            level -= 1
        while level < length:
            node += 1
            level += 1
            nodes[node, BYTE] = data[begin + level - 1]
            nodes[node, DEPTH] = level
            nodes[node, FIRST] = i
            path[level] = node
    while level >= 0:
        nodes[path[level], SKIP] = node + 1
        level -= 1
    nodes[node + 1, FIRST] = len(order)


@kernel
def summarise(nodes, below):
    """Gather, from the last node to the first, what occurs below each node and how deep the deepest node stands."""
    every_state = (1 << UTF8_STATES) - 1
    for node in range(len(below) - 1, -1, -1):
        low, high, states, others = 0, 0, every_state, 0
        deepest = int(nodes[node, DEPTH])
        child = node + 1
        while child < nodes[node, SKIP]:
            b = int(nodes[child, BYTE])
            low |= below[child, 0]
            high |= below[child, 1]
            others |= below[child, 2] & OTHER_BYTES
            if b < 64:
                low |= 1 << b
            elif b < 128:
                high |= 1 << (b - 64)
            else:
                others = OTHER_BYTES
            for state in range(UTF8_STATES):
                after = utf8_step(state, b)
                if after < 0 or (below[child, 2] >> after) & 1 == 0:
                    states &= ~(1 << state)
            deepest = max(deepest, int(nodes[child, LONGEST]))
            child = int(nodes[child, SKIP])
        below[node, 0] = low
        below[node, 1] = high
        below[node, 2] = states | others
        nodes[node, LONGEST] = deepest
