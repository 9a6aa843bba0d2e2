"""ASAp, CARS and MCMC as their papers have them, written from the papers: one text at a time, no weights.

They are what `alignment.py` compares with; `samplers` has its own, which batch, carry weights and know Z. All three see
a tree of prefixes with, for each token that may follow, p and the bound H of what can still come of it.

* **ASAp** (Grammar-Aligned Decoding, 2405.21047): draw by p·H among the tokens of the mask, then hand the new bounds
  up. Every draw counts alike.
* **CARS** (2510.01902): draw from the model conditioned on "no prefix that is known to be invalid": by p·H where the
  prefix is known, by p alone where it is new. A token outside of the mask rejects the draw. Afterwards all that the
  masks along the way forbid is known to be invalid.
* **MCMC** (2506.05754): a draw by masking, then k times: cut the text, write on by masking, accept by
  Metropolis–Hastings. Cuts: the whole text ("restart"), anywhere ("uniform"), by entropy ("priority").
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samplers import Problem
from samplers.bits import flags_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Prefix = tuple[int, ...]

END = -1


@dataclass
class Node:
    """A prefix that was looked at."""

    tokens: Ints
    """What may follow; END for the end."""
    p: Floats
    h: Floats
    entropy: float
    """Of what may follow, renormalised."""

    @property
    def mass(self) -> float:
        return float(self.p.sum())


@dataclass
class Draw:
    """A text, or nothing, and whatever other texts were seen on the way to it."""

    text: Prefix | None
    seen: list[Prefix] = field(default_factory=list)


class Tree:
    """All prefixes that were looked at, each asked for once a visit."""

    def __init__(self, problem: Problem, rng: np.random.Generator):
        self.problem, self.rng = problem, rng
        self.nodes: dict[Prefix, Node] = {}
        self._states: dict[Prefix, int] = {(): problem.constraint.start}

    def at(self, prefix: Prefix) -> tuple[Node, bool]:
        """The node of a prefix, and whether it is new."""
        row = self.problem.model.rows([np.array(prefix, np.int64)], 1)[0]
        new = prefix not in self.nodes
        if new:
            self.nodes[prefix] = self._node(prefix, row)
        return self.nodes[prefix], new

    def _node(self, prefix: Prefix, row: Floats) -> Node:
        problem, state = self.problem, self._states[prefix]
        flags = flags_of(problem.mask_rows([state])[0], problem.vocabulary.size)
        flags[list(problem.vocabulary.eos)] = False
        going = np.flatnonzero(flags & (row > -math.inf)) if len(prefix) < problem.max_tokens else np.zeros(0, np.int64)
        tokens, logs = going, row[going]
        if problem.constraint.accepts(state):
            tokens, logs = np.append(tokens, END), np.append(logs, problem.log_end(row[None])[0])
        p = np.exp(logs)
        return Node(tokens, p, np.ones(len(p)), _entropy(p))

    def follow(self, prefix: Prefix, token: int) -> Prefix:
        """The prefix after one more token."""
        longer = (*prefix, token)
        if longer not in self._states:
            state = self.problem.advanced(np.array([self._states[prefix]]), np.array([token]))
            self._states[longer] = int(state[0])
        return longer

    def choose(self, weights: Floats) -> int:
        """An index, -1 if nothing has weight."""
        total = weights.sum()
        return int(self.rng.choice(len(weights), p=weights / total)) if total > 0.0 else -1

    def masked(self, prefix: Prefix) -> Prefix | None:
        """Write on by masking."""
        while True:
            node, _ = self.at(prefix)
            chosen = self.choose(node.p)
            if chosen < 0:
                return None
            if node.tokens[chosen] == END:
                return prefix
            prefix = self.follow(prefix, int(node.tokens[chosen]))

    def hand_up(self, path: list[tuple[Prefix, int]]) -> None:
        """H of prefixes from those behind them, the deepest first."""
        below = None
        for prefix, chosen in reversed(path):
            node = self.nodes[prefix]
            if below is not None:
                node.h[chosen] = below
            below = float(node.p @ node.h)


def _entropy(p: Floats) -> float:
    shares = p[p > 0.0] / max(p.sum(), 1e-300)
    return float(-(shares * np.log(shares)).sum())


def asap(problem: Problem, rng: np.random.Generator) -> Iterator[Draw]:
    """Draws of ASAp."""
    tree = Tree(problem, rng)
    while True:
        yield Draw(_descended(tree, masks=True))


def cars(problem: Problem, rng: np.random.Generator) -> Iterator[Draw]:
    """Draws of CARS, the rejected ones as nothing."""
    tree = Tree(problem, rng)
    while True:
        yield Draw(_descended(tree, masks=False))


def _descended(tree: Tree, *, masks: bool) -> Prefix | None:
    """One descent; without masks it is rejected at a new prefix with the probability of what the mask forbids."""
    prefix, path, text = (), list[tuple[Prefix, int]](), None
    while True:
        node, new = tree.at(prefix)
        weights = node.p * node.h
        if new and not masks:
            weights = np.append(weights, max(0.0, 1.0 - node.mass))
        chosen = tree.choose(weights)
        path.append((prefix, chosen))
        if not 0 <= chosen < len(node.tokens):
            break
        if node.tokens[chosen] == END:
            text = prefix
            break
        prefix = tree.follow(prefix, int(node.tokens[chosen]))
    tree.hand_up(path)
    return text


def mcmc(problem: Problem, rng: np.random.Generator, cut: str, k: int = 10) -> Iterator[Draw]:
    """The texts at which independent chains of `k` steps end."""
    tree = Tree(problem, rng)
    while True:
        text = tree.masked(())
        seen = [text] if text is not None else []
        for _ in range(k):
            text = _moved(tree, text, cut, seen)
        yield Draw(text, seen)


def _moved(tree: Tree, text: Prefix | None, cut: str, seen: list[Prefix]) -> Prefix | None:
    if text is None:
        return tree.masked(())
    cuts = _cuts(tree, text, cut)
    if not cuts.sum() > 0.0:
        return text
    place = tree.choose(cuts)
    other = tree.masked(text[:place])
    if other is None:
        return text
    seen.append(other)
    there, back = _log_mass(tree, other, place), _cuts(tree, other, cut)
    ratio = there + math.log(back[place]) - _log_mass(tree, text, place) - math.log(cuts[place])
    return other if math.log(max(tree.rng.random(), 1e-300)) < ratio else text


def _cuts(tree: Tree, text: Prefix, cut: str) -> Floats:
    """How likely each prefix of a text is to be cut at."""
    if cut == "restart":
        return np.eye(1, len(text) + 1)[0]
    if cut == "uniform":
        return np.full(len(text) + 1, 1.0 / (len(text) + 1))
    weights = np.array([math.expm1(tree.nodes[text[:i]].entropy) for i in range(len(text) + 1)])
    return weights / weights.sum() if weights.sum() > 0.0 else weights


def _log_mass(tree: Tree, text: Prefix, begin: int) -> float:
    """log of the product of the masses of the masks from a prefix on: P over what masking proposes."""
    return sum(math.log(tree.nodes[text[:i]].mass) for i in range(begin, len(text) + 1))
