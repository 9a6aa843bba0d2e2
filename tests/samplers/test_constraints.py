"""Constraints beside grammars: masks equal the definition, computed by brute force over all answers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import numpy as np
import pytest

from grammars import LimitExceeded, StateError, UnsatisfiableGrammar, Vocabulary, regex
from samplers import Problem, bin_packing, feasible, knapsack, length, permutation, predicate, sample, schedule
from samplers.awrs import AdaptiveRejection
from samplers.bits import tokens_of
from samplers.constraints import Product, Waiting
from samplers.contracts import check_constraint
from samplers.masking import Masking
from samplers.models import Tabulated
from samplers.protocols import Constraint

TOKENS = [b"a", b"b", b"c", b" ", b"ab", b"a ", b" b", b"a b", b"c a", b"0", b"1", b"0 1", b" 1", b"<end>"]
V = Vocabulary(TOKENS, eos=[13])


def mask(constraint: Constraint, state: int) -> set[int]:
    out = np.zeros((1, constraint.vocabulary.words), np.uint32)
    constraint.fill_masks(np.array([state]), out)
    return set(tokens_of(out[0], constraint.vocabulary.size).tolist())


def check_against_answers(constraint: Constraint, answers: Iterable[bytes]) -> None:
    """Walk everywhere: a mask holds the tokens that some answer continues, the end where the text is an answer."""
    answers, stack = set(answers), [(b"", constraint.start)]
    while stack:
        text, state = stack.pop()
        for token in range(V.size - 1):
            longer = text + V.tokens[token]
            viable = any(answer.startswith(longer) for answer in answers)
            assert (token in mask(constraint, state)) == viable == constraint.allows(state, token), (text, token)
            if viable:
                stack.append((longer, int(constraint.advance_many([state], [token])[0])))
        assert constraint.accepts(state) == (text in answers) == (V.eos[0] in mask(constraint, state)), text
    check_constraint(constraint)


def spelled(orders: Iterable[Iterable[str]]) -> set[bytes]:
    return {" ".join(order).encode() for order in orders}


# -- answers that stay feasible ---------------------------------------------------------------------------------------


def test_permutations_hold_every_item_once():
    check_against_answers(permutation(["a", "b", "c"]).over(V), spelled(itertools.permutations("abc")))


@pytest.mark.parametrize("seed", range(8))
def test_tours_keep_to_the_roads(seed: int):
    rng = random.Random(seed)
    roads = {(i, j) for i in range(4) for j in range(4) if rng.random() < 0.5}
    names = ["a", "b", "c", "ab"]
    tours = [p for p in itertools.permutations(range(4)) if all(step in roads for step in itertools.pairwise(p))]
    make = lambda: permutation(names, may_follow=lambda i, j: (i, j) in roads)  # noqa: E731
    if tours:
        check_against_answers(make().over(V), spelled([names[i] for i in tour] for tour in tours))
    else:
        with pytest.raises(UnsatisfiableGrammar):
            make()


@pytest.mark.parametrize("seed", range(8))
def test_schedules_meet_deadlines_and_precedences(seed: int):
    rng = random.Random(seed)
    names = ["a", "b", "c", "ab"]
    jobs = {name: (rng.randint(1, 3), rng.randint(3, 9)) for name in names}
    after = [tuple(rng.sample(names, 2)) for _ in range(rng.randint(0, 2))]

    def in_time(order: tuple[str, ...]) -> bool:
        ends = itertools.accumulate(jobs[name][0] for name in order)
        return all(end <= jobs[name][1] for end, name in zip(ends, order, strict=True))

    orders = [o for o in itertools.permutations(names) if in_time(o) and all(o.index(a) < o.index(b) for a, b in after)]
    if orders:
        check_against_answers(schedule(jobs, after).over(V), spelled(orders))
    else:
        with pytest.raises(UnsatisfiableGrammar):
            schedule(jobs, after)


@pytest.mark.parametrize("seed", range(8))
def test_knapsacks_hold_what_fits_and_are_worth_enough(seed: int):
    rng = random.Random(seed)
    items = {name: (rng.randint(1, 4), rng.randint(0, 4)) for name in ("a", "b", "c", "0")}
    capacity, at_least = rng.randint(2, 9), rng.randint(0, 8)
    subsets = itertools.chain.from_iterable(itertools.combinations(items, k) for k in range(5))
    answers = [
        s for s in subsets if sum(items[i][0] for i in s) <= capacity and sum(items[i][1] for i in s) >= at_least
    ]
    if answers:
        check_against_answers(knapsack(items, capacity, at_least).over(V), spelled(answers))
    else:
        with pytest.raises(UnsatisfiableGrammar):
            knapsack(items, capacity, at_least)


@pytest.mark.parametrize("seed", range(8))
def test_bins_never_overflow(seed: int):
    rng = random.Random(seed)
    sizes, bins = [rng.randint(1, 4) for _ in range(4)], {"0": rng.randint(3, 7), "1": rng.randint(3, 7)}

    def fits(order: tuple[str, ...]) -> bool:
        return all(sum(s for s, b in zip(sizes, order, strict=True) if b == name) <= bins[name] for name in bins)

    answers = [order for order in itertools.product(bins, repeat=4) if fits(order)]
    if answers:
        check_against_answers(bin_packing(sizes, bins).over(V), spelled(answers))
    else:
        with pytest.raises(UnsatisfiableGrammar):
            bin_packing(sizes, bins)


def test_a_search_without_end_is_cut_short_and_never_widened():
    class Hopeless:  # a million ways, none of which leads anywhere
        start = ""

        def choices(self, state):
            return {b"a": state + "a", b"b": state + "b"} if len(state) < 20 else {}

        def done(self, state):
            return False

    with pytest.raises(LimitExceeded, match="takes too long"):
        feasible(Hopeless(), work=1_000)


def test_thirty_cities_are_no_problem():
    names = [f"{i:02d}" for i in range(30)]
    vocabulary = Vocabulary([*[bytes([b]) for b in b"0123456789 "], b"<end>"], eos=[11])
    tour = permutation(names)
    model = Tabulated(vocabulary, {}, otherwise=[1] * 12)
    (text,) = sample(Problem(model, tour), Masking(), seed=0).text
    assert sorted(text.decode().split()) == names


# -- lengths ----------------------------------------------------------------------------------------------------------

UNICODE = Vocabulary([b"a", "é".encode(), b"\xc3", b"\xa9", b" ", b"  ", b"a b", "😀".encode(), b"<end>"], eos=[8])


@pytest.mark.parametrize(("unit", "count"), [("characters", len), ("words", lambda text: len(text.split()))])
@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 2), (1, 1), (2, 3), (2, None)])
def test_lengths_are_those_of_python(unit: str, count, low: int, high: int | None):
    bound = length(low, high, unit).over(UNICODE)
    rng = random.Random(f"{unit}{low}{high}")
    for _ in range(300):
        tokens = [rng.randrange(8) for _ in range(rng.randint(0, 4))]
        state, text = bound.start, b"".join(UNICODE.tokens[t] for t in tokens)
        for token in tokens:
            state = int(bound.advance_many([state], [token])[0])
        try:
            wanted = low <= count(text.decode()) and (high is None or count(text.decode()) <= high)
        except UnicodeDecodeError:
            wanted = False
        assert (state >= 0 and bound.accepts(state)) == wanted, text


def test_tokens_are_counted_as_tokens():
    bound = length(1, 2).over(V)
    one = int(bound.advance_many([bound.start], [7])[0])
    two = int(bound.advance_many([one], [0])[0])
    assert [bound.accepts(s) for s in (bound.start, one, two)] == [False, True, True]
    assert mask(bound, two) == {13}


# -- predicates and products ------------------------------------------------------------------------------------------


def test_a_predicate_is_asked_once_for_each_text():
    asked: list[bytes] = []
    bound = predicate(lambda text: not asked.append(text)).over(V)
    for _ in range(3):
        mask(bound, bound.start)
        assert bound.allows(bound.start, 0)
    assert len(asked) == len(set(asked)) == V.size  # the empty text, and each ordinary token


def test_prefix_and_final_checks_together():
    bound = predicate(lambda text: b"aa" not in text, final=lambda text: text.endswith(b"b")).over(V)
    state = int(bound.advance_many([bound.start], [0])[0])
    assert not bound.accepts(state)
    assert not bound.allows(state, 0)
    assert bound.accepts(int(bound.advance_many([state], [1])[0]))


@pytest.mark.parametrize("seed", range(5))
def test_a_product_allows_what_all_its_parts_allow(seed: int):
    rng = random.Random(seed)
    patterns = ["[ab ]*", "(a|b|c| )*a", "[ab]*( [ab]*)*", "a.*", ".{0,4}", "(ab| )*"]
    parts = [regex(p).compile(V) for p in rng.sample(patterns, 3)]
    product = Product(parts)
    states, state = [p.start for p in parts], product.start
    for _ in range(6):
        masks = [mask(p, s) for p, s in zip(parts, states, strict=True)]
        assert mask(product, state) == set.intersection(*masks)
        going = sorted(mask(product, state) - {13})
        if not going:
            break
        token = rng.choice(going)
        states = [p.advance(s, token) for p, s in zip(parts, states, strict=True)]
        state = int(product.advance_many([state], [token])[0])
    if mask(Product(parts), product.start):
        check_constraint(product)


def test_grammars_are_intersected_before_they_are_compiled():
    """A product of masks would allow the first a: no text of both parts begins with it. The intersection knows."""
    both = (regex("a+b|c") & length(1, 1, "characters")).over(V)
    assert mask(both, both.start) == {2}


def test_every_order_of_operands_works():
    automaton, grammar, check = regex("[ab]*").compile(V), regex("[ab]*"), predicate(lambda text: len(text) < 3)
    for both in (automaton & check, check & automaton, grammar & check, check & grammar, check & check & grammar):
        assert isinstance(both, Waiting)
        bound = both.over(V)
        assert bound.allows(bound.start, 4)
        assert not bound.allows(bound.start, 2)


def test_dead_ends_of_a_product_end_rows_and_do_no_harm():
    """Both parts can be completed after a, both together cannot."""
    automata = Product([regex("ab|c").compile(V), regex("ac|c").compile(V)])
    model = Tabulated(V, {}, otherwise=[4, 2, 2, *[0] * 10, 2])
    for sampler in (Masking(), AdaptiveRejection()):
        samples = sample(Problem(model, automata), sampler, n=400, seed=0)
        assert set(samples.finish) == {"end", "dead"}
        assert set(samples.resample(20, 0).text) == {b"c"}
        assert np.exp(samples.log_z) == pytest.approx(0.04, rel=0.35)


def test_states_that_never_were_are_refused():
    bound = predicate(lambda text: True).over(V)
    with pytest.raises(StateError):
        bound.accepts(99)
    with pytest.raises(StateError):
        bound.allows(bound.start, 99)


def test_special_tokens_are_never_reachable_through_their_text():
    vocabulary = Vocabulary([b"a", b"a", b"<end>"], eos=[2], special=[1])
    for bound in (predicate(lambda text: True).over(vocabulary), permutation(["a"]).over(vocabulary)):
        assert bound.allows(bound.start, 0)
        assert not bound.allows(bound.start, 1)


def test_a_machine_of_a_user_is_trimmed():
    class Even:  # dead ends on odd numbers of steps after c
        start = 0

        def choices(self, state):
            return {b"a": state + 1, b"c": state + 2} if state < 4 else {}

        def done(self, state):
            return state == 4

    check_against_answers(feasible(Even()).over(V), {b"aaaa", b"aac", b"aca", b"caa", b"cc"})
