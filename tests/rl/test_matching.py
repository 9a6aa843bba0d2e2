"""Distribution matching moves the policy to the target; GUARD makes exact samples of it; the identity holds or it is
an error."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from decoding.rl.errors import BadConfiguration, BrokenIdentity  # noqa: E402
from decoding.rl.matching import Evidence, Matcher, Matching, Weighed, divergences, guard  # noqa: E402
from decoding.rl.replay import walked  # noqa: E402
from decoding.rl.rollouts import collect  # noqa: E402
from decoding.rl.tensors import forwarded  # noqa: E402
from grammars import regex  # noqa: E402
from samplers import enumerate_texts  # noqa: E402
from samplers.tape import log_allowed  # noqa: E402

ADA = "Ada Lovelace is 36 years old and lives in London.\nHow old is Ada Lovelace?\nAnswer: "
YOUNG = regex("1[89]|2[0-9]|30")


def matcher_of(engine: Any, **options: Any) -> Matcher:
    from decoding.embedded import as_transformers

    model, tokenizer = as_transformers()
    base = copy.deepcopy(model)
    return Matcher(model, base, tokenizer, Matching(max_tokens=8, **options))


def truth(engine: Any, target: Any) -> tuple[float, float]:
    """KL(g‖a) and a(L), by enumeration."""
    texts = enumerate_texts(target.problem(ADA, constraint=YOUNG, max_tokens=8))
    own = dict(enumerate_texts(engine.problem(ADA, constraint=YOUNG, max_tokens=8)).masses())
    law = texts.probabilities()
    kl = sum(p * (np.log(p) - own[text]) for text, p in law.items() if p > 0)
    return float(kl), float(np.exp(np.logaddexp.reduce(list(own.values()))))


@pytest.fixture(scope="module")
def trained() -> tuple[Matcher, list[dict[str, float]]]:
    pytest.importorskip("transformers")
    torch.set_num_threads(1)
    matcher = matcher_of(None, n=48)
    optimizer = torch.optim.Adam(matcher.model.parameters(), lr=3e-4)
    told = []
    for step in range(8):
        loss, figures = matcher.loss([ADA], lambda prompt: YOUNG, np.random.SeedSequence([0, step]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told.append(figures)
    return matcher, told


def test_the_policy_comes_nearer_to_the_target(trained: Any):
    matcher, told = trained
    before, start = truth(matcher.target, matcher.target)
    after, end = truth(matcher.policy, matcher.target)
    assert start < 0.05
    assert end > 0.8
    assert after < before / 5
    assert told[0]["legal_mass"] < 0.1 < 0.8 < told[-1]["legal_mass"]
    assert all(figures["valid"] == 1.0 for figures in told)


def test_exact_samples_come_with_what_they_took(trained: Any):
    matcher, _ = trained
    samples, told = guard(matcher.policy, matcher.target, ADA, YOUNG, 300, max_tokens=8, seed=3)
    law = enumerate_texts(matcher.target.problem(ADA, constraint=YOUNG, max_tokens=8)).probabilities()
    best = max(law, key=lambda text: law[text])
    share = np.mean([tuple(tokens.tolist()) == best for tokens in samples.tokens])
    assert abs(share - law[best]) < 5 * np.sqrt(law[best] * (1 - law[best]) / 300)
    assert 0.3 < told["acceptance_rate"] <= 1.0
    assert told["kl_policy_in_language"] == pytest.approx(told["kl_policy"] + told["log_policy_mass"], abs=1e-6)
    kl, mass = truth(matcher.policy, matcher.target)
    assert told["log_policy_mass"] == pytest.approx(np.log(mass), abs=0.05)
    assert told["kl_policy"] == pytest.approx(kl, abs=0.1)


def bound_of(policy: Any, target: Any) -> float:
    """The largest log P/q over all texts, q the policy under its masks."""
    problem = policy.problem(ADA, constraint=YOUNG, max_tokens=8)
    mass = dict(enumerate_texts(target.problem(ADA, constraint=YOUNG, max_tokens=8)).masses())
    worst = -np.inf
    for text, own in enumerate_texts(problem).masses():
        contexts = [np.array(text[:t], np.int64) for t in range(len(text) + 1)]
        states, _ = walked(problem.constraint, np.array([*text, problem.vocabulary.eos[0]]))
        log_masses = log_allowed(problem.model.log_probs(contexts), problem.mask_rows(states))
        worst = max(worst, mass[text] - own + log_masses.sum())
    return float(worst)


def test_rejection_accepts_as_often_as_its_bound_says(trained: Any):
    """Z/e^bound, for the proposal before and after training: the law of exact rejection."""
    matcher, _ = trained
    log_z = enumerate_texts(matcher.target.problem(ADA, constraint=YOUNG, max_tokens=8)).log_z
    for policy in (matcher.target, matcher.policy):
        bound = bound_of(policy, matcher.target) + 1e-4
        _, told = guard(
            policy, matcher.target, ADA, YOUNG, 60, method="rejection", log_bound=bound, max_tokens=8, seed=1
        )
        assert told["acceptance_rate"] == pytest.approx(np.exp(log_z - bound), rel=5 / np.sqrt(60))


def test_the_bare_policy_may_propose_too(engine: Any):
    matcher = matcher_of(engine, n=16, proposal="policy")
    loss, figures = matcher.loss([ADA], lambda prompt: YOUNG, np.random.SeedSequence(0))
    assert torch.isfinite(loss)
    assert figures["valid"] == 1.0


def weighed_of(engine: Any) -> Weighed:
    found = collect(engine, [ADA], YOUNG, n=6, max_tokens=8, seed=1)
    model = engine.problem(ADA, constraint=YOUNG).model.model
    with torch.no_grad():
        own = forwarded(model, found.rows, engine.vocabulary).policy.sums.double().numpy()
    return Weighed(found.rows, own, own)


def test_the_identity_holds_for_rollouts_of_the_policy(engine: Any):
    told = divergences(weighed_of(engine))
    assert told.kl_in_language == pytest.approx(told.kl_policy + np.log(told.acceptance), abs=1e-3)


def test_rollouts_of_another_policy_break_the_identity(engine: Any):
    right = weighed_of(engine)
    with pytest.raises(BrokenIdentity, match="another policy"):
        divergences(Weighed(right.rows, right.log_target, right.log_policy - 0.5))


def test_weights_that_are_all_zero_are_counted_and_teach_nothing(engine: Any):
    from samplers.potentials import text_potential

    never = text_potential(lambda text: -np.inf)
    matcher = matcher_of(engine, n=4, potentials=(never,))
    loss, _ = matcher.loss([ADA], lambda prompt: YOUNG, np.random.SeedSequence(0))
    assert not loss.requires_grad
    assert matcher.incidents["weightless"] == 1


def test_evidence_is_the_mean_weight_of_all_draws():
    seen = Evidence()
    assert seen.log_z == -np.inf
    seen.add(np.array([-np.inf, -np.inf]))
    assert seen.log_z == -np.inf
    seen.add(np.log([0.4, 0.4]))
    assert np.exp(seen.log_z) == pytest.approx(0.2)


def test_a_proposal_that_there_is_not_is_refused():
    with pytest.raises(BadConfiguration, match="masked and policy"):
        Matching(proposal="oracle")
