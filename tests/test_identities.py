"""Laws of automata and matchers: what must not matter does not matter."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from grammars import DEAD, Grammar, Limits, StateError, TokenAutomaton, UnsatisfiableGrammar, Vocabulary, lark, regex
from grammars.kernels.layout import (
    CONFIG,
    CONFIG_SLOTS,
    CONTEXT,
    CONTEXT_SLOTS,
    FAR,
    GENERATION,
    HEAP,
    LOOPS,
    SEED,
    SEED_SLOTS,
    UNUSED,
)
from grammars.machine import Machine
from tests.random_languages import random_rules, random_vocabulary
from tests.walks import languages, masks_of, random_tokens, states_along, synthetic_vocabulary, unpacked

FINISHED = 0
NAMES = ["arithmetic", "c", "email", "identifiers", "json", "lists", "short", "words"]
SMALL = {"arithmetic", "identifiers"}  # quick enough without compiled kernels


def some(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.jitless if name in SMALL else ()) for name in names]


def compiled(name: str) -> TokenAutomaton:
    return languages()[name].grammar.compile(synthetic_vocabulary())


def mask_of(matcher) -> np.ndarray:
    out = np.empty((1, synthetic_vocabulary().words), np.uint32)
    matcher.fill_bitmask(out)
    return out[0]


# -- one sequence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", some(NAMES))
def test_taking_tokens_back_restores_every_earlier_mask(name: str) -> None:
    automaton = compiled(name)
    tokens = random_tokens(automaton, f"rollback {name}", 12)
    matcher = automaton.matcher()
    masks = [mask_of(matcher)]
    for token in tokens:
        assert matcher.accept_token(token)
        masks.append(mask_of(matcher))
    for taken_back in range(len(tokens) + 1):
        other = automaton.matcher()
        assert other.accept_tokens(tokens) == len(tokens)
        other.rollback(taken_back)
        np.testing.assert_array_equal(mask_of(other), masks[len(tokens) - taken_back])
    matcher.reset()
    np.testing.assert_array_equal(mask_of(matcher), masks[0])


@pytest.mark.parametrize("name", some(NAMES))
def test_forks_go_their_own_ways(name: str) -> None:
    automaton = compiled(name)
    first, second = (random_tokens(automaton, f"fork {name} {i}", 8) for i in range(2))
    matcher = automaton.matcher()
    fork = matcher.fork()
    assert matcher.accept_tokens(first) == len(first)
    assert fork.states() == [automaton.start]
    assert fork.accept_tokens(second) == len(second)
    np.testing.assert_array_equal(mask_of(matcher), masks_of(automaton, [states_along(automaton, first)[-1]])[0])
    np.testing.assert_array_equal(mask_of(fork), masks_of(automaton, [states_along(automaton, second)[-1]])[0])
    fork.reset()
    assert len(matcher.states()) == len(first) + 1


@pytest.mark.parametrize("name", some(NAMES))
def test_a_refused_token_changes_nothing(name: str) -> None:
    automaton = compiled(name)
    matcher = automaton.matcher()
    for token in random_tokens(automaton, f"refused {name}", 6):
        states, mask = matcher.states(), mask_of(matcher)
        refused = np.flatnonzero(~unpacked(mask, automaton.vocabulary.size))
        for wrong in random.Random(token).sample(refused.tolist(), min(40, len(refused))):
            assert not matcher.accept_token(wrong)
            assert matcher.validate_tokens([wrong]) == 0
            assert matcher.accept_tokens([wrong, token]) == 0
        assert matcher.states() == states
        np.testing.assert_array_equal(mask_of(matcher), mask)
        assert matcher.accept_token(token)


@pytest.mark.parametrize("name", some(NAMES))
def test_validating_tokens_counts_what_accepting_would_take_and_changes_nothing(name: str) -> None:
    automaton = compiled(name)
    rng = random.Random(name)
    tokens = random_tokens(automaton, f"validate {name}", 10)
    spoilt = [*tokens[:5], rng.randrange(automaton.vocabulary.size), *tokens[5:]]
    for candidate in (tokens, spoilt, []):
        matcher = automaton.matcher()
        count = matcher.validate_tokens(candidate)
        assert matcher.states() == [automaton.start]
        assert matcher.accept_tokens(candidate) == count
        assert len(matcher.states()) == count + 1


@pytest.mark.jitless
def test_behind_an_end_token_nothing_is_accepted_until_it_is_taken_back() -> None:
    vocabulary = Vocabulary([b"a", b"b", b"", b"<end>", b"<stop>"], eos=[3, 4])
    automaton = regex("ab?").compile(vocabulary)
    matcher = automaton.matcher()
    assert matcher.accept_tokens([3]) == 0, "the empty text is not in the language"
    assert matcher.accept_tokens([0, 4]) == 2
    assert matcher.is_terminated()
    assert matcher.is_accepting()
    assert matcher.state == FINISHED
    assert not any(matcher.accept_token(t) for t in range(vocabulary.size))
    assert matcher.validate_tokens([1]) == 0
    assert matcher.forced_tokens() == []
    matcher.rollback(1)
    assert not matcher.is_terminated()
    assert matcher.accept_tokens([1, 3]) == 2


@pytest.mark.jitless
def test_the_mask_behind_the_end_holds_the_end_tokens_alone() -> None:
    vocabulary = Vocabulary([b"a", b"<end>", b"b", b"<stop>", b""], eos=[1, 3])
    automaton = regex("a*").compile(vocabulary)
    behind = automaton.advance(automaton.start, 3)
    assert behind == FINISHED
    assert np.flatnonzero(unpacked(masks_of(automaton, [behind])[0], 5)).tolist() == [1, 3]
    for token in (0, 2, 4):
        assert automaton.advance(behind, token) == DEAD
        assert not automaton.allows(behind, token)
    for end in (1, 3):
        assert automaton.allows(behind, end)
        assert automaton.advance(behind, end) == FINISHED


@pytest.mark.jitless
def test_a_dead_state_stays_dead() -> None:
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    automaton = regex("a").compile(vocabulary)
    assert automaton.advance(automaton.start, 1) == DEAD
    assert automaton.advance(DEAD, 0) == DEAD
    assert automaton.advance_many([DEAD, automaton.start], [0, 0])[0] == DEAD
    assert not automaton.allows(DEAD, 0)


@pytest.mark.jitless
@pytest.mark.parametrize("state", [-2, -100, 1 << 20, 1 << 24, 1 << 40, -(1 << 40), 1 << 70])
def test_a_state_that_was_never_handed_out_is_an_error_everywhere(state: int) -> None:
    automaton = regex("a*").compile(Vocabulary([b"a", b"b", b"<end>"], eos=[2]))
    out = np.zeros((1, 1), np.uint32)
    for question in (
        lambda: automaton.advance(state, 0),
        lambda: automaton.allows(state, 0),
        lambda: automaton.accepts(state),
        lambda: automaton.forced(state),
        lambda: automaton.fill_masks([state], out),
        lambda: automaton.advance_many([automaton.start, state], [0, 0]),
    ):
        with pytest.raises(StateError):
            question()
    assert automaton.allows(automaton.start, 0)


@pytest.mark.jitless
@pytest.mark.parametrize("token", [-1, 3, 1 << 33, -(1 << 40), 1 << 70])
def test_a_token_outside_the_vocabulary_is_an_error_and_changes_nothing(token: int) -> None:
    automaton = regex("a*").compile(Vocabulary([b"a", b"b", b"<end>"], eos=[2]))
    matcher = automaton.matcher()
    for ask in (False, True):  # before and after the mask is cached
        if ask:
            automaton.mask(automaton.start)
        for question in (automaton.allows, automaton.advance):
            with pytest.raises(StateError):
                question(automaton.start, token)
        with pytest.raises(StateError):
            matcher.accept_token(token)
    assert matcher.states() == [automaton.start]


@pytest.mark.jitless
def test_taking_back_too_much_is_an_error_and_changes_nothing() -> None:
    matcher = regex("a*").compile(Vocabulary([b"a", b"<end>"], eos=[1])).matcher()
    matcher.accept_tokens([0, 0])
    for n in (3, -1, 1 << 40):
        with pytest.raises(StateError):
            matcher.rollback(n)
    assert len(matcher.states()) == 3
    matcher.rollback(0)
    assert len(matcher.states()) == 3


# -- many questions at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", some(NAMES))
def test_one_call_for_many_states_equals_many_calls(name: str) -> None:
    many, single = compiled(name), compiled(name)
    paths = [random_tokens(many, f"batch {name} {i}", 7) for i in range(6)]
    states, before = [many.start] * len(paths), [single.start] * len(paths)
    for step in range(7):
        tokens = [path[step] if step < len(path) else many.vocabulary.eos[0] for path in paths]
        states = many.advance_many(states, tokens).tolist()
        before = [single.advance(s, t) for s, t in zip(before, tokens, strict=True)]
        live = [i for i, s in enumerate(states) if s != DEAD]
        assert live == [i for i, s in enumerate(before) if s != DEAD]
        rows = masks_of(many, [states[i] for i in live])
        for row, i in zip(rows, live, strict=True):
            np.testing.assert_array_equal(row, masks_of(single, [before[i]])[0])


@pytest.mark.jitless
def test_words_behind_the_vocabulary_are_cleared() -> None:
    vocabulary = Vocabulary([b"a"] * 40 + [b"<end>"], eos=[40])
    automaton = regex("a*").compile(vocabulary)
    out = np.full((3, 5), 0xFFFFFFFF, np.uint32)
    automaton.fill_masks([automaton.start, automaton.start], out)
    assert out[0].tolist() == [0xFFFFFFFF, 0x1FF, 0, 0, 0]
    assert out[1].tolist() == out[0].tolist()
    assert out[2].tolist() == [0xFFFFFFFF] * 5, "rows that nobody asked for are left alone"


# -- what must not matter ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", some(NAMES))
def test_the_order_of_token_ids_does_not_matter(name: str) -> None:
    vocabulary = synthetic_vocabulary()
    order = np.random.default_rng(5).permutation(vocabulary.size)  # new id -> old id
    place = np.argsort(order)
    shuffled = Vocabulary(
        [vocabulary.tokens[i] for i in order],
        eos=[int(place[t]) for t in vocabulary.eos],
        special=[int(place[t]) for t in vocabulary.special],
    )
    first, second = compiled(name), languages()[name].grammar.compile(shuffled)
    tokens = random_tokens(first, f"order {name}", 8)
    old = unpacked(masks_of(first, states_along(first, tokens)), vocabulary.size)
    new = unpacked(masks_of(second, states_along(second, [int(place[t]) for t in tokens])), vocabulary.size)
    np.testing.assert_array_equal(new, old[:, order])


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_which_masks_are_asked_for_does_not_matter(name: str) -> None:
    first, second = compiled(name), compiled(name)
    tokens = random_tokens(first, f"asked {name}", 10)
    one, two = states_along(first, tokens), states_along(second, tokens)
    forwards = masks_of(first, one)
    backwards = masks_of(second, two[::-1])[::-1]
    np.testing.assert_array_equal(forwards, backwards)


# -- small memory -----------------------------------------------------------------------------------------------------


def long_walk(grammar: Grammar, seed: str, steps: int) -> tuple[list[int], list[np.ndarray]]:
    """A walk that starts again when it is stuck (-1), and the masks along it, with room for everything."""
    automaton = grammar.compile(synthetic_vocabulary(), Limits(cache_bytes=512 << 20))
    path: list[int] = []
    for lap in range(steps // 10):
        path += [-1, *random_tokens(automaton, f"{seed} {lap}", 10)]
    state, masks = automaton.start, []
    for token in path:
        state = automaton.start if token < 0 else automaton.advance(state, token)
        masks.append(masks_of(automaton, [state])[0])
    assert automaton.stats()["collections"] == 0
    return path, masks


@pytest.mark.parametrize(("name", "budget"), [("c", 100_000), ("email", 50_000), ("json", 60_000)])
def test_small_caches_change_nothing_but_time(name: str, budget: int) -> None:
    grammar = languages()[name].grammar
    path, masks = long_walk(grammar, f"small {name}", 300)
    automaton = grammar.compile(synthetic_vocabulary(), Limits(cache_bytes=budget))
    state = automaton.start
    most = 0
    for token, mask in zip(path, masks, strict=True):
        state = automaton.start if token < 0 else automaton.advance(state, token)
        np.testing.assert_array_equal(masks_of(automaton, [state])[0], mask)
        most = max(most, automaton.stats()["cache_bytes"])
    stats = automaton.stats()
    assert stats["collections"] + stats["mask_flushes"] > 0, "the budget was never felt"
    assert most <= 2 * budget, "one doubling may be too much"


def nested(budget: int) -> TokenAutomaton:
    """Every depth of brackets is a state of its own, so memory fills as fast as wanted."""
    vocabulary = Vocabulary([b"(", b")", b"[", b"]", b"x", b"((", b"))", b"<end>"], eos=[7])
    grammar = lark('start: "x" | "(" start ")" | "[" start "]"')
    return grammar.compile(vocabulary, Limits(cache_bytes=budget))


def deep_path(seed: int, depth: int) -> list[int]:
    """Opens brackets at random and closes all of them: the only order that works."""
    rng = random.Random(seed)
    opened = [rng.choice([0, 2]) for _ in range(depth)]
    return [*opened, 4, *(bracket + 1 for bracket in reversed(opened))]


def test_matchers_survive_collections() -> None:
    automaton = nested(200_000)
    keeper = automaton.matcher()
    path = deep_path(-1, 100)
    assert keeper.accept_tokens(path[:60]) == 60
    collections = automaton.stats()["collections"]
    for seed in range(60):
        assert automaton.matcher().accept_tokens(deep_path(seed, 100)) == 201
    assert automaton.stats()["collections"] > collections
    assert keeper.accept_tokens(path[60:]) == len(path) - 60
    assert keeper.is_accepting()
    keeper.rollback(len(path))
    assert keeper.accept_tokens(path) == len(path)


def test_the_start_is_never_lost() -> None:
    automaton = nested(200_000)
    mask = masks_of(automaton, [automaton.start])
    for seed in range(80):
        automaton.matcher_at([automaton.advance(automaton.start, 0)]).accept_tokens(deep_path(seed, 100))
    assert automaton.stats()["collections"] > 8
    np.testing.assert_array_equal(masks_of(automaton, [automaton.start]), mask)
    assert automaton.advance(automaton.start, 7) == DEAD


def test_an_old_state_is_right_or_refused_but_never_wrong() -> None:
    """States that nobody keeps in a matcher, asked again after many collections; their brackets tell them apart."""
    automaton = nested(200_000)
    held: list[tuple[int, list[int]]] = []
    kept = refused = 0
    for seed in range(60):
        path = deep_path(seed, 60)
        held.append((automaton_state(automaton, path[:90]), path[90:]))
        for state, rest in held[:: max(1, len(held) // 4)]:
            try:
                for token in rest:
                    state = int(automaton.advance_many([state], [token])[0])
                    assert state != DEAD
                assert automaton.accepts(state)
                kept += 1
            except StateError:
                refused += 1
    assert automaton.stats()["collections"] > 8
    assert kept > 30
    assert refused > 0, "the test never saw a state that was dropped"


def automaton_state(automaton: TokenAutomaton, path: list[int]) -> int:
    state = automaton.start
    for token in path:
        state = int(automaton.advance_many([state], [token])[0])
    return state


def test_memory_stays_near_its_budget_under_endless_new_states() -> None:
    budget = 1 << 20
    automaton = nested(budget)
    most = 0
    for seed in range(150):
        assert automaton.matcher().accept_tokens(deep_path(seed, 100)) == 201
        most = max(most, automaton.stats()["cache_bytes"])
    assert automaton.stats()["collections"] > 0
    assert most <= budget


def with_little_room(self: Machine, components: int, first_room=Machine._first_room) -> dict[int, int]:
    """Sections so small that kernels are interrupted all the time."""
    entries = dict.fromkeys((CONFIG, LOOPS, FAR, UNUSED, GENERATION, CONTEXT), 4)
    return (
        first_room(self, components) | entries | {CONFIG_SLOTS: 16, CONTEXT_SLOTS: 16, HEAP: 8, SEED: 4, SEED_SLOTS: 16}
    )


def collecting_first(self: Machine, need: int, make_room=Machine._make_room) -> None:
    """Every lack of room is answered with the less generous collection, before the room is made."""
    if need in (CONFIG, CONTEXT, HEAP, SEED):
        self._collect_epochs(need, 1)
    make_room(self, need)


@pytest.mark.parametrize("seed", range(80))
def test_collections_in_the_middle_of_kernels_leave_random_languages_exact(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(f"collections {seed}")
    start, rules = random_rules(rng)
    vocabulary = random_vocabulary(rng)
    grammar = Grammar(start, rules)
    try:
        roomy = grammar.compile(vocabulary)
    except UnsatisfiableGrammar:
        return
    monkeypatch.setattr(Machine, "_first_room", with_little_room)
    monkeypatch.setattr(Machine, "_make_room", collecting_first)
    tight = grammar.compile(vocabulary)
    paths = [random_tokens(roomy, f"{seed} {lap}", 15) for lap in range(4)]
    matchers = [tight.matcher() for _ in paths]
    for step in range(15):  # in turns, so that matchers lie still while others make collections necessary
        for path, matcher in zip(paths, matchers, strict=True):
            if step < len(path):
                assert matcher.accept_token(path[step])
                tight._machine._collect_epochs(CONFIG, 1)
                state = states_along(roomy, path[: step + 1])[-1]
                np.testing.assert_array_equal(masks_of(tight, [matcher.state]), masks_of(roomy, [state]))
    for path, matcher in zip(paths, matchers, strict=True):
        matcher.rollback(len(path))
        assert matcher.accept_tokens(path) == len(path)


# -- threads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [96 << 20, 400_000])
def test_32_threads_see_what_one_thread_sees(budget: int) -> None:
    grammar = languages()["json"].grammar
    guide = grammar.compile(synthetic_vocabulary())
    paths = [random_tokens(guide, f"thread {i % 8}", 12) for i in range(32)]
    expected = [masks_of(guide, states_along(guide, path)) for path in paths]
    shared = grammar.compile(synthetic_vocabulary(), Limits(cache_bytes=budget))
    barrier = threading.Barrier(32)
    wrong: list[object] = []

    def work(i: int) -> None:
        barrier.wait()
        try:
            for _ in range(3):
                follow(i)
        except Exception as error:  # noqa: BLE001 - whatever happens in a thread is a finding
            wrong.append((i, error))

    def follow(i: int) -> None:
        matcher = shared.matcher()
        for place in range(len(paths[i]) + 1):
            if not np.array_equal(mask_of(matcher), expected[i][place]):
                wrong.append((i, place))
            token = paths[i][place] if place < len(paths[i]) else None
            if token is not None and not (shared.allows(matcher.state, token) and matcher.accept_token(token)):
                wrong.append((i, place, "refused"))
                return

    threads = [threading.Thread(target=work, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
