r"""The gradients, as plain functions on tensors.

Every estimator here is a *coefficient* for each rollout and a *surrogate* that turns coefficients into a loss:

    loss = − Σ_i a_i·log π(y_i) − Σ_i c_i·log q(y_i),

so that −∇loss is the estimate. Coefficients are constants (nothing is differentiated through them); log π is the
model's own log-probability of the text, log q that under the masks, log q = log π − Σ_t log Z_t. With n draws of q,
weights w_i = ∏ Z_t, normalised ŵ_i = w_i / Σ w, rewards r:

| function | objective | a (on log π) | c (on log q) |
|---|---|---|---|
| `masked` | E_q r | 0 | (r_i − r̄_i)/n |
| `raw` | E_π[r·1_L] | w_i·r_i/n | −b_i/n, since E_q ∇log q = 0 |
| `conditional` | E_g r | ŵ_i·(r_i − Σ ŵ r) | 0 |
| `legal_mass` | log Z | ŵ_i | 0 |
| `matching` | −KL(g₀‖π) | P(y_i)/(Z₀·q(y_i)·n), − π/q/n (GDC++) | 0 |
| `divergence` | −KL(π‖reference) | −w_i·(log π/π_ref + 1)/n | 0 |

r̄_i and b_i are means over the *other* draws, which keeps them without bias. Coefficients add up: `masked` + 0.1 ·
`legal_mass` is an objective, too. For draws of other samplers, whose weights say properly weighted, `masked` is given
w_i/∏Z_t as shares.

**Why `raw` has no ordinary baseline.** E_q[w·(r − b)·∇log π] = ∇E_π[r·1_L] − b·∇Z: it also unlearns the format, with
force b. Adding b·∇Z back from the same draws gives w·r again; the baseline that costs nothing is on log q.

**Off policy.** Rollouts of an older π_old: the ratio is π_θ/π_old (q_θ/q_old for `masked`), per token or of the whole
text, and only the ratio is clipped. w stays outside: it says where the draw came from, not how far θ has moved. The
ratio of whole texts without clipping is exact; per token it is PPO's.

**Length.** A sum over tokens is the gradient. Dividing by lengths is not, but customary: positions with one legal token
have log q = 0 whatever θ is, so they are not counted in `masked`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from decoding.rl.errors import BadConfiguration, MixedLogs

LEVELS = ("token", "sequence")
LENGTHS = ("none", "row", "batch")


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What each rollout counts: `policy` stands before log π, `masked` before log q. Objectives add up.

    >>> both = Coefficients(torch.ones(2), torch.zeros(2)) + 0.5 * Coefficients(torch.ones(2), torch.ones(2))
    >>> both.policy.tolist(), both.masked.tolist()
    ([1.5, 1.5], [0.5, 0.5])
    """

    policy: Tensor
    masked: Tensor

    def __add__(self, other: Coefficients) -> Coefficients:
        return Coefficients(self.policy + other.policy, self.masked + other.masked)

    def __rmul__(self, factor: float) -> Coefficients:
        return Coefficients(self.policy * factor, self.masked * factor)


def shares(log_weights: Tensor) -> Tensor:
    """Weights that sum to one; all zero where there is no mass.

    >>> shares(torch.tensor([0.0, 0.0, -torch.inf])).tolist()
    [0.5, 0.5, 0.0]
    """
    top = log_weights.max() if len(log_weights) else torch.tensor(-torch.inf)
    if top == -torch.inf:
        return torch.zeros_like(log_weights)
    weights = torch.exp(log_weights - top)
    return weights / weights.sum()


def means_of_others(values: Tensor) -> Tensor:
    """For each value the mean of all others, 0 for a single one.

    >>> means_of_others(torch.tensor([1.0, 2.0, 6.0])).tolist()
    [4.0, 3.5, 1.5]
    """
    n = len(values)
    return (values.sum() - values) / (n - 1) if n > 1 else torch.zeros_like(values)


# -- objectives -------------------------------------------------------------------------------------------------------


def masked(rewards: Tensor, weights: Tensor | None = None, baseline: Tensor | float | None = None) -> Coefficients:
    """∇E_q[r] = E_q[(r − b)·∇log q]: the reward of the policy with its mask on.

    `weights` are the shares of draws that do not come from q itself.

    >>> masked(torch.tensor([1.0, 0.0])).masked.tolist()
    [0.5, -0.5]
    """
    baseline = means_of_others(rewards) if baseline is None else baseline
    weights = torch.full_like(rewards, 1.0 / max(len(rewards), 1)) if weights is None else weights
    return Coefficients(torch.zeros_like(rewards), weights * (rewards - baseline))


def raw(rewards: Tensor, log_weights: Tensor, baseline: Tensor | float | None = None) -> Coefficients:
    """∇E_π[r·1_L] = E_q[w·r·∇log π]: the reward of the policy alone. The baseline stands on log q.

    >>> raw(torch.tensor([1.0, 1.0]), torch.zeros(2)).policy.tolist()
    [0.5, 0.5]
    """
    n = max(len(rewards), 1)
    earned = torch.exp(log_weights) * rewards
    baseline = means_of_others(earned) if baseline is None else baseline
    return Coefficients(earned / n, -baseline * torch.ones_like(rewards) / n)


def conditional(rewards: Tensor, log_weights: Tensor) -> Coefficients:
    """∇E_g[r] = E_g[(r − E_g r)·∇log π]: the reward of the policy's own law over the language.

    >>> conditional(torch.tensor([1.0, 0.0]), torch.zeros(2)).policy.tolist()
    [0.25, -0.25]
    """
    weights = shares(log_weights)
    return Coefficients(weights * (rewards - (weights * rewards).sum()), torch.zeros_like(rewards))


def legal_mass(log_weights: Tensor) -> Coefficients:
    """∇log Z = E_g ∇log π: how much of itself the policy gives to the language.

    >>> legal_mass(torch.tensor([0.0, 0.0])).policy.tolist()
    [0.5, 0.5]
    """
    return Coefficients(shares(log_weights), torch.zeros_like(log_weights))


def matching(
    log_target: Tensor, log_proposal: Tensor, log_z: Tensor | float, log_policy: Tensor | None = None
) -> Coefficients:
    """−∇KL(g₀‖π_θ) = E_q[P/(Z₀·q)·∇log π_θ] for the target g₀ = P/Z₀ and draws of any proposal q.

    `log_policy`, log π_θ of the draws, adds the baseline of GDC++: E_q[(P/(Z₀·q) − π_θ/q)·∇log π_θ]. It has no bias if
    q covers all that π_θ writes, illegal texts (with P = 0) included; draws under a mask do not.

    >>> matching(torch.tensor([0.0, -torch.inf]), torch.zeros(2), 0.0).policy.tolist()
    [0.5, 0.0]
    """
    n = max(len(log_target), 1)
    wanted = torch.exp(log_target - log_proposal - log_z)
    present = torch.zeros_like(wanted) if log_policy is None else torch.exp(log_policy.detach() - log_proposal)
    return Coefficients((wanted - present) / n, torch.zeros_like(wanted))


def divergence(now: TokenLogs, reference: TokenLogs, log_weights: Tensor | None = None) -> Coefficients:
    """−∇KL to a reference, raw against raw (with the weights w) or masked against masked (without).

    Raw: of Σ_{y∈L} π·log(π/π_ref), the part of the divergence that the language sees. With the mean of the others as
    baseline it would lose ∇Z as the rewards do, so there is none.
    """
    now.require_same(reference)
    if now.is_masked:
        ratio = (now.sums - reference.sums).detach()
        return masked(-ratio)
    ratio = (now.sums - reference.sums).detach()
    weights = torch.ones_like(ratio) if log_weights is None else torch.exp(log_weights)
    return Coefficients(-weights * (ratio + 1.0) / max(len(ratio), 1), torch.zeros_like(ratio))


# -- what they are multiplied with ------------------------------------------------------------------------------------


class TokenLogs(NamedTuple):
    """Log-probabilities of the tokens of some texts, (n, T), of one kind: the model's own or masked."""

    values: Tensor
    counted: Tensor
    """Which positions are tokens at all, (n, T) of booleans."""
    is_masked: bool = False

    @property
    def sums(self) -> Tensor:
        """Of whole texts, (n,).

        >>> TokenLogs(torch.tensor([[-1.0, -2.0]]), torch.tensor([[True, False]])).sums.tolist()
        [-1.0]
        """
        return torch.where(self.counted, self.values, 0.0).sum(dim=1)

    def require_same(self, other: TokenLogs) -> None:
        """Raise `MixedLogs` if the other is of the other kind."""
        if self.is_masked != other.is_masked:
            raise MixedLogs(
                "masked log-probabilities are compared with raw ones: take raw with raw, masked with masked"
            )


class Clip(NamedTuple):
    """How far a ratio may move from 1 before it earns nothing more; None is unbounded."""

    low: float | None = None
    high: float | None = None

    def __call__(self, ratio: Tensor) -> Tensor:
        """The ratio within bounds.

        >>> Clip(0.2, 0.2)(torch.tensor([0.5, 1.0, 3.0])).tolist()
        [0.800000011920929, 1.0, 1.2000000476837158]
        """
        low = None if self.low is None else 1.0 - self.low
        high = None if self.high is None else 1.0 + self.high
        return ratio if low is None and high is None else ratio.clamp(low, high)


NO_CLIP = Clip()


def surrogate(
    coefficients: Tensor,
    now: TokenLogs,
    old: TokenLogs | None = None,
    clip: Clip = NO_CLIP,
    level: str = "token",
    length: str = "none",
    forced: Tensor | None = None,
) -> Tensor:
    """−Σ_i coefficient_i·log(y_i), through ratios to `old` (to itself if there is none).

    `level` is "token" or "sequence"; `length` is "none" (the gradient), "row" (each row by its length) or "batch" (all
    by the mean length). `forced` positions, where one token alone was legal, are not counted in lengths, nor at all in
    masked logs.

    >>> logs = TokenLogs(torch.tensor([[-1.0, -1.0]], requires_grad=True), torch.ones(1, 2, dtype=torch.bool))
    >>> surrogate(torch.tensor([2.0]), logs).item()
    -4.0
    """
    require_options(level, length)
    past = now if old is None else old
    now.require_same(past)
    counted = now.counted if forced is None or not now.is_masked else now.counted & ~forced
    moved = torch.where(counted, now.values - past.values.detach(), 0.0)
    if level == "sequence":
        terms = -_clipped(coefficients, torch.exp(moved.sum(dim=1)), clip)
        return _per_length(terms, counted.sum(dim=1), length)
    per_token = torch.where(counted, -_clipped(coefficients[:, None], torch.exp(moved), clip), 0.0)
    return _per_length(per_token.sum(dim=1), counted.sum(dim=1), length)


def require_options(level: str, length: str) -> None:
    """Raise `BadConfiguration` for what `surrogate` does not know.

    >>> require_options("token", "rows")
    Traceback (most recent call last):
    decoding.rl.errors.BadConfiguration: there is no length 'rows'
    hint: there are none, row, batch
    """
    for name, given, known in (("level", level, LEVELS), ("length", length, LENGTHS)):
        if given not in known:
            raise BadConfiguration(f"there is no {name} {given!r}", hint=f"there are {', '.join(known)}")


def _clipped(coefficients: Tensor, ratio: Tensor, clip: Clip) -> Tensor:
    """The smaller of both, so that a step that makes things worse is never hidden."""
    return torch.minimum(coefficients * ratio, coefficients * clip(ratio))


def _per_length(rows: Tensor, lengths: Tensor, length: str) -> Tensor:
    if length == "none":
        return rows.sum()
    counts = lengths.to(rows.dtype)
    divisor = counts if length == "row" else counts.mean()
    return (rows / divisor.clamp(min=1.0)).sum()


def loss(
    coefficients: Coefficients,
    policy: TokenLogs,
    masked_logs: TokenLogs,
    old_policy: TokenLogs | None = None,
    old_masked: TokenLogs | None = None,
    **options: object,
) -> Tensor:
    """Both surrogates together; see `surrogate` for the options.

    >>> counted = torch.ones(1, 1, dtype=torch.bool)
    >>> raw_logs, own = TokenLogs(torch.zeros(1, 1), counted), TokenLogs(torch.zeros(1, 1), counted, True)
    >>> loss(Coefficients(torch.tensor([1.0]), torch.tensor([2.0])), raw_logs, own).item()
    -3.0
    """
    on_policy = surrogate(coefficients.policy, policy, old_policy, **options)  # type: ignore[arg-type]
    return on_policy + surrogate(coefficients.masked, masked_logs, old_masked, **options)  # type: ignore[arg-type]
