r"""Distribution matching, and GUARD: a proposal that is trained towards the target, then made exact.

The target is the base model's own law over the language, g = P/Z with P(y) = π₀(y)·1[y ∈ L]·ψ(y). The policy a starts
as a copy of π₀ and follows −∇KL(g‖a) = E_q[P/(Z·q)·∇log a] (DPG), with draws q of itself under the masks. Z is the
mean weight P/q of all draws so far. Two terms keep the variance low: with masked draws a control variate on log q,
whose mean gradient is zero; with draws of the bare policy the baseline of GDC++.

However far training gets, `guard` makes exact samples of it: by rejection, or an independence chain. What it reports
is tied together,

    KL(g‖a(·|L)) = KL(g‖a) + log a(L),

where a(L) is the share of the policy's bare draws that are in the language: its acceptance rate. Both sides are
computed by different ways, through rollouts and masks on the left, through a forward pass on the right; if they differ
the rollouts do not belong to the policy, and `BrokenIdentity` says so.

Papers: DPG (2012.11635), GDC++ (2206.00761), Guaranteed Generation (2410.06716).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decoding.engine import Engine
from decoding.rl import losses
from decoding.rl.errors import BadConfiguration, BrokenIdentity
from decoding.rl.incidents import Incidents
from decoding.rl.losses import Coefficients
from decoding.rl.rollouts import Group, Rollout, collect
from decoding.rl.tensors import Logs, forwarded
from samplers import Guarded, Masking, Samples, sample
from samplers.log_space import log_mean, log_sum, shares
from samplers.protocols import Sampler

Floats = NDArray[np.float64]

_TOLERANCE = 1e-2  # nats, of a sum over the tokens of a text in single precision


@dataclass
class Evidence:
    """The running estimate of log Z of a prompt: the mean of all weights P/q so far.

    >>> z = Evidence()
    >>> z.add(np.log([0.1, 0.3]))
    >>> z.add(np.array([-np.inf, -np.inf]))
    >>> round(math.exp(z.log_z), 6)
    0.1
    """

    log_total: float = -math.inf
    draws: int = 0

    def add(self, log_weights: Floats) -> None:
        """The weights of some draws more."""
        self.log_total = log_sum([self.log_total, log_sum(log_weights)])
        self.draws += len(log_weights)

    @property
    def log_z(self) -> float:
        """-inf as long as nothing had weight."""
        return self.log_total - math.log(self.draws) if self.draws else -math.inf


@dataclass(frozen=True)
class Divergences:
    """How far the policy is from the target."""

    acceptance: float
    """a(L): how many of the policy's bare draws are in the language."""
    kl_policy: float
    """KL(g‖a)."""
    kl_in_language: float
    """KL(g‖a(·|L)): what is still wrong where the format is guaranteed."""

    def figures(self) -> dict[str, float]:
        """For a metrics file."""
        return {"legal_mass": self.acceptance, "kl": self.kl_policy, "kl_in_language": self.kl_in_language}


@dataclass(frozen=True, eq=False)
class Weighed:
    """A group of draws beside the target: everything in logarithms, per row."""

    rows: Sequence[Rollout]
    log_target: Floats
    """log P: of the base model, with potentials."""
    log_policy: Floats
    """log a, from a forward pass."""

    @property
    def log_masked(self) -> Floats:
        """log q, as it was recorded while drawing."""
        return np.array([row.log_masked.sum() for row in self.rows])

    @property
    def log_mass(self) -> Floats:
        """log ∏ Z_t."""
        return np.array([row.log_mass.sum() for row in self.rows])

    @property
    def log_weights(self) -> Floats:
        """log P/q."""
        return self.log_target - self.log_masked


def divergences(weighed: Weighed, log_z: float | None = None, tolerance: float = _TOLERANCE) -> Divergences:
    """Both divergences and the acceptance rate of masked draws, estimated from them; raises `BrokenIdentity` if they
    do not belong together."""
    weights = shares(weighed.log_weights)
    log_z = log_mean(weighed.log_weights) if log_z is None else log_z
    ended = np.array([row.finished for row in weighed.rows])
    log_accepted = log_mean(np.where(ended, weighed.log_mass, -math.inf))
    log_g = np.where(weights > 0, weighed.log_target - log_z, 0.0)
    used = weights > 0
    kl_policy = float((weights * (log_g - weighed.log_policy))[used].sum())
    log_in_language = weighed.log_masked + weighed.log_mass - log_accepted
    kl_in_language = float((weights * (log_g - log_in_language))[used].sum())
    require_identity(kl_in_language, kl_policy, log_accepted, tolerance)
    return Divergences(math.exp(min(log_accepted, 0.0)), kl_policy, kl_in_language)


def require_identity(kl_in_language: float, kl_policy: float, log_accepted: float, tolerance: float) -> None:
    """Raise `BrokenIdentity` unless KL(g‖a(·|L)) = KL(g‖a) + log a(L).

    >>> require_identity(0.1, 0.3, -0.2, 1e-9)
    >>> require_identity(0.1, 0.3, -0.1, 1e-9)
    Traceback (most recent call last):
    decoding.rl.errors.BrokenIdentity: KL(g|a in L) = 0.1 is not KL(g|a) + log a(L) = 0.3 - 0.1
    hint: the rollouts were drawn by another policy than the one they are weighed with, or under other masks
    """
    if not abs(kl_in_language - kl_policy - log_accepted) <= tolerance:
        sign = "+" if log_accepted >= 0 else "-"
        raise BrokenIdentity(
            f"KL(g|a in L) = {kl_in_language:.4g} is not KL(g|a) + log a(L) = "
            f"{kl_policy:.4g} {sign} {abs(log_accepted):.4g}",
            hint="the rollouts were drawn by another policy than the one they are weighed with, or under other masks",
        )


# -- a step -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matching:
    """How the policy is matched to the target.

    `proposal` is "masked", draws of the policy under the masks, or "policy", its bare draws with GDC++'s baseline.
    """

    n: int = 16
    max_tokens: int = 64
    proposal: str = "masked"
    sampler: Sampler = field(default_factory=Masking)
    potentials: tuple[Any, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.proposal not in ("masked", "policy"):
            raise BadConfiguration(f"there is no proposal {self.proposal!r}", hint="there are masked and policy")


class Matcher:
    """A policy on its way to the target; `step` is one gradient.

    `model` is a causal model of transformers that is trained, `base` the one that it started as.
    """

    def __init__(self, model: Any, base: Any, tokenizer: Any, settings: Matching):
        self.model, self.base, self.settings = model, base.eval(), settings
        self.policy = Engine.load(model, tokenizer)
        self.target = Engine.load(base, tokenizer)
        self.evidence: dict[str, Evidence] = {}
        self.incidents = Incidents()

    def loss(
        self, prompts: Sequence[str], constraint_of: Callable[[str], Any], seed: Any, forward: Any = None
    ) -> tuple[Tensor, dict[str, float]]:
        """The surrogate of one step, and its figures; `forward` is the model as a trainer wrapped it."""
        groups, figures = self._drawn(prompts, constraint_of, seed)
        parts: list[Tensor] = []
        found: list[Divergences] = []
        for group in groups:
            logs = forwarded(self.model if forward is None else forward, group.rows, self.policy.vocabulary)
            weighed = self._weighed(group, logs)
            if not np.isfinite(weighed.log_weights).any():
                self.incidents.note("weightless")
                continue
            parts.append(self._surrogate(group.prompt, weighed, logs))
            if self.settings.proposal == "masked":
                found.append(divergences(weighed, self.evidence[group.prompt].log_z))
        return sum(parts, torch.zeros(())) / max(len(groups), 1), figures | _means(found)

    def _drawn(
        self, prompts: Sequence[str], constraint_of: Callable[[str], Any], seed: Any
    ) -> tuple[list[Group], dict[str, float]]:
        options = self.settings
        constraints = [constraint_of(prompt) for prompt in prompts]
        is_masked = options.proposal == "masked"
        drawn = collect(
            self.policy,
            prompts,
            constraints if is_masked else None,
            options.sampler if is_masked else Masking(),
            n=options.n,
            max_tokens=options.max_tokens,
            seed=seed,
            incidents=self.incidents,
        )
        self._legal = {
            prompt: self.target.problem(prompt, constraint=constraint, potentials=options.potentials)
            for prompt, constraint in zip(prompts, constraints, strict=True)
        }
        return [group for group in drawn.groups if group.rows], drawn.figures()

    def _weighed(self, group: Group, logs: Logs) -> Weighed:
        with torch.no_grad():
            base = forwarded(self.base, group.rows, self.target.vocabulary).policy.sums.double().cpu().numpy()
        problem = self._legal[group.prompt]
        texts = [row.ids[: len(row.ids) - int(row.finished)] for row in group.rows]
        allowed = np.array(
            [row.finished and _is_legal(problem, text) for row, text in zip(group.rows, texts, strict=True)]
        )
        scores = np.where(allowed, problem.log_complete(texts), -math.inf)
        return Weighed(group.rows, base + scores, logs.policy.sums.detach().double().cpu().numpy())

    def _surrogate(self, prompt: str, weighed: Weighed, logs: Logs) -> Tensor:
        evidence = self.evidence.setdefault(prompt, Evidence())
        evidence.add(weighed.log_weights)
        is_masked = self.settings.proposal == "masked"
        columns = [weighed.log_target, weighed.log_masked, weighed.log_policy]
        target, proposal, policy = (torch.from_numpy(column).to(logs.policy.values.device) for column in columns)
        found = losses.matching(target, proposal, evidence.log_z, None if is_masked else policy)
        if is_masked:
            wanted = found.policy * len(weighed.rows)
            found = Coefficients(found.policy, -losses.means_of_others(wanted) / len(wanted))
        dtype = logs.policy.values.dtype
        return losses.loss(Coefficients(found.policy.to(dtype), found.masked.to(dtype)), logs.policy, logs.masked)


def _is_legal(problem: Any, text: NDArray[np.int64]) -> bool:
    state = int(problem.constraint.start)
    for token in text.tolist():
        state = int(problem.constraint.advance_many([state], [token])[0])
        if state < 0:
            return False
    return bool(problem.constraint.accepts(state))


def _means(found: Sequence[Divergences]) -> dict[str, float]:
    columns = [each.figures() for each in found]
    return {name: float(np.mean([each[name] for each in columns])) for name in (columns[0] if columns else {})}


# -- exact samples ----------------------------------------------------------------------------------------------------


def guard(
    policy: Engine,
    base: Engine,
    prompt: str,
    constraint: Any,
    n: int,
    *,
    method: str = "metropolis",
    k: int = 10,
    log_bound: float | None = None,
    max_tokens: int = 64,
    potentials: Sequence[Any] = (),
    seed: int | None = None,
) -> tuple[Samples, dict[str, float]]:
    """Samples of the target through the policy, and what it took: the acceptance rate of rejection or of the chain, the
    policy's own mass on the language, and both divergences.

    >>> from grammars import choice
    >>> engine, ask = Engine.load(), "User: Is water wet?\\nAssistant:"
    >>> samples, told = guard(engine, engine, ask, choice([" yes", " no"]), n=4, max_tokens=4, seed=0)
    >>> len(samples), round(told["kl_policy"] + told["log_policy_mass"] - told["kl_policy_in_language"], 9)
    (4, 0.0)
    """
    problem = base.problem(prompt, constraint=constraint, max_tokens=max_tokens, potentials=potentials)
    proposal = policy.problem(prompt, constraint=constraint, max_tokens=max_tokens).model
    samples = sample(problem, Guarded(proposal, method=method, k=k, log_bound=log_bound), n=n, seed=seed)
    told = dict(samples.notes)
    if all(math.isfinite(told[name]) for name in ("kl_policy", "kl_policy_in_language", "log_policy_mass")):
        require_identity(told["kl_policy_in_language"], told["kl_policy"], told["log_policy_mass"], _TOLERANCE)
    return samples, told
