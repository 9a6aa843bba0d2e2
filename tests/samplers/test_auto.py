"""Auto: unbiased whatever it chooses, and open about it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from grammars import Vocabulary, regex
from samplers import BTW, Auto, Evaluator, InvalidOption, Masking, Problem, Samples, enumerate_texts, sample
from samplers.auto import Rest, Statistics
from samplers.laws import exact_law, weighted_law
from samplers.models import NGram, Tabulated
from tests.samplers.worlds import random_world

LETTERS = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
SMALL = {"tokens": 2, "length": 2, "strings": 3}


def endless(max_tokens: int = 7) -> Problem:
    model = NGram(LETTERS, [[0, 1, 0, 0], [2, 2, 1], [0, 0, 0, 1, 1]], order=3, strength=0.5)
    return Problem(Evaluator(model), regex("(a|bb|ab)*b"), max_tokens=max_tokens)


def uneven() -> Problem:
    """Many long texts, none of which matters, and weights that differ by orders of magnitude."""
    vocabulary = Vocabulary([*(b"%c" % c for c in range(97, 121)), b"<end>"], eos=[24])
    texts = [[t, (5 * t) % 24, (7 * t) % 24, t // 2] for t in range(24)]
    model = NGram(vocabulary, texts, order=2, strength=0.5)
    return Problem(Evaluator(model), regex("[a-x]{4}([a-c][a-x]{2}){5}"), max_tokens=19)


@pytest.mark.parametrize("seed", range(6))
def test_auto_is_exactly_properly_weighted(seed: int):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    law = exact_law(world.problem(), lambda: Auto("estimate", probe=1, width=1, twist=False))
    assert weighted_law(law) == world.masses()


@pytest.mark.parametrize("aim", ["estimate", "samples"])
@pytest.mark.parametrize(("make", "limit"), [(endless, None), (endless, 60)], ids=["", "60 calls"])
def test_estimates_are_unbiased_whatever_was_chosen(make, limit: int | None, aim: str):
    problem = make()
    z = math.exp(enumerate_texts(problem).log_z)
    auto = [sample(problem, Auto(aim, probe=4, max_calls=limit), 16, seed) for seed in range(60)]
    estimates = [total(samples) for samples in auto]
    error = np.std(estimates, ddof=1) / math.sqrt(len(estimates))
    assert abs(np.mean(estimates) - z) < 5.0 * max(error, 1e-9)


def total(samples: Samples) -> float:
    return float(np.exp(samples.log_weights).sum() / len(samples))


def test_it_goes_on_with_the_trie_where_few_texts_have_the_mass():
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    problem = Problem(Tabulated(vocabulary, {}, otherwise=[0.05, 0.05, 0.9]), regex("[ab]{1,9}"), max_tokens=9)
    samples = sample(problem, Auto(), 32, seed=0)
    assert samples.notes["chose"] == "BTW"
    assert samples.certificate.distance < 0.5


def test_it_goes_on_with_the_trie_where_the_bounds_come_down():
    """Nearly nothing can be completed: at first the weights differ by orders of magnitude, and the trie learns why."""
    vocabulary = Vocabulary([*(b"%c" % c for c in range(97, 113)), b"<end>"], eos=[16])
    table = {(): [3] * 16 + [0], (0,): [1, 1] + [0] * 14 + [900]}
    table |= {(t,): [0] * 16 + [10 ** (t % 7)] for t in range(1, 16)}
    rows = {prefix: [w + 1e-9 for w in row] for prefix, row in table.items()}
    problem = Problem(Tabulated(vocabulary, rows, otherwise=[1.0] * 17), regex("[a-p][a-c]{0,3}q?[a-p]?"), max_tokens=5)
    for seed in range(4):
        assert sample(problem, Auto(), 32, seed).notes["chose"] == "BTW"


def test_it_takes_particles_where_everything_is_new_and_weights_are_uneven():
    chosen = [sample(uneven(), Auto(), 32, seed).notes["chose"] for seed in range(4)]
    assert chosen.count("SMC") >= 3


def test_particles_leave_what_the_probe_found_to_its_exact_mass():
    problem, auto = uneven(), Auto()
    samples = sample(problem, auto, 32, seed=0)
    assert samples.notes["chose"] == "SMC"
    trie = auto.tries.of(problem)
    found = {trie.found_text(row).tokens.tobytes(): trie.found_text(row).log_prob for row in range(trie.found.size)}
    weights = {d.tokens.tobytes(): d.log_weight - math.log(len(samples)) for d in samples if d.finish == "end"}
    assert found
    assert {x: weights.get(x) for x in found} == pytest.approx(found)


@pytest.mark.parametrize("seed", range(20))
def test_the_rest_is_exactly_what_was_not_found(seed: int):
    world = random_world(seed, scored=seed % 2 == 0, tokens=3, length=3, strings=6)
    problem, btw = world.problem(), BTW(width=1)
    sample(problem, btw, 3, seed)
    trie = btw.tries.of(problem)
    found = {tuple(trie.found_text(row).tokens.tolist()) for row in range(trie.found.size)}
    law = exact_law(problem.with_potential(Rest(trie)), Masking)
    assert weighted_law(law) == {x: mass for x, mass in world.masses().items() if x not in found}


def test_it_accepts_exactly_where_samples_are_wanted():
    samples = sample(endless(), Auto("samples"), 50, seed=0)
    assert samples.notes["chose"] == "exact acceptance"
    assert len(samples) == 50
    assert len(set(samples.log_weights.tolist())) == 1


def test_it_says_what_it_saw():
    samples = sample(endless(), Auto(), 8, seed=0)
    statistics = samples.notes["statistics"]
    assert isinstance(statistics, Statistics)
    assert samples.notes["because"]
    assert f"chose {samples.notes['chose']}: {samples.notes['because']}" in samples.summary()
    for name in ("acceptance", "effective", "covered", "new", "left", "fallen"):
        assert 0.0 <= getattr(statistics, name) <= 1.0


def test_certificates_hold():
    for seed in range(60):
        world = random_world(seed, scored=seed % 3 == 0, tokens=4, length=4, strings=10)
        samples = sample(world.problem(), Auto(["expectation", "estimate", "samples"][seed // 3 % 3], probe=4), 5, seed)
        low, high, _ = samples.certificate
        assert math.exp(low) <= float(sum(world.masses().values())) <= math.exp(high)


def test_calls_are_bounded():
    for make in (endless, uneven):
        samples = sample(make(), Auto(max_calls=150), 10**5, seed=0)
        assert samples.calls.distinct <= 150 + 4 * 20


def test_the_trie_is_kept_from_call_to_call():
    problem, auto = endless(), Auto()
    first, second = (sample(problem, auto, 20, seed) for seed in range(2))
    assert second.certificate.distance < first.certificate.distance


def test_none_wanted_none_drawn():
    samples = sample(endless(), Auto(), 0, 0)
    assert len(samples) == 0
    assert samples.calls.logical == 0


@pytest.mark.parametrize(
    "options",
    [{"aim": "win"}, {"probe": 0}, {"acceptance": 0.0}, {"max_calls": 0}, {"width": 0}, {"stored": 0}],
    ids=str,
)
def test_options_that_mean_nothing(options: dict):
    with pytest.raises(InvalidOption):
        Auto(**options)
