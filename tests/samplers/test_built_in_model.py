"""Every sampler over every kind of constraint on the built-in model: what it calls finished is valid, all of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from decoding.embedded import load
from grammars import BudgetExhausted, choice, json_schema, lark, literal, regex
from samplers import (
    BTW,
    CARS,
    SMC,
    AdaptiveRejection,
    Evaluator,
    Exact,
    Guarded,
    Masking,
    Problem,
    Samples,
    length,
    permutation,
    predicate,
    sample,
)
from samplers.potentials import text_potential
from samplers.protocols import Sampler
from tests.samplers.roster import ROSTER

PROMPT = "Question: What is 12 + 7?\nAnswer:"
BUDGET = 4


def even(text: bytes) -> bool:
    return text.strip()[-1:] in b"02468" and text.strip() != b""


CONSTRAINTS: dict[str, tuple[object, Callable[[bytes], bool]]] = {
    "regex": (regex(" [0-9]{1,2}"), regex(" [0-9]{1,2}").matches),
    "schema": (literal(" ") + json_schema({"enum": [19, 25, "no", None]}), lambda t: t[1:] in b'19 25 "no" null'),
    "grammar": (lark('start: " " (n | "yes" | "no")\nn: /[0-9]/ n?'), regex(" ([0-9]+|yes|no)").matches),
    "choice": (choice([" yes", " no", " 19"]), lambda t: t in (b" yes", b" no", b" 19")),
    "predicate": (predicate(lambda t: b"1" not in t), lambda t: b"1" not in t),
    "product": (
        regex(" [0-9]{1,2}") & predicate(even, final=True),
        lambda t: even(t) and regex(" [0-9]{1,2}").matches(t),
    ),
    "length": (regex("[ a-z0-9]*") & length(2, 3, "characters"), lambda t: 2 <= len(t) <= 3),
    "task": (permutation(["1", "9"]), lambda t: t in (b"1 9", b"9 1")),
}
GIVES_UP = ("Rejection", "Rejection, side by side", "CARS", "CARS, one at a time", "BTW exact", "Exact")
"""Samplers that may find nothing with the few tries, or the few prefixes, that they have here."""


@cache
def model() -> Evaluator:
    return Evaluator(load(PROMPT))


def small(name: str) -> Sampler:
    """The sampler of the roster, with its tries bounded."""
    bounded: dict[str, Callable[[], Sampler]] = {
        "CARS": lambda: CARS(width=2, max_draws=10),
        "CARS, one at a time": lambda: CARS(width=1, max_draws=10),
        "BTW exact": lambda: BTW("exact", max_draws=10),
        "Exact": lambda: Exact(300),
    }
    return bounded.get(name, ROSTER[name])()


def drawn(problem: Problem, sampler: Sampler, n: int) -> Samples | None:
    try:
        return sample(problem, sampler, n, seed=3)
    except BudgetExhausted:
        return None


@pytest.mark.parametrize("name", ROSTER)
def test_every_finished_row_is_valid_under_every_constraint(name: str):
    finished = 0
    for constraint, valid in CONSTRAINTS.values():
        problem = Problem(model(), constraint, max_tokens=BUDGET)  # pyright: ignore[reportArgumentType]
        samples = drawn(problem, small(name), 4)
        for row in samples or ():
            assert row.finish != "end" or valid(row.text), row
            assert row.finish == "end" or row.log_weight == -np.inf
            finished += row.finish == "end"
    assert finished or name in GIVES_UP


def test_a_policy_of_another_prompt_is_guarded():
    problem = Problem(model(), regex(" [0-9]{1,2}"), max_tokens=BUDGET)
    samples = sample(problem, Guarded(load("Question: What is 11 + 7?\nAnswer:"), k=3), 6, seed=0)
    assert all(regex(" [0-9]{1,2}").matches(row.text) for row in samples if row.finish == "end")
    assert "end" in samples.finish


def test_what_potentials_prefer_is_preferred():
    likes_nines = text_potential(lambda text: 3.0 * text.count(b"9"))
    problem = Problem(model(), regex(" [0-9]{2}"), [likes_nines], max_tokens=BUDGET)
    plain = Problem(model(), regex(" [0-9]{2}"), max_tokens=BUDGET)
    shares = [sample(p, SMC(200), seed=0).expectation(lambda text: b"9" in text) for p in (problem, plain)]
    assert shares[0] > shares[1]


@pytest.mark.parametrize("proposal", [Masking(), AdaptiveRejection()], ids=["masks", "checks"])
def test_particles_share_what_their_prefixes_have_in_common(proposal: Masking | AdaptiveRejection):
    """One position goes through the transformer for each distinct prefix, however many particles wait for it."""
    asked = load(PROMPT)
    asked.log_probs([[]])
    before = asked.forwarded
    samples = sample(Problem(asked, regex(r" [0-9]{1,6}( [a-z]{1,8})?"), max_tokens=12), SMC(30, proposal=proposal))
    assert samples.calls.logical > 2 * samples.calls.distinct
    assert asked.forwarded - before <= 1.05 * (samples.calls.distinct - 1)
