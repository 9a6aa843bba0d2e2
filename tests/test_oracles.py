"""Public engines as oracles: `re` and `regex` for regular expressions, Lark's Earley parser for grammars.

None of them shares code or ideas with the automaton. `re` and Lark decide membership; `regex` with partial=True also
decides whether a prefix can be completed, as long as no assertion and no lazy quantifier is involved.
"""

from __future__ import annotations

import random
import re
from itertools import product

import lark as lark_package
import pytest
import regex as regex_package

from grammars import DEAD, Grammar, TokenAutomaton, UnsatisfiableGrammar, Vocabulary, lark, regex
from tests.naive.small_regexes import patterns, texts

AB = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
AB_TEXTS = texts("ab", 5)


# -- small regexes, all of them ---------------------------------------------------------------------------------------


def compiled_oracle(pattern: str) -> re.Pattern[str] | regex_package.Pattern[str]:
    """`re`, or where it cannot look behind by a variable length, `regex`."""
    try:
        return re.compile(pattern)
    except re.error:
        return regex_package.compile(pattern)


def check_small_regex(pattern: str) -> None:
    oracle = compiled_oracle(pattern)
    members = {text for text in AB_TEXTS if oracle.fullmatch(text)}
    try:
        automaton = regex(pattern).compile(AB)
    except UnsatisfiableGrammar:
        assert members == set(), f"{pattern} is called empty, but matches {sorted(members)[:3]}"
        return
    states = {"": automaton.start}
    for text in AB_TEXTS[1:]:
        states[text] = automaton.advance(states[text[:-1]], "ab".index(text[-1]))
    found = {text for text, state in states.items() if state != DEAD and automaton.accepts(state)}
    assert found == members, f"{pattern}: {sorted(found ^ members)[:5]}"
    # what these patterns repeat is at most four characters long, so a short prefix is completed within five or never
    viable = {text for text in AB_TEXTS[:7] if states[text] != DEAD}
    assert viable == {text[:n] for text in members for n in range(3)} & set(AB_TEXTS[:7]), pattern


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.jitless), 2, 3])
def test_every_small_regex_means_what_re_says(size: int) -> None:
    for pattern in patterns(size):
        check_small_regex(pattern)


def test_a_sample_of_larger_regexes_means_what_re_says() -> None:
    """Members only: a prefix of these may need more than five characters."""
    for pattern in random.Random(4).sample(patterns(4), 500):
        oracle = compiled_oracle(pattern)
        members = {text for text in AB_TEXTS if oracle.fullmatch(text)}
        try:
            grammar = regex(pattern)
            found = {text for text in AB_TEXTS if grammar.matches(text.encode())}
        except UnsatisfiableGrammar:
            found = set()
        assert found == members, f"{pattern}: {sorted(found ^ members)[:5]}"


# -- prefixes of regexes ----------------------------------------------------------------------------------------------

PARTIAL = [
    r"a{2,5}b?",
    r"(a|ab)(c|bcd)d*",
    r"(?:a{0,3}b){2,4}",
    r"(\w+\s){0,3}\w+",
    r"[a-c]+@[a-c]{2,4}\.(ab|ca)",
    r".{0,6}",
    r"(a*)*b",
    r"(?:a|aa|aaa){3}",
    r"[^a]*a[^a]{2}",
    r"(?i:aB)+c?",
    r"a+b+c{1,2}",
    r"\d+(\.\d+)?(e[+-]?\d+)?",
    r"é[à-ü]{1,3}|e\u0301",
    r"[^\x00-\x7f]{2}a",
    r"(?:ж|中+|🙂{1,2})*!",
    r"(a|b)*a(a|b){4}",
    r"(?:(?:ab?){1,2}c?){1,3}",
    r'"(?:[^"\\]|\\.)*"',
    r"(?s:.)a|(?:\n.)+",
    r"\p{Lu}\p{Ll}*( \p{Lu}\p{Ll}*){0,2}",
    r"\W\w|\S\s",
    r"(?:){3}a(?:b{0}){2}c",
    r"[a-cé]{3}(?:x|yz){0,2}",
]
CHARACTERS = 'abcdABCeE01.+@-_ "\\\n!xyzéàüж中🙂'  # no character that `re` and `regex` class differently


def advance_text(automaton: TokenAutomaton, state: int, text: str) -> int:
    for byte in text.encode():
        if state == DEAD:
            break
        state = automaton.advance(state, byte)
    return state


@pytest.mark.parametrize("pattern", PARTIAL)
def test_a_character_may_follow_where_regex_sees_a_partial_match(pattern: str) -> None:
    oracle = regex_package.compile(pattern)
    automaton = regex(pattern).compile(Vocabulary([bytes([b]) for b in range(256)] + [b"<end>"], eos=[256]))
    rng = random.Random(pattern)
    for _ in range(12):
        prefix, state = "", automaton.start
        for _ in range(12):
            after = {c: advance_text(automaton, state, c) for c in CHARACTERS}
            viable = {c for c in CHARACTERS if oracle.fullmatch(prefix + c, partial=True)}
            assert {c for c, to in after.items() if to != DEAD} == viable, prefix
            assert automaton.accepts(state) == bool(oracle.fullmatch(prefix)), prefix
            if not viable:
                break
            chosen = rng.choice(sorted(viable))
            prefix, state = prefix + chosen, after[chosen]


# -- grammars ---------------------------------------------------------------------------------------------------------

GRAMMARS = {
    "ambiguous sums": ('start: start "+" start | "a"', "a+"),
    "left and right recursion": ('start: start "a" | "b" start | "b"', "ab"),
    "hidden left recursion": ('start: x start "a" | "b"\nx: "b"?', "ab"),
    "hidden left recursion through two rules": ('start: x y "a" | "b"\nx: "a"*\ny: start | x', "ab"),
    "nullable everywhere": ('start: x y x\nx: "a"? y\ny: "b"?', "ab"),
    "palindromes": ('start: "a" start "a" | "b" start "b" | "a"? | "b"', "ab"),
    "brackets": ('start: ("(" start ")" | "[" start "]")*', "()[]"),
    "colliding terminals": ("start: (A | AB | B)+ C\nA: /a+/\nAB: /ab/\nB: /b/\nC: /[ab]b/", "ab"),
    "greedy terminals give back": ('start: A "ab"\nA: /(a|b)+/', "ab"),
    "ignored blanks": ('start: "a" ("b" "a")*\n%ignore " "', "ab "),
    "ignored inside nothing": ('start: WORD+\nWORD: "a" "b"\n%ignore /-+/', "ab-"),
    "counted": ('start: ("a"~2..3 "b")~1..2', "ab"),
    "counted rules": ('start: x~2 "b"?\nx: "a" | "b" x', "ab"),
    "optional in brackets": ('start: ["a"] ["b" "a"] "a"?', "ab"),
    "inlined and aliased": ('start: _x -> one | "b" _x -> two\n_x: "a" | _x "b"', "ab"),
    "templates": ('start: _sep{"a", "b"} | _sep{start, "bb"}\n_sep{x, s}: x (s x)*', "ab"),
    "case-insensitive": ('start: "a"i+ /b/i?', "aAbB"),
    "terminal of terminals": ("start: X\nX: A (B A)*\nA: /a/\nB: /b+/", "ab"),
    "ranges": ('start: ("a".."b")+ "c"', "abc"),
    "dangling else": ('start: "i" start ("e" start)? | "x"', "iex"),
    "unit cycles": ('start: x | "a"\nx: y | start "b"\ny: x | "b"', "ab"),
    "priorities": ("start: (A | B)+\nA.2: /a/\nB.1: /ab?/", "ab"),
}
HARD_FOR_LARK = {"unit cycles"}


def earley(grammar: str) -> lark_package.Lark:
    return lark_package.Lark(grammar, parser="earley", lexer="dynamic_complete", ambiguity="resolve")


def parses(parser: lark_package.Lark, text: str) -> bool:
    try:
        parser.parse(text)
    except lark_package.UnexpectedInput:
        return False
    return True


def texts_within(alphabet: str, most: int) -> list[str]:
    """All texts of the alphabet, up to as many as there is time for."""
    length = max(n for n in range(9) if len(alphabet) ** n <= most)
    return texts(alphabet, length)


def viable_prefixes(grammar: Grammar, alphabet: str, prefixes: list[str]) -> set[str]:
    automaton = grammar.compile(Vocabulary([*(c.encode() for c in alphabet), b"<end>"], eos=[len(alphabet)]))
    states = {"": automaton.start}
    for text in prefixes:
        if text:
            states[text] = automaton.advance(states[text[:-1]], alphabet.index(text[-1]))
    return {text for text in prefixes if states[text] != DEAD}


@pytest.mark.parametrize("name", GRAMMARS)
def test_members_are_what_larks_earley_parser_accepts(name: str) -> None:
    source, alphabet = GRAMMARS[name]
    parser, grammar = earley(source), lark(source)
    everything = texts_within(alphabet, 300)
    members = {text for text in everything if parses(parser, text)}
    assert members, "the grammar accepts nothing so short: no test at all"
    assert {text for text in everything if grammar.matches(text.encode())} == members
    short = [text for text in everything if len(text) <= len(everything[-1]) - 3]
    completed = {text[:n] for text in members for n in range(len(text) + 1)}
    viable = viable_prefixes(grammar, alphabet, short)
    assert {text for text in short if text in completed} <= viable
    for text in sorted(viable - completed):
        assert completion(grammar, text, alphabet) is not None, text


def completion(grammar: Grammar, prefix: str, alphabet: str) -> str | None:
    """A continuation that makes a prefix a member, looked for by trying all of them."""
    for length in range(8):
        for letters in product(alphabet, repeat=length):
            text = prefix + "".join(letters)
            if grammar.matches(text.encode()):
                return text
    return None


def random_lark(rng: random.Random) -> str:
    """A random grammar over a and b in Lark's language; every rule has a way out."""
    names = ["start", "x", "y"]
    items = ['"a"', '"b"', '"ab"', *names, "x?", "y*", '("a" | y)', "x~1..2", '["b"]', '(x "a")+']
    lines = []
    for name in names:
        ways = [" ".join(rng.choices(items, k=rng.randint(1, 3))) for _ in range(rng.randint(1, 2))]
        ways.append(rng.choice(['"a"', '"b"', '"ba"']))
        lines.append(f"{name}: {' | '.join(ways)}")
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(25))
def test_random_grammars_mean_what_larks_earley_parser_accepts(seed: int) -> None:
    source = random_lark(random.Random(seed))
    parser, grammar = earley(source), lark(source)
    for text in texts("ab", 5):
        assert grammar.matches(text.encode()) == parses(parser, text), f"{text!r} of\n{source}"
