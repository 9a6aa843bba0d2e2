"""Guarded: another model writes, the target decides: a trained policy made exact.

**Idea.** A policy q that was trained to write what the constraint wants proposes good texts, but with its own
probabilities. Correct them: accept its texts with a probability that makes up for the difference.

**Formula.** Texts are drawn from q under the masks, with weight w(x) = P(x)·ψ(x)/q(x | masks).
* `method="metropolis"`: an independence chain of `k` steps from the first text, each accepting x′ at x with
  probability min(1, w(x′)/w(x)).
* `method="rejection"`: accept x with probability w(x)/e^`log_bound`.

**Law.** Metropolis tends to P* as k grows, at a geometric rate if w is bounded. Rejection is exact if w ≤ e^log_bound
everywhere; a text that breaks the bound is an error, not a bias. Either way the policy must not exclude what the target
allows. Metropolis rows carry the unbiased mean of all w, rejection rows Ẑ = e^log_bound·(m − 1)/(T − 1) of the T
draws that m accepted ones took.

**Reported** in `Samples.notes`, all estimated from the draws: `acceptance_rate`; `log_policy_mass`, log q(L), the
policy's own mass on the language; `kl_policy` = KL(P*‖q) and `kl_policy_in_language` = KL(P*‖q(· | L)) =
kl_policy + log q(L), what is still wrong with the policy when its format is guaranteed.

**Cost.** A call of the policy and one of the model for each token drawn, (k + 1)·n texts or 1/acceptance for each.

**When.** A policy that is close to P*: then almost everything is accepted. The KLs say whether it is.

Paper: Guaranteed Generation from Large Language Models (2410.06716).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from grammars.errors import BudgetExhausted, SamplingError
from samplers.errors import require
from samplers.evaluation import Evaluator
from samplers.log_space import effective_size, log_mean, shares
from samplers.particles import Frontier, Particles, Proposal, at_budget, collected, extended, frontier, started
from samplers.problem import Problem, require_same
from samplers.protocols import Contexts, Info, LanguageModel
from samplers.samples import END, Samples
from samplers.tape import Source, Tape, coins, tape_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_METHODS = ("metropolis", "rejection")
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts that the policy wrote, or is writing, and log of the mass that the masks left it at each."""

    particles: Particles
    log_mass: Floats


@dataclass(frozen=True, eq=False)
class Pool:
    """The batch on its way, those before it, and what was accepted: rows counted through all batches."""

    policy: Evaluator
    n: int
    batch: Batch | None
    done: tuple[Batch, ...] = ()
    accepted: tuple[int, ...] = ()
    draws: int = 0
    moves: int = 0
    """Accepted proposals of all chains."""

    @property
    def contexts(self) -> Contexts:
        return self.batch.particles.contexts if self.batch is not None else ()

    @property
    def demand(self) -> int:
        return self.batch.particles.demand if self.batch is not None else 0


@dataclass(frozen=True)
class Guarded:
    """Draws from `policy`, corrected to the target.

    `method` is "metropolis" with `k` steps, or "rejection" with `log_bound` on log w, `width` draws at a time and at
    most `max_draws` for each text.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|b"))
    >>> policy = Tabulated(v, {(): [1, 1, 0]}, otherwise=[0, 0, 1])
    >>> samples = sample(problem, Guarded(policy, method="rejection", log_bound=np.log(0.25)), n=900, seed=0)
    >>> round(samples.text.count(b"a") / 900, 1), abs(samples.notes["acceptance_rate"] - 0.75) < 0.05
    (0.7, True)
    """

    policy: LanguageModel
    method: str = "metropolis"
    k: int = 10
    log_bound: float | None = None
    width: int = 16
    max_draws: int = 10_000

    law: ClassVar[str] = "approximate"

    def __post_init__(self) -> None:
        known = self.method in _METHODS
        require(known, f"there is no method {self.method!r}", f"use one of {', '.join(_METHODS)}")
        require(self.k >= 0, f"k is a number of steps, not {self.k}")
        bounded = self.log_bound is not None and math.isfinite(self.log_bound)
        message = "rejection needs log_bound, an upper bound of log P(x)·ψ(x)/q(x)"
        require(self.method != "rejection" or bounded, message, 'use method="metropolis", which needs none')
        require(self.width >= 1, f"width is at least 1, not {self.width}")
        require(self.max_draws >= 1, f"max_draws is at least 1, not {self.max_draws}")

    def init(self, problem: Problem, n: int, rng: Source) -> Pool:
        require_same(self.policy.vocabulary, problem.vocabulary, "the policy")
        policy = self.policy if isinstance(self.policy, Evaluator) else Evaluator(self.policy)
        size = n * (self.k + 1) if self.method == "metropolis" else self.width
        pool = Pool(policy, n, _begun(problem, size) if n else None)
        return self._settled(problem, pool, tape_of(rng))

    def step(self, problem: Problem, state: Pool, log_probs: Floats, rng: Source) -> tuple[Pool, Info]:
        if state.batch is None:
            return state, Info(np.zeros(0))
        batch = _moved(problem, state.policy, state.batch, log_probs, tape_of(rng))
        info = Info(batch.log_mass, effective_size(batch.particles.log_weights))
        return self._settled(problem, replace(state, batch=batch), tape_of(rng)), info

    def finish(self, problem: Problem, state: Pool) -> Samples:
        if state.n and not state.accepted:
            raise BudgetExhausted(
                f"none of {state.draws} texts of the policy was accepted",
                hint="raise max_draws, lower log_bound if it is not tight, or train the policy further",
            )
        drawn = [collected(problem, batch.particles) for batch in state.done]
        log_w = np.concatenate([np.zeros(0), *(samples.log_weights for samples in drawn)])
        log_z = self._log_estimate(state, log_w)
        shown = _picked(problem, drawn, state.accepted[: state.n], log_z)
        return replace(shown, log_z=log_z, notes=self._report(state, drawn, log_w) if state.n else {})

    # -- what is accepted -------------------------------------------------------------------------------------------

    def _settled(self, problem: Problem, state: Pool, tape: Tape) -> Pool:
        """Judge a batch that is complete; another one if more texts are wanted."""
        while state.batch is not None and not len(state.batch.particles.running):
            batch, weights = state.batch, collected(problem, state.batch.particles).log_weights
            state = replace(state, batch=None, done=(*state.done, batch))
            if self.method == "metropolis":
                state = _chained(state, weights.reshape(state.n, self.k + 1), tape)
                continue
            state = self._rejected(state, weights, tape)
            wanted = max(state.n, 2)
            if len(state.accepted) < wanted and state.draws < self.max_draws * wanted:
                state = replace(state, batch=_begun(problem, self.width))
        return state

    def _rejected(self, state: Pool, log_w: Floats, tape: Tape) -> Pool:
        bound, worst = float(self.log_bound or 0.0), float(log_w.max(initial=-math.inf))
        if worst > bound + _ROUNDING:
            raise SamplingError(
                f"a text has log w = {worst:.4g}, above log_bound = {bound:.4g}: rejection would not be exact",
                hint='raise log_bound, or use method="metropolis"',
            )
        begin = sum(len(batch.particles) for batch in state.done[:-1])
        accepted, draws = list(state.accepted), state.draws
        for row, head in enumerate(coins(tape, log_w - bound).tolist()):
            if len(accepted) == max(state.n, 2):
                break
            draws += 1
            accepted += [begin + row] if head else []
        return replace(state, accepted=tuple(accepted), draws=draws)

    def _log_estimate(self, state: Pool, log_w: Floats) -> float:
        if not state.n:
            return math.nan
        if self.method == "metropolis":
            return log_mean(log_w)
        found, bound = len(state.accepted), float(self.log_bound or 0.0)
        complete = found == max(state.n, 2)
        return bound + math.log((found - 1) / (state.draws - 1) if complete else found / state.draws)

    def _report(self, state: Pool, drawn: Sequence[Samples], log_w: Floats) -> dict[str, float]:
        """The acceptance rate, and how far the policy is from the target."""
        rate = len(state.accepted) / max(state.draws, 1)
        if self.method == "metropolis":
            rate = state.moves / (state.n * self.k) if self.k else math.nan
        log_mass = np.concatenate([batch.log_mass for batch in state.done])
        log_target = np.concatenate([s.log_probs + s.log_potential for s in drawn])
        finished = np.concatenate([s.finished for s in drawn])
        log_policy_mass = log_mean(np.where(finished, log_mass, -math.inf))
        rows = np.flatnonzero(log_w > -math.inf)
        log_policy = log_target[rows] - log_w[rows] + log_mass[rows]
        kl = float((shares(log_w[rows]) * (log_target[rows] - log_mean(log_w) - log_policy)).sum())
        return {
            "acceptance_rate": rate,
            "log_policy_mass": log_policy_mass,
            "kl_policy": kl,
            "kl_policy_in_language": kl + log_policy_mass,
        }


def _begun(problem: Problem, size: int) -> Batch:
    return Batch(started(problem, size), np.zeros(size))


def _moved(problem: Problem, policy: Evaluator, batch: Batch, log_probs: Floats, tape: Tape) -> Batch:
    """One token further, each drawn by the policy under the masks."""
    particles = batch.particles
    front = frontier(problem, particles, log_probs)
    rows = policy.rows(front.contexts, particles.demand)
    masks = problem.mask_rows(front.states, end_only=at_budget(problem, particles))
    tokens, log_mass = tape.tokens(rows, masks, front.rows)
    ratio = _log_of_token(problem, front, log_probs, tokens) - _log_of_token(problem, front, rows, tokens)
    proposal = Proposal(tokens, np.where(tokens < 0, -math.inf, ratio + log_mass[front.rows]))
    total = batch.log_mass.copy()
    total[particles.running] += log_mass[front.rows]
    return Batch(extended(problem, particles, front, proposal), total)


def _log_of_token(problem: Problem, front: Frontier, rows: Floats, tokens: Ints) -> Floats:
    """The log-probability of each drawn token; all end tokens are one. 0 where nothing was drawn."""
    log_p = np.where(problem.is_end(tokens), problem.log_end(rows)[front.rows], rows[front.rows, np.maximum(tokens, 0)])
    return np.where(tokens < 0, 0.0, log_p)


def _chained(state: Pool, log_w: Floats, tape: Tape) -> Pool:
    """Where each chain is after all its proposals; one that has no text yet takes any."""
    chain = np.arange(state.n)
    at, moves = np.zeros(state.n, np.int64), 0
    for proposal in range(1, log_w.shape[1]):
        here, there = log_w[chain, at], log_w[:, proposal]
        ratio, ends = np.full(state.n, -math.inf), there > -math.inf
        ratio[ends] = np.where(here[ends] > -math.inf, there[ends] - here[ends], 0.0)
        heads = coins(tape, ratio)
        at = np.where(heads, proposal, at)
        moves += int(heads.sum())
    rows: Ints = chain * log_w.shape[1] + at
    return replace(state, accepted=tuple(rows.tolist()), draws=log_w.size, moves=moves)


def _picked(problem: Problem, drawn: Sequence[Samples], rows: Sequence[int], log_z: float) -> Samples:
    """Some rows of all batches, equal in weight; unfinished ones have none."""
    if not drawn:
        return collected(problem, started(problem, 0))
    sizes = np.cumsum([0, *(len(samples) for samples in drawn)])
    parts: list[Samples] = []
    for samples, begin, end in zip(drawn, sizes[:-1], sizes[1:], strict=True):
        own = np.array([row - begin for row in rows if begin <= row < end], np.int64)
        weights = np.where(samples.finished[own], log_z, -math.inf)
        parts.append(samples.take(own, weights))
    return _together(parts)


def _together(parts: Sequence[Samples]) -> Samples:
    log_weights, log_probs, log_potential = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("log_weights", "log_probs", "log_potential")
    )
    finish = tuple(f for part in parts for f in part.finish)
    done = np.array([f == END for f in finish], np.bool_) & (log_weights > -math.inf)
    return Samples(
        tokens=tuple(t for part in parts for t in part.tokens),
        finish=finish,
        text=tuple(t for part in parts for t in part.text),
        log_weights=log_weights,
        log_probs=log_probs,
        log_proposal=np.where(done, log_probs + log_potential - np.where(done, log_weights, 0.0), 0.0),
        log_potential=log_potential,
    )
