"""Beams: what they find, what they certify, and that a stochastic one is a sample."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from samplers import Beam, DiverseBeam, GreedyNLL, InvalidOption, StochasticBeam, sample
from samplers.laws import exact_law, paths, weighted_law
from samplers.log_space import log_of
from samplers.pivotal import chosen, log_threshold
from samplers.tape import seeded
from tests.samplers.worlds import World, random_world

SMALL = {"tokens": 2, "length": 2, "strings": 3}
MANY = {"tokens": 4, "length": 4, "strings": 10}


def best_texts(world: World, n: int) -> list[Fraction]:
    return sorted(world.masses().values(), reverse=True)[:n]


# -- Beam -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_finds_everything_and_knows_it(seed: int):
    world = random_world(seed, scored=seed % 2 == 0, **MANY)
    samples = sample(world.problem(), Beam(500), 500)
    found = {tuple(d.tokens.tolist()): math.exp(d.log_weight) / len(samples) for d in samples}
    assert found == pytest.approx({x: float(m) for x, m in world.masses().items()})
    assert samples.certificate.distance == 0.0
    assert list(samples.log_weights) == sorted(samples.log_weights, reverse=True)


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_certificates_of_beams_hold(width: int):
    for seed in range(60):
        world = random_world(seed, scored=seed % 3 == 0, **MANY)
        samples = sample(world.problem(), Beam(width), 1 + seed % 3)
        z, masses = float(sum(world.masses().values())), world.masses()
        low, high, bound = samples.certificate
        assert math.exp(low) <= z <= math.exp(high)
        shown = [tuple(d.tokens.tolist()) for d in samples if d.finish == "end"]
        assert len(shown) == len(set(shown)) <= max(1 + seed % 3, 1)
        assert 1.0 - float(sum(masses[x] for x in shown)) / z <= bound + 1e-9


def test_where_nothing_was_dropped_but_less_likely_texts_the_beam_has_the_best():
    certain = 0
    for seed in range(60):
        world = random_world(seed, **MANY)
        samples = sample(world.problem(), Beam(12), 2)
        found = [float(world.masses()[tuple(d.tokens.tolist())]) for d in samples if d.finish == "end"]
        expected = [float(m) for m in best_texts(world, 2)]
        lost = math.exp(samples.certificate.log_upper) - math.exp(samples.certificate.log_lower)
        if found and lost < min(found):
            certain += 1
            assert found == pytest.approx(expected[: len(found)])
    assert certain > 10


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_of_one_is_greedy(seed: int):
    problem = random_world(seed, **MANY).problem()
    assert sample(problem, Beam(1)).text == sample(problem, GreedyNLL()).text


def test_a_length_penalty_prefers_longer_texts():
    def length(alpha: float) -> float:
        texts = [sample(random_world(seed, **MANY).problem(), Beam(8, alpha)).text for seed in range(30)]
        return float(np.mean([len(text) for (text,) in texts]))

    assert length(2.0) > length(0.0)


# -- DiverseBeam ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_one_group_without_a_penalty_is_a_beam(seed: int):
    problem = random_world(seed, **MANY).problem()
    one, other = sample(problem, DiverseBeam(4, 1, 0.0), 4), sample(problem, Beam(4), 4)
    assert [d.text for d in one] == [d.text for d in other]


def test_a_penalty_makes_texts_differ():
    def variety(penalty: float) -> float:
        texts = [sample(random_world(s, **MANY).problem(), DiverseBeam(4, 4, penalty), 4) for s in range(40)]
        return float(np.mean([len({t[:1] for t in samples.text}) for samples in texts]))

    assert variety(5.0) > variety(0.0)


def test_groups_never_show_a_text_twice():
    for seed in range(20):
        samples = sample(random_world(seed, **MANY).problem(), DiverseBeam(6, 3, 0.2), 6)
        tokens = [d.tokens.tobytes() for d in samples if d.finish == "end"]
        assert len(tokens) == len(set(tokens))


# -- StochasticBeam ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("seed", range(10))
def test_a_stochastic_beam_is_exactly_properly_weighted(seed: int, width: int):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    assert weighted_law(exact_law(world.problem(), lambda: StochasticBeam(width))) == world.masses()


@pytest.mark.parametrize("seed", range(10))
def test_a_stochastic_beam_as_wide_as_the_language_is_the_truth(seed: int):
    world = random_world(seed, **MANY)
    samples = sample(world.problem(), StochasticBeam(500), seed=seed)
    found = {tuple(d.tokens.tolist()): math.exp(d.log_weight) / len(samples) for d in samples}
    assert found == pytest.approx({x: float(m) for x, m in world.masses().items()})


def test_rows_of_a_stochastic_beam_are_distinct_and_estimates_unbiased():
    world = random_world(2, tokens=4, length=5, strings=14)
    problem, z = world.problem(), float(sum(world.masses().values()))
    estimates: list[float] = []
    for seed in range(400):
        samples = sample(problem, StochasticBeam(4), seed=seed)
        assert len({t.tobytes() for t in samples.tokens}) == len(samples) <= 4
        estimates.append(math.exp(samples.log_z))
    error = max(np.std(estimates, ddof=1) / 20.0, 1e-9)
    assert abs(np.mean(estimates) - z) < 5.0 * error


# -- choosing without replacement -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weights", "k"), [([4, 3, 2, 1], 2), ([8, 1, 1, 1, 1], 2), ([1] * 6, 3), ([5, 5, 1, 1], 3)])
def test_inclusion_probabilities_are_exact(weights: list[int], k: int):
    log_weights = log_of(np.array(weights) / sum(weights))
    certain, log_level = log_threshold(log_weights, k)
    included, mean = np.zeros(len(weights)), np.zeros(len(weights))
    for p, (rows, log_new) in paths(lambda tape: chosen(log_weights, k, tape)):
        assert len(set(rows.tolist())) == k
        included[rows] += float(p)
        mean[rows] += float(p) * np.exp(log_new)
    shares = np.where(certain, 1.0, np.exp(log_weights - log_level))
    assert included == pytest.approx(shares)
    assert mean == pytest.approx(np.exp(log_weights))


def test_many_items_of_many_sizes_keep_their_weights_on_average():
    rng, tape = np.random.default_rng(0), seeded(1)
    log_weights = rng.normal(0.0, 3.0, 60)
    log_weights[::7] = -np.inf
    certain, log_level = log_threshold(log_weights, 12)
    share, n, counts = np.where(certain, 1.0, np.exp(log_weights - log_level)), 1500, np.zeros(60)
    for _ in range(n):
        rows, log_new = chosen(log_weights, 12, tape)
        assert len(rows) == 12
        assert np.exp(log_new) == pytest.approx(np.exp(log_weights[rows]) / share[rows])
        counts[rows] += 1
    often = n * share > 10.0
    z = (counts - n * share)[often] / np.sqrt(np.maximum(n * share * (1.0 - share), 1e-9))[often]
    assert 10 < often.sum() < 60
    assert np.abs(z).max() < 5.5
    assert counts[~often].sum() < 60


@pytest.mark.parametrize(
    "make",
    [
        lambda: Beam(0),
        lambda: Beam(length_penalty=-1.0),
        lambda: DiverseBeam(0),
        lambda: DiverseBeam(4, 5),
        lambda: DiverseBeam(penalty=-0.5),
        lambda: StochasticBeam(0),
    ],
)
def test_options_that_mean_nothing(make):
    with pytest.raises(InvalidOption):
        make()


@pytest.mark.parametrize("make", [Beam, DiverseBeam, StochasticBeam])
def test_no_rows_for_none_and_dead_rows_for_dead_ends(make):
    assert len(sample(random_world(0).problem(), make(), 0)) == 0
    for seed in range(30):
        samples = sample(random_world(seed, **MANY).problem(), make(), 2, seed)
        assert np.isneginf(samples.log_weights[~samples.finished]).all()
        assert np.isfinite(samples.log_weights[samples.finished]).all()
