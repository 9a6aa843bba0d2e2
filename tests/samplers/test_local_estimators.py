"""E[w·1{token = a}] = p(a)·m(a), exactly, for every local estimator of adaptive rejection sampling."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from samplers.awrs import Drawn, geometric, recursive, wildcard
from samplers.laws import ScriptedTape, paths, rational_exp
from samplers.log_space import log_of

Estimator = Callable[[ScriptedTape, np.ndarray, Callable[[int], bool]], Drawn]


def urn(tape: ScriptedTape, row: np.ndarray):
    return tape.urns(row[None], np.array([0]))[0]


def headed(tape: ScriptedTape, row: np.ndarray, check: Callable[[int], bool], *options: int) -> Drawn:
    proposal = wildcard(row[None], np.array([0]), [check], tape, *options)
    return int(proposal.tokens[0]), float(proposal.log_weights[0])


ESTIMATORS: dict[str, tuple[Estimator, int, int]] = {  # the estimator, tokens at most, distributions
    "recursive": (lambda tape, row, check: recursive(urn(tape, row), row, check), 5, 400),
    "recursive, 1 refusal": (lambda tape, row, check: recursive(urn(tape, row), row, check, 1), 5, 300),
    "recursive, 2 refusals": (lambda tape, row, check: recursive(urn(tape, row), row, check, 2), 5, 300),
    "geometric, 2 of 2": (lambda tape, row, check: geometric(urn(tape, row), check, tape, 2, 2), 4, 500),
    "geometric, 2 of 3": (lambda tape, row, check: geometric(urn(tape, row), check, tape, 2, 3), 3, 400),
    "geometric, 3 of 2": (lambda tape, row, check: geometric(urn(tape, row), check, tape, 3, 2), 3, 300),
    "geometric, 2 of 1": (lambda tape, row, check: geometric(urn(tape, row), check, tape, 2, 1), 4, 200),
    "wildcard, 1": (lambda tape, row, check: headed(tape, row, check, 1), 6, 400),
    "wildcard, 2": (lambda tape, row, check: headed(tape, row, check, 2), 6, 400),
    "wildcard, 3": (lambda tape, row, check: headed(tape, row, check, 3), 6, 200),
    "wildcard, bounded": (lambda tape, row, check: headed(tape, row, check, 1, 2), 6, 300),
}


def random_distribution(rng: random.Random, most: int) -> tuple[list[int], set[int]]:
    """Weights, some of them 0, and the tokens that are allowed, from none to all."""
    weights = [rng.choice([0, 1, 1, 2, 3, 5, 9]) for _ in range(rng.randint(1, most))]
    weights[rng.randrange(len(weights))] += 1
    return weights, {t for t in range(len(weights)) if rng.random() < rng.choice([0.2, 0.5, 0.9])}


def expected_weights(estimator: Estimator, weights: list[int], allowed: set[int]) -> dict[int, Fraction]:
    row = log_of(np.array(weights) / sum(weights))
    total: dict[int, Fraction] = {}
    for p, (token, log_weight) in paths(lambda tape: estimator(tape, row, allowed.__contains__)):
        assert (token < 0) == (log_weight == -np.inf)
        if token >= 0:
            total[token] = total.get(token, Fraction(0)) + p * rational_exp(log_weight)
    return total


def test_at_least_a_thousand_distributions_are_tried():
    assert sum(count for _, _, count in ESTIMATORS.values()) >= 3_000
    for kind in ("recursive", "geometric", "wildcard"):
        assert sum(count for name, (_, _, count) in ESTIMATORS.items() if name.startswith(kind)) >= 1_000


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_local_estimator_is_properly_weighted_token_by_token(name: str):
    estimator, most, count = ESTIMATORS[name]
    rng = random.Random(name)
    for _ in range(count):
        weights, allowed = random_distribution(rng, most)
        truth = {t: Fraction(weights[t], sum(weights)) for t in allowed if weights[t]}
        assert expected_weights(estimator, weights, allowed) == truth, (weights, allowed)


def test_a_wrong_token_with_the_right_total_would_be_noticed():
    def swapped(tape: ScriptedTape, row: np.ndarray, check: Callable[[int], bool]) -> Drawn:
        token, log_weight = recursive(urn(tape, row), row, check)
        return (1 - token if token in (0, 1) else token), log_weight

    truth = {0: Fraction(1, 4), 1: Fraction(3, 4)}
    found = expected_weights(swapped, [1, 3], {0, 1})
    assert sum(found.values()) == sum(truth.values())
    assert found != truth


@pytest.mark.parametrize("name", ["recursive", "wildcard, 1", "wildcard, 2"])
def test_the_token_alone_has_the_law_of_masking_only_with_its_weight(name: str):
    """Masking's law is p·m/z; it is the weighted mean of an estimator, normalised."""
    weights, allowed = [4, 3, 2, 1], {1, 3}
    found = expected_weights(ESTIMATORS[name][0], weights, allowed)
    assert {t: w / sum(found.values()) for t, w in found.items()} == {1: Fraction(3, 4), 3: Fraction(1, 4)}


def test_the_first_accept_of_the_recursive_estimator_has_the_law_of_masking():
    weights, allowed = [4, 3, 2, 1], {1, 3}
    row = log_of(np.array(weights) / sum(weights))
    law: dict[int, Fraction] = {}
    for p, (token, _) in paths(lambda tape: recursive(urn(tape, row), row, allowed.__contains__)):
        law[token] = law.get(token, Fraction(0)) + p
    assert law == {1: Fraction(3, 4), 3: Fraction(1, 4)}
