"""Exact: enumeration and backward recursion agree with each other and with counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from grammars import BudgetExhausted, DeadEnd, Vocabulary, regex
from samplers import Exact, Problem, enumerate_texts, predicate, sample
from samplers.exact import memory_of
from samplers.models import NGram, Tabulated
from samplers.potentials import text_potential
from tests.samplers.worlds import random_world

V = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
TEXTS = [[0, 1, 0], [2, 2], [1, 0, 0, 1], [0, 0]]


class WithoutMemory:
    """A model that does not say that only the last tokens matter."""

    def __init__(self, model: NGram):
        self.vocabulary, self.log_probs = model.vocabulary, model.log_probs


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("pattern", ["[ab]*", "(ab|a)*b", "a{2,4}b?"])
def test_the_recursion_over_merged_prefixes_equals_enumeration(order: int, pattern: str):
    model = NGram(V, TEXTS, order=order)
    merged = enumerate_texts(Problem(model, regex(pattern), max_tokens=5))
    plain = enumerate_texts(Problem(WithoutMemory(model), regex(pattern), max_tokens=5))
    assert merged.log_z == pytest.approx(plain.log_z, abs=1e-12)
    assert merged.probabilities() == pytest.approx(plain.probabilities())
    assert max(len(layer.contexts) for layer in merged.layers) <= max(len(layer.contexts) for layer in plain.layers)


def test_texts_of_hundreds_of_tokens_are_within_reach():
    problem = Problem(NGram(V, TEXTS, order=2), regex("(a|b)*"), max_tokens=300)
    solved = enumerate_texts(problem)
    assert solved.log_z == pytest.approx(0.0, abs=1e-9)  # every text is allowed, and nearly all are shorter
    assert sum(len(layer.contexts) for layer in solved.layers) < 300 * 8
    assert sample(problem, Exact(), 50, seed=0).finish == ("end",) * 50


@pytest.mark.parametrize("seed", range(20))
def test_completions_are_what_masses_sum_to(seed: int):
    world = random_world(seed, scored=seed % 2 == 0)
    solved = enumerate_texts(world.problem())
    assert math.exp(solved.log_z) == pytest.approx(float(sum(world.masses().values())))
    for length in range(3):
        for prefix in {x[:length] for x in world.masses() if len(x) >= length}:
            p = math.prod(float(world.row(prefix[:i])[t]) for i, t in enumerate(prefix))
            below = sum(float(mass) for x, mass in world.masses().items() if x[:length] == prefix)
            assert math.exp(solved.log_completion(prefix)) == pytest.approx(below / p)
    assert solved.log_completion((99,)) == -math.inf
    assert solved.log_completion((0,) * 50) == -math.inf


def test_draws_have_the_probabilities_of_the_target():
    world = random_world(4, strings=6)
    samples = sample(world.problem(), Exact(), 20_000, seed=0)
    for x, p in world.target().items():
        hits = sum(tuple(tokens.tolist()) == x for tokens in samples.tokens)
        assert abs(hits - 20_000 * float(p)) < 5 * math.sqrt(20_000 * float(p) * (1 - float(p)) + 1)


def test_potentials_keep_prefixes_apart():
    problem = Problem(NGram(V, TEXTS), regex("[ab]*"), [text_potential(lambda text: -float(len(text)))], 4)
    assert memory_of(problem) is None
    lengths = {len(x) for x, _ in enumerate_texts(problem).masses()}
    assert lengths == {0, 1, 2, 3, 4}


def test_black_boxes_are_enumerated_too():
    model = Tabulated(V, {}, otherwise=[2, 1, 1, 4])
    problem = Problem(model, predicate(lambda text: len(text) % 2 == 0, final=True), max_tokens=2)
    texts = {problem.text(np.array(x, np.int64)) for x in enumerate_texts(problem).probabilities()}
    assert texts == {b"", b"ab", b"aa", b"ba", b"bb", b"abab"}


def test_too_many_prefixes_are_refused():
    model = Tabulated(V, {}, otherwise=[1, 1, 1, 1])
    with pytest.raises(BudgetExhausted, match="more than 100 prefixes"):
        sample(Problem(model, regex("[ab]*"), max_tokens=20), Exact(100), seed=0)
    with pytest.raises(BudgetExhausted, match="most"):
        enumerate_texts(Problem(model, regex("[ab]*"), max_tokens=3)).probabilities(most=5)


def test_no_mass_within_the_budget_is_a_dead_end():
    """The model cannot end after a, and there is no room to go on."""
    model = Tabulated(V, {(0,): [1, 1, 1, 0]}, otherwise=[1, 0, 0, 0])
    with pytest.raises(DeadEnd, match="no mass within the token budget"):
        sample(Problem(model, regex("a+"), max_tokens=1), Exact(), seed=0)
