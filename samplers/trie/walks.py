"""Walks: a round of descents through the trie, side by side.

Each descent goes from a prefix to the end of a text. At a node it draws an edge with probability

    q(a | u) = p(a | u)·G(ua) / Σ_b p(b | u)·G(ub)

where the *guide* G says how much may come of an edge: the bounds H of the trie, or nothing at all (`unguided`: plain
masking), or an estimate. Its weight is w = ∏ p/q·ψ, whatever the guide, so E[w·f] = E over P·1[L]·ψ of f. With the
bounds it telescopes: w = H(root)·∏ Σ_b p(b | u)·H(ub)/H(u), where only nodes that are new to the trie have a factor
other than 1, and w ≤ H(root).

**A round** sees the bounds as they were at its beginning: what its descents learn is handed up the trie when all of
them are done, so the descents of a round are independent of each other given the past, and nothing depends on which
of them ends first. That is what makes exact samplers exact in parallel.

A descent that needs log-probabilities waits; those that wait for the same prefix share it. One round at a time uses a
trie; two runs at once are told so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from grammars.errors import SamplingError
from samplers.errors import InvalidOption
from samplers.grouping import grouped
from samplers.log_space import log_sums
from samplers.problem import Problem
from samplers.protocols import NO_TOKENS, Contexts
from samplers.samples import CUT, END, LENGTH
from samplers.tape import Tape
from samplers.trie.tree import END_TOKEN, Trie

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOVING, UNKNOWN, UNSTORED, ENDED, STUCK, TOO_LONG = range(6)
_NAMES = {ENDED: END, STUCK: CUT, TOO_LONG: LENGTH}
_ROUNDING = 1e-9


class Guide(Protocol):
    """How much may come of edges, in log space; the same for all tokens of a node that are not stored."""

    def of_edges(self, trie: Trie, at: Ints) -> Floats: ...

    def of_rest(self, trie: Trie, nodes: Ints) -> Floats: ...

    def prepare(self, problem: Problem, trie: Trie, nodes: Ints) -> None:
        """These nodes have new edges."""
        ...


class Bounds:
    """G = H.

    >>> from samplers.trie import Trie
    >>> Bounds().of_edges.__name__
    'of_edges'
    """

    def of_edges(self, trie: Trie, at: Ints) -> Floats:
        return trie.edges.log_h[at]

    def of_rest(self, trie: Trie, nodes: Ints) -> Floats:
        return np.full(len(nodes), trie.bound)

    def prepare(self, problem: Problem, trie: Trie, nodes: Ints) -> None:
        return


class Unguided:
    """G = 1: masking."""

    def of_edges(self, trie: Trie, at: Ints) -> Floats:
        return np.zeros(len(at))

    def of_rest(self, trie: Trie, nodes: Ints) -> Floats:
        return np.zeros(len(nodes))

    def prepare(self, problem: Problem, trie: Trie, nodes: Ints) -> None:
        return


class Descent(NamedTuple):
    """One descent that is done."""

    tokens: Ints
    finish: str
    log_weight: float
    """log w; -inf unless it ended with a text."""
    log_prob: float
    log_score: float
    node: int
    slot: int
    """The last edge, -1 if there was none to take."""


@dataclass(frozen=True, eq=False)
class Walk:
    """The descents of one round, in the order of their launch.

    The trie is shared and grows; everything else is a value.
    """

    trie: Trie
    guide: Guide
    round: int
    tokens: tuple[Ints, ...]
    node: Ints
    """The node where each stands."""
    slot: Ints
    """The edge of it that it has chosen, -1 for none."""
    status: Ints
    log_p: Floats
    log_w: Floats
    log_score: Floats

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def waiting(self) -> Ints:
        """The descents that need log-probabilities."""
        return np.flatnonzero((self.status == UNKNOWN) | (self.status == UNSTORED))

    @cached_property
    def groups(self) -> tuple[tuple[Ints, ...], Ints, Ints]:
        """The prefixes that are waited for, for each waiting descent which, and for each prefix one that waits."""
        waiting: list[int] = self.waiting.tolist()
        distinct, rows, first = grouped(self.tokens[i] for i in waiting)
        return distinct, rows, self.waiting[first]

    @property
    def contexts(self) -> Contexts:
        return self.groups[0]

    @property
    def demand(self) -> int:
        return len(self.waiting)

    @property
    def done(self) -> bool:
        """Whether every descent has come to its end."""
        return not len(self.waiting)

    def descents(self) -> list[Descent]:
        """All of them, in the order of their launch."""
        return [self._descent(i) for i in range(len(self))]

    def _descent(self, i: int) -> Descent:
        status = int(self.status[i])
        numbers = [float(a[i]) for a in (self.log_w, self.log_p, self.log_score)]
        log_weight = numbers[0] if status == ENDED else -math.inf
        places = int(self.node[i]), int(self.slot[i])
        return Descent(self.tokens[i], _NAMES[status], log_weight, numbers[1], numbers[2], *places)


def launched(
    problem: Problem, trie: Trie, guide: Guide, n: int, tape: Tape, starts: tuple[Ints, ...] | None = None
) -> Walk:
    """`n` descents from the root, or from the nodes at the end of the given paths; as far as they get on their own."""
    trie.round += 1
    zeros = np.zeros(n)
    if starts is None:
        tokens, node = (NO_TOKENS,) * n, np.full(n, 0 if trie.nodes.size else -1)
    else:
        root = 0 if trie.nodes.size else -1
        node = np.array([path[-1] if len(path) else root for path in starts], np.int64)
        tokens = tuple(trie.prefix(int(i)) if i >= 0 else NO_TOKENS for i in node)
    status = np.where(node < 0, UNKNOWN, MOVING)
    walk = Walk(trie, guide, trie.round, tokens, node, np.full(n, -1), status, zeros, zeros, zeros)
    if (node < 0).any() and not (problem.log_prefix([NO_TOKENS])[0] > -math.inf):
        return replace(walk, status=np.full(n, STUCK))
    walk = replace(walk, log_p=np.where(node < 0, 0.0, trie.nodes.log_p[node] if trie.nodes.size else 0.0))
    return _descended(problem, walk, tape)


def resumed(problem: Problem, walk: Walk, log_probs: Floats, tape: Tape) -> Walk:
    """The descents after the model has answered."""
    if walk.trie.round != walk.round:
        raise InvalidOption(
            "two runs use one trie at the same time",
            hint="give each its own sampler; one after the other they may share one",
        )
    _, rows, first = walk.groups
    unknown = walk.status[first] == UNKNOWN
    moving = _Moves(walk)
    moving.expand(problem, log_probs, rows, first, unknown)
    moving.store(problem, log_probs, rows, first, ~unknown, tape)
    return _descended(problem, moving.walk(), tape)


def handed_up(walk: Walk, *, taking_out: bool = False) -> list[Descent]:
    """The end of a round: what its descents learned goes up the trie. Texts that were found stay in it, with H = ψ; or
    they are taken out, with H = 0 and their mass in `Trie.found`."""
    trie, descents = walk.trie, walk.descents()
    places = np.array([(d.node, d.slot) for d in descents if d.slot >= 0], np.int64).reshape(-1, 2)
    ended = np.array([d.finish == END for d in descents if d.slot >= 0], np.bool_)
    scores = np.array([d.log_score for d in descents if d.slot >= 0])
    trie.forbid(places[~ended, 0], places[~ended, 1])
    left: Floats = np.full(len(scores), -math.inf) if taking_out else scores
    trie.score(places[ended, 0], places[ended, 1], left[ended])
    if taking_out:
        for d in {d.tokens.tobytes(): d for d in descents if d.finish == END}.values():
            trie.take_out(d.node, d.log_prob, d.log_score)
    trie.back_up(trie.ancestry(d.node for d in descents))
    return descents


class _Moves:
    """Copies of the columns of a walk that one step writes to."""

    def __init__(self, walk: Walk):
        self._before, self.trie, self.guide = walk, walk.trie, walk.guide
        self.tokens = list(walk.tokens)
        self.node, self.slot, self.status = walk.node.copy(), walk.slot.copy(), walk.status.copy()
        self.log_p, self.log_w, self.log_score = walk.log_p.copy(), walk.log_w.copy(), walk.log_score.copy()

    def walk(self) -> Walk:
        return replace(
            self._before,
            tokens=tuple(self.tokens),
            node=self.node,
            slot=self.slot,
            status=self.status,
            log_p=self.log_p,
            log_w=self.log_w,
            log_score=self.log_score,
        )

    def expand(self, problem: Problem, log_probs: Floats, rows: Ints, first: Ints, which: NDArray[np.bool_]) -> None:
        """New nodes for the prefixes that nobody had looked at."""
        groups = np.flatnonzero(which)
        if not len(groups):
            return
        parents, slots = self.node[first[groups]], self.slot[first[groups]]
        ids = np.full(len(first), -1)
        ids[groups] = self.trie.expanded(problem, parents.tolist(), slots.tolist(), log_probs[groups])
        self.guide.prepare(problem, self.trie, ids[groups])
        entered = self._before.waiting[which[rows]]
        self.node[entered], self.slot[entered] = ids[rows[which[rows]]], -1
        self.status[entered] = MOVING

    def store(
        self, problem: Problem, log_probs: Floats, rows: Ints, first: Ints, which: NDArray[np.bool_], tape: Tape
    ) -> None:
        """Draw among the tokens that were not stored, and store those that were drawn."""
        for group in np.flatnonzero(which).tolist():
            walkers = self._before.waiting[rows == group]
            node = int(self.node[first[group]])
            rest = self.trie.rest_of(problem, node, log_probs[group])
            drawn = tape.choose(np.broadcast_to(rest, (len(walkers), len(rest))))
            tokens, which_token = np.unique(drawn, return_inverse=True)
            slots = self.trie.stored_too(node, tokens, rest)
            self.guide.prepare(problem, self.trie, np.array([node]))
            self.slot[walkers] = slots[which_token]
            self.log_p[walkers] += rest[drawn]
            self.status[walkers] = MOVING
            self.follow(problem, walkers)

    def draw(self, problem: Problem, walkers: Ints, tape: Tape) -> None:
        """One edge for each of some walkers that stand at nodes."""
        trie, nodes = self.trie, self.node[walkers]
        distinct, rows = np.unique(nodes, return_inverse=True)
        table, log_g = _table(trie, self.guide, distinct)
        totals = log_sums(table)[rows]
        chosen = tape.choose(table[rows])
        stuck = chosen < 0
        full = trie.nodes.depth[nodes] >= problem.max_tokens
        self.status[walkers[stuck]] = STUCK
        self.status[walkers[stuck & full]] = TOO_LONG
        going, picked = walkers[~stuck], chosen[~stuck]
        self.log_w[going] += totals[~stuck] - log_g[rows[~stuck], picked]
        rest = picked == table.shape[1] - 1
        self.status[going[rest]] = UNSTORED
        stored = going[~rest]
        self.slot[stored] = picked[~rest]
        self.log_p[stored] += trie.edges.log_p[trie.edge(self.node[stored], self.slot[stored])]

    def follow(self, problem: Problem, walkers: Ints) -> None:
        """Go where the chosen edges lead: to a node, into the unknown, to the end of the text, or nowhere."""
        trie = self.trie
        trie.ask_states(problem, self.node[walkers], self.slot[walkers])
        at = trie.edge(self.node[walkers], self.slot[walkers])
        tokens, child = trie.edges.token[at], trie.edges.child[at]
        ends = tokens == END_TOKEN
        dead = ~ends & (trie.edges.state[at] < 0)
        self.end(problem, walkers[ends])
        self.status[walkers[dead]] = STUCK
        on = ~ends & ~dead
        pairs: list[tuple[int, int]] = list(zip(walkers[on].tolist(), tokens[on].tolist(), strict=True))
        for walker, token in pairs:
            self.tokens[walker] = np.append(self.tokens[walker], token)
        known = on & (child >= 0)
        self.node[walkers[known]], self.slot[walkers[known]] = child[known], -1
        self.enter(problem, walkers[on & (child < 0)])

    def enter(self, problem: Problem, walkers: Ints) -> None:
        """Wait for the log-probabilities of new prefixes, unless a potential says that nothing can come of them."""
        self.status[walkers] = UNKNOWN
        if problem.potentials and len(walkers):
            rows: list[int] = walkers.tolist()
            scores = problem.log_prefix([self.tokens[i] for i in rows])
            self.status[walkers[scores == -math.inf]] = STUCK

    def end(self, problem: Problem, walkers: Ints) -> None:
        """Complete texts: the constraint (if there are no masks) and the potentials have the last word."""
        if not len(walkers):
            return
        self.status[walkers] = ENDED
        if not self.trie.masks:
            complete = [problem.constraint.accepts(int(s)) for s in self.trie.nodes.state[self.node[walkers]]]
            self.status[walkers[~np.array(complete, np.bool_)]] = STUCK
            walkers = walkers[np.array(complete, np.bool_)]
        if problem.potentials:
            rows: list[int] = walkers.tolist()
            scores = problem.log_complete([self.tokens[i] for i in rows])
            _check_bound(self.trie, scores)
            self.log_score[walkers] = scores
            self.log_w[walkers] += scores
            self.status[walkers[scores == -math.inf]] = STUCK


def _table(trie: Trie, guide: Guide, nodes: Ints) -> tuple[Floats, Floats]:
    """For each node the log of p·G of its edges, padded, and of the rest in the last column; and log G alone."""
    counts = trie.nodes.count[nodes]
    width = int(counts.max(initial=0)) + 1
    slots = np.arange(width - 1)
    real = slots < counts[:, None]
    at = (trie.nodes.begin[nodes][:, None] + slots)[real]
    table, log_g = np.full((2, len(nodes), width), -math.inf)
    log_g[:, :-1][real] = guide.of_edges(trie, at)
    table[:, :-1][real] = trie.edges.log_p[at] + log_g[:, :-1][real]
    log_g[:, -1] = guide.of_rest(trie, nodes)
    table[:, -1] = trie.nodes.log_rest[nodes] + log_g[:, -1]
    return table, log_g


def _descended(problem: Problem, walk: Walk, tape: Tape) -> Walk:
    """As far as the descents get without the model."""
    moves = _Moves(walk)
    while len(moving := np.flatnonzero(moves.status == MOVING)):
        moves.draw(problem, moving, tape)
        chosen = moving[moves.status[moving] == MOVING]
        moves.follow(problem, chosen)
    return moves.walk()


def _check_bound(trie: Trie, scores: Floats) -> None:
    if len(scores) and scores.max() > trie.bound + _ROUNDING:
        raise SamplingError(
            f"a text has log ψ = {scores.max():.4g}, above the bound {trie.bound:.4g}: a trie needs one that holds",
            hint="give the potential an attribute log_bound, or use SMC, which needs none",
        )
