"""From the rewards of a group to the coefficients of its rollouts.

Three objectives, named by whose reward they raise: `masked` (the policy with its mask on), `raw` (the policy alone),
`conditional` (the policy's own law over the language), each plus λ·log Z. See `losses` for the formulas.

What cannot be used is left out here and counted: rollouts without a reward, groups without weight. Unfinished rollouts
of a masked policy are draws of it that earned nothing: they stay in `masked`, as what to avoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decoding.rl import losses
from decoding.rl.errors import BadConfiguration
from decoding.rl.incidents import Incidents
from decoding.rl.losses import Coefficients
from decoding.rl.rollouts import Rollout
from decoding.rl.tree import advantages

Floats = NDArray[np.float64]

OBJECTIVES = ("masked", "raw", "conditional")


@dataclass(frozen=True)
class Objective:
    """What is to be raised: one of `OBJECTIVES`, plus `legal_mass` times log Z.

    `scaled` divides advantages by the deviation of the group's rewards, as GRPO does: that is no gradient any more, but
    steps of one size whatever the rewards are.

    >>> Objective("masked", legal_mass=0.1).name
    'masked'
    >>> Objective("corrected")
    Traceback (most recent call last):
    decoding.rl.errors.BadConfiguration: there is no objective 'corrected'
    hint: there are masked, raw, conditional
    """

    name: str = "conditional"
    legal_mass: float = 0.1
    scaled: bool = False

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVES:
            raise BadConfiguration(f"there is no objective {self.name!r}", hint=f"there are {', '.join(OBJECTIVES)}")
        if not 0.0 <= self.legal_mass < np.inf:
            raise BadConfiguration(f"legal_mass is a factor of at least 0, not {self.legal_mass}")

    def coefficients(
        self, rows: Sequence[Rollout], rewards: Floats, incidents: Incidents, forks: Any = None
    ) -> Coefficients:
        """One number for each row before its log π, and one before its log q; all 0 if nothing can be learned.

        `forks` are those of a `SegmentTree`: leaves are then compared with their siblings.
        """
        usable: list[int] = np.flatnonzero(np.isfinite(rewards)).tolist()
        log_weights = torch.tensor([rows[i].log_weight for i in usable], dtype=torch.float64)
        out = Coefficients(*(torch.zeros(len(rows), dtype=torch.float64) for _ in range(2)))
        if not torch.isfinite(log_weights).any():
            incidents.note("weightless" if len(usable) else "rewardless")
            return out
        found = self.legal_mass * losses.legal_mass(log_weights)
        if len(usable) > 1:
            found = found + self._of_rewards([rows[i] for i in usable], rewards[usable], log_weights, forks, usable)
        else:
            incidents.note("rewardless")
        out.policy[usable], out.masked[usable] = found.policy, found.masked
        return out

    def _of_rewards(
        self, rows: Sequence[Rollout], rewards: Floats, log_weights: Tensor, forks: Any, usable: Any
    ) -> Coefficients:
        earned = torch.from_numpy(rewards.copy())
        if self.scaled:
            earned = earned / (earned.std() + 1e-4)
        if self.name == "raw":
            return losses.raw(earned, log_weights)
        if self.name == "conditional":
            return losses.conditional(earned, log_weights)
        if forks:
            levels = [np.asarray(level)[usable] for level in forks]
            return losses.masked(torch.from_numpy(advantages(earned.numpy(), levels)), baseline=0.0)
        return losses.masked(earned, shares_of_masked(rows, log_weights))


def shares_of_masked(rows: Sequence[Rollout], log_weights: Tensor) -> Tensor:
    """q/(law of the draw) over n: 1/n for draws of the masked policy itself, exp(drift)/n for those of another engine's
    copy of it, w/∏Z_t/n for draws of other samplers."""
    if all(_is_own(row) for row in rows):
        return torch.exp(torch.tensor([row.drift for row in rows], dtype=torch.float64)) / len(rows)
    log_mass = torch.tensor([row.log_mass.sum() for row in rows], dtype=torch.float64)
    return torch.exp(log_weights - log_mass) / len(rows)


def _is_own(row: Rollout) -> bool:
    """Whether the weight is that of a draw of the masked policy: then it says no more than the masks do."""
    return not row.finished or abs(row.log_weight - float(row.log_mass.sum()) - row.drift) < 1e-6
