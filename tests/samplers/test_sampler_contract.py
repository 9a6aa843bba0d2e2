"""One contract for all samplers, and contract checks that find what is wrong with a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass

import numpy as np
import pytest

import samplers
from grammars import BudgetExhausted, Vocabulary, regex
from samplers import BrokenContract, Masking, Problem, length, predicate, sample
from samplers.contracts import (
    check_constraint,
    check_model,
    check_potential,
    check_sampler,
    check_samples,
    tiny_problem,
)
from samplers.errors import InvalidOption
from samplers.models import NGram, Tabulated
from samplers.potentials import text_potential
from samplers.protocols import Sampler
from tests.samplers.roster import GROWING, ROSTER, court, guarded

Make = Callable[[], Sampler]
everyone = pytest.mark.parametrize("make", ROSTER.values(), ids=ROSTER.keys())

LETTERS = Vocabulary([b"a", b"b", b"ab", b"c", b"<end>"], eos=[4])


def letters_problem(constraint: object, max_tokens: int = 6) -> Problem:
    model = NGram(LETTERS, [[0, 1, 0], [2, 0], [0, 0, 1, 3]], order=2)
    return Problem(model, constraint, max_tokens=max_tokens)  # pyright: ignore[reportArgumentType]


def drawn(problem: Problem, make: Make, n: int, seed: int) -> samplers.Samples | None:
    try:
        return sample(problem, make(), n, seed)
    except BudgetExhausted:  # rejection with one try
        return None


@pytest.mark.parametrize("name", ROSTER)
def test_a_sampler_keeps_the_contract_and_has_the_law_it_claims(name: str):
    check_sampler(ROSTER[name], problem=court(name))


def test_a_guarded_policy_keeps_the_contract():
    check_sampler(lambda: guarded(tiny_problem()))


def test_no_sampler_is_missing_from_the_roster():
    shipped = {name for name in samplers.__all__ if hasattr(getattr(samplers, name), "init")} - {"Sampler"}
    assert shipped == {type(make()).__name__ for make in ROSTER.values()} | {"Guarded"}


@everyone
def test_options_are_frozen(make: Make):
    sampler = make()
    assert is_dataclass(sampler)
    for field in fields(sampler):
        with pytest.raises(FrozenInstanceError):
            setattr(sampler, field.name, None)


@everyone
@pytest.mark.parametrize(
    "constraint",
    [
        regex("(ab|c)*"),
        regex("[abc]{2,4}").compile(LETTERS),
        predicate(lambda text: b"bb" not in text),
        predicate(lambda text: len(text) % 2 == 0, final=True),
        regex("[ab]*") & length(1, 3, "characters"),
        regex("[ab]*").compile(LETTERS) & predicate(lambda text: not text.startswith(b"b")),
        length(1, 4) & regex("a*b*"),
    ],
    ids=["grammar", "automaton", "predicate", "final", "length", "product", "tokens"],
)
def test_every_finished_row_is_in_the_language(make: Make, constraint: object):
    problem = letters_problem(constraint)
    for seed in range(6):
        samples = drawn(problem, make, 3, seed)
        if samples is not None:
            check_samples(problem, samples, make())


@everyone
def test_the_model_is_called_by_the_driver_alone(make: Make):
    class Watched(Tabulated):
        allowed = False

        def log_probs(self, contexts, parents=None):
            assert type(self).allowed, "a sampler called the model"
            return super().log_probs(contexts, parents)

    class Driver(samplers.Evaluator):
        def rows(self, contexts, demand):
            Watched.allowed = True
            try:
                return super().rows(contexts, demand)
            finally:
                Watched.allowed = False

    model = Driver(Watched(LETTERS, {}, otherwise=[2, 1, 1, 1, 3]))
    drawn(Problem(model, regex("[abc]{1,3}"), max_tokens=4), make, 2, 0)


@everyone
def test_nothing_is_drawn_outside_the_tape(make: Make):
    problem = tiny_problem()
    np.random.seed(1)
    first = drawn(problem, make, 4, 11)
    np.random.seed(2)
    second = drawn(problem, make, 4, 11)
    if first is None or second is None:
        assert first is second
        return
    assert first.text == second.text
    assert first.log_weights.tolist() == second.log_weights.tolist()


@everyone
def test_a_numpy_generator_serves_as_the_source_of_randomness(make: Make):
    problem, sampler = tiny_problem(), make()
    state = sampler.init(problem, 1, np.random.default_rng(0))
    before = state
    while len(state.contexts):
        rows = problem.model.log_probs(state.contexts)
        before, (state, _) = state, sampler.step(problem, state, rows, np.random.default_rng(1))
    assert len(before.contexts) > 0


@everyone
def test_steps_leave_the_contexts_of_the_old_state_as_they_were(make: Make):
    problem, sampler = tiny_problem(), make()
    state = sampler.init(problem, 2, np.random.default_rng(0))
    contexts = [c.tolist() for c in state.contexts]
    sampler.step(problem, state, problem.model.log_probs(state.contexts), np.random.default_rng(5))
    assert [c.tolist() for c in state.contexts] == contexts


@pytest.mark.parametrize("name", [name for name in ROSTER if name not in GROWING])
def test_a_step_can_be_taken_again_with_the_same_result(name: str):
    problem, sampler = tiny_problem(), ROSTER[name]()
    state = sampler.init(problem, 2, np.random.default_rng(0))
    rows = problem.model.log_probs(state.contexts)
    once, _ = sampler.step(problem, state, rows, np.random.default_rng(5))
    again, _ = sampler.step(problem, state, rows, np.random.default_rng(5))
    assert [c.tolist() for c in once.contexts] == [c.tolist() for c in again.contexts]


@everyone
def test_no_draws_are_no_rows(make: Make):
    samples = sample(tiny_problem(), make(), 0, 0)
    assert len(samples) == len(samples.text) == len(samples.log_weights) == 0
    assert samples.ess() == 0.0
    assert "0 rows" in samples.summary()


# -- the checks find what is wrong ------------------------------------------------------------------------------------


def test_every_shipped_constraint_passes_the_check():
    for constraint in (regex("a(b|c)*"), predicate(lambda t: b"aa" not in t), length(1, 3), length(0, 2, "words")):
        check_constraint(letters_problem(constraint).constraint)


class Stale:
    """A constraint that follows another one and lies about one thing."""

    TRUE = regex("a(b|c)*").compile(LETTERS)

    def __init__(self, **lies: Callable[..., object]):
        self.vocabulary, self.start = LETTERS, self.TRUE.start
        for name in ("advance_many", "fill_masks", "allows", "accepts"):
            setattr(self, name, lies.get(name, getattr(self.TRUE, name)))


def no_end(states, out):
    Stale.TRUE.fill_masks(states, out)
    out &= 0b01111


def past_the_end(states, out):
    Stale.TRUE.fill_masks(states, out)
    out |= 1 << 20


@pytest.mark.parametrize(
    ("lie", "complaint"),
    [
        ({"allows": lambda state, token: True}, "allows"),
        ({"accepts": lambda state: False}, "accepts"),
        ({"fill_masks": no_end}, "end token 4 and accepts"),
        ({"fill_masks": past_the_end}, "past the vocabulary"),
        ({"advance_many": lambda states, tokens: np.zeros(len(states), np.int64)}, "dead state"),
    ],
)
def test_a_constraint_that_lies_is_named(lie: dict[str, Callable[..., object]], complaint: str):
    with pytest.raises(BrokenContract, match=rf"Stale: .*{complaint}"):
        check_constraint(Stale(**lie))


def test_a_potential_that_breaks_its_promise_is_named():
    never = text_potential(lambda text: 0.0, lambda text: -np.inf if text == b"a" else 0.0).over(LETTERS)
    with pytest.raises(BrokenContract, match="a completion has mass"):
        check_potential(never, LETTERS)


def test_a_potential_that_depends_on_its_neighbours_is_named():
    class Relative:
        def log_prefix(self, contexts):
            return np.zeros(len(contexts))

        def log_complete(self, contexts):
            return np.array([len(c) - len(contexts[0]) for c in contexts], float)

    with pytest.raises(BrokenContract, match="one at a time"):
        check_potential(Relative(), LETTERS)


def test_a_model_of_logits_is_named():
    class Logits(Tabulated):
        def log_probs(self, contexts, parents=None):
            return super().log_probs(contexts, parents) + 3.0

    with pytest.raises(BrokenContract, match="sums to 20"):
        check_model(Logits(LETTERS, {}, otherwise=[1, 1, 1, 1, 1]))


def test_a_model_that_depends_on_the_batch_is_named():
    class Drifting(Tabulated):
        def log_probs(self, contexts, parents=None):
            rows = super().log_probs(contexts, parents)
            return rows if len(contexts) > 1 else np.roll(rows, 1, axis=1)

    with pytest.raises(BrokenContract, match="depends on the batch"):
        check_model(Drifting(LETTERS, {}, otherwise=[1, 2, 3, 4, 5]))


def test_a_sampler_with_wrong_weights_is_named():
    class Doubled(Masking):
        def finish(self, problem, state):
            samples = super().finish(problem, state)
            return samples.take(np.arange(len(samples)), samples.log_weights + np.log(2.0))

    with pytest.raises(BrokenContract, match=r"Doubled: is not properly weighted: E\[w\] of .* not 1/8"):
        check_sampler(Doubled)


def test_a_sampler_that_claims_too_much_is_named():
    class Boastful(Masking):
        law = "exact"

    with pytest.raises(BrokenContract, match="Boastful: is not exact"):
        check_sampler(Boastful)


def test_a_sampler_that_draws_elsewhere_is_named():
    class Leaky(Masking):
        def propose(self, front, tape):
            return super().propose(front, samplers.tape.seeded(None))

    with pytest.raises(BrokenContract, match="the same seed"):
        check_sampler(Leaky)


def test_what_is_no_constraint_model_or_sampler_is_refused_by_name():
    model = Tabulated(LETTERS, {}, otherwise=[1, 1, 1, 1, 1])
    with pytest.raises(BrokenContract, match="str is no constraint"):
        Problem(model, "a*")  # pyright: ignore[reportArgumentType]
    with pytest.raises(BrokenContract, match="dict is no language model"):
        Problem({}, regex("a*"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(BrokenContract, match="Masking is no sampler"):
        sample(Problem(model, regex("a*")), Masking)  # pyright: ignore[reportArgumentType]
    with pytest.raises(BrokenContract, match="function is no potential"):
        Problem(model, regex("a*"), [lambda text: 0.0])  # pyright: ignore[reportArgumentType]
    with pytest.raises(BrokenContract, match="sequence of potentials, not int"):
        Problem(model, regex("a*"), 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidOption, match="max_tokens"):
        Problem(model, regex("a*"), max_tokens=-1)
