"""Potentials multiply into the target, whatever the vocabulary, however they guide."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from grammars import Vocabulary, regex
from samplers import SMC, Evaluator, Exact, Masking, Problem, sample
from samplers.contracts import check_potential
from samplers.models import Tabulated
from samplers.potentials import chunk_scorer, classifier, second_model, tempered, text_potential

V = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
BASE = Tabulated(V, {}, otherwise=[3, 2, 1, 2])
OTHER = Tabulated(V, {(0,): [1, 1, 0, 2]}, otherwise=[1, 3, 2, 2])


def target(potential, max_tokens: int = 3) -> dict[bytes, float]:
    """The exact target over texts."""
    problem = Problem(BASE, regex("[ab]*"), [potential] if potential else [], max_tokens)
    total: dict[bytes, float] = {}
    for x, mass in sample(problem, Exact(), seed=0).notes["enumeration"].masses():
        text = problem.text(np.array(x, np.int64))
        total[text] = total.get(text, 0.0) + math.exp(mass)
    return total


def by_hand(factor, max_tokens: int = 3) -> dict[bytes, float]:
    """P(x)·ψ(x) by multiplying the table's probabilities."""
    row, total = [Fraction(w, 8) for w in (3, 2, 1, 2)], {}
    stack: list[tuple[tuple[int, ...], Fraction]] = [((), Fraction(1))]
    while stack:
        x, p = stack.pop()
        text = b"".join(V.tokens[t] for t in x)
        total[text] = total.get(text, 0.0) + float(p * row[3]) * factor(x, text)
        stack += [((*x, t), p * row[t]) for t in range(3) if len(x) < max_tokens]
    return {text: mass for text, mass in total.items() if mass > 0}


def test_a_score_of_the_text_multiplies_into_every_spelling_of_it():
    score = text_potential(lambda text: -0.3 * text.count(b"b"))
    assert target(score) == pytest.approx(by_hand(lambda x, text: math.exp(-0.3 * text.count(b"b"))))


def test_a_second_model_makes_a_product_of_experts():
    def other(x, text):
        rows = {(0,): [1, 1, 0, 2]}
        p = 1.0
        for length, token in enumerate((*x, 3)):
            row = rows.get(x[:length], [1, 3, 2, 2])
            p *= row[token] / sum(row)
        return p**0.5

    assert target(second_model(OTHER, 0.5)) == pytest.approx(by_hand(other))
    assert target(second_model(Evaluator(OTHER), 0.5)) == pytest.approx(by_hand(other))


def test_a_second_model_is_asked_for_a_prefix_once():
    class Counting(Tabulated):
        rows = 0

        def log_probs(self, contexts, parents=None):
            self.rows += len(contexts)
            return super().log_probs(contexts, parents)

    model = Counting(V, {}, otherwise=[1, 1, 1, 1])
    expert = second_model(model)
    context = np.array([0, 1, 0, 2])
    first = expert.log_prefix([context, context[:2]])
    assert model.rows == 4
    assert expert.log_prefix([context])[0] == first[0] == pytest.approx(4 * math.log(0.25))
    assert model.rows == 4


def test_a_classifier_conditions_by_bayes_rule():
    label = classifier(lambda text: 0.9 if text.startswith(b"a") else 0.2)
    assert target(label) == pytest.approx(by_hand(lambda x, text: 0.9 if text.startswith(b"a") else 0.2))


def test_tempering_is_a_power_and_leaves_the_impossible_impossible():
    hard = text_potential(lambda text: -math.inf if b"bb" in text else -1.0)
    expected = by_hand(lambda x, text: 0.0 if b"bb" in text else math.exp(-0.5))
    assert target(tempered(hard, 0.5)) == pytest.approx(expected)
    assert set(target(tempered(hard, 0.0))) == set(expected)


def test_how_often_a_chunk_scorer_is_asked_does_not_change_the_target():
    score = text_potential(lambda text: -float(len(text)), lambda text: -float(len(text)))
    assert target(chunk_scorer(score, 2)) == pytest.approx(target(score))


def test_a_chunk_scorer_is_asked_at_the_ends_of_chunks_only():
    asked: list[int] = []

    class Watched:
        def log_prefix(self, contexts):
            asked.extend(len(context) for context in contexts)
            return np.zeros(len(contexts))

        def log_complete(self, contexts):
            return np.zeros(len(contexts))

    sample(Problem(BASE, regex("[ab]*"), [chunk_scorer(Watched(), 3)], 7), SMC(20), seed=0)
    assert set(asked) == {0, 3, 6}


@pytest.mark.parametrize(
    "potential",
    [
        text_potential(lambda text: -len(text), lambda text: -len(text)),
        classifier(lambda text: 0.0 if b"a" in text else 1.0, on_prefixes=True),
        second_model(OTHER, 2.0),
        tempered(text_potential(lambda text: -1.0), 0.3),
        chunk_scorer(text_potential(lambda text: 1.0, lambda text: 2.0), 2),
    ],
)
def test_shipped_potentials_keep_their_contract(potential):
    check_potential(potential.over(V), V)


def test_a_potential_on_text_serves_every_vocabulary():
    score = text_potential(lambda text: -float(text.count(b"b")))
    bytewise = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    for vocabulary, tokens in ((V, [2, 1]), (bytewise, [0, 1, 1])):
        assert score.over(vocabulary).log_complete([np.array(tokens)]).tolist() == [-2.0]


@pytest.mark.parametrize("guide", [lambda text: 0.0, lambda text: 5.0 * len(text), lambda text: -float(len(text))])
def test_guides_cancel(guide):
    score = text_potential(lambda text: -0.5 * text.count(b"b"), guide)
    problem = Problem(BASE, regex("[ab]*"), [score], 4)
    exact = sample(problem, Exact(), seed=0).log_z
    estimates = np.array([np.exp(sample(problem, Masking(), 50, seed=s).log_z) for s in range(60)])
    error = estimates.std(ddof=1) / math.sqrt(len(estimates))
    assert abs(estimates.mean() - math.exp(exact)) < 5 * error


def test_a_guide_makes_smc_better():
    """A score that is decided early: told on the way, particles that will lose are not continued."""
    late = text_potential(lambda text: 4.0 * text.count(b"b"))
    early = text_potential(lambda text: 4.0 * text.count(b"b"), lambda text: 4.0 * text.count(b"b"))
    spread = {}
    for name, potential in (("late", late), ("early", early)):
        problem = Problem(BASE, regex("[ab]*"), [potential], 5)
        spread[name] = np.std([sample(problem, SMC(50), seed=s).log_z for s in range(40)])
    assert spread["early"] < 0.7 * spread["late"]


def test_several_potentials_multiply():
    one, two = text_potential(lambda text: -1.0 * len(text)), text_potential(lambda text: -0.5)
    problem = Problem(BASE, regex("[ab]*"), [one, two], 3)
    single = Problem(BASE, regex("[ab]*"), [text_potential(lambda text: -1.0 * len(text) - 0.5)], 3)
    assert sample(problem, Exact(), seed=0).log_z == pytest.approx(sample(single, Exact(), seed=0).log_z)
