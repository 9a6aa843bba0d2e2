"""Intersections of grammars with regular languages are exact, contain nothing useless, and cost what they need."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random

import pytest

from grammars.errors import LimitExceeded, UnsupportedFeature
from grammars.expression import (
    ANY_BYTES,
    ANY_CHAR,
    ANY_TEXT,
    EPSILON,
    NOTHING,
    Both,
    Call,
    Look,
    Named,
    Node,
    Not,
    Rules,
    byte_set,
    chars,
    choice,
    repeat,
    sequence,
    subexpressions,
    text,
)
from grammars.intersection import intersect
from grammars.limits import Budget
from tests.naive.random_nodes import random_grammar, random_side
from tests.naive.spans import matches
from tests.naive.strings import strings

A, B = text("a"), text("b")
S = Call("s")
NESTED: dict[str, Node] = {"s": choice([sequence([A, S, B]), EPSILON])}
LEFT: dict[str, Node] = {"s": choice([sequence([S, A]), sequence([S, S]), B, EPSILON])}
TEXTS = frozenset(bytes(t) for n in range(7) for t in product(b"ab", repeat=n))


def product_of(start: Node, rules: Rules, regular: Node, work: int = 40_000) -> tuple[Node, dict[str, Node]]:
    return intersect(start, rules, regular, Budget("compile_work", work))


def language(start: Node, rules: Rules) -> set[bytes]:
    return set(strings(start, rules, TEXTS))


@pytest.mark.parametrize("block", range(6))
def test_random_grammars_keep_exactly_the_strings_of_the_regular_language(block: int) -> None:
    compared = 0
    for seed in range(40 * block, 40 * block + 40):
        random = Random(seed)
        (start, rules), regular = random_grammar(random), random_side(random)
        try:
            result = product_of(start, rules, regular)
        except UnsupportedFeature:
            continue  # an intersection inside the grammar contains itself
        expected = {data for data in language(start, rules) if matches(regular, data)}
        assert language(*result) == expected, seed
        compared += 1
    assert compared > 25


def unproductive(rules: Rules) -> set[str]:
    """The rules without any string, by the definition."""
    productive: set[str] = set()
    while True:
        grown = {name for name, node in rules.items() if derives_something(node, productive)}
        if grown == productive:
            return set(rules) - productive
        productive = grown


def derives_something(node: Node, productive: set[str]) -> bool:
    if isinstance(node, Call):
        return node.rule in productive
    parts = [derives_something(part, productive) for part in node.children()]
    if hasattr(node, "options"):
        return any(parts)
    return all(parts) or getattr(node, "low", 1) == 0


def called(*roots: Node) -> set[str]:
    return {node.rule for node in subexpressions(*roots) if isinstance(node, Call)}


@pytest.mark.parametrize("block", range(4))
def test_every_rule_is_needed(block: int) -> None:
    for seed in range(500 + 50 * block, 550 + 50 * block):
        random = Random(seed)
        (start, rules), regular = random_grammar(random), random_side(random)
        try:
            new_start, new_rules = product_of(start, rules, regular)
        except UnsupportedFeature:
            continue
        reached: set[str] = set()
        frontier = called(new_start)
        while frontier - reached:
            reached |= frontier
            frontier = called(*(new_rules[name] for name in reached))
        assert reached == set(new_rules)
        assert not unproductive(new_rules)


CASES: dict[str, tuple[Node, Rules, Node, set[bytes]]] = {
    "equally many, at most two": (S, NESTED, repeat(byte_set(b"ab"), 0, 4), {b"", b"ab", b"aabb"}),
    "equally many, an odd number": (S, NESTED, sequence([A, repeat(text("aa")), repeat(B)]), {b"ab", b"aaabbb"}),
    "left recursion and ambiguity": (S, LEFT, text("baba"), {b"baba"}),
    "the empty string": (S, NESTED, EPSILON, {b""}),
    "nothing": (S, NESTED, sequence([B, ANY_TEXT]), set()),
    "an assertion in the regular language": (
        S,
        LEFT,
        sequence([Look(text("ba"), True, False), repeat(byte_set(b"ab"), 3, 3), Look(A, False, False)]),
        {b"baa"},
    ),
    "an assertion in a rule": (
        S,
        {"s": choice([sequence([Call("word"), S]), B]), "word": sequence([A, Look(A, True, True), repeat(A)])},
        repeat(byte_set(b"ab"), 0, 3),
        {b"b", b"ab", b"aab"},
    ),
    "a complement in a rule": (
        S,
        {"s": choice([sequence([A, S]), Both(repeat(B), Not(text("bb")))])},
        repeat(byte_set(b"ab"), 2, 3),
        {b"aa", b"ab", b"aaa", b"aab", b"bbb"},
    ),
    "an intersection inside": (Both(S, Not(text("ab"))), NESTED, Not(text("aabb")), {b"", b"aaabbb"}),
    "a counter across states": (
        S,
        {"s": choice([sequence([repeat(S, 2, 3), B]), A])},
        sequence([repeat(text("a")), repeat(B)]),
        {b"a", b"aab", b"aaab", b"aaabb", b"aaaabb"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    start, rules, regular, expected = CASES[name]
    assert language(*product_of(start, rules, regular)) == expected
    assert {data for data in language(start, rules) if matches(regular, data)} == expected


def test_an_empty_intersection_has_no_rules() -> None:
    assert product_of(S, NESTED, B) == (NOTHING, {})
    assert product_of(S, NESTED, NOTHING) == (NOTHING, {})


def test_everything_changes_nothing() -> None:
    assert product_of(S, NESTED, ANY_BYTES) == (S, NESTED)


def test_a_grammar_without_recursion_stays_an_expression() -> None:
    start, rules = product_of(S, {"s": repeat(A, 0, 10**6)}, Not(A), work=10)
    assert isinstance(start, Both)
    assert rules == {}


def test_names_are_kept() -> None:
    start, rules = product_of(S, {"s": choice([sequence([A, S]), Named("end", B)])}, text("aab"))
    assert any(isinstance(node, Named) and node.name == "end" for node in subexpressions(start, *rules.values()))


def test_rules_are_named_after_what_they_read() -> None:
    assert set(product_of(S, NESTED, text("ab"))[1]) == {"s@0>2", "s@1>1"}


def test_given_names_are_not_taken_again() -> None:
    rules = {"s": choice([sequence([A, Both(S, Not(text("b"))), B]), EPSILON])}
    with pytest.raises(UnsupportedFeature):
        product_of(S, rules, ANY_TEXT)  # the inner intersection contains itself
    rules = {"t": choice([sequence([Both(S, Not(text("ab"))), S, Both(S, Not(EPSILON))]), Call("t")]), **NESTED}
    start, found = product_of(Call("t"), rules, Not(text("abab")))
    assert language(start, found) == {data for data in language(Call("t"), rules) if data != b"abab"}


def test_characters_that_stay_together_are_not_split() -> None:
    rules: dict[str, Node] = {"s": choice([sequence([text("("), S, text(")")]), repeat(ANY_CHAR)])}
    start, found = product_of(S, rules, ANY_TEXT)
    assert ANY_CHAR in set(subexpressions(start, *found.values()))


def test_characters_are_split_between_states() -> None:
    rules: dict[str, Node] = {"s": choice([sequence([text("("), S, text(")")]), chars([(0x40, 0x20FF)])])}
    start, found = product_of(S, rules, Not(choice([text("(é)"), text("€")])))
    tried = ["(é)", "€", "(€)", "é", "((é))", "\u20ff", "A", "\u2100"]
    universe = frozenset(part for data in tried for part in parts_of(data.encode()))
    expected = strings(S, rules, universe) - {"(é)".encode(), "€".encode()}
    assert strings(start, found, universe) == expected
    assert {"((é))".encode(), "(€)".encode(), b"A"} <= expected


def parts_of(data: bytes) -> Iterator[bytes]:
    for begin in range(len(data) + 1):
        for end in range(begin, len(data) + 1):
            yield data[begin:end]


def test_a_complement_of_a_recursive_grammar_is_refused() -> None:
    with pytest.raises(UnsupportedFeature):
        product_of(Not(S), NESTED, ANY_TEXT)
    with pytest.raises(UnsupportedFeature):
        product_of(Both(S, Call("t")), {**NESTED, "t": choice([Call("t"), A])}, ANY_TEXT)


def test_an_assertion_beside_recursion_is_refused() -> None:
    with pytest.raises(UnsupportedFeature):
        product_of(S, {"s": choice([sequence([A, Look(A, True, False), S]), B])}, ANY_TEXT)


# -- work -------------------------------------------------------------------------------------------------------------


def test_counters_that_change_no_state_stay_numbers() -> None:
    rules: dict[str, Node] = {"s": choice([sequence([text("("), S, text(")")]), repeat(ANY_CHAR, 0, 10**6)])}
    start, found = product_of(S, rules, ANY_TEXT, work=300)
    assert any(node == repeat(ANY_CHAR, 0, 10**6) for node in subexpressions(start, *found.values()))


def test_counters_across_states_are_charged_for() -> None:
    rules: dict[str, Node] = {"s": choice([sequence([text("("), S, text(")")]), repeat(ANY_CHAR, 0, 10**6)])}
    with pytest.raises(LimitExceeded):
        product_of(S, rules, sequence([ANY_TEXT, text("foo"), ANY_TEXT]), work=2_000)


def test_deep_bodies_need_no_stack() -> None:
    body: Node = S
    for _ in range(3_000):
        body = choice([sequence([A, body]), B])
    rules = {"s": choice([body, A])}
    start, found = product_of(S, rules, ANY_TEXT, work=100_000)
    assert len(found) == 1
    assert isinstance(start, Call)


def test_intersections_of_intersections_cost_what_they_are() -> None:
    start: Node = S
    for length in range(40):
        start = Both(start, Not(text("b" * length)))
    result = product_of(start, LEFT, repeat(byte_set(b"ab"), 0, 2))
    assert language(*result) == {b"a", b"ab", b"ba", b"aa"}
