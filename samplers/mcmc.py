"""MCMC: take a text, cut it somewhere, write on, and keep the better one with the right probability.

**Idea.** Masking gets every text right but its probability. A Metropolis–Hastings chain that proposes by masking and
compares the true probabilities forgets the bias, step by step; any text that it shows is a valid one.

**Formula.** At a text x choose a prefix u of it with probability c(u | x), write on from u by masking to x′, and
accept with probability min(1, [w(x′ | u)·c(u | x′)]/[w(x | u)·c(u | x)]), where w(x | u) = ψ(x)·∏ z(v) over the
prefixes v of x from u on. `cut` says how c is made:

* "restart": the empty prefix, always (independence sampler; whole texts).
* "uniform": each of the |x| + 1 prefixes alike.
* "priority": proportional to e^{entropy(v)} − 1, the entropy of what may follow v: where there was no choice, no cut.

**Law.** Tends to P* as `k` grows, from the law of masking at k = 0; the rows are `n` independent chains. All carry the
unbiased estimate of Z that their `n` first texts give. A descent that ends without a text is never accepted.

**Cost.** k + 1 masked texts for each row, without the prefix that is kept; known prefixes cost nothing.

**When.** A better approximation than masking for a fixed budget, with complete texts at any time. Not where Z is spread
over parts of the language that masking hardly ever proposes: the chain then stays where it is, and does not tell.

Paper: 2506.05754 (constrained sampling by MCMC, with these three cuts).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers.errors import require
from samplers.log_space import log_mean, log_of
from samplers.problem import Problem
from samplers.protocols import Contexts, Info
from samplers.samples import END, Samples
from samplers.tape import Source, Tape, coins, tape_of
from samplers.trie import Trie
from samplers.trie.rounds import as_samples, distinct_mass
from samplers.trie.walks import Descent, Unguided, Walk, launched, resumed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CUTS = ("restart", "uniform", "priority")
_NO_PATH: Ints = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Link:
    """Where a chain stands: its text, the nodes of its prefixes, and log w from each of them on."""

    descent: Descent
    path: Ints
    log_w: Floats


@dataclass(frozen=True, eq=False)
class Chains:
    """All chains; `walk` writes the proposals that begin at `cuts`, positions in the paths."""

    trie: Trie
    walk: Walk | None
    links: tuple[Link, ...] = ()
    cuts: tuple[int, ...] = ()
    left: int = 0
    accepted: int = 0
    proposed: int = 0
    log_z: float = math.nan

    @property
    def contexts(self) -> Contexts:
        return self.walk.contexts if self.walk is not None else ()

    @property
    def demand(self) -> int:
        return self.walk.demand if self.walk is not None else 0


@dataclass(frozen=True)
class MCMC:
    """`k` Metropolis–Hastings steps from a masked draw, for each of n chains.

    `stored` tokens of each prefix are kept, `max_bytes` bounds the trie of the run.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb"))
    >>> samples = sample(problem, MCMC(k=20, cut="uniform"), n=1000, seed=0)
    >>> abs(samples.text.count(b"a") / 1000 - 8 / 9) < 0.05
    True
    """

    k: int = 10
    cut: str = "priority"
    stored: int = 128
    max_bytes: int = 1 << 29

    law: ClassVar[str] = "approximate"

    def __post_init__(self) -> None:
        require(self.k >= 0, f"k is a number of steps, not {self.k}")
        require(self.cut in _CUTS, f"there is no cut {self.cut!r}", f"use one of {', '.join(_CUTS)}")
        require(self.stored >= 1, f"at least one token is stored for a prefix, not {self.stored}")

    def init(self, problem: Problem, n: int, rng: Source) -> Chains:
        trie = Trie(problem, stored=self.stored, max_bytes=self.max_bytes)
        if not n:
            return Chains(trie, None)
        walk = launched(problem, trie, Unguided(), n, tape_of(rng))
        return self._settled(problem, Chains(trie, walk, left=self.k), tape_of(rng))

    def step(self, problem: Problem, state: Chains, log_probs: Floats, rng: Source) -> tuple[Chains, Info]:
        if state.walk is None:
            return state, Info(np.zeros(0))
        walk = resumed(problem, state.walk, log_probs, tape_of(rng))
        after = self._settled(problem, replace(state, walk=walk), tape_of(rng))
        notes = {"steps": self.k - after.left, "accepted": after.accepted}
        return after, Info(np.full(state.demand, math.nan), notes=notes)

    def finish(self, problem: Problem, state: Chains) -> Samples:
        descents = [link.descent for link in state.links]
        log_z = state.log_z if state.log_z > -math.inf else distinct_mass(descents)  # nothing at first: what is found
        samples = as_samples(problem, descents, np.full(len(descents), log_z))
        rate = state.accepted / state.proposed if state.proposed else math.nan
        return replace(samples, log_z=log_z if descents else math.nan, notes={"acceptance_rate": rate})

    def _settled(self, problem: Problem, state: Chains, tape: Tape) -> Chains:
        """Judge proposals that are complete, and make new ones until some need the model."""
        while state.walk is not None and state.walk.done:
            state = _judged(self, problem, state, state.walk.descents(), tape)
            state = self._proposed(problem, _tidied(problem, state), tape) if state.left else replace(state, walk=None)
        return state

    def _proposed(self, problem: Problem, state: Chains, tape: Tape) -> Chains:
        """Cut every text and write on."""
        logs = [self.log_cuts(state.trie, link.path) for link in state.links]
        cuts = [int(tape.choose(row[None])[0]) if len(row) else -1 for row in logs]
        starts = tuple(link.path[: cut + 1] for link, cut in zip(state.links, cuts, strict=True))
        walk = launched(problem, state.trie, Unguided(), len(starts), tape, starts)
        return replace(state, walk=walk, cuts=tuple(cuts), left=state.left - 1)

    def log_cuts(self, trie: Trie, path: Ints) -> Floats:
        """log c(u | x) for the prefixes u of a text, given its nodes; -inf everywhere if it cannot be cut."""
        weights = np.ones(len(path))
        if self.cut == "restart":
            weights[1:] = 0.0
        if self.cut == "priority":
            weights = np.expm1(trie.nodes.entropy[path])
        total = weights.sum()
        return log_of(weights / total) if total > 0.0 else np.full(len(path), -math.inf)


def _link(trie: Trie, descent: Descent) -> Link:
    """A chain at a text, or at nothing yet."""
    if descent.finish != END:
        return Link(descent, _NO_PATH, np.zeros(0))
    path = trie.path(descent.node)
    behind = np.cumsum(trie.nodes.log_mass[path][::-1])[::-1]
    return Link(descent, path, behind + descent.log_score)


def _judged(sampler: MCMC, problem: Problem, state: Chains, descents: Sequence[Descent], tape: Tape) -> Chains:
    proposals = [_link(state.trie, d) for d in descents]
    if not state.links:
        return replace(state, links=tuple(proposals), log_z=log_mean([d.log_weight for d in descents]))
    ratios = [
        _log_ratio(sampler, state.trie, link, proposal, cut)
        for link, proposal, cut in zip(state.links, proposals, state.cuts, strict=True)
    ]
    heads = coins(tape, np.array(ratios))
    links = tuple(b if head else a for a, b, head in zip(state.links, proposals, heads.tolist(), strict=True))
    accepted, proposed = state.accepted + int(heads.sum()), state.proposed + len(heads)
    return replace(state, links=links, accepted=accepted, proposed=proposed)


def _log_ratio(sampler: MCMC, trie: Trie, link: Link, proposal: Link, cut: int) -> float:
    """log of the probability to accept, up to min(1, ·); a chain that has no text yet takes any."""
    if proposal.descent.finish != END:
        return -math.inf
    if link.descent.finish != END or cut < 0:
        return 0.0
    here, there = sampler.log_cuts(trie, link.path)[cut], sampler.log_cuts(trie, proposal.path)[cut]
    return float(proposal.log_w[cut] + there - link.log_w[cut] - here)


def _tidied(problem: Problem, state: Chains) -> Chains:
    """Forget what no chain stands on, if the trie is full."""
    if not state.trie.full:
        return state
    number, _ = state.trie.forget(problem, np.concatenate([link.path for link in state.links]))
    links = tuple(replace(link, path=number[link.path]) for link in state.links)
    return replace(state, links=links)
