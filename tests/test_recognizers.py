"""Formats that are not regular: regular expressions and internationalised host names."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from grammars import DEAD, json_schema
from grammars.limits import Budget
from grammars.schema.recognizers.ecma import EcmaPattern
from grammars.schema.recognizers.hosts import HostName
from grammars.schema.recognizers.logic import Combination
from grammars.schema.recognizers.recognizer import Recognizer
from grammars.schema.recognizers.spelled import SpelledRecognizer
from grammars.schema.strings import length, recognized
from grammars.schema.terms import conj, neg

PATTERNS = r"""
    a|b (?:) (?<a>)\k<a> \k<a>(?<a>) [] [^] [a-z] [\d-] [-a] [a-] [--a] [\]a] \cA \x41 \u0041 \u{1F600} \u{0000041}
    [\uD83D\uDE00-\u{1F601}] \0 [\0] [\b] [\-] a{2} a{2,} a{2,3}? a*? (?=a) (?<=a+)b (?<!a) \p{L} \p{Lu}
    \p{Script=Greek} \P{sc=Grek} \p{ASCII} [\p{L}-] \/ \^\$\\\.\*\+\?\(\)\[\]\{\}\| (a)(b)\2 (?<$_1>) ^$ ^\bfoo\B
    ([abc])+\s+$ [^a-c-e] [a-b--c] \1() () a| [а-я] (?<year>a)(?<day>b) a{02,1000000000000000000000}
"""
NO_PATTERNS = r"""
    \a \1 [z-a] [\d-z] [a-\d] (?P<n>x) (?i)a (?#c) ( ) [a (?<a>)(?<a>) \k<a> \k a** a{3,2} {1} a{ a{1 } ] \p{Foo}
    \p{lu} \p \u{110000} \u12 \x1 (?=a)* \b* \01 [\01] [\1] \- \_ [\B] [\k] (?<1>) (?<> \c1 \e [\uDE00-\uD83D]
    (?<a>)\k<a ^* (? [z-\x41] [\u{10000}-\uFFFF] (?<!a)+ a{1}{2} [[:alpha:]-a]] [\p{L}-z]
"""
LETTERS = "abl0-.xnBüñéßлаאب١۱'·ー・の中क्\u200d\u200cα͵e\u0301"


@pytest.mark.parametrize("pattern", PATTERNS.split())
def test_what_ecma_262_calls_a_pattern_is_one(pattern: str) -> None:
    assert EcmaPattern().matches(pattern)


@pytest.mark.parametrize("pattern", NO_PATTERNS.split())
def test_what_ecma_262_forbids_is_no_pattern(pattern: str) -> None:
    assert not EcmaPattern().matches(pattern)


def random_text(reader: Recognizer, rng: random.Random, letters: str, calm: int) -> str | None:
    """A text drawn character by character; after `calm` steps what comes to an end is preferred."""
    state, text = reader.start, ""
    for step in range(20 * calm):
        if reader.accepts(state) and (step >= calm or rng.random() < 0.05):
            return text
        options = [(char, after) for char in letters if (after := reader.step(state, ord(char))) is not None]
        assert options, f"{text!r} is a dead end of {reader.name}"
        char, state = rng.choice(options if step < calm else options[:6])
        text += char
    return None


@pytest.mark.parametrize("seed", range(40))
def test_patterns_never_lead_into_a_dead_end_and_are_understood_by_others(seed: int) -> None:
    letters = ")]}>:" + r"ab01(?<=!{|^$\[-,*+.kpLuxdDbws"
    text = random_text(EcmaPattern(), random.Random(seed), letters, 25)
    if text is not None and not re.search(r"\\[kpPcux]|\(\?<[^=!]|\[|\(\?<[=!]|\\[1-9]|\{", text):
        re.compile(text)  # what both dialects write alike


@pytest.mark.parametrize("seed", range(60))
def test_host_names_never_lead_into_a_dead_end_and_are_what_idna_says(seed: int) -> None:
    idna = pytest.importorskip("idna")
    rng = random.Random(seed)
    text = random_text(HostName(True), rng, "".join(rng.sample(LETTERS, len(LETTERS))), rng.randrange(2, 14))
    assert text is not None
    for label in text.split("."):
        idna.alabel(label.lower() if label.isascii() else label)
    assert len(idna.encode(text.lower() if text.isascii() else text)) <= 253


@pytest.mark.parametrize("seed", range(40))
def test_labels_in_punycode_never_lead_into_a_dead_end_and_decode_to_labels(seed: int) -> None:
    idna = pytest.importorskip("idna")
    rng = random.Random(seed)
    reader = HostName(False)
    state: Any = reader.start
    text = ""
    for char in "xn--":
        state, text = reader.step(state, ord(char)), text + char
    for _ in range(64):
        if reader.accepts(state) and rng.random() < 0.3:
            break
        options = [c for c in "abcdefghijklmnopqrstuvwxyz0123456789-" if reader.step(state, ord(c)) is not None]
        assert options or reader.accepts(state), text
        if not options:
            break
        char = rng.choice(options)
        state, text = reader.step(state, ord(char)), text + char
    if reader.accepts(state):
        decoded = idna.ulabel(text)
        assert idna.alabel(decoded).decode() == text


@pytest.mark.parametrize(
    "name", ["bücher", "例え", "テスト", "straße", "правительство", "קום", "مثال", "παράδειγμα", "ñandú"]
)
def test_names_of_real_hosts_are_accepted_in_both_forms(name: str) -> None:
    idna = pytest.importorskip("idna")
    assert HostName(True).matches(name)
    assert HostName(False).matches(idna.alabel(name).decode())


def test_combinations_are_exact() -> None:
    def accepts(schema: Any, *values: Any) -> list[bool]:
        grammar = json_schema(schema)
        return [grammar.matches(json.dumps(value).encode()) for value in values]

    pattern = {"type": "string", "format": "regex"}
    assert accepts({**pattern, "minLength": 3}, "a", "(a)", "(a))") == [False, True, False]
    assert accepts({**pattern, "maxLength": 3}, "a", "(a)", "(a", "((a") == [True, True, False, False]
    assert accepts({"not": pattern}, "a", "(a", 3) == [False, True, True]
    assert accepts({**pattern, "pattern": "^\\(\\(", "maxLength": 4}, "(())", "((a)", "((") == [True, False, False]
    either = {"oneOf": [pattern, {"type": "string", "pattern": "^.a"}]}
    assert accepts(either, "a", "(a)", "(a", "ba", "x") == [True, False, True, False, True]
    assert accepts({"propertyNames": {"format": "regex"}, "type": "object"}, {"a": 1}, {"(": 1}) == [True, False]
    assert accepts({**pattern, "enum": ["a", "("]}, "a", "(") == [True, False]


def test_prefixes_of_combinations_can_be_finished() -> None:
    short = conj([recognized(EcmaPattern()), length(0, 4)])
    texts = Combination(short, lambda part: part.reader if hasattr(part, "reader") else Short(), Budget("work", 10**6))
    state = texts.start
    for char in "((":
        state = texts.step(state, ord(char))
    assert state is not None
    assert texts.step(state, ord("(")) is None
    assert texts.step(state, ord(")")) is not None


class Short:
    """At most four characters."""

    name, start, foreign = "short", 0, frozenset[int]()

    def step(self, state: int, code: int) -> int | None:
        return state + 1 if state < 4 else None

    def accepts(self, state: int) -> bool:
        return True

    def edges(self, state: int) -> tuple[int, ...]:
        return (0,)

    def grain(self, state: int) -> int:
        return 0x110000


@pytest.mark.parametrize("reader", [EcmaPattern(), HostName(False), HostName(True)], ids=lambda reader: reader.name)
@pytest.mark.parametrize("minimal", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_escapes_and_bytes_spell_the_same_texts(reader: Recognizer, minimal: bool, seed: int) -> None:
    """Random walks over bytes never end dead, and what they spell is what JSON reads."""
    rng = random.Random(seed)
    term = recognized(reader) if seed % 3 else neg(neg(recognized(reader)))
    texts = SpelledRecognizer(Combination(term, lambda part: part.reader, Budget("work", 10**7)), minimal)
    state, spelled = texts.start, b""
    for step in range(300):
        if texts.accepts(state) and step > 8:
            break
        options = [byte for byte in range(256) if texts.step(state, byte) != DEAD]
        assert options, spelled
        calm = [byte for byte in options if byte in b'01234567dcabfn.)]}>"'] if step > 8 else options
        byte = rng.choice(calm or options)
        state, spelled = texts.step(state, byte), spelled + bytes([byte])
    if texts.accepts(state):
        value = json.loads(b'"%s"' % spelled)
        assert Reads(reader)(value)


class Reads:
    """Whether a reader accepts a text."""

    def __init__(self, reader: Recognizer):
        self.reader = reader

    def __call__(self, value: str) -> bool:
        state = self.reader.start
        for char in value:
            state = None if state is None else self.reader.step(state, ord(char))
        return state is not None and self.reader.accepts(state)
