"""The twist: what was learned about one prefix helps with all that are in the same state.

A table ĥ[state of the constraint, tokens left] of estimated completion probabilities. Each expanded node u has its own
estimate ĥ(u) = Σ_a p(a | u)·ĥ(ua), in which a child that was expanded counts with its own estimate and another one with
its table entry; an entry is the mean over the nodes with that key. It shrinks to the mean over all nodes in that state,
and this to the mean over all nodes: a key that was seen once is not trusted much.

The estimates steer and never certify: descents draw q ∝ p·G with

    G = trust·min(ĥ, H) + (1 − trust)·H,

so nothing that may have mass is out of reach, nothing without mass is proposed, and the weights p/q make up for the
rest exactly. A weight may exceed H(root) then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samplers.log_space import log_of
from samplers.problem import Problem
from samplers.trie.segments import spread
from samplers.trie.tree import END_TOKEN, Trie

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Twisted:
    """The guide G = trust·min(ĥ, H) + (1 − trust)·H.

    >>> Twisted(0.9).trust
    0.9
    """

    trust: float

    def of_edges(self, trie: Trie, at: Ints) -> Floats:
        return self._blended(trie.edges.log_h[at], log_of(_values(trie, at)))

    def of_rest(self, trie: Trie, nodes: Ints) -> Floats:
        return self._blended(np.full(len(nodes), trie.bound), np.full(len(nodes), math.log(trie.table.mean)))

    def prepare(self, problem: Problem, trie: Trie, nodes: Ints) -> None:
        """Look up the states behind all edges of some nodes."""
        counts = trie.nodes.count[nodes]
        owners = np.repeat(nodes, counts)
        at = spread(trie.nodes.begin[nodes], counts)
        trie.ask_states(problem, owners, at - trie.nodes.begin[owners])
        alive = (trie.edges.token[at] != END_TOKEN) & (trie.edges.state[at] >= 0)
        at, left = at[alive], problem.max_tokens - trie.nodes.depth[owners[alive]] - 1
        trie.edges.key[at] = trie.table.ids(trie.edges.state[at], left)

    def _blended(self, log_h: Floats, log_estimate: Floats) -> Floats:
        alive = log_h > -math.inf
        ratio = np.exp(np.minimum(0.0, np.where(alive, log_estimate - np.where(alive, log_h, 0.0), 0.0)))
        return log_h + log_of(1.0 - self.trust + self.trust * ratio)


def learned(problem: Problem, trie: Trie, nodes: Ints) -> None:
    """Compute the estimates of some nodes anew, the deepest first, and put them into the table."""
    for level in trie.levels(nodes) if len(nodes) else ():
        counts = trie.nodes.count[level]
        at = spread(trie.nodes.begin[level], counts)
        parts = np.exp(trie.edges.log_p[at]) * _values(trie, at)
        values = np.exp(trie.nodes.log_rest[level]) * trie.table.mean
        values += np.bincount(np.repeat(np.arange(len(level)), counts), weights=parts, minlength=len(level))
        fresh = trie.nodes.key[level] < 0
        keys = trie.table.ids(trie.nodes.state[level], problem.max_tokens - trie.nodes.depth[level])
        trie.table.learn(keys, trie.nodes.value[level], values, fresh)
        trie.nodes.key[level], trie.nodes.value[level] = keys, values


def _values(trie: Trie, at: Ints) -> Floats:
    """ĥ behind some edges: certain at an end, a node's own estimate, the table's, or the mean of everything."""
    edges, nodes = trie.edges, trie.nodes
    values = np.full(len(at), trie.table.mean)
    known = edges.key[at] >= 0
    values[known] = trie.table.values(edges.key[at[known]])
    child = edges.child[at]
    own = child >= 0
    own[own] = nodes.key[child[own]] >= 0
    values[own] = nodes.value[child[own]]
    values[edges.token[at] == END_TOKEN] = math.exp(trie.bound)
    values[edges.state[at] == -1] = 0.0
    return values
