"""Vocabularies: every list of byte strings works, and what is no list of byte strings is refused."""

from __future__ import annotations

import numpy as np
import pytest

from grammars import DEAD, Grammar, Vocabulary, VocabularyError, literal, regex
from tests.walks import allowed

pytestmark = pytest.mark.jitless


def start_mask(grammar: Grammar, vocabulary: Vocabulary) -> list[int]:
    automaton = grammar.compile(vocabulary)
    return allowed(automaton, automaton.start).tolist()


def mask_after(grammar: Grammar, vocabulary: Vocabulary, tokens: list[int]) -> list[int]:
    automaton = grammar.compile(vocabulary)
    state = automaton.start
    for token in tokens:
        state = automaton.advance(state, token)
    assert state != DEAD
    return allowed(automaton, state).tolist()


# -- what tokens mean -------------------------------------------------------------------------------------------------


def test_ids_of_equal_bytes_are_allowed_together() -> None:
    vocabulary = Vocabulary([b"a", b"b", b"a", b"ab", b"a", b"<end>"], eos=[5])
    assert start_mask(regex("a"), vocabulary) == [0, 2, 4]
    assert start_mask(regex("b*"), vocabulary) == [1, 5]


def test_a_token_without_bytes_is_allowed_wherever_the_text_can_go_on() -> None:
    vocabulary = Vocabulary([b"", b"a", b"", b"<end>"], eos=[3])
    automaton = regex("a").compile(vocabulary)
    assert start_mask(regex("a"), vocabulary) == [0, 1, 2]
    assert automaton.advance(automaton.start, 0) == automaton.start
    assert mask_after(regex("a"), vocabulary, [0, 1, 2]) == [0, 2, 3]


def test_several_end_tokens_end_a_text_and_nothing_else_does() -> None:
    vocabulary = Vocabulary([b"<s>", b"a", b"</s>", b"<|im_end|>"], eos=[3, 2, 3])
    assert vocabulary.eos == (2, 3)
    assert start_mask(regex("a"), vocabulary) == [1]
    assert mask_after(regex("a"), vocabulary, [1]) == [2, 3]


def test_without_end_tokens_a_complete_text_allows_nothing_but_to_go_on() -> None:
    vocabulary = Vocabulary([b"a", b"b"], eos=[])
    assert mask_after(regex("ab?"), vocabulary, [0]) == [1]
    assert mask_after(regex("ab?"), vocabulary, [0, 1]) == []
    automaton = regex("a").compile(vocabulary)
    assert automaton.accepts(automaton.advance(automaton.start, 0))


def test_end_tokens_are_never_reachable_through_their_text() -> None:
    vocabulary = Vocabulary([b"<", b"end>", b"<end>", b"x", b"<end>"], eos=[2])
    assert start_mask(literal("<end>"), vocabulary) == [0, 4]
    assert mask_after(literal("<end>"), vocabulary, [0, 1]) == [2]


def test_special_tokens_are_never_reachable_at_all() -> None:
    vocabulary = Vocabulary([b"<tool>", b"<", b"tool>", b"<end>", b""], eos=[3], special=[0, 4])
    assert start_mask(regex("(?s:.*)"), vocabulary) == [1, 2, 3]
    automaton = regex("(?s:.*)").compile(vocabulary)
    for special in (0, 4):
        assert automaton.advance(automaton.start, special) == DEAD
        assert not automaton.allows(automaton.start, special)


def test_an_end_token_may_be_listed_as_special_too() -> None:
    vocabulary = Vocabulary([b"a", b"<end>"], eos=[1], special=[1])
    assert mask_after(regex("a"), vocabulary, [0]) == [1]


def test_tokens_may_begin_and_end_inside_a_character() -> None:
    tokens = [b"\xc3", b"\xa9", b"\xa9t\xc3", "é".encode(), b"\x82", b"\xa9\xa9", b"\xff", b"<end>"]
    vocabulary = Vocabulary(tokens, eos=[7])
    grammar = regex("é(té)?")
    assert start_mask(grammar, vocabulary) == [0, 3]
    assert mask_after(grammar, vocabulary, [0]) == [1, 2]
    assert mask_after(grammar, vocabulary, [0, 2]) == [1]
    assert mask_after(grammar, vocabulary, [0, 2, 1]) == [7]


@pytest.mark.parametrize("token", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80", b"\xe2\x28"])
def test_bytes_that_are_no_text_are_never_allowed_in_text(token: bytes) -> None:
    vocabulary = Vocabulary([token, b"a", b"<end>"], eos=[2])
    assert start_mask(regex("(?s:.*)"), vocabulary) == [1, 2]


def test_zero_bytes_and_byte_order_marks_are_characters_like_others() -> None:
    vocabulary = Vocabulary([b"\x00", b"\xef\xbb\xbf", b"\xef", b"a", b"<end>"], eos=[4])
    assert start_mask(literal("\x00"), vocabulary) == [0]
    assert start_mask(literal("\ufeffa"), vocabulary) == [1, 2]


def test_one_token_is_enough() -> None:
    assert start_mask(regex("a*"), Vocabulary([b"<end>"], eos=[0])) == [0]
    assert start_mask(regex("a*"), Vocabulary([b"a"], eos=[])) == [0]
    assert start_mask(regex("a*"), Vocabulary([b""], eos=[])) == [0]


@pytest.mark.parametrize("size", [1, 31, 32, 33, 63, 64, 65, 1000])
def test_bits_behind_the_last_token_stay_clear(size: int) -> None:
    vocabulary = Vocabulary([b"a"] * (size - 1) + [b"<end>"], eos=[size - 1])
    assert vocabulary.size == size
    assert vocabulary.words == -(-size // 32)
    automaton = regex("a*").compile(vocabulary)
    out = np.full((2, vocabulary.words + 3), 0xDEADBEEF, np.uint32)
    automaton.fill_masks([automaton.start], out)
    bits = np.unpackbits(out[0].view(np.uint8), bitorder="little")
    assert bits[:size].all()
    assert not bits[size:].any()
    assert (out[1] == 0xDEADBEEF).all()


def test_a_long_token_spans_what_short_ones_spell() -> None:
    token = b"a" * 2_000
    vocabulary = Vocabulary([token, b"a", token[:-1], b"<end>"], eos=[3])
    assert start_mask(regex("a{2000}"), vocabulary) == [0, 1, 2]
    assert start_mask(regex("a{1999}"), vocabulary) == [1, 2]
    assert mask_after(regex("a{2000}"), vocabulary, [2]) == [1]


# -- equality ---------------------------------------------------------------------------------------------------------


def test_fingerprints_are_equal_for_equal_vocabularies_only() -> None:
    first = Vocabulary([b"a", b"bc", b"<end>"], eos=[2])
    assert first.fingerprint == Vocabulary((b"a", b"bc", b"<end>"), eos=(2, 2)).fingerprint
    others = [
        Vocabulary([b"ab", b"c", b"<end>"], eos=[2]),
        Vocabulary([b"bc", b"a", b"<end>"], eos=[2]),
        Vocabulary([b"a", b"bc", b"<end>"], eos=[1]),
        Vocabulary([b"a", b"bc", b"<end>"], eos=[1, 2]),
        Vocabulary([b"a", b"bc", b"<end>"], eos=[]),
        Vocabulary([b"a", b"bc", b"<end>"], eos=[2], special=[0]),
        Vocabulary([b"a", b"bc", b"<end>", b""], eos=[2]),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    assert Vocabulary([b"a", b"\xff", b""], eos=[2], special=[1]).fingerprint == "5763a0b802b701dbb38a813dc77af987"


def test_a_vocabulary_keeps_no_hold_on_what_it_was_made_of() -> None:
    tokens = [b"a", b"<end>"]
    vocabulary = Vocabulary(tokens, eos=[1])
    tokens[0] = b"b"
    assert vocabulary.tokens == (b"a", b"<end>")


def test_ids_may_be_numpy_integers() -> None:
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=np.array([2], np.int32), special=np.array([1], np.uint8))
    assert vocabulary.eos == (2,)
    assert start_mask(regex("[ab]"), vocabulary) == [0]


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "eos", "special", "message"),
    [
        ([], [], [], "between 1 and"),
        ([b"a", "b"], [], [], "token 1 is str"),
        ([b"a", None], [], [], "token 1 is NoneType"),
        ([bytearray(b"a")], [], [], "token 0 is bytearray"),
        ([b"a"], [1], [], "eos holds id 1"),
        ([b"a"], [-1], [], "eos holds id -1"),
        ([b"a"], [0.0], [], "eos holds 0.0"),
        ([b"a"], [True], [], "eos holds True"),
        ([b"a"], ["0"], [], "eos holds '0'"),
        ([b"a"], [None], [], "eos holds None"),
        ([b"a"], [0], [7], "special holds id 7"),
        ([b"a"], [1 << 80], [], "eos holds id"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tokens: list, eos: list, special: list, message: str) -> None:
    with pytest.raises(VocabularyError, match=message):
        Vocabulary(tokens, eos=eos, special=special)


@pytest.mark.parametrize("arguments", [(5, []), ([b"a"], 0), (None, []), ([b"a"], None), ([b"a"], [0], 3)])
def test_what_cannot_even_be_read_is_refused_too(arguments: tuple) -> None:
    with pytest.raises(VocabularyError):
        Vocabulary(*arguments)
