"""ASAp and CARS: exact laws in rationals, differences 0."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from grammars import BudgetExhausted, DeadEnd, Vocabulary, regex
from samplers import CARS, ASAp, InvalidOption, Masking, Problem, predicate, sample
from samplers.laws import exact_law, text_law, weighted_law
from samplers.models import Tabulated
from samplers.potentials import text_potential
from tests.samplers.worlds import Text, World, random_world

SMALL = {"tokens": 2, "length": 2, "strings": 3}


def distance(one: dict, other: dict) -> Fraction:
    """Total variation."""
    return sum((abs(one.get(x, Fraction(0)) - other.get(x, Fraction(0))) for x in one | other), Fraction(0)) / 2


def deceived() -> World:
    """Masking loves "a", which can hardly be completed."""
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    table = {(): [6, 2, 0], (0,): [7, 1, 0], (0, 1): [0, 7, 1]}
    return World(vocabulary, table, [0, 0, 8], (b"ab", b"b"), 2, {}, {})


# -- ASAp -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_the_first_draw_of_asap_has_the_law_of_masking(seed: int):
    world = random_world(seed)
    law = exact_law(world.problem(), lambda: ASAp(width=1))
    assert text_law(law) == world.masked_law()
    assert weighted_law(law) == world.masses()


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("seed", range(10))
def test_three_draws_of_asap_are_exactly_properly_weighted(seed: int, width: int):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    assert weighted_law(exact_law(world.problem(), lambda: ASAp(width=width), n=3)) == world.masses()


def test_asap_moves_from_the_law_of_masking_to_the_target():
    world = deceived()
    law = exact_law(world.problem(), lambda: ASAp(width=1), n=5)
    laws = [text_law(law, row) for row in range(5)]
    assert laws[0] == world.masked_law()
    distances = [distance(one, world.target()) for one in laws]
    assert all(after < before for before, after in pairwise(distances))
    assert distances[-1] < distances[0] / 8


def test_asap_is_biased_until_it_has_seen_everything():
    world = deceived()
    assert distance(text_law(exact_law(world.problem(), lambda: ASAp(width=1), n=2), 1), world.target()) > 0
    problem, asap = world.problem(), ASAp()
    sample(problem, asap, 200, 0)
    known = text_law(exact_law(problem, lambda: asap))
    assert known == world.target()


def test_draws_of_one_round_do_not_learn_from_each_other():
    world = deceived()
    law = exact_law(world.problem(), lambda: ASAp(width=3), n=3)
    assert all(text_law(law, row) == world.masked_law() for row in range(3))


# -- CARS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"width": 1}, {"width": 2}, {"width": 1, "stored": 1}], ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_cars_draws_from_the_target_exactly_and_knows_z_without_bias(seed: int, options: dict):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    law = exact_law(world.problem(), lambda: CARS(**options))
    assert distance(text_law(law), world.target()) == 0
    assert weighted_law(law) == world.masses()


def test_cars_without_masks_is_exact_too():
    vocabulary = Vocabulary([b"a", b"<end>"], eos=[1])
    world = World(vocabulary, {(): [6, 2], (0,): [4, 4]}, [2, 6], (b"a", b"aa"), 2, {}, {})
    law = exact_law(world.problem(), lambda: CARS(masks=False, width=1))
    assert distance(text_law(law), world.target()) == 0
    assert weighted_law(law) == world.masses()


def test_two_draws_of_cars_are_independent():
    world = deceived()
    law = exact_law(world.problem(), lambda: CARS(width=1), n=2)
    pairs: dict[tuple[Text, Text], Fraction] = {}
    for run in law:
        one, other = (tuple(tokens.tolist()) for tokens in run.samples.tokens)
        pairs[one, other] = pairs.get((one, other), Fraction(0)) + run.probability
    target = world.target()
    assert pairs == {(x, y): target[x] * target[y] for x in target for y in target}
    assert weighted_law(law) == world.masses()


def test_cars_keeps_its_law_when_its_trie_is_kept():
    world = deceived()
    problem, cars = world.problem(), CARS()
    counts, n = {}, 4000
    for seed in range(n // 40):
        for text in sample(problem, cars, 40, seed).text:
            counts[text] = counts.get(text, 0) + 1
    for x, p in world.target().items():
        z = (counts.get(world.text(x), 0) - n * float(p)) / math.sqrt(n * float(p * (1 - p)))
        assert abs(z) < 5.2


def test_the_acceptance_rate_of_cars_never_falls():
    samples = sample(random_world(1, tokens=4, length=4, strings=9).problem(), CARS(), 50, seed=1)
    bounds = [info.notes["log_root"] for info in samples.history]
    assert all(after <= before + 1e-12 for before, after in pairwise(bounds))


def test_cars_needs_fewer_calls_than_masks_alone_would():
    """Learning pays: the same number of accepted texts, each round frozen at the first bounds, takes more descents."""
    world = deceived()
    learning = sum(sample(world.problem(), CARS(width=1), 20, seed).notes["draws"] for seed in range(20))
    z, first = float(sum(world.masses().values())), 1.0
    assert learning < 0.6 * 20 * 20 * first / z


def test_black_box_checks_need_no_mask():
    asked: list[bytes] = []
    tokens = [b"%c" % c for c in range(97, 123)]
    vocabulary = Vocabulary([*tokens, b"<end>"], eos=[26])

    def calm(text: bytes) -> bool:
        asked.append(text)
        return b"e" not in text

    problem = Problem(Tabulated(vocabulary, {}, otherwise=[*[2] * 26, 24]), predicate(calm), max_tokens=8)
    samples = sample(problem, CARS(masks=False), 20, seed=0)
    assert all(b"e" not in text for text in samples.text)
    assert len(set(asked)) < 26 * 8


def test_cars_says_when_it_gives_up_and_marks_rows_that_are_missing():
    refused = next(seed for seed in range(200) if drawn(seed, 1) is None)  # later draws know what the first one learnt
    with pytest.raises(BudgetExhausted, match="accepted"):
        sample(deceived().problem(), CARS(max_draws=1, width=1), 1, refused)
    some = [samples for seed in range(100) if (samples := drawn(seed, 4)) is not None and "dead" in samples.finish]
    assert some
    for samples in some:
        assert np.isneginf(samples.log_weights[~samples.finished]).all()
        assert np.isfinite(samples.log_weights[samples.finished]).all()


def drawn(seed: int, n: int):
    try:
        return sample(deceived().problem(), CARS(max_draws=1, width=1), n, seed)
    except BudgetExhausted:
        return None


# -- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ASAp, CARS], ids=lambda make: make.__name__)
def test_certificates_hold(make: type):
    checked = 0
    for seed in range(60):
        world = random_world(seed, scored=seed % 3 == 0, tokens=4, length=4, strings=9)
        samples = sample(world.problem(), make(), 1 + seed % 7, seed)
        checked += certified(world, samples)
    assert checked == 60


def certified(world: World, samples) -> bool:
    z = sum(world.masses().values())
    low, high, bound = samples.certificate
    found = {tuple(d.tokens.tolist()) for d in samples if d.finish == "end"}
    covered = sum((world.masses()[x] for x in found), Fraction(0))
    assert math.exp(low) <= float(z) <= math.exp(high)
    assert bound >= float(1 - covered / z) - 1e-9
    return True


@pytest.mark.parametrize("make", [ASAp, CARS], ids=lambda make: make.__name__)
def test_potentials_above_their_bound_are_an_error_and_a_declared_bound_is_used(make: type):
    world = deceived()
    plain = world.problem()
    loud = text_potential(lambda text: math.log(4.0)).over(plain.vocabulary)
    with pytest.raises(Exception, match="log_bound"):
        sample(plain.with_potential(loud), make(), 5, 0)
    loud.log_bound = math.log(4.0)
    samples = sample(plain.with_potential(loud), make(), 400, 0)
    assert samples.certificate.log_lower <= math.log(4.0) + math.log(float(sum(world.masses().values())))


@pytest.mark.parametrize("make", [ASAp, CARS], ids=lambda make: make.__name__)
def test_a_language_without_mass(make: type):
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    table = {(): [1, 0, 0], (0,): [1, 0, 0], (0, 0): [0, 1, 0]}
    problem = Problem(Tabulated(vocabulary, table, otherwise=[1, 1, 1]), regex("aa"), max_tokens=5)
    if make is CARS:
        with pytest.raises(DeadEnd):
            sample(problem, CARS(), 1, 0)
    else:
        assert sample(problem, ASAp(), 3, 0).finish == ("dead",) * 3


@pytest.mark.parametrize("options", [{"width": 0}, {"stored": 0}], ids=str)
@pytest.mark.parametrize("make", [ASAp, CARS], ids=lambda make: make.__name__)
def test_options_that_mean_nothing(make: type, options: dict):
    with pytest.raises(InvalidOption):
        make(**options)


def test_more_options_that_mean_nothing():
    for wrong in ({"max_draws": 0}, {"estimates": 0}):
        with pytest.raises(InvalidOption):
            CARS(**wrong)
    with pytest.raises(InvalidOption):
        sample(deceived().problem(), ASAp(max_bytes=10), 1, 0)


def test_weights_of_asap_are_more_even_than_those_of_masking():
    problem = random_world(1, tokens=4, length=4, strings=9).problem()
    assert sample(problem, ASAp(), 500, 0).ess() > 1.3 * sample(problem, Masking(), 500, 0).ess()
