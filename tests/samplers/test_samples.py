"""Samples: what the weights mean, and what can be asked of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from grammars import BudgetExhausted, DeadEnd
from samplers import InvalidOption, Samples


def samples(log_weights: list[float], finish: tuple[str, ...] | None = None) -> Samples:
    n = len(log_weights)
    return Samples(
        tokens=tuple(np.array([i]) for i in range(n)),
        finish=finish or ("end",) * n,
        text=tuple(b"%d" % i for i in range(n)),
        log_weights=np.array(log_weights),
        log_probs=np.log(np.arange(1, n + 1) / 10.0),
        log_proposal=np.zeros(n),
    )


def test_log_z_is_the_mean_weight_and_unfinished_rows_count_in_n():
    s = samples([0.0, -math.inf, math.log(3.0), -math.inf], ("end", "length", "end", "dead"))
    assert math.exp(s.log_z) == pytest.approx(1.0)
    assert s.expectation(lambda text: text == b"2") == pytest.approx(0.75)
    assert s.ess() == pytest.approx(1.6)
    assert s.normalized_weights().tolist() == pytest.approx([0.25, 0.0, 0.75, 0.0])


def test_weights_that_underflow_are_weights():
    s = samples([-5000.0, -5000.0 + math.log(3.0)])
    assert s.expectation(lambda text: text == b"1") == pytest.approx(0.75)
    assert s.log_z == pytest.approx(-5000.0 + math.log(2.0))


def test_expectations_may_be_arrays_and_are_not_asked_of_rows_without_weight():
    s = samples([0.0, -math.inf, 0.0])
    asked: list[bytes] = []
    value = s.expectation(lambda text: asked.append(text) or np.array([1.0, float(text)]))
    assert value.tolist() == [1.0, 1.0]
    assert asked == [b"0", b"2"]


def test_the_best_row_is_finished_and_has_the_largest_target():
    assert samples([0.0, 0.0, -math.inf], ("end", "end", "length")).best().text == b"1"


def test_resampling_is_unbiased_and_level():
    s = samples([math.log(w) for w in (1, 2, 5)])
    again = s.resample(8000, 3)
    assert len(set(again.log_weights.tolist())) == 1
    assert again.log_weights[0] == s.log_z
    counts = [again.text.count(b"%d" % i) for i in range(3)]
    assert all(abs(c - 1000 * w) < 5 * math.sqrt(1000 * w) for c, w in zip(counts, (1, 2, 5), strict=True))
    assert len(s.resample(0, 1)) == 0
    assert s.resample(5, np.random.default_rng(1)).text == s.resample(5, np.random.default_rng(1)).text


def test_nothing_is_never_presented_as_a_sample():
    for finish, error in (("dead", DeadEnd), ("length", BudgetExhausted)):
        nothing = samples([-math.inf, -math.inf], (finish, finish))
        for ask in (lambda s: s.expectation(len), lambda s: s.resample(1, 0), lambda s: s.best()):
            with pytest.raises(error):
                ask(nothing)
        assert nothing.ess() == 0.0
        assert "0 complete" in nothing.summary()


def test_a_negative_number_of_draws_is_refused():
    with pytest.raises(InvalidOption):
        samples([0.0]).resample(-1, 0)


def test_rows_can_be_read_one_by_one():
    draws = list(samples([0.0, 1.0]))
    assert [d.text for d in draws] == [b"0", b"1"]
    assert draws[1].log_weight == 1.0
    assert draws[0].finish == "end"
