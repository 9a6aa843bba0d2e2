"""Laws, not samples: the exact output law of every sampler on small worlds, in rationals. Differences are 0 or bugs."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from samplers import SMC, AdaptiveRejection, BestOf, Exact, GreedyNLL, Masking, Rejection
from samplers.laws import NotRational, distribution, exact_law, paths, rational, text_law, weighted_law
from samplers.log_space import log_of
from samplers.protocols import Sampler
from samplers.resampling import SCHEMES, ancestors
from tests.samplers.worlds import random_world

SMALL = {"tokens": 2, "length": 2, "strings": 3}


# -- masking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_masking_has_exactly_its_biased_law_and_exactly_unbiased_weights(seed: int):
    world = random_world(seed)
    law = exact_law(world.problem(), Masking)
    assert sum(run.probability for run in law) == 1
    assert text_law(law) == world.masked_law()
    assert weighted_law(law) == world.masses()


def test_the_bias_of_masking_is_real():
    differ = [random_world(seed) for seed in range(60)]
    distances = [distance(world.masked_law(), world.target()) for world in differ]
    assert max(distances) > Fraction(1, 3)
    assert sum(d > 0 for d in distances) > 30


def distance(one: dict, other: dict) -> Fraction:
    """Total variation."""
    return sum((abs(one.get(x, Fraction(0)) - other.get(x, Fraction(0))) for x in one | other), Fraction(0)) / 2


# -- exact samplers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("seed", range(12))
def test_rejection_draws_from_the_target_exactly(seed: int, width: int):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    law = exact_law(world.problem(), lambda: Rejection(max_draws=1, width=width))
    texts = {x: p for x, p in text_law(law).items() if isinstance(x, tuple)}
    total = sum(texts.values())
    assert distance({x: p / total for x, p in texts.items()}, world.target()) == 0
    assert weighted_law(law) == world.masses()


@pytest.mark.parametrize("seed", range(4))
def test_rejection_with_two_rows_is_exact_in_each_and_unbiased_together(seed: int):
    world = random_world(seed, **SMALL)
    law = exact_law(world.problem(), lambda: Rejection(max_draws=1), n=2)
    assert weighted_law(law) == world.masses()
    pairs: dict[object, Fraction] = {}
    for run in law:
        if run.samples is not None and run.samples.finish == ("end", "end"):
            pair = tuple(tuple(t.tolist()) for t in run.samples.tokens)
            pairs[pair] = pairs.get(pair, Fraction(0)) + run.probability
    total, target = sum(pairs.values()), world.target()
    assert all(p / total == target[pair[0]] * target[pair[1]] for pair, p in pairs.items())


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("width", [1, 3])
def test_the_estimate_of_z_is_unbiased_whichever_way_rejection_stops(n: int, width: int):
    """With two draws for each text, runs stop both because enough was accepted and because the draws ran out."""
    world = random_world(2, tokens=1, length=1, strings=1)
    law = exact_law(world.problem(), lambda: Rejection(max_draws=2, width=width), n=n)
    stops = {run.samples.notes["draws"] for run in law if run.samples is not None}
    assert len(stops) > 1
    assert weighted_law(law) == world.masses()


@pytest.mark.parametrize("seed", range(40))
def test_exact_draws_from_the_target_and_knows_z(seed: int):
    world = random_world(seed, scored=seed % 2 == 0)
    law = exact_law(world.problem(), Exact)
    assert text_law(law) == world.target()
    assert weighted_law(law) == world.masses()


# -- properly weighted samplers ---------------------------------------------------------------------------------------

WEIGHTED: dict[str, tuple[Callable[[], Sampler], int]] = {
    "recursive": (lambda: AdaptiveRejection("recursive"), 20),
    "recursive, bounded": (lambda: AdaptiveRejection("recursive", rejects=1), 20),
    "geometric": (lambda: AdaptiveRejection("geometric", rejects=1), 10),
    "wildcard": (lambda: AdaptiveRejection("wildcard", head=1), 20),
    "wildcard, two": (lambda: AdaptiveRejection("wildcard"), 20),
    "wildcard, impatient": (lambda: AdaptiveRejection("wildcard", head=1, patience=1), 20),
    "recursive, impatient": (lambda: AdaptiveRejection("recursive", patience=1), 20),
    "recursive, without patience": (lambda: AdaptiveRejection("recursive", patience=0), 5),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_adaptive_rejection_is_properly_weighted_for_texts(name: str):
    make, worlds = WEIGHTED[name]
    for seed in range(worlds):
        world = random_world(seed, scored=seed % 2 == 0, **SMALL)
        assert weighted_law(exact_law(world.problem(), make)) == world.masses()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("seed", range(6))
def test_smc_is_unbiased_whatever_the_scheme(seed: int, scheme: str):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    assert weighted_law(exact_law(world.problem(), lambda: SMC(2, 1.0, scheme))) == world.masses()


@pytest.mark.parametrize("seed", range(4))
def test_smc_with_three_particles_is_unbiased(seed: int):
    world = random_world(seed, **SMALL)
    assert weighted_law(exact_law(world.problem(), lambda: SMC(3, 0.8))) == world.masses()


@pytest.mark.parametrize("seed", range(6))
def test_smc_over_adaptive_rejection_is_unbiased(seed: int):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    make = lambda: SMC(2, 1.0, proposal=AdaptiveRejection(head=1))  # noqa: E731
    assert weighted_law(exact_law(world.problem(), make)) == world.masses()


@pytest.mark.parametrize("seed", range(8))
def test_a_twist_guides_and_does_not_change_the_target(seed: int):
    plain, guide = random_world(seed, **SMALL), random_world(seed, scored=True, **SMALL)
    twisted = exact_law(plain.problem(), lambda: SMC(2, 1.0, twist=guide.potential()))
    assert weighted_law(twisted) == plain.masses()


# -- what is not exact is what it says it is --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_best_of_two_has_the_law_of_the_better_of_two_masked_draws(seed: int):
    world = random_world(seed, **SMALL)
    q = world.masked_law()
    masses = {x: world.masses().get(x, Fraction(0)) for x in q}  # P(x), 0 for what is unfinished
    expected: dict[object, Fraction] = {}
    for x, p in q.items():
        for y, r in q.items():
            winner = x if masses[x] >= masses[y] else y
            expected[winner] = expected.get(winner, Fraction(0)) + p * r
    found = text_law(exact_law(world.problem(), lambda: BestOf(2)))
    tied = len(set(masses.values())) < len(masses)
    assert tied or found == expected


@pytest.mark.parametrize("seed", range(10))
def test_greedy_has_one_text_and_a_lower_bound_of_z(seed: int):
    world = random_world(seed)
    (run,) = exact_law(world.problem(), GreedyNLL)
    assert run.probability == 1
    assert run.samples is not None
    assert run.samples.log_z <= float(log_of([float(sum(world.masses().values()))])[0]) + 1e-12


# -- resampling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_row_has_as_many_descendants_as_its_weight_says_on_average(scheme: str):
    rng = np.random.default_rng(1)
    for _ in range(60):
        weights = rng.integers(0, 7, rng.integers(1, 5))
        weights[0] += 1
        n = int(rng.integers(1, 4))
        counts = [Fraction(0)] * len(weights)
        for p, rows in paths(lambda tape, w=weights, n=n: ancestors(scheme, log_of(w), n, tape)):
            for row in rows.tolist():
                counts[row] += p
        assert counts == [Fraction(int(w) * n, int(weights.sum())) for w in weights]


@pytest.mark.parametrize("scheme", ["stratified", "systematic", "residual"])
def test_certain_copies_are_certain(scheme: str):
    for p, rows in paths(lambda tape: ancestors(scheme, log_of([2, 1, 1]), 4, tape)):
        assert p > 0
        assert rows.tolist() == [0, 0, 1, 2]


# -- the instrument itself --------------------------------------------------------------------------------------------


def test_what_is_no_small_fraction_is_refused():
    with pytest.raises(NotRational):
        rational(np.sqrt(2))
    with pytest.raises(NotRational):
        distribution([0.0, np.log(np.pi)])


def test_a_sampler_that_ignores_its_weights_is_found_out():
    class Forgetful(Masking):
        def finish(self, problem, state):
            samples = super().finish(problem, state)
            samples.log_weights[np.isfinite(samples.log_weights)] = 0.0
            return samples

    world = random_world(3)
    assert weighted_law(exact_law(world.problem(), Forgetful)) != world.masses()
