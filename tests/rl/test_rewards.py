"""Rewards: graded form, lengths, likelihoods; and what becomes of numbers that are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from decoding.rl.errors import TrainingError
from decoding.rl.incidents import Incidents
from decoding.rl.rewards import (
    exact_length,
    format_reward,
    group_length_penalty,
    likelihood,
    likelihood_of,
    of_text,
    scored,
    target_length,
    total,
)
from decoding.rl.rollouts import Rollout, collect
from grammars import choice, json_schema, regex

WATER = "User: Is water wet?\nAssistant:"


def row(text: bytes, tokens: int = 1, finish: str = "end") -> Rollout:
    """A rollout of so many tokens and, if it ended, the end."""
    ids = np.zeros(tokens + int(finish == "end"), np.int64)
    nothing = np.zeros(len(ids))
    return Rollout((), ids, text, finish, nothing, nothing, 0.0, None, 9)  # type: ignore[arg-type]


def test_the_form_is_graded_by_how_far_a_text_stays_viable():
    grade = format_reward(json_schema({"type": "object"})).grade
    texts = [b"x", b'{"', b'{"a"', b'{"a": 1', b'{"a": 1}']
    grades = [grade(text) for text in texts]
    assert grades == sorted(grades)
    assert (grades[0], grades[-1]) == (0.0, 1.0)
    assert all(0 < each < 1 for each in grades[1:-1])
    assert grade(b'{"a": 1} and more') < 1


def test_an_empty_text_is_graded_too():
    assert format_reward(regex("a*")).grade(b"") == 1.0
    assert format_reward(regex("a+")).grade(b"") == 0.0


def test_lengths_are_wanted_exactly_or_nearly():
    rows = [row(b"one two", tokens) for tokens in (2, 4, 5, 9)]
    assert exact_length(4)("", rows) == [0.0, 1.0, 0.0, 0.0]
    assert target_length(4, tolerance=1)("", rows) == pytest.approx([0.75, 1.0, 1.0, 0.0])
    assert exact_length(2, "words")("", rows) == [1.0] * 4
    with pytest.raises(TrainingError, match="lines"):
        exact_length(2, "lines")


def test_within_a_group_shorter_is_better_if_it_is_right():
    rows = [row(b"no", 2), row(b"yes", 4), row(b"no", 6)]
    assert group_length_penalty()("", rows) == pytest.approx([0.5, 0.0, -0.5])
    is_yes = of_text(lambda prompt, text: float(text == "yes"))
    assert group_length_penalty(correct=is_yes)("", rows) == pytest.approx([0.0, 0.0, -0.5])
    assert group_length_penalty()("", [row(b"a", 3), row(b"b", 3)]) == [0.0, 0.0]


def test_likelihood_is_what_the_model_says(built_in: Any):
    found = collect(built_in, [WATER], choice([" yes", " no"]), n=3, max_tokens=4, seed=0)
    values = likelihood(built_in)(WATER, found.rows)
    assert values == pytest.approx([each.log_policy.mean() for each in found.rows], abs=1e-5)


def test_the_likelihood_of_the_right_answer_is_that_of_all_its_spellings(built_in: Any):
    (value,) = likelihood_of(built_in, lambda prompt: " yes")(WATER, [row(b"")])
    assert value is not None
    assert -20 < value < 0
    (helped,) = likelihood_of(built_in, lambda prompt: " yes")(WATER, [row(b" yes\nUser: Is ice wet?\nAssistant:")])
    assert helped is not None
    assert helped > value


def test_rewards_add_up():
    rows = [row(b"a", 2), row(b"bb", 4)]
    both = total({"length": (1.0, exact_length(2)), "text": (0.5, of_text(lambda prompt, text: len(text)))})
    assert both("", rows) == [1.5, 1.0]


# -- numbers that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), -float("inf")])
def test_what_cannot_be_judged_is_counted_and_marked(bad: Any):
    noted = Incidents()
    values = scored(of_text(lambda prompt, text: bad if text == "a" else 1.0), "", [row(b"a"), row(b"b")], noted)
    assert np.isnan(values[0])
    assert values[1] == 1.0
    assert noted == {"bad_reward": 1}


def test_a_sum_cannot_judge_what_one_of_its_parts_cannot():
    parts = {"a": (1.0, of_text(lambda prompt, text: None)), "b": (1.0, of_text(lambda prompt, text: 1.0))}
    assert total(parts)("", [row(b"a")]) == [None]


def test_an_unfinished_text_earns_nothing():
    values = scored(of_text(lambda prompt, text: 7.0), "", [row(b"a", finish="length"), row(b"b")], Incidents())
    assert values.tolist() == [0.0, 7.0]


def test_a_reward_must_judge_every_rollout():
    def short(prompt: str, rows: Sequence[Rollout]) -> list[float]:
        return [1.0]

    with pytest.raises(TrainingError, match="1 numbers for 2"):
        scored(short, "", [row(b"a"), row(b"b")], Incidents())
