"""The draw tape: tails are not lost, floats are drawn as they are, and urns forget nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from samplers.bits import mask_of
from samplers.laws import ScriptedTape
from samplers.log_space import log_of
from samplers.tape import coins, log_allowed, seeded

V = 131_072


def z_of(hits: int, draws: int, p: float) -> float:
    return (hits - draws * p) / math.sqrt(draws * p * (1 - p))


@pytest.fixture(scope="module")
def long_tail() -> np.ndarray:
    """One token has nearly everything; 131,000 others share 1e-3."""
    p = np.full(V, 1e-3 / (V - 1))
    p[77] = 1.0 - 1e-3
    return np.log(p)


def test_tokens_of_a_long_tail_are_drawn_as_often_as_they_should(long_tail: np.ndarray):
    draws = 200_000
    everything = np.full((1, V // 32), 0xFFFFFFFF, np.uint32)
    tokens, log_mass = seeded(0).tokens(long_tail[None], everything, np.zeros(draws, np.int64))
    assert log_mass[0] == pytest.approx(0.0, abs=1e-9)
    assert abs(z_of(int((tokens != 77).sum()), draws, 1e-3)) < 5
    rare = tokens[tokens != 77]
    assert abs(z_of(int((rare >= V // 2).sum()), len(rare), 0.5)) < 5
    assert len(np.unique(rare)) > 0.95 * len(rare) * (1 - len(rare) / V)


def test_urns_reach_the_tail_and_never_repeat(long_tail: np.ndarray):
    urn = seeded(1).urns(long_tail[None], np.zeros(1, np.int64))[0]
    urn.take(77)
    assert urn.log_left() == pytest.approx(math.log(1e-3), abs=1e-6)
    seen = set()
    for _ in range(2_000):
        token = urn.draw()
        assert token not in seen
        seen.add(token)
        urn.take(token)
    assert urn.log_left() == pytest.approx(math.log(1e-3 * (1 - 2_000 / (V - 1))), abs=1e-6)


def test_what_is_left_in_an_urn_is_no_small_difference():
    row = np.array([0.0, -700.0, -710.0])
    urn = seeded(0).urns(row[None], np.zeros(1, np.int64))[0]
    urn.take(0)
    assert urn.log_left() == pytest.approx(np.logaddexp(-700.0, -710.0), abs=1e-9)
    urn.take(1)
    assert urn.draw() == 2
    urn.take(2)
    assert urn.draw() == -1
    assert urn.log_left() == -math.inf


def test_masks_decide_what_can_be_drawn():
    rng, tape = np.random.default_rng(0), seeded(0)
    for _ in range(50):
        size = int(rng.integers(1, 3_000))
        row = np.log(rng.dirichlet(np.full(size, 0.05)) + 1e-300)
        allowed = rng.choice(size, int(rng.integers(1, size + 1)), replace=False)
        mask = mask_of(allowed, size)[None]
        tokens, log_mass = tape.tokens(row[None], mask, np.zeros(20, np.int64))
        assert np.isin(tokens, allowed).all()
        assert log_mass[0] == pytest.approx(float(np.logaddexp.reduce(row[allowed])), rel=1e-9, abs=1e-9)
        assert log_allowed(row[None], mask)[0] == log_mass[0]


def test_draws_have_their_probabilities():
    weights = np.array([0.5, 0.0, 0.3, 0.2])
    draws = 100_000
    chosen = seeded(3).choose(np.broadcast_to(log_of(weights), (draws, 4)))
    masked, _ = seeded(4).tokens(log_of(weights)[None], mask_of([0, 2, 3], 4)[None], np.zeros(draws, np.int64))
    for found in (chosen, masked):
        for i, p in enumerate(weights.tolist()):
            hits = int((found == i).sum())
            assert hits == 0 if p == 0 else abs(z_of(hits, draws, p)) < 5


def test_the_last_token_is_no_dumping_ground_for_rounding():
    """Points at the very end of the sums fall on the last token that has mass."""

    class AlmostOne:
        def random(self, n=None):
            return 1.0 - 2.0**-53 if n is None else np.full(n, 1.0 - 2.0**-53)

    tape = seeded(0)
    tape._generator = AlmostOne()  # pyright: ignore
    rng = np.random.default_rng(0)
    for _ in range(200):
        weights = np.append(rng.random(30), np.zeros(10))
        assert tape.choose(log_of(weights)[None])[0] == 29
        assert tape.tokens(log_of(weights)[None], mask_of(range(40), 40)[None], np.zeros(1, np.int64))[0][0] == 29


def test_a_point_in_a_tail_of_a_billionth_is_a_point_in_the_tail():
    """Single precision would round the first number to one."""

    class Chosen:
        def __init__(self):
            self.left = [1.0 - 5e-10, 0.5, 0.5]

        def random(self, n=None):
            return self.left.pop(0) if n is None else np.array([self.left.pop(0)])

    row = log_of([1.0 - 1e-9, 1e-9])[None]
    once = np.zeros(1, np.int64)
    for draw in (
        lambda tape: tape.urns(row, once)[0].draw(),
        lambda tape: tape.choose(row)[0],
        lambda tape: tape.tokens(row, mask_of([0, 1], 2)[None], once)[0][0],
    ):
        tape = seeded(0)
        tape._generator = Chosen()  # pyright: ignore
        assert draw(tape) == 1


def test_nothing_to_draw_is_minus_one():
    nothing = np.full((1, 3), -np.inf)
    for tape in (seeded(0), ScriptedTape([])):
        assert tape.choose(nothing).tolist() == [-1]
        assert tape.tokens(nothing, mask_of([0, 1, 2], 3)[None], np.zeros(1, np.int64))[0].tolist() == [-1]
        assert tape.tokens(np.zeros((1, 3)), mask_of([], 3)[None], np.zeros(1, np.int64))[0].tolist() == [-1]
        assert tape.urns(nothing, np.zeros(1, np.int64))[0].draw() == -1


def test_coins_are_fair_at_the_ends():
    assert coins(seeded(0), np.array([0.0, -np.inf, 1e-12])).tolist() == [True, False, True]


def test_a_seed_repeats_everything():
    row = np.log(np.random.default_rng(0).dirichlet(np.ones(50)))[None]
    mask = mask_of(range(0, 50, 2), 50)[None]
    rows = np.zeros(30, np.int64)
    assert (seeded(5).tokens(row, mask, rows)[0] == seeded(5).tokens(row, mask, rows)[0]).all()
