"""MCMC and Guarded: chains whose law tends to the target, and says how it gets there."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from grammars import SamplingError, Vocabulary, VocabularyError, regex
from samplers import MCMC, Guarded, InvalidOption, Problem, sample
from samplers.laws import exact_law, text_law
from samplers.models import Tabulated
from tests.samplers.worlds import World, random_world

SMALL = {"tokens": 2, "length": 2, "strings": 3}
CUTS = ["restart", "uniform", "priority"]


def distance(one: dict, other: dict) -> Fraction:
    return sum((abs(one.get(x, Fraction(0)) - other.get(x, Fraction(0))) for x in one | other), Fraction(0)) / 2


def agrees(world: World, samples) -> None:
    """Whether the rows may be independent draws from the target, at α = 1e-6 for each text."""
    n = len(samples)
    counts: dict[tuple[int, ...], int] = {}
    for tokens in samples.tokens:
        counts[tuple(tokens.tolist())] = counts.get(tuple(tokens.tolist()), 0) + 1
    for x, p in world.target().items():
        z = (counts.get(x, 0) - n * float(p)) / max(math.sqrt(n * float(p * (1 - p))), 1e-9)
        assert abs(z) < 5.2, (x, z)


# -- MCMC -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("seed", range(10))
def test_no_step_is_masking(seed: int, cut: str):
    world = random_world(seed)
    assert text_law(exact_law(world.problem(), lambda: MCMC(0, cut))) == world.masked_law()


@pytest.mark.parametrize("cut", ["restart", "uniform"])
@pytest.mark.parametrize("seed", range(8))
def test_every_step_brings_the_law_closer_to_the_target(seed: int, cut: str):
    """A theorem for chains that leave the target as it is; chains that do not would drift elsewhere."""
    world = random_world(seed, scored=seed % 2 == 0, **SMALL)
    laws = [text_law(exact_law(world.problem(), lambda k=k: MCMC(k, cut))) for k in range(3)]
    distances = [distance(law, world.target()) for law in laws]
    assert all(after <= before for before, after in pairwise(distances))
    assert distances[-1] < distances[0] or distances[0] == 0


@pytest.mark.parametrize("cut", CUTS)
def test_many_steps_reach_the_target(cut: str):
    world = random_world(1, scored=True, tokens=3, length=3, strings=5)
    agrees(world, sample(world.problem(), MCMC(20, cut), 800, 0))


def test_forced_texts_stay_as_they_are():
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    problem = Problem(Tabulated(vocabulary, {}, otherwise=[2, 1, 1]), regex("ab"))
    assert set(sample(problem, MCMC(5), 10, 0).text) == {b"ab"}


def test_a_chain_that_begins_at_a_dead_end_takes_the_first_text_it_finds():
    world = next(w for w in map(random_world, range(100)) if "dead" in w.masked_law() or "length" in w.masked_law())
    samples = sample(world.problem(), MCMC(60), 60, 0)
    assert set(samples.finish) == {"end"}


def test_chains_survive_a_trie_that_forgets():
    world = random_world(1, tokens=4, length=4, strings=10)
    agrees(world, sample(world.problem(), MCMC(20, "uniform", max_bytes=2048), 400, 0))


@pytest.mark.parametrize("options", [{"k": -1}, {"cut": "anywhere"}, {"stored": 0}], ids=str)
def test_options_of_mcmc_that_mean_nothing(options: dict):
    with pytest.raises(InvalidOption):
        MCMC(**options)


# -- Guarded ----------------------------------------------------------------------------------------------------------


def policy_of(world: World, seed: int) -> Tabulated:
    """A policy that excludes nothing."""
    table = random_world(seed + 500, tokens=world.end).table
    return Tabulated(world.vocabulary, {u: [w + 2 for w in row] for u, row in table.items()}, [2] * (world.end + 1))


def log_bound(world: World, policy: Tabulated) -> float:
    """The largest log P·ψ/q, q the policy under the masks, by brute force."""
    return max(math.log(mass / masked_probability(world, policy, x)) for x, mass in world.masses().items())


def masked_probability(world: World, policy: Tabulated, x: tuple[int, ...]) -> float:
    p = 1.0
    for length, token in enumerate((*x, world.end)):
        row = np.exp(policy.log_probs([np.array(x[:length], np.int64)])[0])
        p *= row[token] / sum(row[t] for t in world.allowed(x[:length]))
    return p


@pytest.mark.parametrize("method", ["rejection", "metropolis"])
@pytest.mark.parametrize("seed", range(4))
def test_guarded_reaches_the_target_whatever_the_policy(seed: int, method: str):
    world = random_world(seed, scored=seed % 2 == 0)
    policy = policy_of(world, seed)
    sampler = Guarded(policy, method, k=150, log_bound=log_bound(world, policy))
    agrees(world, sample(world.problem(), sampler, 300, seed))


def test_what_guarded_reports_is_right():
    world = random_world(4)
    policy, masses = policy_of(world, 4), world.masses()
    z = float(sum(masses.values()))
    raw = {x: raw_probability(world, policy, x) for x in masses}
    kl = sum(float(m) / z * math.log(float(m) / z / raw[x]) for x, m in masses.items())
    bound = log_bound(world, policy)
    samples = sample(world.problem(), Guarded(policy, "rejection", log_bound=bound), 4000, 0)
    assert samples.notes["log_policy_mass"] == pytest.approx(math.log(sum(raw.values())), abs=0.1)
    assert samples.notes["kl_policy"] == pytest.approx(kl, abs=0.15)
    assert samples.notes["kl_policy_in_language"] == pytest.approx(kl + math.log(sum(raw.values())), abs=0.1)
    assert samples.notes["acceptance_rate"] == pytest.approx(z / math.exp(bound), abs=0.05)
    assert math.exp(samples.log_z) == pytest.approx(z, rel=0.1)


def raw_probability(world: World, policy: Tabulated, x: tuple[int, ...]) -> float:
    rows = [policy.log_probs([np.array(x[:length], np.int64)])[0] for length in range(len(x) + 1)]
    return math.exp(sum(row[token] for row, token in zip(rows, (*x, world.end), strict=True)))


def test_the_policy_of_the_model_itself_is_always_accepted_where_everything_is_allowed():
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    model = Tabulated(vocabulary, {}, otherwise=[0.25, 0.25, 0.5])
    samples = sample(Problem(model, regex("[ab]*"), max_tokens=200), Guarded(model, k=5), 50, 0)
    assert samples.notes["acceptance_rate"] == 1.0
    assert samples.notes["kl_policy"] == pytest.approx(0.0, abs=1e-9)


def test_a_bound_that_does_not_hold_is_an_error():
    world = random_world(4)
    policy = policy_of(world, 4)
    loose = Guarded(policy, "rejection", log_bound=log_bound(world, policy) - 1.0)
    with pytest.raises(SamplingError, match="log_bound"):
        sample(world.problem(), loose, 500, 0)


def test_the_policy_is_asked_for_each_prefix_once():
    calls: list[int] = []

    class Counting(Tabulated):
        def log_probs(self, contexts, parents=None):
            calls.extend(len(c) for c in contexts)
            return super().log_probs(contexts, parents)

    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    model = Tabulated(vocabulary, {}, otherwise=[0.25, 0.25, 0.5])
    sample(Problem(model, regex("[ab]{2}")), Guarded(Counting(vocabulary, {}, [1, 1, 2])), 100, 0)
    assert sorted(calls) == [0, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "options", [{"method": "hope"}, {"k": -1}, {"method": "rejection"}, {"width": 0}, {"max_draws": 0}], ids=str
)
def test_options_of_guarded_that_mean_nothing(options: dict):
    vocabulary = Vocabulary([b"a", b"<end>"], eos=[1])
    with pytest.raises(InvalidOption):
        Guarded(Tabulated(vocabulary, {}, otherwise=[1, 1]), **options)


def test_a_policy_over_another_vocabulary_is_refused():
    here, there = (Vocabulary([letter, b"<end>"], eos=[1]) for letter in (b"a", b"b"))
    problem = Problem(Tabulated(here, {}, otherwise=[1, 1]), regex("a*"))
    with pytest.raises(VocabularyError, match="policy"):
        sample(problem, Guarded(Tabulated(there, {}, otherwise=[1, 1])), 1, 0)
