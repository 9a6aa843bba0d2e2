"""The trie: every prefix that was looked at, with an upper bound of what can still come of it.

For a prefix u let h*(u) = Σ P(x | u)·ψ(x) over the texts x of the language that begin with u and fit the token budget.
The trie keeps H(u) ≥ h*(u), certain, not estimated:

    H = bound of ψ    for a viable prefix that nobody has expanded,
    H = 0             for one that cannot be completed,
    H(u) = Σ_a p(a | u)·H(ua)    for one that was expanded; computed anew up the path by `back_up`.

A node is an expanded prefix. Its edges hold the tokens that may follow, log p of each and log H of where they lead; the
end of the text is an edge too, whose H becomes ψ(x) once the text has been scored. Of a wide distribution only the
likeliest tokens are stored, and the exact mass of the others (all of them unexplored, so their H is known): the first
draw among the others asks the model again and stores the token that it drew.

**Memory** is bounded. When the arrays are full, the subtrees with the least mass P(u)·z(u) are forgotten: the edge that
led there gets back the bound that a first expansion would give it, z(u), so that whoever comes by again sees exactly
what the bound promised. What was known of ancestors gets worse, never wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samplers.bits import flags_of
from samplers.errors import require
from samplers.log_space import log_sum
from samplers.particles import pinned
from samplers.problem import Problem
from samplers.trie.columns import Edges, Found, Nodes
from samplers.trie.segments import run_sums, spread
from samplers.trie.table import StateTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

END_TOKEN = -1
UNASKED = -2
_MOST_PINS = 256
_OVERHEAD = 2  # arrays grow by doubling


class Following(NamedTuple):
    """What may follow a prefix."""

    tokens: Ints
    log_p: Floats
    log_rest: float
    log_mass: float
    entropy: float


class Text(NamedTuple):
    """A complete text that was found; `since` is a note of who found it."""

    tokens: Ints
    log_prob: float
    log_score: float
    since: float


class Trie:
    """The prefixes of one problem that were looked at.

    `stored` bounds the tokens that are kept for one prefix, `max_bytes` the memory of all. Without `masks` every token
    counts as viable until a draw fails (`samplers.cars`).

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb"))
    >>> trie = Trie(problem)
    >>> root = trie.expanded(problem, [-1], [-1], problem.model.log_probs([np.zeros(0, np.int64)]))
    >>> root.tolist(), round(math.exp(trie.log_root), 6)
    ([0], 0.75)
    """

    def __init__(
        self,
        problem: Problem,
        *,
        masks: bool = True,
        stored: int = 128,
        max_bytes: int = 1 << 29,
        table: StateTable | None = None,
    ):
        require(stored >= 1, f"at least one token is stored for a prefix, not {stored}")
        require(max_bytes >= 1 << 10, f"max_bytes is at least {1 << 10}, not {max_bytes}")
        self.masks, self.stored, self.max_bytes = masks, stored, max_bytes
        self.bound = float(sum(getattr(potential, "log_bound", 0.0) for potential in problem.potentials))
        self.nodes, self.edges, self.found = Nodes(), Edges(), Found()
        self.round = 0
        """The number of the round that is on its way; see `samplers.trie.walks`."""
        self.expansions = 0
        """How many prefixes were expanded, in the whole life of the trie."""
        self.table = StateTable() if table is None else table
        self.table.serve(problem.constraint)
        self._pins: list[object] = []

    # -- what is known ----------------------------------------------------------------------------------------------

    @property
    def log_root(self) -> float:
        """log H(root): of all that is not found yet."""
        return float(self.nodes.log_total[0]) if self.nodes.size else self.bound

    @property
    def log_found(self) -> float:
        """log of the mass of what is found."""
        return log_sum(self.found_masses)

    @property
    def found_masses(self) -> Floats:
        """log P(x)·ψ(x) of what is found."""
        return self.found.log_prob[: self.found.size] + self.found.log_score[: self.found.size]

    def prefix(self, node: int) -> Ints:
        """The tokens that lead to a node."""
        tokens: list[int] = []
        nodes, edges = self.nodes, self.edges
        while (parent := int(nodes.parent[node])) >= 0:
            tokens.append(int(edges.token[nodes.begin[parent] + nodes.slot[node]]))
            node = parent
        return np.array(tokens[::-1], np.int64)

    def path(self, node: int) -> Ints:
        """The nodes from the root to a node, both included."""
        path = [node] if node >= 0 else []
        while path and (node := int(self.nodes.parent[node])) >= 0:
            path.append(node)
        return np.array(path[::-1], np.int64)

    def edge(self, nodes: Ints, slots: Ints) -> Ints:
        """Where the edges of some nodes stand."""
        return self.nodes.begin[nodes] + slots

    # -- growth -----------------------------------------------------------------------------------------------------

    def expanded(self, problem: Problem, parents: Sequence[int], slots: Sequence[int], rows: Floats) -> Ints:
        """New nodes where the given edges lead, of which `rows` are the model's log-probabilities; -1, -1: the root."""
        above, at = np.array(parents, np.int64), np.array(slots, np.int64)
        first = self.nodes.added(len(above))
        ids = np.arange(first, first + len(above))
        self._place(problem, ids, above, at)
        states = self.nodes.state[ids]
        masks = flags_of(problem.mask_rows(states), problem.vocabulary.size) if self.masks else None
        log_end = problem.log_end(rows)
        for i, node in enumerate(ids.tolist()):
            full = bool(self.nodes.depth[node] >= problem.max_tokens)
            may_end = not self.masks or problem.constraint.accepts(int(states[i]))
            allowed = _viable(problem, rows[i], None if masks is None else masks[i], full)
            following = _following(rows[i], allowed, float(log_end[i]) if may_end else -math.inf, self.stored)
            self._attach(node, following)
        self.expansions += len(ids)
        return ids

    def _place(self, problem: Problem, ids: Ints, parents: Ints, slots: Ints) -> None:
        nodes, edges = self.nodes, self.edges
        nodes.parent[ids], nodes.slot[ids] = parents, slots
        below = parents >= 0
        at = self.edge(parents[below], slots[below])
        edges.child[at] = ids[below]
        nodes.depth[ids[below]] = nodes.depth[parents[below]] + 1
        nodes.log_p[ids[below]] = nodes.log_p[parents[below]] + edges.log_p[at]
        nodes.state[ids[below]] = edges.state[at]
        nodes.log_p[ids[~below]] = 0.0
        nodes.state[ids[~below]] = problem.constraint.start

    def _attach(self, node: int, following: Following) -> None:
        """The edges of a new node."""
        nodes, edges, count = self.nodes, self.edges, len(following.tokens)
        begin = edges.added(count)
        edges.token[begin : begin + count] = following.tokens
        edges.log_p[begin : begin + count] = following.log_p
        edges.log_h[begin : begin + count] = self.bound
        edges.state[begin : begin + count] = UNASKED
        nodes.begin[node], nodes.count[node], nodes.room[node] = begin, count, count
        nodes.log_rest[node], nodes.log_mass[node] = following.log_rest, following.log_mass
        nodes.log_total[node], nodes.entropy[node] = following.log_mass + self.bound, following.entropy

    def rest_of(self, problem: Problem, node: int, row: Floats) -> Floats:
        """The row of a node with nothing left in it but the tokens that may follow and are not stored."""
        mask = flags_of(problem.mask_rows([self.nodes.state[node]])[0], problem.vocabulary.size) if self.masks else None
        left = np.full(len(row), -math.inf)
        tokens = _viable(problem, row, mask, full=False)
        left[tokens] = row[tokens]
        stored = self.tokens_at(node)
        left[stored[stored >= 0]] = -math.inf
        return left

    def tokens_at(self, node: int) -> Ints:
        """The stored tokens behind a node."""
        begin = self.nodes.begin[node]
        return self.edges.token[begin : begin + self.nodes.count[node]]

    def stored_too(self, node: int, tokens: Ints, rest: Floats) -> Ints:
        """Store some of the tokens that were in the rest, a row as `rest_of` makes it; their slots."""
        nodes, edges, count = self.nodes, self.edges, len(tokens)
        self._make_room(node, count)
        slots: Ints = int(nodes.count[node]) + np.arange(count)
        at = nodes.begin[node] + slots
        edges.token[at], edges.log_p[at], edges.log_h[at] = tokens, rest[tokens], self.bound
        edges.child[at], edges.state[at], edges.key[at] = -1, UNASKED, -1
        nodes.count[node] += count
        left = rest.copy()
        left[tokens] = -math.inf
        nodes.log_rest[node] = log_sum(left)
        return slots

    def _make_room(self, node: int, count: int) -> None:
        """Move the edges of a node to the end of the arrays if they have no room where they are."""
        nodes, edges = self.nodes, self.edges
        old, size = int(nodes.begin[node]), int(nodes.count[node])
        if size + count <= nodes.room[node]:
            return
        room = 2 * (size + count)
        new = edges.added(room)
        for name in edges.names():
            column = getattr(edges, name)
            column[new : new + size] = column[old : old + size]
        nodes.begin[node], nodes.room[node] = new, room

    def ask_states(self, problem: Problem, nodes: Ints, slots: Ints) -> None:
        """The states of the constraint behind some edges, and hold on to them."""
        at, first = np.unique(self.edge(nodes, slots), return_index=True)
        new = (self.edges.state[at] == UNASKED) & (self.edges.token[at] >= 0)
        at, owners = at[new], nodes[first[new]]
        if len(at):
            states = problem.advanced(self.nodes.state[owners], self.edges.token[at])
            self.edges.state[at] = states
            self.pin(problem, states)

    def pin(self, problem: Problem, states: Ints) -> None:
        """Keep the constraint from forgetting some states."""
        self._pins.append(pinned(problem.constraint, states))
        if len(self._pins) > _MOST_PINS:
            held = np.concatenate([self.nodes.state[: self.nodes.size], self.edges.state[: self.edges.size]])
            self._pins = [pinned(problem.constraint, np.unique(held[held >= 0]))]

    # -- what was learned -------------------------------------------------------------------------------------------

    def forbid(self, nodes: Ints, slots: Ints) -> None:
        """Nothing can come of some edges (any more)."""
        self.edges.log_h[self.edge(nodes, slots)] = -math.inf

    def score(self, nodes: Ints, slots: Ints, log_scores: Floats) -> None:
        """The texts that end with some edges have been scored: what is left of their H is ψ."""
        self.edges.log_h[self.edge(nodes, slots)] = log_scores

    def take_out(self, node: int, log_prob: float, log_score: float, since: float = -math.inf) -> None:
        """A complete text whose mass is counted from now on, and no longer bounded."""
        row = self.found.added(1)
        self.found.node[row], self.found.log_prob[row] = node, log_prob
        self.found.log_score[row], self.found.since[row] = log_score, since

    def ancestry(self, nodes: Iterable[int]) -> Ints:
        """Some nodes and all their ancestors."""
        seen: set[int] = set()
        for node in nodes:
            while node >= 0 and node not in seen:
                seen.add(node)
                node = int(self.nodes.parent[node])
        return np.array(sorted(seen), np.int64)

    def levels(self, nodes: Ints) -> list[Ints]:
        """Some nodes by depth, the deepest first."""
        depth = self.nodes.depth[nodes]
        ordered = nodes[np.argsort(-depth, kind="stable")]
        steps = np.flatnonzero(np.diff(self.nodes.depth[ordered])) + 1
        return np.split(ordered, steps)

    def back_up(self, nodes: Ints) -> None:
        """Compute H of some nodes from their edges, the deepest first, and hand it up to the edges that lead there."""
        if not len(nodes):
            return
        for level in self.levels(nodes):
            counts = self.nodes.count[level]
            at = spread(self.nodes.begin[level], counts)
            stored = run_sums(self.edges.log_p[at] + self.edges.log_h[at], counts)
            self.nodes.log_total[level] = np.logaddexp(stored, self.nodes.log_rest[level] + self.bound)
            below = level[self.nodes.parent[level] >= 0]
            above = self.edge(self.nodes.parent[below], self.nodes.slot[below])
            self.edges.log_h[above] = self.nodes.log_total[below]

    # -- memory -----------------------------------------------------------------------------------------------------

    @property
    def bytes(self) -> int:
        """The memory in use."""
        return _OVERHEAD * (self.nodes.bytes + self.edges.bytes + self.found.bytes)

    @property
    def full(self) -> bool:
        """Whether it is time to forget something."""
        return self.bytes > self.max_bytes

    def forget(self, problem: Problem, keep: Ints | None = None) -> tuple[Ints, list[Text]]:
        """Forget the subtrees with the least mass, so that half of the memory is free. `keep` and what leads there
        stays. The new number of each node, -1 if it is gone; and the found texts that went with them."""
        keep = np.zeros(0, np.int64) if keep is None else keep
        settled = self._settled(keep)
        kept = self._worth_keeping(keep, settled)
        lost = self._found_without(kept)
        number = np.where(kept, np.cumsum(kept) - 1, -1)
        self._close_edges(kept, settled)
        self._renumber(kept, number)
        self.back_up(np.arange(self.nodes.size))
        self._pins = []
        self.pin(problem, np.concatenate([self.nodes.state, self.edges.state]))
        return number, lost

    def _worth_keeping(self, keep: Ints, settled: Flags) -> Flags:
        nodes, size = self.nodes, self.nodes.size
        weight = nodes.log_p[:size] + nodes.log_mass[:size]
        cost = np.array(self.nodes.bytes / max(size, 1) + 40.0 * nodes.count[:size])
        cost += 32.0 * np.bincount(self.found.node[: self.found.size], minlength=size)
        order = np.argsort(-weight, kind="stable")
        kept = np.zeros(size, np.bool_)
        kept[order[np.cumsum(cost[order]) * _OVERHEAD <= self.max_bytes / 2]] = True
        kept[0] = True
        kept[keep] = True
        return self._with_ancestors(kept & ~settled)

    def _settled(self, keep: Ints) -> Flags:
        """The nodes of which nothing is left to know: H = 0, and no text was found there."""
        useful = np.zeros(self.nodes.size, np.bool_)
        useful[self.found.node[: self.found.size]] = True
        useful[keep] = True
        useful[0] = True
        return ~self._with_ancestors(useful) & (self.nodes.log_total[: self.nodes.size] == -math.inf)

    def _with_ancestors(self, flags: Flags) -> Flags:
        for level in self.levels(np.arange(self.nodes.size)):
            parents = self.nodes.parent[level[flags[level]]]
            flags[parents[parents >= 0]] = True
        return flags

    def _found_without(self, kept: Flags) -> list[Text]:
        """Take out of `found` what stands in forgotten nodes."""
        stays = kept[self.found.node[: self.found.size]]
        lost = [self.found_text(row) for row in np.flatnonzero(~stays).tolist()]
        self.found.replace({name: array[stays] for name, array in self.found.arrays().items()})
        return lost

    def found_text(self, row: int) -> Text:
        """One of the found texts."""
        found = self.found
        numbers = (float(column[row]) for column in (found.log_prob, found.log_score, found.since))
        return Text(self.prefix(int(found.node[row])), *numbers)

    def _close_edges(self, kept: Flags, settled: Flags) -> None:
        """The edges that led to forgotten nodes promise what a first expansion would; nothing where nothing was."""
        gone = np.flatnonzero(~kept)
        gone = gone[kept[self.nodes.parent[gone]]]
        dead = gone[settled[gone]]
        at = self.edge(self.nodes.parent[gone], self.nodes.slot[gone])
        self.edges.log_h[at] = self.nodes.log_mass[gone] + self.bound
        self.edges.log_h[self.edge(self.nodes.parent[dead], self.nodes.slot[dead])] = -math.inf
        self.edges.child[at] = -1

    def _renumber(self, kept: Flags, number: Ints) -> None:
        columns = {name: array[kept] for name, array in self.nodes.arrays().items()}
        at = spread(columns["begin"], columns["count"])
        self.edges.replace({name: array[at] for name, array in self.edges.arrays().items()})
        columns["begin"] = np.cumsum(columns["count"]) - columns["count"]
        columns["room"] = columns["count"]
        columns["parent"] = np.where(columns["parent"] >= 0, number[columns["parent"]], -1)
        self.nodes.replace(columns)
        self.edges.child = np.where(self.edges.child >= 0, number[self.edges.child], -1)
        self.found.node = number[self.found.node]


def _viable(problem: Problem, row: Floats, mask: Flags | None, full: bool) -> Ints:
    """The tokens, ends not counted, that may follow and have mass."""
    if full:
        return np.zeros(0, np.int64)
    possible = row > -math.inf
    if mask is not None:
        possible &= mask
    possible[list(problem.vocabulary.eos)] = False
    return np.flatnonzero(possible)


def _following(row: Floats, tokens: Ints, log_end: float, stored: int) -> Following:
    """The edges that a row of log-probabilities makes: the end first, then the likeliest tokens, ascending."""
    log_p = row[tokens]
    everything = np.append(log_p, log_end)
    log_mass = log_sum(everything)
    entropy = _entropy(everything, log_mass)
    log_rest = -math.inf
    if len(tokens) > stored:
        order = np.argpartition(-log_p, stored)
        log_rest = log_sum(log_p[order[stored:]])
        top = np.sort(order[:stored])
        tokens, log_p = tokens[top], log_p[top]
    if log_end > -math.inf:
        tokens, log_p = np.append(END_TOKEN, tokens), np.append(log_end, log_p)
    return Following(tokens, log_p, log_rest, log_mass, entropy)


def _entropy(logs: Floats, log_mass: float) -> float:
    if log_mass == -math.inf:
        return 0.0
    normal = logs[logs > -math.inf] - log_mass
    return max(0.0, -float((np.exp(normal) * normal).sum()))
