"""Family 10: vocabularies as they are found in the world, and as they should not be."""

from __future__ import annotations

import numpy as np

from grammars import Grammar, Vocabulary, gbnf, literal, regex
from tests.bad_input.case import Case, WrongFactError, allowed_tokens, check, tiny

_WRONG = "VocabularyError"
_LETTERS = regex("[ab]*")


def _starts_with(grammar: Grammar, vocabulary: Vocabulary, tokens: list[int]) -> None:
    automaton = grammar.compile(vocabulary)
    found = allowed_tokens(automaton, automaton.start)
    if found != tokens:
        raise WrongFactError(f"{found} may begin instead of {tokens}")


def _duplicates() -> None:
    vocabulary = tiny(b"a", b"b", b"a", b"ab", b"a", b"c")
    _starts_with(_LETTERS, vocabulary, [0, 1, 2, 3, 4, 6])
    automaton = literal("ab").compile(vocabulary)
    states = automaton.advance_many([automaton.start] * 3, [0, 2, 4])
    if len(set(states.tolist())) != 1:
        raise WrongFactError("tokens of equal bytes lead to different states")


def _many_duplicates() -> None:
    vocabulary = Vocabulary([b"a"] * 100_000 + [b"<end>"], eos=[100_000])
    _starts_with(literal("a"), vocabulary, list(range(100_000)))


def _empty_token() -> None:
    """A token without bytes changes nothing and is allowed wherever the text can be completed."""
    vocabulary = tiny(b"", b"a", b"")
    _starts_with(literal("a"), vocabulary, [0, 1, 2])
    automaton = literal("a").compile(vocabulary)
    if automaton.advance(automaton.start, 0) != automaton.start:
        raise WrongFactError("a token without bytes leads elsewhere")


def _large() -> None:
    tokens = [b"%x" % number for number in range(300_000)]
    automaton = regex("[0-9]+|[a-f]{3}").compile(Vocabulary([*tokens, b"<end>"], eos=[300_000]))
    found = allowed_tokens(automaton, automaton.start)
    digits, letters = set(b"0123456789"), set(b"abcdef")
    wanted = [
        i
        for i, token in enumerate(tokens)
        if digits.issuperset(token) or (letters.issuperset(token) and len(token) <= 3)
    ]
    if found != wanted:
        raise WrongFactError("the first mask is wrong")


def _one_letter_everywhere() -> None:
    """A trie that is one path, 5,000 deep."""
    tokens = [b"a" * length for length in range(1, 5_001)]
    _starts_with(regex("a{0,4000}"), Vocabulary([*tokens, b"<end>"], eos=[5_000]), [*range(4_000), 5_000])


def _long_token() -> None:
    _starts_with(regex("a{100000}"), tiny(b"a" * 10**5, b"a" * (10**5 + 1), b"b"), [0])


def _padding() -> None:
    """Rows of logits may be longer than the vocabulary; what is beyond it is masked."""
    vocabulary = tiny(*(b"a",) * 40)
    automaton = regex("a*").compile(vocabulary)
    out = np.full((2, vocabulary.words + 3), 0xFFFFFFFF, np.uint32)
    automaton.fill_masks([automaton.start], out)
    bits = np.unpackbits(out[0].view(np.uint8), bitorder="little")
    if bits[: vocabulary.size].sum() != vocabulary.size or bits[vocabulary.size :].any():
        raise WrongFactError("ids past the vocabulary are not masked")
    if not (out[1] == 0xFFFFFFFF).all():
        raise WrongFactError("a row that was not asked for was written")
    row = np.full((1, vocabulary.words + 3), -1, np.int32)
    automaton.matcher().fill_bitmask(row)
    if (row.view(np.uint32) != out[:1]).any():
        raise WrongFactError("matcher and automaton disagree on padding")


def _no_end() -> None:
    """Without an end token nothing can end; masks hold what may follow, and may then be empty."""
    vocabulary = Vocabulary([b"a", b"b"], eos=[])
    _starts_with(literal("ab"), vocabulary, [0])
    automaton = literal("ab").compile(vocabulary)
    state = automaton.advance(automaton.advance(automaton.start, 0), 1)
    if not automaton.accepts(state) or allowed_tokens(automaton, state):
        raise WrongFactError("the complete text is not complete")


def _several_ends() -> None:
    vocabulary = Vocabulary([b"a", b"</s>", b"<eot>", b"<pad>"], eos=[1, 2], special=[3])
    _starts_with(regex("a*"), vocabulary, [0, 1, 2])
    automaton = regex("a*").compile(vocabulary)
    if automaton.advance(automaton.start, 1) != automaton.advance(automaton.start, 2):
        raise WrongFactError("two end tokens lead to different states")


def _end_as_text() -> None:
    """The text of an end token may be written by ordinary tokens, never by the end token itself."""
    vocabulary = Vocabulary([b"<", b"end", b">", b"<end>", b"<end>"], eos=[3])
    _starts_with(literal("<end>"), vocabulary, [0, 4])
    _starts_with(regex("(<end>)*"), vocabulary, [0, 3, 4])


def _special_as_text() -> None:
    vocabulary = Vocabulary([b"<|x|>", b"<|", b"x|>", b"<end>"], eos=[3], special=[0])
    _starts_with(literal("<|x|>"), vocabulary, [1])


def _end_is_special_too() -> None:
    _starts_with(regex("a*"), Vocabulary([b"a", b"<end>"], eos=[1], special=[1]), [0, 1])


def _nothing_fits() -> None:
    """A language that no token of the vocabulary can write."""
    automaton = gbnf('root ::= "xyz"').compile(tiny(b"a", b"b"))
    if allowed_tokens(automaton, automaton.start):
        raise WrongFactError("a token is allowed that fits nothing")


def _one_token() -> None:
    automaton = regex("(ab)*").compile(Vocabulary([b"ab"], eos=[]))
    check(automaton, Case("", 10, "ok", accepts=(b"ab" * 50,)))


CASES = (
    Case("duplicates", 10, "ok", act=_duplicates),
    Case("100000 duplicates", 10, "ok", act=_many_duplicates),
    Case("token without bytes", 10, "ok", act=_empty_token),
    Case("300000 tokens", 10, "ok", act=_large),
    Case("tokens that are prefixes of each other", 10, "ok", act=_one_letter_everywhere),
    Case("a token of 100000 bytes", 10, "ok", act=_long_token),
    Case("padding", 10, "ok", act=_padding),
    Case("no end token", 10, "ok", act=_no_end),
    Case("several end tokens", 10, "ok", act=_several_ends),
    Case("end token reachable as text", 10, "ok", act=_end_as_text),
    Case("special token reachable as text", 10, "ok", act=_special_as_text),
    Case("end token that is special", 10, "ok", act=_end_is_special_too),
    Case("vocabulary that cannot write the language", 10, "ok", act=_nothing_fits),
    Case("one token", 10, "ok", act=_one_token),
    Case("only an end token", 10, "ok", act=lambda: _starts_with(regex("a*"), Vocabulary([b"e"], eos=[0]), [0])),
    Case("no token", 10, _WRONG, act=lambda: Vocabulary([], eos=[])),
    Case("text instead of bytes", 10, _WRONG, act=lambda: Vocabulary(["a"], eos=[0])),  # type: ignore[list-item]
    Case("a number instead of bytes", 10, _WRONG, act=lambda: Vocabulary([b"a", 7], eos=[0])),  # type: ignore[list-item]
    Case("bytes instead of a list", 10, _WRONG, act=lambda: Vocabulary(b"abc", eos=[0])),  # type: ignore[arg-type]
    Case("end token out of range", 10, _WRONG, act=lambda: Vocabulary([b"a"], eos=[1])),
    Case("negative end token", 10, _WRONG, act=lambda: Vocabulary([b"a"], eos=[-1])),
    Case("end token that is no number", 10, _WRONG, act=lambda: Vocabulary([b"a"], eos=["a"])),  # type: ignore[list-item]
    Case("end token that is a truth value", 10, _WRONG, act=lambda: Vocabulary([b"a", b"b"], eos=[True])),
    Case("huge end token", 10, _WRONG, act=lambda: Vocabulary([b"a"], eos=[1 << 70])),
    Case("special token out of range", 10, _WRONG, act=lambda: Vocabulary([b"a"], eos=[0], special=[9])),
)  # fmt: skip
