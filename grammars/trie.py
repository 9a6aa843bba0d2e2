"""The byte trie of a vocabulary as flat arrays, in depth-first order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grammars.kernels.trie import LONGEST, build_nodes, common_prefixes, summarise


class Trie(NamedTuple):
    """Nodes in depth-first order; node 0 is the empty string. Tokens of equal bytes share a node.

    `nodes` has a row per node and one behind the last: byte, depth, the node behind its subtree, its first token, depth of the
    deepest node below. The tokens of node n are `tokens[nodes[n, FIRST]:nodes[n + 1, FIRST]]`; those of its whole subtree end
    at `nodes[nodes[n, SKIP], FIRST]`. `below` says what occurs below a node: two words of ASCII bytes, and a word whose bit s
    says that all strings below can be read from UTF-8 state s, and bit 8 that other bytes occur.
    """

    nodes: NDArray[np.int32]
    below: NDArray[np.int64]
    tokens: NDArray[np.int32]

    @property
    def longest(self) -> int:
        """Bytes of the longest token."""
        return int(self.nodes[0, LONGEST])


def build_trie(tokens: Sequence[bytes], ids: NDArray[np.int64], data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Trie:
    """The trie of the tokens `ids`; `data[offsets[i]:offsets[i + 1]]` are the bytes of token i."""
    order = np.array(sorted(ids.tolist(), key=tokens.__getitem__), np.int32)
    common = np.zeros(len(order), np.int64)
    size = int(common_prefixes(data, offsets, order, common))
    nodes, below = np.zeros((size + 1, 5), np.int32), np.zeros((size, 3), np.int64)
    build_nodes(data, offsets, order, common, nodes)
    summarise(nodes, below)
    return Trie(nodes, below, order)
