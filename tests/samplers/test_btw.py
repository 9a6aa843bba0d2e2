"""BTW: unbiased to the last bit, exact in its exact mode, and certain where it says so."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from grammars import BudgetExhausted, DeadEnd, Vocabulary, regex
from samplers import BTW, Evaluator, InvalidOption, Problem, Samples, StateTable, enumerate_texts, found_set, sample
from samplers.laws import exact_law, text_law, weighted_law
from samplers.models import NGram, Tabulated
from tests.samplers.worlds import World, random_world

SMALL = {"tokens": 2, "length": 2, "strings": 3}
MANY = {"tokens": 4, "length": 4, "strings": 10}
LETTERS = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])


def endless(max_tokens: int = 7) -> Problem:
    model = NGram(LETTERS, [[0, 1, 0, 0], [2, 2, 1], [0, 0, 0, 1, 1]], order=3, strength=0.5)
    return Problem(Evaluator(model), regex("(a|bb|ab)*b"), max_tokens=max_tokens)


def distance(one: dict, other: dict) -> Fraction:
    return sum((abs(one.get(x, Fraction(0)) - other.get(x, Fraction(0))) for x in one | other), Fraction(0)) / 2


# -- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"width": 1}, {"width": 2}, {"width": 1, "stored": 1}], ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_the_weighted_mode_is_exactly_unbiased(seed: int, options: dict):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    for n in (1, 2, 3):
        assert weighted_law(exact_law(world.problem(), lambda: BTW(twist=False, **options), n)) == world.masses()


@pytest.mark.parametrize("seed", range(8))
def test_the_exact_mode_is_exact(seed: int):
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    law = exact_law(world.problem(), lambda: BTW("exact", width=1))
    assert distance(text_law(law), world.target()) == 0
    assert weighted_law(law) == world.masses()


def test_draws_of_the_exact_mode_are_independent():
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    world = World(vocabulary, {(): [6, 2, 0], (0,): [0, 2, 6]}, [0, 4, 4], (b"ab", b"b"), 2, {}, {})
    target = world.target()
    for width in (1, 2):
        law = exact_law(world.problem(), lambda width=width: BTW("exact", width=width), n=3)
        triples: dict = {}
        for run in law:
            triple = tuple(tuple(t.tolist()) for t in run.samples.tokens)
            triples[triple] = triples.get(triple, Fraction(0)) + run.probability
        texts = list(target)
        assert triples == {(x, y, z): target[x] * target[y] * target[z] for x in texts for y in texts for z in texts}


def test_earlier_finds_count_in_later_calls_without_bias():
    world = random_world(5, **SMALL)
    problem = world.problem()
    before = BTW(width=1, twist=False)
    sample(problem, before, 1, seed=0)
    law = exact_law(problem, lambda: kept(problem, before), n=1)
    assert weighted_law(law) == world.masses()


def kept(problem: Problem, before: BTW) -> BTW:
    """A sampler that goes on from a copy of what another one knows."""
    from io import BytesIO

    file, after = BytesIO(), BTW(width=1, twist=False)
    before.tries.save(problem, file)
    after.tries.load(problem, BytesIO(file.getvalue()))
    return after


# -- the twist and anything else that is not rational: unbiased as far as can be measured -----------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"trust": 0.99}, {"width": 3}, {"stored": 1}, {"max_bytes": 6000}, {"mode": "exact"}],
    ids=str,
)
def test_estimates_are_unbiased(options: dict):
    problem = endless()
    truth = enumerate_texts(problem)
    z = math.exp(truth.log_z)
    by_length = sum(len(x) * math.exp(m) for x, m in truth.masses())
    runs = np.array([statistics(sample(problem, BTW(**options), 6, seed)) for seed in range(120)])
    error = runs.std(axis=0, ddof=1) / math.sqrt(len(runs))
    assert (np.abs(runs.mean(axis=0) - [z, by_length]) < 5.0 * np.maximum(error, 1e-9)).all()


def test_texts_that_had_to_be_forgotten_keep_what_they_earned():
    problem = endless()
    z = math.exp(enumerate_texts(problem).log_z)
    forgetful = [BTW(max_bytes=16_000) for _ in range(60)]
    runs = [statistics(sample(problem, btw, 80, seed))[0] for seed, btw in enumerate(forgetful)]
    assert all(btw.tries.of(problem).expansions > btw.tries.of(problem).nodes.size for btw in forgetful)
    assert abs(np.mean(runs) - z) < 5.0 * np.std(runs, ddof=1) / math.sqrt(len(runs))


def statistics(samples: Samples) -> list[float]:
    weights = np.exp(samples.log_weights) / len(samples)
    return [float(weights.sum()), float(weights @ [len(t) for t in samples.tokens])]


def test_a_twist_that_is_carried_over_makes_weights_more_even():
    automaton = regex("(a|bb|ab)*b").compile(LETTERS)
    models = [NGram(LETTERS, [[0, 1, 0, k % 3], [2, 2, 1]], order=3, strength=0.5) for k in range(8)]
    table = StateTable()
    for model in models[:7]:
        sample(Problem(model, automaton, max_tokens=7), BTW(twist=table, width=1), 30, 0)
    last = Problem(models[7], automaton, max_tokens=7)

    def spread(twist: bool | StateTable) -> float:
        return float(np.std([math.exp(sample(last, BTW(twist=twist, width=1), 1, seed).log_z) for seed in range(120)]))

    assert spread(table) < 0.8 * spread(False)


def test_a_table_of_states_belongs_to_one_constraint():
    table = StateTable()
    sample(endless(), BTW(twist=table), 2, 0)
    with pytest.raises(InvalidOption, match="constraint"):
        sample(endless(), BTW(twist=table), 2, 0)


# -- what is certain --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["weighted", "exact"])
@pytest.mark.parametrize("block", range(4))
def test_no_certificate_is_ever_violated(block: int, mode: str):
    for seed in range(40 * block, 40 * block + 40):
        world = random_world(seed, scored=seed % 3 == 0, **MANY)
        masses, problem, btw = world.masses(), world.problem(), BTW(mode)
        z, target = sum(masses.values()), world.target()
        for n in (1, 3, 10):
            samples = sample(problem, btw, n, seed)
            low, high, bound = samples.certificate
            assert math.exp(low) <= float(z) <= math.exp(high)
            found = {tuple(d.tokens.tolist()) for d in samples if d.finish == "end"}
            assert found <= set(masses)
            inside = sum((masses[x] for x in found), Fraction(0))
            if inside:
                restricted = {x: masses[x] / inside for x in found}
                assert float(distance(restricted, target)) <= bound + 1e-9


def test_certificates_shrink_to_nothing_on_finite_languages():
    for seed in range(20):
        world = random_world(seed, **MANY)
        samples = sample(world.problem(), BTW(weights="predictable"), 300, seed)
        assert samples.certificate.distance == 0.0
        assert math.exp(samples.log_z) == pytest.approx(float(sum(world.masses().values())))
        for x, p in world.target().items():
            text = world.text(x)
            share = sum(float(q) for y, q in world.target().items() if world.text(y) == text)
            assert samples.expectation(lambda t, text=text: t == text) == pytest.approx(share), (x, p)


def test_nothing_is_drawn_twice():
    samples = sample(endless(), BTW(width=1), 60, seed=0)
    found = [tuple(d.tokens.tolist()) for d in samples if d.finish == "end"]
    assert len(found) == len(set(found))


def test_predictable_weights_have_the_smaller_error():
    problem = endless()
    z = math.exp(enumerate_texts(problem).log_z)

    def error(weights: str) -> float:
        estimates = [math.exp(sample(problem, BTW(weights=weights, width=1), 40, s).log_z) for s in range(25)]
        return float(np.sqrt(np.mean((np.array(estimates) / z - 1.0) ** 2)))

    assert error("predictable") < 0.8 * error("fixed")


def test_a_number_of_calls_can_be_the_limit():
    samples = sample(endless(30), BTW(max_calls=100), 10**6, seed=0)
    assert 100 <= samples.calls.distinct < 100 + 8 * 31


def test_picks_from_the_found_set_cost_no_call():
    problem, btw = random_world(1, **MANY).problem(), BTW("exact")
    sample(problem, btw, 100, 0)
    again = sample(problem, btw, 10_000, 1)
    assert again.calls.distinct == 0
    assert again.certificate.distance < 0.01


# -- found sets -------------------------------------------------------------------------------------------------------


def test_a_found_set_is_the_target_restricted_to_what_was_found():
    world = random_world(2, **MANY)
    samples = sample(world.problem(), BTW("exact"), 4, seed=0)
    found = found_set(samples)
    masses = {tuple(d.tokens.tolist()): math.exp(d.log_weight) / len(found) for d in found}
    assert masses == pytest.approx({x: float(world.masses()[x]) for x in masses})
    assert len(masses) == len(found) == len({t.tobytes() for t in samples.tokens})
    z = float(sum(world.masses().values()))
    assert found.certificate.distance >= 1.0 - sum(masses.values()) / z - 1e-9
    assert math.exp(found.log_z) == pytest.approx(sum(masses.values()))


def test_a_found_set_of_nothing_is_nothing():
    none = found_set(sample(random_world(2).problem(), BTW(), 0, 0))
    assert len(none) == 0
    assert none.log_z == -math.inf


# -- misuse -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "exakt"},
        {"weights": "free"},
        {"trust": 1.0},
        {"trust": -0.1},
        {"width": 0},
        {"max_calls": 0},
        {"max_draws": 0},
        {"stored": 0},
    ],
    ids=str,
)
def test_options_that_mean_nothing(options: dict):
    with pytest.raises(InvalidOption):
        BTW(**options)


def test_a_language_without_mass():
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    table = {(): [1, 0, 0], (0,): [1, 0, 0], (0, 0): [0, 1, 0]}
    problem = Problem(Tabulated(vocabulary, table, otherwise=[1, 1, 1]), regex("aa"), max_tokens=5)
    assert sample(problem, BTW(), 4, 0).finish == ("dead",) * 4
    with pytest.raises((DeadEnd, BudgetExhausted)):
        sample(problem, BTW("exact"), 1, 0)
