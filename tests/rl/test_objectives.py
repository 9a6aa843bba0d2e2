"""From rewards to coefficients: three objectives, samplers that are not masking, and groups that teach nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from decoding.rl.errors import BadConfiguration  # noqa: E402
from decoding.rl.guards import drop_broken_gradients  # noqa: E402
from decoding.rl.incidents import Incidents  # noqa: E402
from decoding.rl.objectives import OBJECTIVES, Objective, shares_of_masked  # noqa: E402
from decoding.rl.rollouts import Rollout  # noqa: E402


def row(log_mass: Sequence[float], log_weight: float | None = None, finish: str = "end") -> Rollout:
    masses = np.array(log_mass)
    weight = float(masses.sum()) if log_weight is None else log_weight
    ids = np.zeros(len(masses), np.int64)
    return Rollout((), ids, b"", finish, masses - 1.0, masses, weight, None, 9)  # type: ignore[arg-type]


ROWS = [row([-1.0, -0.5]), row([-0.1]), row([-2.0])]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_equal_rewards_leave_the_legal_mass_alone(name: str):
    found = Objective(name, legal_mass=0.3).coefficients(ROWS, np.ones(3), Incidents())
    shares = torch.softmax(torch.tensor([r.log_weight for r in ROWS], dtype=torch.float64), 0)
    if name == "raw":  # here a constant reward is a reason to be legal
        assert (found.policy > 0.3 * shares).all()
        return
    assert torch.allclose(found.policy, 0.3 * shares)
    assert found.masked.abs().max() < 1e-12


@pytest.mark.parametrize("name", OBJECTIVES)
def test_scaled_advantages_do_not_depend_on_the_size_of_rewards(name: str):
    objective, rewards = Objective(name, legal_mass=0.0, scaled=True), np.array([1.0, 0.0, 0.5])
    small, large = (objective.coefficients(ROWS, rewards * size, Incidents()) for size in (1.0, 1000.0))
    assert torch.allclose(small.policy, large.policy, rtol=1e-3)
    assert torch.allclose(small.masked, large.masked, rtol=1e-3)


def test_draws_of_the_masked_policy_have_equal_shares_whatever_the_masses():
    weights = torch.tensor([r.log_weight for r in ROWS], dtype=torch.float64)
    assert shares_of_masked(ROWS, weights).tolist() == pytest.approx([1 / 3] * 3)


def test_draws_of_other_samplers_are_weighed_back_to_the_masked_policy():
    """Exact draws of g carry one weight for all; as draws of q they count w/∏Z."""
    rows = [row([-1.0], -0.7), row([-0.2], -0.7)]
    weights = torch.tensor([-0.7, -0.7], dtype=torch.float64)
    assert shares_of_masked(rows, weights).tolist() == pytest.approx([np.exp(0.3) / 2, np.exp(-0.5) / 2])


def test_an_unfinished_rollout_is_what_the_masked_policy_avoids():
    rows = [*ROWS, row([-0.3], -np.inf, "length")]
    found = Objective("masked", legal_mass=0.0).coefficients(rows, np.array([1.0, 1.0, 1.0, 0.0]), Incidents())
    assert found.masked[3] < 0 < found.masked[0]


# -- groups that teach nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(
    ("rows", "rewards", "incident"),
    [
        ([row([-1.0], -np.inf, "length")] * 2, [0.0, 0.0], "weightless"),
        (ROWS, [np.nan, np.nan, np.nan], "rewardless"),
        (ROWS, [1.0, np.nan, np.nan], "rewardless"),
        ([ROWS[0]], [1.0], "rewardless"),
    ],
)
def test_they_are_counted_and_give_no_coefficient_that_is_not_finite(
    name: str, rows: list[Rollout], rewards: list[float], incident: str
):
    noted = Incidents()
    found = Objective(name).coefficients(rows, np.array(rewards), noted)
    assert noted == {incident: 1}
    assert torch.isfinite(found.policy).all()
    assert torch.isfinite(found.masked).all()
    for i, reward in enumerate(rewards):
        if np.isnan(reward):
            assert found.policy[i] == found.masked[i] == 0.0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_reward_that_is_nan_leaves_the_others_as_they_were(name: str):
    rewards = np.array([1.0, 0.2, 0.6])
    alone = Objective(name).coefficients(ROWS, rewards, Incidents())
    beside = Objective(name).coefficients([*ROWS, ROWS[0]], np.append(rewards, np.nan), Incidents())
    assert torch.allclose(beside.policy[:3], alone.policy)
    assert torch.allclose(beside.masked[:3], alone.masked)


def test_a_gradient_that_is_not_finite_moves_nothing():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    weight.grad = torch.tensor([1.0, torch.inf, 0.0])
    assert not drop_broken_gradients([weight])
    optimizer.step()
    assert weight.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("wrong", [{"name": "corrected"}, {"legal_mass": -1.0}, {"legal_mass": float("nan")}])
def test_what_means_nothing_is_refused(wrong: dict[str, Any]):
    with pytest.raises(BadConfiguration):
        Objective(**wrong)
