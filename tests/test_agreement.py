"""Three ways to ask whether a token may follow give one answer, for every token, along random walks."""

from __future__ import annotations

import numpy as np
import pytest

from grammars import DEAD, TokenAutomaton, Vocabulary
from tests.conftest import real_vocabulary
from tests.walks import (
    Language,
    languages,
    masks_of,
    random_tokens,
    single_bytes,
    states_along,
    synthetic_vocabulary,
    text_of,
    unpacked,
    witness,
)

NAMES = sorted(languages())
SMALL = {"arithmetic", "identifiers", "lists"}  # quick enough without compiled kernels


def some_names() -> list[object]:
    return [pytest.param(name, marks=pytest.mark.jitless if name in SMALL else ()) for name in NAMES]


@pytest.fixture(params=["synthetic", "gpt2", "qwen", "tekken"])
def any_vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return synthetic_vocabulary() if request.param == "synthetic" else real_vocabulary(request.param)


def check_agreement(language: Language, vocabulary: Vocabulary, tokens: list[int], ask_each: int) -> None:
    """Each question goes to an automaton that was never asked another one, except for the way there."""
    by_mask, by_moves, by_question = (language.grammar.compile(vocabulary) for _ in range(3))
    every = np.arange(vocabulary.size)
    masks = unpacked(masks_of(by_mask, states_along(by_mask, tokens)), vocabulary.size)
    for place, state in enumerate(states_along(by_moves, tokens)):
        moves = by_moves.advance_many(np.full(vocabulary.size, state), every) != DEAD
        np.testing.assert_array_equal(masks[place], moves)
        assert masks[place].any(), "no reachable state has an empty mask"
    states = states_along(by_question, tokens)
    place = len(tokens) // 2
    asked = np.unique(np.linspace(0, vocabulary.size - 1, ask_each).astype(int))
    answers = [by_question.allows(states[place], t) for t in asked.tolist()]
    np.testing.assert_array_equal(masks[place][asked], answers)


@pytest.mark.parametrize("name", NAMES)
def test_mask_advance_and_allows_agree_for_every_token(name: str, any_vocabulary: Vocabulary) -> None:
    language = languages()[name]
    guide = language.grammar.compile(any_vocabulary)
    tokens = random_tokens(guide, f"agreement {name}", 10)
    size = any_vocabulary.size
    check_agreement(language, any_vocabulary, tokens, ask_each=size if size < 60_000 else 20_000)


@pytest.mark.jitless
@pytest.mark.parametrize("name", sorted(SMALL))
def test_they_agree_on_a_tiny_vocabulary_too(name: str) -> None:
    words = [
        b"a",
        b"b",
        b"0",
        b"12",
        b"(",
        b")",
        b"+",
        b"- ",
        b"- a",
        b"\n",
        b",",
        b", (",
        b"else",
        b"if",
        b"ifs",
        b"_",
    ]
    vocabulary = Vocabulary([*words, b"<end>"], eos=[len(words)])
    language = languages()[name]
    for seed in range(4):
        tokens = random_tokens(language.grammar.compile(vocabulary), seed, 6)
        check_agreement(language, vocabulary, tokens, ask_each=vocabulary.size)


@pytest.mark.parametrize("name", NAMES)
def test_every_reachable_state_can_finish(name: str, any_vocabulary: Vocabulary) -> None:
    language = languages()[name]
    for seed in range(2 if any_vocabulary is synthetic_vocabulary() else 1):
        automaton = language.grammar.compile(any_vocabulary)
        tokens = random_tokens(automaton, f"finish {name} {seed}", 12)
        for place, state in list(enumerate(states_along(automaton, tokens)))[::3]:
            check_witness(language, automaton, text_of(any_vocabulary, tokens[:place]), state)


def check_witness(language: Language, automaton: TokenAutomaton, prefix: bytes, state: int) -> None:
    rest = witness(automaton, state)
    assert rest is not None, prefix
    assert language.grammar.matches(prefix + rest), prefix + rest
    assert language.confirms((prefix + rest).decode()), prefix + rest


@pytest.mark.parametrize("name", some_names())
def test_an_end_token_is_allowed_exactly_where_the_text_is_complete(name: str) -> None:
    language, vocabulary = languages()[name], synthetic_vocabulary()
    automaton = language.grammar.compile(vocabulary)
    tokens = random_tokens(automaton, f"ends {name}", 8)
    for place, state in enumerate(states_along(automaton, tokens)):
        complete = language.grammar.matches(text_of(vocabulary, tokens[:place]))
        assert automaton.accepts(state) == complete
        masks = unpacked(masks_of(automaton, [state])[0], vocabulary.size)
        assert {bool(masks[t]) for t in vocabulary.eos} == {complete}
        assert not any(masks[t] for t in vocabulary.special)


@pytest.mark.parametrize("name", some_names())
def test_a_token_leads_where_its_bytes_lead(name: str) -> None:
    """Reading a text token by token or byte by byte leaves the same tokens to follow."""
    vocabulary = synthetic_vocabulary()
    automaton = languages()[name].grammar.compile(vocabulary)
    tokens = random_tokens(automaton, f"bytes {name}", 8)
    one_by_one = [single_bytes(vocabulary)[b] for b in text_of(vocabulary, tokens)]
    ends = [states_along(automaton, path)[-1] for path in (tokens, one_by_one)]
    first, second = masks_of(automaton, ends)
    np.testing.assert_array_equal(first, second)
