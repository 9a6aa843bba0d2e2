"""From a list of words to the smallest automaton over characters that reads exactly them, or everything but them.

The words are sorted, so a tree grows at its last branch only. Its nodes are numbered parents first; going backwards,
nodes with equal branches become one (what Daciuk et al., 2000, do word by word). Between the branches, all other
characters lead to a node where anything may follow, if words are to be excluded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grammars.kernels.arrays import Words
from grammars.kernels.policy import kernel, part
from grammars.kernels.spelling import BEGINS, spell

_LAST, _LOW_SURROGATE, _HIGH_SURROGATE = 0x10FFFF, 0xD800, 0xDFFF


@kernel
def spelled_words(codes: Words, ends: Words, excluded: int, quoted: int, minimal: int) -> tuple[Words, Words, Words]:
    """`spelling.spell` of the automaton of some words: word i is `codes[ends[i - 1] : ends[i]]`, in int32; the words
    are sorted and distinct."""
    return spell(_automaton(codes, ends, excluded, quoted, minimal))


@part
def _automaton(codes: Words, ends: Words, excluded: int, quoted: int, minimal: int) -> Words:
    parent, code, terminal = _tree(codes, ends)
    first, child = _children(parent)
    same = _merged(code, terminal, first, child)
    return _packed(code, terminal, first, child, same, excluded, quoted, minimal)


@part
def _tree(codes: Words, ends: Words) -> tuple[Words, Words, Words]:
    """For each node its parent, the character that leads to it, and whether a word ends there."""
    parent = np.zeros(len(codes) + 1, np.int64)
    code = np.zeros(len(codes) + 1, np.int64)
    terminal = np.zeros(len(codes) + 1, np.int64)
    path = np.zeros(len(codes) + 1, np.int64)
    nodes, begin, depth = 1, 0, 0
    for word in range(len(ends)):
        length = ends[word] - begin
        shared = 0
        while shared < min(length, depth) and code[path[shared + 1]] == codes[begin + shared]:
            shared += 1
        for i in range(shared, length):
            parent[nodes], code[nodes] = path[i], codes[begin + i]
            path[i + 1] = nodes
            nodes += 1
        terminal[path[length]] = 1
        begin, depth = ends[word], length
    return parent[:nodes], code[:nodes], terminal[:nodes]


@part
def _children(parent: Words) -> tuple[Words, Words]:
    """The children of all nodes as runs of one array, in order."""
    first = np.zeros(len(parent) + 2, np.int64)
    for node in range(1, len(parent)):
        first[parent[node] + 2] += 1
    for node in range(2, len(first)):
        first[node] += first[node - 1]
    child = np.empty(len(parent), np.int64)
    for node in range(1, len(parent)):
        child[first[parent[node] + 1]] = node
        first[parent[node] + 1] += 1
    return first, child


@part
def _merged(code: Words, terminal: Words, first: Words, child: Words) -> Words:
    """For each node the one that stands for it and all its equals."""
    nodes = len(code)
    same = np.empty(nodes, np.int64)
    size = 2
    while size < 2 * nodes:
        size *= 2
    table = np.full(size, -1, np.int64)
    for node in range(nodes - 1, -1, -1):
        mixed = terminal[node]
        for i in range(first[node], first[node + 1]):
            mixed = (mixed * 1000003 + code[child[i]] * 31 + same[child[i]]) & 0xFFFFFFFFFF
        slot = (mixed ^ (mixed >> 17)) & (size - 1)
        while table[slot] >= 0 and not _equal(code, terminal, first, child, same, node, table[slot]):
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot] = node
        same[node] = table[slot]
    return same


@part
def _equal(code: Words, terminal: Words, first: Words, child: Words, same: Words, a: int, b: Any) -> bool:
    count = first[a + 1] - first[a]
    if terminal[a] != terminal[b] or first[b + 1] - first[b] != count:
        return False
    for i in range(count):
        x, y = child[first[a] + i], child[first[b] + i]
        if code[x] != code[y] or same[x] != same[y]:
            return False
    return True


@part
def _packed(
    code: Words, terminal: Words, first: Words, child: Words, same: Words, excluded: int, quoted: int, minimal: int
) -> Words:
    """Number the nodes that are left, the root first, and write their ranges."""
    number = np.zeros(len(code), np.int64)
    rows = 0
    for node in range(len(code)):
        if same[node] == node or node == 0:
            number[node] = rows
            rows += 1
    number[0] = 0
    anything = rows
    rows += excluded
    source = np.empty(BEGINS + 2 * rows + 1 + 3 * (2 * len(code) + 3 * rows), np.int64)
    source[0], source[1], source[2] = rows, quoted, minimal
    at, ranges = 0, BEGINS + 2 * rows + 1
    for node in range(len(code)):
        if same[node] != node and node != 0:
            continue
        row = number[node]
        source[BEGINS + row] = at
        source[BEGINS + rows + 1 + row] = terminal[node] ^ excluded
        low = 0
        for i in range(first[node], first[node + 1]):
            this = code[child[i]]
            if excluded != 0:
                at = _put_range(source, ranges, at, low, this - 1, anything)
            at = _put_range(source, ranges, at, this, this, number[same[child[i]]])
            low = this + 1
        if excluded != 0:
            at = _put_range(source, ranges, at, low, _LAST, anything)
    if excluded != 0:
        source[BEGINS + anything] = at
        source[BEGINS + rows + 1 + anything] = 1
        at = _put_range(source, ranges, at, 0, _LAST, anything)
    source[BEGINS + rows] = at
    return source[: ranges + 3 * at]


@part
def _put_range(source: Words, ranges: int, at: int, low: int, high: int, target: Any) -> int:
    """Write a range, in two parts if surrogates stand in it; returns how many ranges there are then."""
    if low < _LOW_SURROGATE and high >= low:
        source[ranges + 3 * at] = low
        source[ranges + 3 * at + 1] = min(high, _LOW_SURROGATE - 1)
        source[ranges + 3 * at + 2] = target
        at += 1
    low = max(low, _HIGH_SURROGATE + 1)
    if low <= high:
        source[ranges + 3 * at] = low
        source[ranges + 3 * at + 1] = high
        source[ranges + 3 * at + 2] = target
        at += 1
    return at
