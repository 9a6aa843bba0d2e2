"""The language of a terminal is what `re.match`, given a text alone, takes as a whole."""

from __future__ import annotations

import itertools
import re
import warnings

import pytest

from grammars.errors import LimitExceeded, UnsupportedFeature
from grammars.expression import Node, Repeat
from grammars.limits import Budget
from grammars.preference.preferred import is_settled, preferred
from tests.naive.random_grammars import RandomGrammars
from tests.naive.span_recogniser import SpanRecogniser


def language(pattern: str) -> Node:
    return preferred(pattern, Budget("compile_work", 40_000))


def disagreements(pattern: str, alphabet: str, longest: int) -> list[str]:
    recogniser = SpanRecogniser(language(pattern), {})
    # Python before 3.14: \B does not hold in the empty text
    shortest = 1 if r"\B" in pattern else 0
    texts = ("".join(t) for n in range(shortest, longest + 1) for t in itertools.product(alphabet, repeat=n))

    def taken(text: str) -> bool:
        match = re.match(pattern, text)
        return match is not None and match.end() == len(text)

    return [text for text in texts if recogniser.accepts(text) != taken(text)]


CASES = [
    ("a|ab", "ab"),
    ('".*?"', '"a'),
    (r'".*?(?<!\\)(\\\\)*?"', '"\\a'),
    (r"/\*(.|\n)*?\*/", "/*a"),
    ("a*(ab)?", "ab"),
    ("(a|ab)(c|bcd)?(d*)", "abcd"),
    (r"\ba+\b|b", "ab "),
    ("(?!ab)[ab]+", "ab"),
    ("a+(?!b)b?", "ab"),
    ("(?:a?b?)*", "ab"),
    ("(|a)*b", "ab"),
    ("(a??)*b?", "ab"),
    ("(a*?b?)*c?", "abc"),
    ("^a$|b", "ab"),
    ("(?m:^a$\n?)+", "a\n"),
    ("a$\n?", "a\n"),
    ("a{2,3}?b?", "ab"),
    ("(a|b)*a(a|b){2}", "ab"),
    ("(?:a(?=b)|ab)+c?b?", "abc"),
    ("(?i:a|AB)c?", "aAbc"),
    ("(?:(?=a)|b)*a", "ab"),
    (r"a\Bb|a\b", "ab "),
    ("(a+?)(b|ab)*", "ab"),
    ("((a|b)??c)*?b", "abc"),
    ("(?<=a)b|ab?", "ab"),
    ("(?:a|(?<!a)b)+", "ab"),
]


@pytest.mark.parametrize(("pattern", "alphabet"), CASES)
def test_a_pattern_denotes_what_match_takes(pattern: str, alphabet: str) -> None:
    assert disagreements(pattern, alphabet, 5) == []


def test_random_patterns_denote_what_match_takes() -> None:
    source, compared = RandomGrammars(seed=5, assertions=True, ignores=[]), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(300):
            pattern = source.regex(4)
            try:
                found = disagreements(pattern, "abc", 4)
            except UnsupportedFeature:
                continue
            assert (pattern, found) == (pattern, [])
            compared += 1
    assert compared > 270


def test_counters_of_settled_patterns_are_never_written_out() -> None:
    node = language("[a-z]{2,1000000}")
    assert isinstance(node, Repeat)
    assert (node.low, node.high) == (2, 1_000_000)


@pytest.mark.parametrize("pattern", ["[a-z]+[0-9]*", "(?:ab|cd)*", "[0-9]{4}-[0-9]{2}", r"#[^\n]*"])
def test_patterns_in_which_the_next_character_decides_are_settled(pattern: str) -> None:
    assert is_settled(pattern, Budget("compile_work", 1000))


@pytest.mark.parametrize("pattern", ["a|ab", "a*?b", "(?=a)b", "a*ab", "(|a)(|b)"])
def test_patterns_with_something_to_prefer_are_not_settled(pattern: str) -> None:
    assert not is_settled(pattern, Budget("compile_work", 1000))


def test_an_automaton_too_large_is_refused_before_it_is_built() -> None:
    with pytest.raises(LimitExceeded):
        language("(a|b)*a(a|b){20}")


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?>a|b)", "a*+", "(a)?(?(1)b|c)"])
def test_what_has_no_automaton_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedFeature):
        preferred(pattern, Budget("compile_work", 1000))
