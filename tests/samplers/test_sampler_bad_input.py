"""Bad input of samplers: NaN and infinite rows, masses of 1e-300, nothing allowed, budgets that are too small."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from grammars import BudgetExhausted, DeadEnd, SamplingError, ScansionError, Vocabulary, VocabularyError, regex
from samplers import (
    SMC,
    AdaptiveRejection,
    BestOf,
    BrokenContract,
    ChunkGuided,
    Exact,
    InvalidOption,
    Masking,
    Problem,
    Rejection,
    length,
    permutation,
    predicate,
    sample,
)
from samplers.models import Callable as CallableModel
from samplers.models import NGram, Tabulated
from samplers.potentials import classifier, second_model, tempered, text_potential
from samplers.protocols import Sampler
from tests.samplers.roster import ROSTER

V = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
EVEN = Tabulated(V, {}, otherwise=[2, 1, 1])
everyone = pytest.mark.parametrize("make", ROSTER.values(), ids=ROSTER.keys())
SCORED = {name: make for name, make in ROSTER.items() if name != "Backtracking"}  # which knows no potentials
everyone_scored = pytest.mark.parametrize("make", SCORED.values(), ids=SCORED.keys())


class Rows:
    """A model that says the same row always."""

    def __init__(self, row: object):
        self.vocabulary, self.row = V, row

    def log_probs(self, contexts, parents=None):
        return np.array([self.row] * len(contexts))


# -- models -----------------------------------------------------------------------------------------------------------


@everyone
@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ([math.nan, 0.0, 0.0], "NaN"),
        ([math.inf, 0.0, 0.0], "inf"),
        ([0.0, 0.0, 0.0], "sums to 3"),
        ([-math.inf] * 3, "sums to 0"),
        ([-0.7, -0.7], "shape"),
        (["a", "b", "c"], "not an array of numbers"),
    ],
)
def test_rows_that_are_no_log_probabilities_are_refused(make: Callable[[], Sampler], row: list[float], complaint: str):
    with pytest.raises(BrokenContract, match=complaint):
        sample(Problem(Rows(row), regex("a*")), make(), 1, 0)


def test_a_row_in_half_precision_is_a_row():
    row = np.log(np.array([0.4, 0.35, 0.25])).astype(np.float16).astype(np.float64)
    samples = sample(Problem(Rows(row), regex("[ab]{2}")), SMC(50), seed=0)
    assert np.isfinite(samples.log_z)


@everyone
def test_no_mass_at_the_start_is_a_dead_end(make: Callable[[], Sampler]):
    problem = Problem(Tabulated(V, {}, otherwise=[0, 1, 1]), regex("a+"))
    with pytest.raises(DeadEnd, match="no mass"):
        sample(problem, make(), 2, 0)


@everyone
def test_no_mass_further_on_leaves_no_finished_row(make: Callable[[], Sampler]):
    """After a the model gives b and the end nothing, and the language wants b."""
    problem = Problem(Tabulated(V, {(0,): [1, 0, 0]}, otherwise=[1, 1, 2]), regex("ab"), max_tokens=4)
    try:
        samples = sample(problem, make(), 3, 0)
    except (DeadEnd, BudgetExhausted):
        return
    assert "end" not in samples.finish
    assert (samples.log_weights == -math.inf).all()
    assert samples.log_z == -math.inf or make().law == "approximate"
    with pytest.raises(ScansionError):
        samples.expectation(len)
    with pytest.raises(ScansionError):
        samples.resample(1, 0)
    with pytest.raises(ScansionError):
        samples.best()


def test_a_mass_of_1e_300_is_exact_in_log_space():
    tiny = CallableModel(V, lambda prefix: [-690.0, 0.0, -1.0] if len(prefix) == 0 else [0.0, 0.0, 5.0])
    problem = Problem(tiny, regex("ab?"))
    exact = sample(problem, Exact(), seed=0).log_z
    assert exact < -690.0
    for sampler in (Masking(), SMC(20), AdaptiveRejection(), AdaptiveRejection("recursive")):
        samples = sample(problem, sampler, n=400, seed=1)
        assert samples.log_z == pytest.approx(exact, abs=0.5), sampler
        assert samples.expectation(lambda text: text.startswith(b"a")) == pytest.approx(1.0)


def test_masses_that_underflow_are_exact_in_log_space():
    deep = CallableModel(V, lambda prefix: [-900.0, 0.0, -0.5] if len(prefix) == 0 else [0.0, -1.0, 1.0])
    problem = Problem(deep, regex("a"))
    exact = sample(problem, Exact(), seed=0).log_z
    assert -902.0 < exact < -900.0
    for sampler in (Masking(), SMC(3), AdaptiveRejection("recursive"), AdaptiveRejection(head=1)):
        assert sample(problem, sampler, n=3, seed=1).log_z == pytest.approx(exact), sampler


# -- budgets ----------------------------------------------------------------------------------------------------------


@everyone
@pytest.mark.parametrize("constraint", [regex("a{5}"), regex("[ab]{4,9}"), length(3, 9)])
def test_a_budget_that_no_text_fits_into_is_refused_before_the_model_is_called(
    make: Callable[[], Sampler], constraint: object
):
    class Silent(Tabulated):
        def log_probs(self, contexts, parents=None):
            raise AssertionError("the model was called")

    with pytest.raises(BudgetExhausted, match="max_tokens=2"):
        sample(Problem(Silent(V, {}, [1, 1, 1]), constraint, max_tokens=2), make(), 1, 0)


@everyone
def test_a_budget_that_is_just_enough_is_enough(make: Callable[[], Sampler]):
    problem = Problem(Tabulated(V, {}, otherwise=[3, 0, 1]), regex("aaa"), max_tokens=3)
    try:
        samples = sample(problem, make(), 1, 0)
    except BudgetExhausted:
        assert isinstance(make(), Rejection)
        return
    assert {draw.text for draw in samples if draw.finish == "end"} == {b"aaa"}
    assert all(draw.log_weight == -math.inf for draw in samples if draw.finish != "end")


def test_a_budget_too_small_for_a_black_box_is_seen_in_the_rows():
    problem = Problem(EVEN, predicate(lambda text: len(text) >= 4, final=True), max_tokens=2)
    samples = sample(problem, SMC(5), seed=0)
    assert set(samples.finish) == {"length"}
    with pytest.raises(BudgetExhausted, match="token budget"):
        samples.expectation(len)
    with pytest.raises(BudgetExhausted, match="none of"):
        sample(problem, Rejection(max_draws=50), seed=0)


def test_no_tokens_at_all_leave_the_empty_text():
    assert sample(Problem(EVEN, regex("a*"), max_tokens=0), SMC(3), seed=0).text == (b"", b"", b"")
    with pytest.raises(BudgetExhausted):
        sample(Problem(EVEN, regex("a+"), max_tokens=0), Masking(), seed=0)


def test_truncated_rows_are_marked_and_have_no_weight():
    problem = Problem(Tabulated(V, {}, otherwise=[8, 1, 1]), regex("[ab]*b"), max_tokens=3)
    samples = sample(problem, Masking(), n=200, seed=0)
    cut = np.array([finish == "length" for finish in samples.finish])
    assert 0 < cut.sum() < 200
    assert (samples.log_weights[cut] == -math.inf).all()
    assert all(len(tokens) == 3 for tokens, c in zip(samples.tokens, cut, strict=True) if c)
    assert not any(draw.finish == "length" for draw in samples.resample(50, 0))


# -- potentials -------------------------------------------------------------------------------------------------------


class Odd:
    def __init__(self, prefix: Callable[[int], object], complete: Callable[[int], object]):
        self._prefix, self._complete = prefix, complete

    def log_prefix(self, contexts):
        return self._prefix(len(contexts))

    def log_complete(self, contexts):
        return self._complete(len(contexts))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@everyone_scored
def test_scores_that_are_no_scores_are_refused(make: Callable[[], Sampler], value: float):
    bad = Odd(lambda n: np.zeros(n), lambda n: np.full(n, value))
    with pytest.raises(BrokenContract, match=r"Odd.log_complete returned (nan|inf)"):
        sample(Problem(EVEN, regex("a{0,3}"), [bad], max_tokens=4), make(), 8, 0)


@everyone_scored
def test_scores_of_prefixes_that_are_no_scores_are_refused(make: Callable[[], Sampler]):
    bad = Odd(lambda n: np.full(n, math.nan), lambda n: np.zeros(n))
    if isinstance(make(), Exact):
        return  # an enumeration asks about complete texts only
    with pytest.raises(BrokenContract, match=r"Odd.log_prefix returned nan"):
        sample(Problem(EVEN, regex("a{1,3}"), [bad], max_tokens=4), make(), 8, 0)


@pytest.mark.parametrize("wrong", [lambda n: np.zeros((n, 1)), lambda n: np.zeros(n + 1), lambda n: 0.0, lambda n: "x"])
def test_scores_of_a_wrong_shape_are_refused(wrong: Callable[[int], object]):
    with pytest.raises(BrokenContract, match=r"Odd.log_prefix returned"):
        sample(Problem(EVEN, regex("a*"), [Odd(wrong, wrong)]), SMC(4), seed=0)


def test_a_potential_that_raises_is_named_with_the_text():
    broken = text_potential(lambda text: 1 / 0)
    with pytest.raises(BrokenContract, match="ZeroDivisionError"):
        sample(Problem(EVEN, regex("a"), [broken]), Masking(), seed=0)


def test_a_potential_that_forbids_everything_leaves_nothing():
    nothing = text_potential(lambda text: -math.inf)
    samples = sample(Problem(EVEN, regex("a*"), [nothing]), SMC(5), seed=0)
    assert samples.log_z == -math.inf
    with pytest.raises(DeadEnd):
        samples.expectation(len)


def test_rejection_refuses_a_potential_above_its_bound():
    with pytest.raises(SamplingError, match="above the bound"):
        sample(Problem(EVEN, regex("a*"), [text_potential(lambda text: 1.0)]), Rejection(), seed=0)


def test_a_classifier_that_returns_no_probability_is_refused():
    with pytest.raises(BrokenContract, match="no probability"):
        sample(Problem(EVEN, regex("a*"), [classifier(lambda text: 2.0)]), Masking(), seed=0)


def test_a_predicate_that_raises_is_named():
    def broken(text: bytes) -> bool:
        return text.decode() + 1  # pyright: ignore

    with pytest.raises(BrokenContract, match="TypeError"):
        Problem(EVEN, predicate(broken))


def test_a_check_of_finished_texts_is_not_taken_for_one_of_prefixes():
    with pytest.raises(InvalidOption, match="refuses the empty text") as caught:
        Problem(EVEN, predicate(lambda text: len(text) == 2))
    assert "final=True" in str(caught.value)


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: SMC(-1),
        lambda: SMC(ess=1.5),
        lambda: SMC(ess=math.nan),
        lambda: SMC(resampling="bingo"),
        lambda: Rejection(max_draws=0),
        lambda: Rejection(width=0),
        lambda: AdaptiveRejection("eager"),
        lambda: AdaptiveRejection(head=0),
        lambda: AdaptiveRejection(accepts=1),
        lambda: AdaptiveRejection(rejects=0),
        lambda: Exact(0),
        lambda: BestOf(0),
        lambda: BestOf(kl_budget=-1.0),
        lambda: ChunkGuided(EVEN, chunk=0),
        lambda: ChunkGuided(EVEN, width=0),
        lambda: ChunkGuided(EVEN, temperature=-1.0),
        lambda: length(3, 2),
        lambda: length(-1),
        lambda: length(1, 2, "pages"),
        lambda: permutation([]),
        lambda: permutation(["a", "a"]),
        lambda: predicate("a*"),
        lambda: tempered(text_potential(len), -1.0),
        lambda: second_model(EVEN, math.nan),
        lambda: NGram(V, [], order=0),
        lambda: NGram(V, [[7]]),
        lambda: Tabulated(V, {}, otherwise=[1, 1]),
        lambda: Tabulated(V, {}, otherwise=[1, -1, 1]),
        lambda: Tabulated(V, {}, otherwise=[0, 0, 0]),
        lambda: sample(Problem(EVEN, regex("a*")), Masking(), n=-1),
        lambda: sample(Problem(EVEN, regex("a*")), Masking(), n=1.5),
        lambda: sample(Problem(EVEN, regex("a*")), Masking(), seed=-3),
        lambda: sample(Problem(EVEN, regex("a*")), Masking(), seed="x"),
    ],
)
def test_options_that_mean_nothing_are_refused(make: Callable[[], object]):
    with pytest.raises(InvalidOption) as caught:
        make()
    assert caught.value.code == "sampling.option"


def test_a_constraint_over_another_vocabulary_is_refused():
    other = Vocabulary([b"b", b"a", b"<end>"], eos=[2])
    with pytest.raises(VocabularyError, match="another vocabulary"):
        Problem(EVEN, regex("a*").compile(other))
    with pytest.raises(VocabularyError, match="second model"):
        Problem(EVEN, regex("a*"), [second_model(Tabulated(other, {}, otherwise=[1, 1, 1]))])


def test_a_prefix_that_the_table_does_not_have_is_named():
    with pytest.raises(InvalidOption, match=r"no row for the prefix \(0,\)"):
        sample(Problem(Tabulated(V, {(): [1, 0, 0]}), regex("a*")), Masking(), seed=0)


def test_a_vocabulary_without_end_tokens_finishes_nothing():
    endless = Vocabulary([b"a", b"b"], eos=[])
    samples = sample(Problem(Tabulated(endless, {}, otherwise=[1, 1]), regex("a*"), max_tokens=3), SMC(3), seed=0)
    assert samples.finish == ("length",) * 3
