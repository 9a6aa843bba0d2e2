"""The driver: each prefix is computed once, counted, and tells the model what it extends."""

from __future__ import annotations

import numpy as np
import pytest

from grammars import Vocabulary, regex
from samplers import SMC, Evaluator, Exact, Masking, Problem, Rejection, sample
from samplers.models import Callable, NGram, Tabulated

V = Vocabulary([b"a", b"b", b"<end>"], eos=[2])


class Recorder(Tabulated):
    """Remembers every call: the prefixes and their parents."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.calls: list[tuple[list[tuple[int, ...]], list[int]]] = []

    def log_probs(self, contexts, parents=None):
        self.calls.append(([tuple(c.tolist()) for c in contexts], parents.tolist()))
        return super().log_probs(contexts, parents)


def recorder() -> Recorder:
    return Recorder(V, {}, otherwise=[2, 1, 1])


@pytest.mark.parametrize("sampler", [Masking(), SMC(30), Rejection(), Exact()])
def test_a_prefix_is_computed_once(sampler):
    model = recorder()
    samples = sample(Problem(model, regex("[ab]{0,5}")), sampler, n=30, seed=0)
    asked = [context for contexts, _ in model.calls for context in contexts]
    assert len(asked) == len(set(asked)) == samples.calls.distinct
    assert samples.calls.logical >= samples.calls.distinct


def test_logical_calls_count_every_sequence_that_needed_one():
    samples = sample(Problem(recorder(), regex("[ab]{3}")), Masking(), n=10, seed=0)
    assert samples.calls.logical == 10 * 4
    assert samples.calls.distinct <= 1 + 2 + 4 + 8


@pytest.mark.parametrize("sampler", [Masking(), SMC(40, 1.0)])
def test_parents_point_at_the_row_that_a_context_extends(sampler):
    model = recorder()
    sample(Problem(model, regex("[ab]{6}")), sampler, n=40, seed=0)
    before: list[tuple[int, ...]] = []
    for contexts, parents in model.calls:
        for context, parent in zip(contexts, parents, strict=True):
            assert parent == (-1 if not context else before.index(context[:-1]))
        before = contexts


def test_a_model_with_keys_and_values_forwards_one_position_for_each_distinct_token():
    """What a model has to forward: the part of a context that its parent does not have."""
    model = recorder()
    samples = sample(Problem(model, regex("[ab]{12}")), SMC(20, 0.9), seed=3)
    forwarded = sum(
        1 if parent >= 0 or not context else len(context)
        for contexts, parents in model.calls
        for context, parent in zip(contexts, parents, strict=True)
    )
    assert forwarded <= 1.05 * samples.calls.distinct


def test_an_evaluator_keeps_answers_from_run_to_run():
    model = recorder()
    shared = Evaluator(model)
    problem = Problem(shared, regex("[ab]{2}"))
    first, second = sample(problem, Exact(), seed=0), sample(problem, Masking(), n=50, seed=1)
    assert (first.calls.distinct, second.calls.distinct) == (7, 0)
    assert shared.calls.distinct == 7


def test_the_target_is_what_the_model_said_first():
    """A model that answers differently every time does not shake the weights of a run."""
    rng = np.random.default_rng(0)
    moody = Callable(V, lambda prefix: rng.normal(size=3))
    problem = Problem(Evaluator(moody), regex("[ab]{2}"))
    masses = dict(sample(problem, Exact(), seed=0).notes["enumeration"].masses())
    for draw in sample(problem, Masking(), n=20, seed=1):
        assert draw.log_prob == pytest.approx(masses[tuple(draw.tokens.tolist())])


def test_answers_are_kept_up_to_a_number_of_bytes():
    model = recorder()
    shared = Evaluator(model, kept_bytes=2 * 8 * 3)
    contexts = [np.array([0]), np.array([1]), np.array([0, 0])]
    shared.log_probs(contexts)
    shared.log_probs(contexts[1:])
    assert shared.calls.distinct == 3
    shared.log_probs(contexts[:1])
    assert shared.calls.distinct == 4
    shared.log_probs(contexts[2:])
    shared.log_probs(contexts[:1])  # used last, so the other one goes
    shared.log_probs(contexts[1:2])
    shared.log_probs(contexts[:1])
    assert shared.calls.distinct == 5
    forgetful = Evaluator(recorder(), kept_bytes=0)
    assert sample(Problem(forgetful, regex("[ab]{2}")), SMC(8), seed=0).finish == ("end",) * 8


def test_a_model_may_use_its_buffer_again():
    class Reusing(Tabulated):
        buffer = np.zeros((64, 3))

        def log_probs(self, contexts, parents=None):
            rows = super().log_probs(contexts, parents)
            self.buffer[: len(rows)] = rows
            return self.buffer[: len(rows)]

    table: dict[tuple[int, ...], list[int]] = {(): [1, 1, 0], (0,): [1, 3, 0], (1,): [3, 1, 0]}
    problem = Problem(Reusing(V, table, [0, 0, 1]), regex("[ab]{2}"))
    assert np.exp(sample(problem, Exact(), seed=0).log_z) == pytest.approx(1.0)


def test_history_has_an_entry_for_each_step():
    table: dict[tuple[int, ...], list[int]] = {(0,): [1, 1, 6], (1,): [3, 4, 1]}
    samples = sample(Problem(Tabulated(V, table, [2, 1, 1]), regex("[ab]{4}")), SMC(20, 1.0), seed=0)
    assert len(samples.history) == 5
    assert any(info.ancestors is not None for info in samples.history)
    assert all(0 < info.ess <= 20 + 1e-9 for info in samples.history)
    for info in samples.history:
        assert info.log_mass.shape == (20,)


def test_several_end_tokens_are_one_event():
    two = Vocabulary([b"a", b"<end>", b"<eot>"], eos=[1, 2])
    model = Tabulated(two, {}, otherwise=[2, 1, 1])
    samples = sample(Problem(model, regex("a{1,2}"), max_tokens=2), Masking(), n=200, seed=0)
    exact = sample(Problem(model, regex("a{1,2}"), max_tokens=2), Exact(), seed=0)
    assert np.exp(exact.log_z) == pytest.approx(0.25 + 0.125)
    for tokens, log_prob in zip(samples.tokens, samples.log_probs, strict=True):
        assert np.exp(log_prob) == pytest.approx(0.5 ** (len(tokens) + 1))
    assert samples.log_weights.std() < 1e-12 or samples.expectation(len) == pytest.approx(4 / 3, abs=0.2)


def test_text_is_that_of_the_tokens_end_tokens_left_out():
    for draw in sample(Problem(NGram(V, [[0, 1]], order=2), regex("[ab]*")), Masking(), n=20, seed=0):
        assert draw.text == b"".join(V.tokens[t] for t in draw.tokens)
        assert 2 not in draw.tokens
