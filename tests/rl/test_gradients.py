"""Every estimator is the gradient of its objective, on a policy that can be enumerated.

The expectation of an estimator is a sum over all draws; the gradient of an objective is a finite difference of fourth
order. Both are in float64, and agree to 1e-9.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

torch = pytest.importorskip("torch")

from decoding.rl import losses  # noqa: E402
from decoding.rl.enumerable import Enumerable, Legal  # noqa: E402
from decoding.rl.errors import MixedLogs  # noqa: E402
from decoding.rl.losses import Clip, Coefficients, TokenLogs  # noqa: E402
from grammars import Grammar, Vocabulary, lark, regex  # noqa: E402

VOCABULARY = Vocabulary([b"(", b")", b"x", b"<end>"], eos=[3])
BALANCED = lark('start: item*\nitem: "x" | "(" start ")"') & regex("[()x]{0,4}")
FEW = regex(r"\(\)|x\)?|\(x\)x")  # so few that all triples of draws can be summed up
STEP = 2e-3
Objective = Callable[[Enumerable, Legal], "torch.Tensor"]


def policy_of(grammar: Grammar = BALANCED, seed: int = 3, most: int = 4) -> tuple[Enumerable, Legal]:
    policy = Enumerable(VOCABULARY, most, seed=seed)
    return policy, policy.under(grammar)


def rewards_of(legal: Legal) -> torch.Tensor:
    """Something without symmetry."""
    return torch.sin(torch.arange(len(legal.rows), dtype=torch.float64) * 1.7) + legal.lengths


def differences(objective: Objective, policy: Enumerable, legal: Legal) -> torch.Tensor:
    """The gradient of an objective by five-point differences, in every logit."""
    out = torch.zeros_like(policy.logits)
    stencil = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
    with torch.no_grad():
        flat, found = policy.logits.view(-1), out.view(-1)
        for i in range(len(flat)):
            kept = flat[i].item()
            for offset, weight in stencil:
                flat[i] = kept + offset * STEP
                found[i] += weight * objective(policy, legal) / STEP
            flat[i] = kept
    return out


def gradient(loss: torch.Tensor, policy: Enumerable) -> torch.Tensor:
    """What one step of ascent on the objective would follow."""
    (found,) = torch.autograd.grad(-loss, policy.logits, retain_graph=True)
    return found


def expected(coefficients: Coefficients, chances: torch.Tensor) -> Coefficients:
    """The coefficients of single draws, each with the chance of its draw."""
    return Coefficients(coefficients.policy * chances, coefficients.masked * chances)


def singles(function: Callable[..., Coefficients], *columns: torch.Tensor) -> Coefficients:
    """An estimator from one draw, for each text that may be drawn."""
    drawn = [function(*(column[i : i + 1] for column in columns)) for i in range(len(columns[0]))]
    return Coefficients(torch.cat([c.policy for c in drawn]), torch.cat([c.masked for c in drawn]))


def agree(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found - wanted).abs().max() < 1e-9) and bool(wanted.abs().max() > 1e-3)


# -- the seven gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", [0.0, 1.3])
def test_masked_is_the_gradient_of_the_reward_under_the_mask(baseline: float):
    policy, legal = policy_of()
    rewards, q = rewards_of(legal), legal.logs().sums.exp().detach()
    drawn = singles(lambda r: losses.masked(r, baseline=baseline), rewards)
    loss = losses.loss(expected(drawn, q), legal.raw_logs(), legal.logs())
    wanted = differences(lambda p, g: (g.logs().sums.exp() * rewards).sum(), policy, legal)
    assert agree(gradient(loss, policy), wanted)


@pytest.mark.parametrize("baseline", [0.0, 1.3])
def test_raw_is_the_gradient_of_the_reward_of_the_policy_alone(baseline: float):
    policy, legal = policy_of()
    rewards, q = rewards_of(legal), legal.logs().sums.exp().detach()
    drawn = singles(lambda r, w: losses.raw(r, w, baseline), rewards, legal.log_weights().detach())
    loss = losses.loss(expected(drawn, q), legal.raw_logs(), legal.logs())
    wanted = differences(lambda p, g: (g.raw_logs().sums.exp() * rewards).sum(), policy, legal)
    assert agree(gradient(loss, policy), wanted)


def test_the_usual_baseline_subtracts_the_gradient_of_the_legal_mass():
    """What common trainers do, π/q with the mean reward as baseline, is ∇E_π[r·1_L] − b·∇Z."""
    policy, legal = policy_of()
    rewards, q = rewards_of(legal), legal.logs().sums.exp().detach()
    weights, baseline = legal.log_weights().detach().exp(), float((q * rewards).sum())
    usual = Coefficients(q * weights * (rewards - baseline), torch.zeros_like(q))
    found = gradient(losses.loss(usual, legal.raw_logs(), legal.logs()), policy)
    of_reward = differences(lambda p, g: (g.raw_logs().sums.exp() * rewards).sum(), policy, legal)
    of_mass = differences(lambda p, g: g.mass(), policy, legal)
    assert agree(found, of_reward - baseline * of_mass)
    assert not agree(found, of_reward)


def test_conditional_is_the_gradient_of_the_reward_over_the_language():
    policy, legal = policy_of()
    rewards, log_g = rewards_of(legal), legal.raw_logs().sums.detach()  # self-normalised: all texts as the sample
    loss = losses.loss(losses.conditional(rewards, log_g), legal.raw_logs(), legal.logs())
    wanted = differences(
        lambda p, g: (g.raw_logs().sums.exp() * rewards).sum() / g.mass(),
        policy,
        legal,
    )
    assert agree(gradient(loss, policy), wanted)


def test_legal_mass_is_the_gradient_of_its_logarithm():
    policy, legal = policy_of()
    loss = losses.loss(losses.legal_mass(legal.raw_logs().sums.detach()), legal.raw_logs(), legal.logs())
    assert agree(gradient(loss, policy), differences(lambda p, g: g.mass().log(), policy, legal))


@pytest.mark.parametrize("with_baseline", [False, True])
def test_matching_is_the_gradient_of_the_divergence_from_the_target(with_baseline: bool):
    """min KL(g₀‖π_θ), by draws of another policy; the baseline of GDC++ needs draws that reach illegal texts too."""
    policy, legal = policy_of()
    base, proposal = Enumerable(VOCABULARY, 4, seed=7), Enumerable(VOCABULARY, 4, seed=8)
    log_target = torch.full((len(policy.texts),), -torch.inf, dtype=torch.float64)
    log_target[legal.rows] = base.log_probs().detach()[legal.rows]
    log_z, log_q = torch.logsumexp(log_target, 0), proposal.log_probs().detach()
    own = policy.log_probs().detach()
    drawn = singles(lambda t, q, p: losses.matching(t, q, log_z, p if with_baseline else None), log_target, log_q, own)
    loss = losses.surrogate(expected(drawn, log_q.exp()).policy, policy.logs())
    target = (log_target - log_z).exp()
    wanted = differences(lambda p, g: (target * p.log_probs()).sum(), policy, legal)
    assert agree(gradient(loss, policy), wanted)


def test_masked_draws_match_too_without_the_baseline():
    policy, legal = policy_of()
    base = Enumerable(VOCABULARY, 4, seed=7)
    log_target = base.log_probs().detach()[legal.rows]
    log_z, log_q = torch.logsumexp(log_target, 0), legal.logs().sums.detach()
    drawn = singles(lambda t, q: losses.matching(t, q, log_z), log_target, log_q)
    loss = losses.surrogate(expected(drawn, log_q.exp()).policy, legal.raw_logs())
    target = (log_target - log_z).exp()
    wanted = differences(lambda p, g: (target * g.raw_logs().sums).sum(), policy, legal)
    assert agree(gradient(loss, policy), wanted)


def test_divergence_of_masked_logs_is_that_of_the_masked_policies():
    policy, legal = policy_of()
    reference = Enumerable(VOCABULARY, 4, seed=9).under(BALANCED).logs()
    reference = TokenLogs(reference.values.detach(), reference.counted, is_masked=True)
    now = legal.logs()
    drawn = Coefficients(torch.zeros(len(legal.rows)), -(now.sums - reference.sums).detach())
    loss = losses.loss(expected(drawn, now.sums.exp().detach()), legal.raw_logs(), now)
    assert torch.equal(losses.divergence(now, reference).policy, torch.zeros(len(legal.rows), dtype=torch.float64))
    wanted = differences(lambda p, g: -(g.logs().sums.exp() * (g.logs().sums - reference.sums)).sum(), policy, legal)
    assert agree(gradient(loss, policy), wanted)


def test_divergence_of_raw_logs_is_the_part_that_the_language_sees():
    policy, legal = policy_of()
    reference = Enumerable(VOCABULARY, 4, seed=9).under(BALANCED).raw_logs()
    reference = TokenLogs(reference.values.detach(), reference.counted)
    now, log_w = legal.raw_logs(), legal.log_weights().detach()
    found = losses.divergence(now, reference, log_w)
    n = len(legal.rows)  # the mean over n draws, taken over all texts with their chances instead
    drawn = Coefficients(found.policy * n, found.masked * n)
    loss = losses.loss(expected(drawn, legal.logs().sums.exp().detach()), now, legal.logs())
    wanted = differences(
        lambda p, g: -(g.raw_logs().sums.exp() * (g.raw_logs().sums - reference.sums)).sum(), policy, legal
    )
    assert agree(gradient(loss, policy), wanted)


# -- baselines from the draws themselves ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["masked", "raw"])
def test_the_mean_of_the_others_is_a_baseline_without_bias(name: str):
    policy, legal = policy_of(FEW)
    rewards, q = rewards_of(legal), legal.logs().sums.exp().detach()
    log_w, n = legal.log_weights().detach(), len(legal.rows)
    total = Coefficients(torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64))
    for pair in product(range(n), repeat=3):
        rows, chance = list(pair), float(q[list(pair)].prod())
        drawn = losses.masked(rewards[rows]) if name == "masked" else losses.raw(rewards[rows], log_w[rows])
        for column, part in ((total.policy, drawn.policy), (total.masked, drawn.masked)):
            column.index_add_(0, torch.tensor(rows), part * chance)
    loss = losses.loss(total, legal.raw_logs(), legal.logs())

    def objective(p: Enumerable, g: Legal) -> torch.Tensor:
        logs = g.logs() if name == "masked" else g.raw_logs()
        return (logs.sums.exp() * rewards).sum()

    assert agree(gradient(loss, policy), differences(objective, policy, legal))


# -- off policy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["masked", "raw"])
def test_ratios_of_whole_texts_are_exact_off_policy(name: str):
    """Draws of an old policy; w stays that of the draw, the ratio carries the rest."""
    policy, legal = policy_of()
    old = Enumerable(VOCABULARY, 4, seed=11).under(BALANCED)
    rewards, q_old, log_w = rewards_of(legal), old.logs().sums.exp().detach(), old.log_weights().detach()
    if name == "masked":
        drawn = singles(lambda r: losses.masked(r, baseline=0.7), rewards)
    else:
        drawn = singles(lambda r, w: losses.raw(r, w, 0.0), rewards, log_w)
    loss = losses.loss(
        expected(drawn, q_old), legal.raw_logs(), legal.logs(), old.raw_logs(), old.logs(), level="sequence"
    )

    def objective(p: Enumerable, g: Legal) -> torch.Tensor:
        logs = g.logs() if name == "masked" else g.raw_logs()
        return (logs.sums.exp() * rewards).sum()

    assert agree(gradient(loss, policy), differences(objective, policy, legal))


def test_ratios_are_clipped_and_weights_are_not():
    now = TokenLogs(torch.tensor([[0.5], [0.5], [-0.5], [-0.5]]), torch.ones(4, 1, dtype=torch.bool))
    old = TokenLogs(torch.zeros(4, 1), now.counted)
    coefficients = torch.tensor([10.0, -10.0, 10.0, -10.0])  # far outside of the bounds, as weights may be
    values = now.values.clone().requires_grad_()
    losses.surrogate(coefficients, now._replace(values=values), old, Clip(0.2, 0.2)).backward()
    moved = values.grad.squeeze(1)
    # what has gone too far in its own direction earns no more; the other way is always open
    assert moved.tolist() == pytest.approx([0.0, 10 * 1.6487213, -10 * 0.6065307, 0.0])


def test_a_ratio_of_one_is_the_gradient_itself():
    _, legal = policy_of()
    rewards = rewards_of(legal)
    kinds = [
        losses.surrogate(rewards, legal.raw_logs(), old, clip, level)
        for old, clip, level in [
            (None, losses.NO_CLIP, "token"),
            (legal.raw_logs(), Clip(0.2, 0.2), "token"),
            (legal.raw_logs(), Clip(0.2, 0.2), "sequence"),
        ]
    ]
    found = [gradient(loss, legal.policy) for loss in kinds]
    plain = gradient(-(rewards * legal.raw_logs().sums).sum(), legal.policy)
    assert all(torch.allclose(each, plain, atol=1e-12) for each in found)


# -- lengths ----------------------------------------------------------------------------------------------------------


def test_forced_positions_earn_nothing_under_the_mask():
    _, legal = policy_of()
    assert legal.forced.any()
    values = torch.where(legal.forced, legal.logs().values, 0.0)
    assert values.abs().max() < 1e-12


@pytest.mark.parametrize("length", ["none", "row", "batch"])
def test_forced_positions_leave_the_length_normalisation(length: str):
    """Texts with and without a forced piece are weighed alike: only free choices are counted."""
    _, legal = policy_of()
    rewards, logs = rewards_of(legal), legal.logs()
    with_forced = losses.surrogate(rewards, logs, length=length, forced=legal.forced)
    counted = logs.counted & ~legal.forced
    free = TokenLogs(logs.values, counted, is_masked=True)
    assert with_forced.item() == pytest.approx(losses.surrogate(rewards, free, length=length).item())
    sizes = counted.sum(dim=1).double()
    weights = {"none": torch.ones_like(sizes), "row": 1 / sizes.clamp(min=1), "batch": 1 / sizes.mean() + 0 * sizes}
    plain = -(rewards * weights[length] * logs.sums).sum()
    assert torch.allclose(gradient(with_forced, legal.policy), gradient(plain, legal.policy), atol=1e-12)


def test_forced_positions_stay_where_the_policy_itself_is_meant():
    """Without the mask a forced token is as uncertain as any other."""
    _, legal = policy_of()
    logs, ones = legal.raw_logs(), torch.ones(len(legal.rows), dtype=torch.float64)
    with_forced = losses.surrogate(ones, logs, forced=legal.forced)
    assert torch.allclose(gradient(with_forced, legal.policy), gradient(-logs.sums.sum(), legal.policy))


# -- identities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_weight_is_the_legal_mass(seed: int):
    _, legal = policy_of(seed=seed)
    q, weights = legal.logs().sums.exp(), legal.log_weights().exp()
    assert q.sum().item() == pytest.approx(1.0, abs=1e-12)
    assert (q * weights).sum().item() == pytest.approx(legal.mass().item(), abs=1e-12)


def test_masked_and_raw_logs_are_never_mixed():
    _, legal = policy_of()
    with pytest.raises(MixedLogs):
        losses.divergence(legal.logs(), legal.raw_logs())
    with pytest.raises(MixedLogs):
        losses.surrogate(rewards_of(legal), legal.raw_logs(), legal.logs())


def test_nothing_comes_of_weights_that_are_all_zero():
    none = torch.full((3,), -torch.inf)
    for coefficients in (losses.legal_mass(none), losses.conditional(torch.ones(3), none)):
        assert coefficients.policy.tolist() == [0.0, 0.0, 0.0]
    assert losses.shares(torch.zeros(0)).tolist() == []
