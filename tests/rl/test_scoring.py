"""Ratios start at 1, exactly, where it counts: in training. And what two policies differ by is in the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from decoding.rl.nlpo import DynamicMasking  # noqa: E402
from decoding.rl.objectives import shares_of_masked  # noqa: E402
from decoding.rl.rollouts import Rollout, collect  # noqa: E402
from decoding.rl.scoring import rescored  # noqa: E402
from decoding.rl.tensors import forwarded  # noqa: E402
from grammars import regex  # noqa: E402

WATER, ADA = "User: Is water wet?\nAssistant:", "Extract the person from: Ada Lovelace is 36 years old.\nJSON:"
SHORT, LONG = regex(" [a-z]{1,8}"), regex('[a-zA-Z0-9 "{}:,]{20,40}')


def policy_of(engine: Any) -> Any:
    return engine.problem("A", constraint=SHORT).model.model


def worst_ratio(model: Any, rows: list[Rollout], vocabulary: Any) -> float:
    """How far from 1 the ratios of a pass over these rows are, raw and masked."""
    logs, worst = forwarded(model, rows, vocabulary), 0.0
    for i, row in enumerate(rows):
        for scored, recorded in ((logs.policy, row.log_policy), (logs.masked, row.log_masked)):
            moved = scored.values[i, : len(row.ids)].detach().double().numpy() - recorded
            worst = max(worst, float(np.abs(np.expm1(moved)).max()))
    return worst


def moved_a_little(model: Any, size: float = 1e-3) -> None:
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(size * torch.randn(p.shape, generator=source))


@pytest.mark.parametrize("at_once", [2, 5, 12, 64])
def test_in_single_precision_ratios_of_the_same_weights_are_one(engine: Any, at_once: int):
    """Whatever batches rows are scored in, and learned from in others: replayed masks, one pass over whole texts."""
    drawn = collect(engine, [WATER, ADA], [SHORT, LONG], n=6, max_tokens=40, seed=1).rows
    model = policy_of(engine)
    rows = rescored(model, drawn, engine.vocabulary, at_once)
    for batch in (rows, rows[::-1], rows[:2], rows[5:8], rows[1::3]):
        assert worst_ratio(model, batch, engine.vocabulary) < 1e-6
    moved_a_little(model)
    assert worst_ratio(model, rows, engine.vocabulary) > 1e-3


def test_masks_of_another_policy_are_replayed_as_they_were(engine: Any):
    masker = engine.problem(ADA, constraint=LONG).model
    drawn = collect(engine, [ADA], LONG, DynamicMasking(masker, 0.7), n=4, max_tokens=40, seed=2).rows
    rows = rescored(policy_of(engine), drawn, engine.vocabulary)
    assert worst_ratio(policy_of(engine), rows, engine.vocabulary) < 1e-6
    assert all(new.masks is old.masks and new.masks is not None for new, old in zip(rows, drawn, strict=True))


def test_the_same_policy_hardly_drifts_and_another_one_does(engine: Any):
    drawn = collect(engine, [WATER], SHORT, n=8, max_tokens=12, seed=3).rows
    same = rescored(policy_of(engine), drawn, engine.vocabulary)
    assert max(abs(row.drift) for row in same) < 1e-4
    moved_a_little(policy_of(engine), 0.01)
    other = rescored(policy_of(engine), drawn, engine.vocabulary)
    assert max(abs(row.drift) for row in other) > 1e-3
    for new, old in zip(other, drawn, strict=True):
        # π of the one over q of the other, and the same as its own masses and the drift
        assert new.log_weight == pytest.approx(new.log_policy.sum() - old.log_masked.sum(), abs=1e-9)
        assert new.log_weight == pytest.approx(new.log_mass.sum() + new.drift, abs=1e-9)


def test_weights_of_a_scored_rollout_are_those_of_the_policy_in_training(exact_engine: Any):
    """E_q[π'/q] = π'(L) for every π': the mass of the policy that scored, from draws of another."""
    from samplers import enumerate_texts

    answers = regex(" (yes|no|maybe)")
    drawn = collect(exact_engine, [WATER], answers, n=1500, max_tokens=6, seed=4).rows
    moved_a_little(policy_of(exact_engine), 0.01)
    truth = np.exp(enumerate_texts(exact_engine.problem(WATER, constraint=answers, max_tokens=6)).log_z)
    seen = {tuple(row.ids.tolist()): row for row in drawn}
    scored = rescored(policy_of(exact_engine), list(seen.values()), exact_engine.vocabulary)
    log_weights = {tuple(row.ids.tolist()): row.log_weight for row in scored}
    weights = np.exp([log_weights[tuple(row.ids.tolist())] for row in drawn])
    assert abs(weights.mean() - truth) < 5 * weights.std() / np.sqrt(len(weights))


def test_shares_of_the_masked_policy_carry_the_drift(engine: Any):
    drawn = collect(engine, [ADA], regex("[a-z]{8,}"), n=6, max_tokens=3, seed=7).rows
    assert any(not row.finished for row in drawn)
    moved_a_little(policy_of(engine), 0.01)
    rows = rescored(policy_of(engine), drawn, engine.vocabulary)
    found = shares_of_masked(rows, torch.tensor([row.log_weight for row in rows], dtype=torch.float64))
    assert found.tolist() == pytest.approx([np.exp(row.drift) / 6 for row in rows])
