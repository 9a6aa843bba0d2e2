"""The trie engine: bounds that hold, memory that is bounded, tries that outlive a process."""

from __future__ import annotations

import math
from fractions import Fraction
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest

from grammars import Vocabulary, regex
from grammars.errors import SerializationError
from samplers import BTW, CARS, ASAp, Evaluator, InvalidOption, Problem, Samples, Trie, sample
from samplers.laws import exact_law, weighted_law
from samplers.models import NGram, Tabulated
from samplers.tape import seeded
from samplers.trie.walks import Bounds, handed_up, launched, resumed
from tests.samplers.worlds import Text, World, random_world

SMALL = {"tokens": 2, "length": 2, "strings": 3}
MANY = {"tokens": 4, "length": 4, "strings": 10}
LETTERS = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])


def endless(max_tokens: int = 12) -> Problem:
    """A language without end, under a model with a memory of two tokens."""
    model = NGram(LETTERS, [[0, 1, 0, 0], [2, 2, 1], [0, 0, 0, 1, 1]], order=3, strength=0.5)
    return Problem(model, regex("(a|bb|ab)*b"), max_tokens=max_tokens)


def completion(world: World, prefix: Text) -> Fraction:
    """h*(u), by brute force."""
    p = Fraction(1)
    for length, token in enumerate(prefix):
        p *= world.row(prefix[:length])[token]
    below = sum((m for x, m in world.masses().items() if x[: len(prefix)] == prefix), Fraction(0))
    return below / p


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"stored": 1}, {"masks": False}, {"max_bytes": 2048}], ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_every_bound_holds_after_every_round(seed: int, options: dict):
    world = random_world(seed, scored=seed % 2 == 0, **MANY)
    problem, tape = world.problem(), seeded(seed)
    trie, before = Trie(problem, **options), math.inf
    for _ in range(15):
        walk = launched(problem, trie, Bounds(), 2, tape)
        while not walk.done:
            walk = resumed(problem, walk, problem.model.log_probs(walk.contexts), tape)
        handed_up(walk)
        if trie.full:
            trie.forget(problem)
            before = math.inf
        assert trie.log_root <= before + 1e-12, "bounds never rise"
        before = trie.log_root
        for node in range(trie.nodes.size):
            prefix = tuple(trie.prefix(node).tolist())
            exact = completion(world, prefix)
            assert math.exp(trie.nodes.log_total[node]) >= float(exact) - 1e-12, prefix


def test_the_bound_of_the_root_becomes_the_mass_of_the_language():
    for seed in range(10):
        world = random_world(seed, **MANY)
        problem, asap = world.problem(), ASAp()
        sample(problem, asap, 1000, seed)
        reached = math.exp(asap.tries.of(problem).log_root)
        z = float(sum(world.masses().values()))
        assert z - 1e-12 <= reached <= 1.25 * z


def test_a_taken_out_text_is_gone_and_the_rest_is_all_that_is_left():
    world = random_world(3, **MANY)
    problem, btw = world.problem(), BTW()
    sample(problem, btw, 400, 0)
    trie = btw.tries.of(problem)
    assert trie.log_root == -math.inf
    found = {tuple(trie.found_text(row).tokens.tolist()) for row in range(trie.found.size)}
    assert found == set(world.masses())
    assert math.exp(trie.log_found) == pytest.approx(float(sum(world.masses().values())))


def test_tokens_that_are_not_stored_are_drawn_as_often_as_they_should_be():
    size = 40
    weights = np.append(np.random.default_rng(0).integers(1, 50, size - 1), 0)
    vocabulary = Vocabulary([*(b"a%d;" % i for i in range(size - 1)), b"<end>"], eos=[size - 1])
    last = np.append(np.zeros(size - 1), 1)
    problem = Problem(Tabulated(vocabulary, {(): weights}, otherwise=last), regex("a[0-9]*;"), max_tokens=1)
    n, expected = 4000, weights[:-1] / weights.sum()
    samples = sample(problem, ASAp(stored=3, width=50), n, seed=0)
    counts = np.bincount([int(t[0]) for t in samples.tokens], minlength=size)[:-1]
    z = (counts - n * expected) / np.sqrt(n * expected * (1 - expected))
    assert np.abs(z).max() < 5.5
    assert samples.log_weights == pytest.approx(np.zeros(n))


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ASAp, CARS, BTW], ids=lambda make: make.__name__)
def test_memory_stays_within_its_bound(make: type):
    problem, sampler = endless(), make(max_bytes=1 << 16)
    sample(problem, sampler, 400, seed=0)
    trie = sampler.tries.of(problem)
    assert trie.expansions > 2 * trie.nodes.size, "much was forgotten"
    assert trie.bytes <= 1 << 16


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [ASAp, BTW], ids=lambda make: make.__name__)
def test_forgetting_leaves_the_weights_exactly_unbiased(seed: int, make: type):
    world = random_world(seed, **SMALL)
    forgetful = {"width": 1, "max_bytes": 1024} | ({"twist": False} if make is BTW else {})
    law = exact_law(world.problem(), lambda: make(**forgetful), n=3)
    assert weighted_law(law) == world.masses()


def test_forgetting_brings_found_texts_back_into_the_bounds():
    problem, btw = endless(), BTW(max_bytes=1 << 30)
    sample(problem, btw, 200, seed=0)
    trie = btw.tries.of(problem)
    found, left = trie.log_found, trie.log_root
    trie.max_bytes = 1 << 15
    _, lost = trie.forget(problem)
    assert lost
    assert trie.log_found < found
    assert trie.log_root > left
    total = np.logaddexp(trie.log_found, np.logaddexp.reduce([t.log_prob for t in lost]))
    assert total == pytest.approx(found)


# -- tries that outlive a process -------------------------------------------------------------------------------------


def same(one: Samples, other: Samples) -> bool:
    return one.text == other.text and bool((one.log_weights == other.log_weights).all()) and one.log_z == other.log_z


@pytest.mark.parametrize("make", [ASAp, CARS, BTW, lambda: BTW("exact"), lambda: CARS(masks=False)])
def test_a_resumed_trie_goes_on_as_if_nothing_had_happened(make):
    for seed in range(5):
        problem, sampler, file = endless(), make(), BytesIO()
        sample(problem, sampler, 10, seed)
        sampler.tries.save(problem, file)
        elsewhere, resumed_sampler = endless(), make()
        resumed_sampler.tries.load(elsewhere, BytesIO(file.getvalue()))
        assert same(sample(problem, sampler, 10, seed + 1), sample(elsewhere, resumed_sampler, 10, seed + 1))


def test_a_trie_is_kept_from_call_to_call_and_belongs_to_one_problem():
    problem, asap = endless(), ASAp()
    first = sample(problem, asap, 300, seed=0)
    again = sample(problem, asap, 300, seed=0)
    assert again.calls.distinct < first.calls.distinct / 2
    assert sample(endless(), asap, 300, seed=0).calls == first.calls


def saved(problem: Problem) -> bytes:
    sampler, file = ASAp(), BytesIO()
    sample(problem, sampler, 5, 0)
    sampler.tries.save(problem, file)
    return file.getvalue()


def other_vocabulary() -> Problem:
    vocabulary = Vocabulary([b"a", b"b", b"ba", b"<end>"], eos=[3])
    return Problem(NGram(vocabulary, [[0]], order=2), regex("(a|bb|ab)*b"), max_tokens=12)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (other_vocabulary(), "vocabulary"),
        (endless(max_tokens=11), "max_tokens"),
        (Problem(endless().model, regex("a*b"), max_tokens=12), "constraint"),
        (Problem(NGram(LETTERS, [[1, 1]], order=3), regex("(a|bb|ab)*b"), max_tokens=12), "model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_trie_of_something_else_is_refused(problem: Problem, reason: str):
    with pytest.raises(SerializationError, match=reason):
        ASAp().tries.load(problem, BytesIO(saved(endless())))


def test_damaged_files_are_refused():
    whole, rng = saved(endless()), np.random.default_rng(0)
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        with pytest.raises(SerializationError):
            ASAp().tries.load(endless(), BytesIO(whole[:cut]))
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        try:
            ASAp().tries.load(endless(), BytesIO(bytes(damaged)))
        except SerializationError:
            continue  # what else slips through are bytes of the archive that nobody reads


def test_numbers_that_lead_nowhere_are_refused():
    with np.load(BytesIO(saved(endless()))) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    for name, value in [("nodes.parent", 10**6), ("nodes.begin", -5), ("edges.child", 10**6), ("nodes.slot", 99)]:
        wrong, file = {**arrays, name: arrays[name].copy()}, BytesIO()
        wrong[name][-1] = value
        np.savez(file, **wrong)
        with pytest.raises(SerializationError):
            ASAp().tries.load(endless(), BytesIO(file.getvalue()))


# -- misuse -----------------------------------------------------------------------------------------------------------


def test_two_runs_that_use_one_trie_at_once_are_told_so():
    problem, asap, tape = endless(), ASAp(), seeded(0)
    one, other = asap.init(problem, 3, tape), asap.init(problem, 3, tape)
    asap.step(problem, other, problem.model.log_probs(other.contexts), tape)
    with pytest.raises(InvalidOption, match="at the same time"):
        asap.step(problem, one, problem.model.log_probs(one.contexts), tape)


def test_an_abandoned_run_does_no_harm():
    problem, cars, tape = endless(), CARS(), seeded(0)
    state = cars.init(problem, 3, tape)
    for _ in range(3):
        state, _ = cars.step(problem, state, problem.model.log_probs(state.contexts), tape)
    assert all(b"b" in text for text in sample(problem, cars, 5, 0).text)


@pytest.mark.parametrize(("first", "second"), [(BTW, ASAp), (BTW, CARS), (CARS, lambda **o: CARS(masks=False, **o))])
def test_samplers_that_cannot_share_a_trie_refuse_to(first, second):
    problem, sampler = endless(), first()
    sample(problem, sampler, 20, 0)
    with pytest.raises(InvalidOption):
        sample(problem, second(tries=sampler.tries), 1, 0)


def test_prefixes_that_descents_share_are_asked_for_once():
    model = Evaluator(endless().model)
    problem = Problem(model, regex("(a|bb|ab)*b"), max_tokens=12)
    samples = sample(problem, ASAp(width=32), 320, seed=0)
    assert samples.calls.distinct == len({c for t in samples.tokens for c in prefixes(t.tolist())})


def prefixes(tokens: list[int]) -> list[Text]:
    return [tuple(tokens[:length]) for length in range(len(tokens) + 1)]


def test_bounds_of_the_root_fall_from_step_to_step():
    samples = sample(endless(), ASAp(), 100, seed=1)
    bounds = [info.notes["log_root"] for info in samples.history]
    assert all(after <= before + 1e-12 for before, after in pairwise(bounds))
    assert bounds[-1] < bounds[0]
