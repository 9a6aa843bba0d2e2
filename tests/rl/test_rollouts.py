"""What rollouts record is what was drawn; masks come back from states; what cannot be drawn is counted by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from decoding.rl.errors import NothingToLearn
from decoding.rl.incidents import Incidents
from decoding.rl.joint import Question, joint
from decoding.rl.lockstep import run_together
from decoding.rl.nlpo import DynamicMasking, narrowed
from decoding.rl.record import Drawn
from decoding.rl.replay import MaskTable, replayed
from decoding.rl.rollouts import Rollouts, collect
from decoding.rl.tree import SegmentTree, advantages
from grammars import DeadEnd, RequestError, StateError, Vocabulary, choice, json_schema, literal, regex
from samplers import (
    BTW,
    CARS,
    MCMC,
    SMC,
    AdaptiveRejection,
    Backtracking,
    Beam,
    BestOf,
    Masking,
    Problem,
    Rejection,
    StochasticBeam,
    enumerate_texts,
    length,
    sample,
)
from samplers.laws import exact_law, text_law, weighted_law
from samplers.models import Tabulated
from samplers.potentials import text_potential
from samplers.protocols import Sampler

WATER, ICE = "User: Is water wet?\nAssistant:", "User: Is ice hot?\nAssistant:"
SUM = "User: What is 2 + 2?\nAssistant:"
ANSWERS = choice([" yes", " no", " maybe"])
PERSON = literal(" ") + json_schema(
    {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)
ADA = "Extract the person from: Ada Lovelace is 36 years old.\nJSON:"


# -- the record -------------------------------------------------------------------------------------------------------


def test_masking_weighs_a_text_with_the_mass_of_its_masks(built_in: Any):
    found = collect(built_in, [ADA], PERSON, n=6, max_tokens=40, seed=1)
    for row in found.rows:
        assert row.finished
        assert row.log_mass.sum() == pytest.approx(row.log_weight, abs=1e-9)
        assert (row.log_mass < 1e-9).all()
        assert row.ids[-1] in built_in.vocabulary.eos


SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "Masking": Masking,
    "SMC": lambda: SMC(4, 0.9),
    "AdaptiveRejection": AdaptiveRejection,
    "Rejection": lambda: Rejection(max_draws=2000),
    "CARS": CARS,
    "MCMC": lambda: MCMC(k=2),
    "BTW": BTW,
    "Beam": lambda: Beam(4),
    "StochasticBeam": lambda: StochasticBeam(4),
    "BestOf": lambda: BestOf(2),
    "Backtracking": Backtracking,
    "SegmentTree": SegmentTree,
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_leaves_a_complete_record(built_in: Any, name: str):
    """Also those that go back to old branches: log π by token adds up to what the sampler says of the text."""
    found = collect(built_in, [WATER, ICE], ANSWERS, SAMPLERS[name](), n=4, max_tokens=6, seed=2)
    for group in found.groups:
        assert group.samples is not None
        assert len(group.rows) == len(group.samples) >= 4
        for row, log_prob in zip(group.rows, group.samples.log_probs, strict=True):
            if row.finished:
                assert row.log_policy.sum() == pytest.approx(log_prob, abs=1e-5)
                assert len(row.log_policy) == len(row.log_mass) == len(row.ids) == len(row.states)


def test_prompts_share_their_calls_and_keep_their_own_constraints(built_in: Any):
    both = collect(built_in, [SUM, WATER], [regex(" [0-9]"), ANSWERS], n=5, max_tokens=6, seed=3)
    digits, words = both.groups
    assert all(row.text.strip().isdigit() for row in digits.rows)
    assert all(row.text.strip().isalpha() for row in words.rows)


def test_a_seed_decides_everything_and_other_prompts_nothing(built_in: Any):
    def texts(prompts: list[str]) -> list[list[bytes]]:
        found = collect(built_in, prompts, ANSWERS, n=4, max_tokens=6, seed=5)
        return [[row.text for row in group.rows] for group in found.groups]

    assert texts([WATER, SUM]) == texts([WATER, SUM])
    assert texts([WATER, ADA])[0] == texts([WATER, SUM])[0]


def test_the_mean_weight_estimates_the_legal_mass(built_in: Any):
    truth = np.exp(enumerate_texts(built_in.problem(WATER, constraint=ANSWERS, max_tokens=6)).log_z)
    found = collect(built_in, [WATER], ANSWERS, n=4000, max_tokens=6, seed=6)
    weights = np.exp(found.groups[0].log_weights)
    error = max(weights.std() / np.sqrt(len(weights)), 1e-12)
    assert abs(weights.mean() - truth) < 5 * error
    assert found.figures()["legal_mass"] == pytest.approx(weights.mean())


def test_a_text_that_ran_out_of_tokens_stays_marked(built_in: Any):
    found = collect(built_in, [ADA], regex("[a-z]{8,}"), n=6, max_tokens=3, seed=7)
    marked = [row for row in found.rows if not row.finished]
    assert marked
    assert {row.finish for row in marked} <= {"length", "dead"}
    assert all(row.log_weight == -np.inf for row in marked)
    assert found.incidents["unfinished"] == len(marked)


def test_without_a_constraint_nothing_is_masked(built_in: Any):
    found = collect(built_in, [WATER], None, n=4, max_tokens=30, seed=8)
    assert all(np.abs(row.log_mass[:30]).max() < 1e-6 for row in found.rows)  # behind the budget only the end follows


# -- one batch for many prompts ---------------------------------------------------------------------------------------


def test_a_padded_batch_says_what_the_model_says_about_each_prompt_alone(exact_engine: Any):
    problems = [exact_engine.problem(prompt, constraint=ANSWERS) for prompt in (WATER, ADA, "A")]
    together = joint([problem.model for problem in problems])
    contexts = [[np.zeros(0, np.int64)], [np.array([300])], [np.array([300, 301]), np.array([300, 5])]]
    for step in contexts:
        answers = together.answers([Question(i, step) for i in range(3)])
        for problem, rows in zip(problems, answers, strict=True):
            alone = problem.model.log_probs(step)
            assert np.abs(np.exp(rows) - np.exp(alone)).max() < 1e-6


def test_rows_that_are_followed_no_further_are_dropped(exact_engine: Any):
    """Keys and values stay right when rows fork, end and are asked for again from the start."""
    problem = exact_engine.problem(WATER, constraint=ANSWERS)
    together = joint([problem.model, problem.model])
    for step in ([[5], [6], [7]], [[6, 1], [6, 2]], [[6, 2, 9]], [[4], [8, 3]]):
        contexts = [np.array(context) for context in step]
        rows = together.answers([Question(1, contexts)])[0]
        assert np.abs(np.exp(rows) - np.exp(problem.model.log_probs(contexts))).max() < 1e-6


# -- one population for many prompts ----------------------------------------------------------------------------------


class Alone(Masking):
    """Masking that nobody recognises: every prompt runs in a lane of its own."""


@pytest.mark.parametrize("forms", [regex(" [a-z]{1,8}"), [regex("[0-9]+"), ANSWERS, ANSWERS], None])
@pytest.mark.parametrize("max_tokens", [3, 12])
def test_prompts_that_run_abreast_draw_what_they_draw_alone(exact_engine: Any, forms: Any, max_tokens: int):
    prompts = [WATER, ICE, "2 + 2 ="]
    abreast, alone = (
        collect(exact_engine, prompts, forms, sampler, n=4, max_tokens=max_tokens, seed=1)
        for sampler in (Masking(), Alone())
    )
    assert abreast.incidents == alone.incidents
    for one, other in zip(abreast.groups, alone.groups, strict=True):
        assert one.samples is not None
        assert other.samples is not None
        assert one.samples.calls == other.samples.calls
        for row, same in zip(one.rows, other.rows, strict=True):
            assert row.ids.tolist() == same.ids.tolist()
            assert row.finish == same.finish
            assert row.log_weight == pytest.approx(same.log_weight, abs=1e-9)
            assert row.log_policy == pytest.approx(same.log_policy, abs=1e-9)
            assert row.log_mass == pytest.approx(same.log_mass, abs=1e-9)


def test_a_prompt_that_gives_the_form_no_mass_does_not_stop_the_others():
    ab = regex("ab?").compile(AB)
    worlds = [
        Problem(Tabulated(AB, {}, otherwise=chances), ab, max_tokens=4) for chances in ([2, 1, 1], [0, 1, 1], [1, 1, 2])
    ]
    generators = [np.random.default_rng(i) for i in range(3)]
    first, lost, last = run_together(worlds, Masking(), 5, generators, joint([world.model for world in worlds]))
    assert isinstance(lost, DeadEnd)
    for drawn in (first, last):
        assert isinstance(drawn, Drawn)
        assert drawn.samples.finish == ("end",) * 5
        for tokens, (log_policy, log_mass) in zip(drawn.samples.tokens, drawn.logs, strict=True):
            assert len(log_policy) == len(log_mass) == len(tokens) + 1


def test_potentials_weigh_prompts_that_run_abreast(built_in: Any):
    longer = text_potential(lambda text: 0.1 * len(text))
    drawn = collect(built_in, [WATER, ICE], ANSWERS, n=3, max_tokens=6, seed=4, potentials=(longer,))
    for row in drawn.rows:
        assert row.log_weight == pytest.approx(row.log_mass.sum() + 0.1 * len(row.text), abs=1e-9)


# -- replay -----------------------------------------------------------------------------------------------------------


def deviations(engine: Any, found: Rollouts) -> dict[str, float]:
    """How far ratios of the model itself are from 1: masks replayed, one forward pass over whole texts."""
    from decoding.rl.tensors import forwarded

    rows = found.rows
    logs = forwarded(engine.problem("A", constraint=ANSWERS).model.model, rows, engine.vocabulary)
    worst = {"masked": 0.0, "policy": 0.0}
    for i, row in enumerate(rows):
        n = len(row.ids)
        for kind, old in (("masked", row.log_masked), ("policy", row.log_policy)):
            now = getattr(logs, kind).values[i, :n].detach().numpy()
            worst[kind] = max(worst[kind], float(np.abs(np.exp(now - old) - 1).max()))
    return worst


def test_replayed_masks_give_a_ratio_of_one(exact_engine: Any):
    found = collect(exact_engine, [ADA, SUM], [PERSON, regex(" [0-9]{1,3}")], n=6, max_tokens=40, seed=9)
    assert max(deviations(exact_engine, found).values()) < 1e-6


def test_in_single_precision_the_ratio_differs_by_rounding_alone(engine: Any):
    found = collect(engine, [ADA, SUM], [PERSON, regex(" [0-9]{1,3}")], n=6, max_tokens=40, seed=9)
    assert max(deviations(engine, found).values()) < 2e-4


def test_a_ratio_is_one_at_the_token_budget_too(exact_engine: Any):
    found = collect(exact_engine, [SUM], regex("( ?[0-9])+"), n=12, max_tokens=2, seed=10)
    assert {len(row.ids) for row in found.rows if row.finished} >= {3}
    assert max(deviations(exact_engine, found).values()) < 1e-6


def test_a_rollout_of_another_constraint_is_not_replayed():
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    only_a = regex("a+").compile(vocabulary)
    with pytest.raises(StateError, match="token 1"):
        replayed(only_a, np.array([0, 1, 2]), 8)
    with pytest.raises(StateError, match="not complete"):
        replayed(only_a, np.array([2]), 8)


def test_equal_masks_are_stored_once(built_in: Any):
    found = collect(built_in, [ADA], PERSON, n=8, max_tokens=40, seed=1)
    walks = [row.walk() for row in found.rows]
    table = MaskTable.of(walks, built_in.vocabulary.words)
    assert len(table.rows) < sum(len(walk.masks) for walk in walks) / 2
    for i, walk in enumerate(walks):
        assert np.array_equal(table.rows[table.ids[i, : len(walk.masks)]], walk.masks)


# -- segment trees ----------------------------------------------------------------------------------------------------

AB = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
WORLD = Problem(
    Tabulated(AB, {(0,): [1, 3, 4], (1,): [5, 2, 1]}, otherwise=[4, 2, 2]), regex("a|ab|b{2}|ba"), max_tokens=2
)


@pytest.mark.parametrize("entropy", [0.0, 0.6])
@pytest.mark.parametrize("n", [2, 3])
def test_each_leaf_of_a_tree_alone_is_a_draw_of_masking(n: int, entropy: float):
    masking = text_law(exact_law(WORLD, Masking))
    law = exact_law(WORLD, lambda: SegmentTree(2, entropy), n)
    for row in range(n):
        assert text_law(law, row) == masking
    assert weighted_law(law) == weighted_law(exact_law(WORLD, Masking))


def test_a_tree_asks_the_model_less_than_independent_draws():
    model = Tabulated(AB, {}, otherwise=[6, 1, 1])
    problem = Problem(model, regex("a{6}(a|b)b{3}"))
    tree, apart = (sample(problem, one, n=8, seed=0) for one in (SegmentTree(branch=8, entropy=0.3), Masking()))
    assert tree.calls.logical == 6 + 8 * 5 - 8 + 1  # six letters and the fork together, then eight alone
    assert apart.calls.logical == 8 * 11


def test_a_tree_without_a_choice_is_one_line():
    problem = Problem(Tabulated(AB, {}, otherwise=[1, 1, 1]), regex("abab"))
    samples = sample(problem, SegmentTree(), n=4, seed=0)
    assert samples.calls.logical == 5
    assert samples.notes["forks"] == ()


def test_advantages_of_a_tree_sum_to_zero_and_compare_siblings():
    forks = [np.zeros(4, np.int64), np.array([0, 0, 1, 1])]
    found = advantages(np.array([3.0, 1.0, 5.0, 5.0]), forks)
    assert found.sum() == pytest.approx(0.0)
    assert found[0] - found[1] == pytest.approx(2.0)  # siblings differ by what they earned
    assert found[2] == found[3] == pytest.approx(0.75)  # half of what the pair is above the rest


# -- dynamic masks ----------------------------------------------------------------------------------------------------


def test_dynamic_masks_lie_inside_of_the_grammar_and_of_the_nucleus(exact_engine: Any):
    problem = exact_engine.problem(ADA, constraint=PERSON)
    found = collect(exact_engine, [ADA], PERSON, DynamicMasking(problem.model, 0.6), n=4, max_tokens=40, seed=11)
    free = collect(exact_engine, [ADA], PERSON, n=4, max_tokens=40, seed=11)
    for row in found.rows:
        kept, grammar = row.walk().masks, replayed(row.constraint, row.ids, row.max_tokens).masks
        assert not (kept & ~grammar).any()
        assert (kept != grammar).any()
    assert max(deviations(exact_engine, found).values()) < 1e-6
    assert all(row.masks is None for row in free.rows)


def test_a_nucleus_outside_of_the_grammar_gives_way_to_it():
    rows = np.log([[0.9, 0.05, 0.05]])
    assert narrowed(np.array([[0b110]], np.uint32), rows, 0.5).tolist() == [[0b110]]
    assert narrowed(np.array([[0b111]], np.uint32), rows, 1.0).tolist() == [[0b111]]


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompts", "constraint", "n"),
    [([], ANSWERS, 4), ("one", ANSWERS, 4), (["one"], ANSWERS, 0), (["a", "b"], [ANSWERS], 2)],
)
def test_empty_groups_and_prompts_are_refused(built_in: Any, prompts: Any, constraint: Any, n: int):
    with pytest.raises(RequestError):
        collect(built_in, prompts, constraint, n=n)


def test_a_prompt_that_is_too_long_is_left_out_and_counted(built_in: Any):
    found = collect(built_in, [WATER, "word " * 2000], ANSWERS, n=2, max_tokens=6, seed=0)
    assert [len(group.rows) for group in found.groups] == [2, 0]
    assert found.incidents == {"prompt_too_long": 1}


def test_a_constraint_that_nothing_can_finish_is_left_out_and_counted(built_in: Any):
    found = collect(built_in, [WATER, SUM], [ANSWERS, length(90, 99)], n=2, max_tokens=6, seed=0)
    assert [len(group.rows) for group in found.groups] == [2, 0]
    assert found.incidents["unfinishable"] == 1
    assert "max_tokens=6" in str(found.groups[1].error)


def test_where_nothing_is_left_there_is_nothing_to_learn(built_in: Any):
    noted = Incidents()
    with pytest.raises(NothingToLearn, match="unfinishable 1"):
        collect(built_in, [WATER], length(90, 99), n=2, max_tokens=6, incidents=noted)
    assert noted["unfinishable"] == 1
