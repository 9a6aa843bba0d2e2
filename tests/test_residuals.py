"""Residuals: the lazy automaton of extended regular expressions is exact, its states are alive, its work is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import product
from random import Random

import pytest

from grammars.algebra.byte_classes import byte_classes
from grammars.algebra.derivatives import derivative
from grammars.algebra.partitions import partition
from grammars.algebra.terms import Term, Terms
from grammars.algebra.translation import translate
from grammars.errors import LimitExceeded, UnsupportedFeature
from grammars.expression import (
    ANY_BYTE,
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
    byte_set,
    chars,
    choice,
    optional,
    repeat,
    sequence,
    text,
)
from grammars.limits import Budget
from grammars.residuals import Residuals
from tests.naive.random_nodes import random_regular
from tests.naive.spans import matches

A, B, C = map(text, "abc")
LOWER = chars([(ord("a"), ord("z"))])
DIGIT = byte_set(b"0123456789")
TEXTS = [bytes(t) for n in range(6) for t in product(b"abc" if n < 5 else b"ab", repeat=n)]
PREFIXES = [t for t in TEXTS if len(t) < 4]


def residuals_of(node: Node, work: int = 20_000) -> Residuals:
    return Residuals(node, Budget("compile_work", work))


def state_after(residuals: Residuals, data: bytes) -> int:
    state = residuals.start
    for byte in data:
        if state < 0:
            return state
        state = residuals.step(state, byte)
    return state


def accepts(residuals: Residuals, data: bytes | str) -> bool:
    state = state_after(residuals, data.encode() if isinstance(data, str) else data)
    return state >= 0 and residuals.accepts(state)


def walk(residuals: Residuals, most: int) -> Iterator[int]:
    """The states in reach, breadth first, as far as they are fewer than `most`."""
    state = residuals.start
    while 0 <= state < min(len(residuals), most):
        for byte in first_bytes(residuals):
            residuals.step(state, byte)
        yield state
        state += 1


def first_bytes(residuals: Residuals) -> list[int]:
    """One byte of each class."""
    return list({number: byte for byte, number in enumerate(residuals.byte_classes)}.values())


def completion(residuals: Residuals, state: int) -> bytes:
    """A shortest string that the state accepts; there has to be one."""
    queue, seen = [(state, b"")], {state}
    for at, data in queue:
        if residuals.accepts(at):
            return data
        for byte in first_bytes(residuals):
            target = residuals.step(at, byte)
            if target >= 0 and target not in seen:
                seen.add(target)
                queue.append((target, data + bytes([byte])))
    raise AssertionError("a state from which nothing is accepted")


# -- exactness --------------------------------------------------------------------------------------------------------

FAMILIES = {"booleans": (False, True), "looks": (True, False), "both": (True, True)}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("block", range(4))
def test_random_expressions_accept_exactly_what_the_definition_says(family: str, block: int) -> None:
    looks, booleans = FAMILIES[family]
    for seed in range(100 * block, 100 * block + 100):
        node = random_regular(Random(seed), 1 + seed % 4, looks, booleans)
        residuals = residuals_of(node)
        for data in TEXTS:
            assert accepts(residuals, data) == matches(node, data), (seed, node, data)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_is_dead_exactly_if_nothing_completes_it(family: str) -> None:
    looks, booleans = FAMILIES[family]
    for seed in range(1000, 1150):
        node = random_regular(Random(seed), 1 + seed % 4, looks, booleans)
        residuals = residuals_of(node)
        members = [data for data in TEXTS if matches(node, data)]
        for prefix in PREFIXES:
            state = state_after(residuals, prefix)
            if state < 0:
                assert not any(data.startswith(prefix) for data in members), (seed, node, prefix)
            else:
                assert matches(node, prefix + completion(residuals, state)), (seed, node, prefix)


LOOKS: dict[str, tuple[Node, list[str], list[str]]] = {
    "(a(?=b)|b)*": (
        repeat(choice([sequence([A, Look(B, True, False)]), B])),
        ["", "b", "ab", "abab", "bbab"],
        ["a", "aab", "aba", "ba"],
    ),
    "(a|(?=b))c is never bc": (sequence([choice([A, Look(B, True, False)]), C]), ["ac"], ["c", "bc", "abc"]),
    "(a|(?=b))[bc]": (sequence([choice([A, Look(B, True, False)]), byte_set(b"bc")]), ["ac", "ab", "b"], ["c"]),
    "((?=a)|b){3} needs no a three times": (
        sequence([repeat(choice([Look(A, True, False), B]), 3, 3), repeat(A)]),
        ["a", "ba", "bba", "bbb", "bbba", "aaa"],
        ["", "b", "bb", "bbbb"],
    ),
    "(?!.*(?=b)c) inside one another": (
        sequence([Look(sequence([ANY_TEXT, C, Look(B, True, False)]), True, True), ANY_TEXT]),
        ["", "c", "ca", "bc"],
        ["cb", "acb", "ccb"],
    ),
    "(?<=a(?=b)).": (
        sequence([ANY_TEXT, Look(sequence([A, Look(B, True, False)]), False, False), ANY_CHAR]),
        ["ab", "cab"],
        ["", "b", "ac", "aa"],
    ),
    "(?<!^a)b: the start of the text is seen": (
        sequence([ANY_TEXT, Look(sequence([Look(ANY_BYTE, False, True), A]), False, True), B]),
        ["b", "aab", "cb"],
        ["ab"],
    ),
    "an intersection sees its own text only": (
        sequence([Both(sequence([A, Look(B, True, True)]), ANY_BYTES), B]),
        ["ab"],
        ["a", "b"],
    ),
    "an assertion inside an assertion sees no more than that one": (
        sequence([Both(sequence([Look(sequence([A, Look(B, True, True)]), True, False), ANY_BYTES]), ANY_BYTES), B]),
        ["ab", "acb", "aab", "acbb"],
        ["b", "a", "abb", "bab"],
    ),
    "a complement sees its own text only": (sequence([A, Not(Look(A, False, True))]), ["aa", "ab"], ["", "a", "ba"]),
}


@pytest.mark.parametrize("name", LOOKS)
def test_assertions(name: str) -> None:
    node, members, others = LOOKS[name]
    residuals = residuals_of(node)
    for data in members + others:
        assert accepts(residuals, data) == (data in members) == matches(node, data.encode()), data


def test_a_complement_is_relative_to_all_byte_strings() -> None:
    residuals = residuals_of(Not(ANY_TEXT))
    assert accepts(residuals, b"\xff\x00")
    assert not accepts(residuals, "text")
    assert state_after(residuals, b"text \xc3") >= 0


def test_counters_merge_only_without_a_gap() -> None:
    for counts in [((2, 2), (4, 4)), ((0, 1), (3, 5)), ((1, 2), (3, 4)), ((2, None), (0, 0)), ((0, 0), (6, None))]:
        node = Not(sequence([B, choice([sequence([repeat(text("ac"), *pair), A]) for pair in counts])]))
        residuals = residuals_of(node)
        for n in range(9):
            data = b"b" + b"ac" * n + b"a"
            assert accepts(residuals, data) == matches(node, data), (counts, n)


@pytest.mark.parametrize("inner", [(0, 1), (0, 2), (1, 2), (2, 2), (2, 3), (3, 5), (1, None), (4, None)])
@pytest.mark.parametrize("outer", [(0, 1), (0, 3), (1, 2), (2, 2), (2, 4), (1, None)])
def test_counters_of_counters(inner: tuple[int, int | None], outer: tuple[int, int | None]) -> None:
    node = Not(repeat(repeat(A, *inner), *outer))
    residuals = residuals_of(node)
    for n in range(16):
        assert accepts(residuals, b"a" * n) == matches(node, b"a" * n), n


def test_names_are_transparent() -> None:
    assert accepts(residuals_of(sequence([Named("x", A), B])), "ab")


def test_rules_cannot_stand_inside() -> None:
    with pytest.raises(UnsupportedFeature):
        residuals_of(Not(Call("rule")))


# -- characters -------------------------------------------------------------------------------------------------------


def test_any_character_is_any_code_point_in_utf8_and_nothing_else() -> None:
    residuals = residuals_of(Both(ANY_CHAR, Not(text("x"))))
    for point in [0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]:
        assert accepts(residuals, chr(point))
    for data in [b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\xe2\x82", b"x", b"ab"]:
        assert not accepts(residuals, data)


@pytest.mark.parametrize(
    "ranges", [[(0xE0, 0x17F)], [(0x61, 0x7A), (0x430, 0x44F)], [(0x1F600, 0x1F64F), (0x20AC, 0x20AC)]]
)
def test_sets_of_characters_differ_exactly(ranges: list[tuple[int, int]]) -> None:
    removed = chr(ranges[0][0] + 3)
    residuals = residuals_of(Both(chars(ranges), Not(text(removed))))
    for point in [p + d for low, high in ranges for p in (low, high, low + 3) for d in (-1, 0, 1)]:
        expected = any(low <= point <= high for low, high in ranges) and chr(point) != removed
        assert accepts(residuals, chr(point)) == expected


def test_bytes_of_one_class_lead_to_the_same_state() -> None:
    node = Both(repeat(choice([LOWER, text("é"), text("0x")])), Not(sequence([ANY_TEXT, text("end"), ANY_TEXT])))
    residuals = residuals_of(node)
    for state in walk(residuals, 50):
        targets: dict[int, set[int]] = {}
        for byte, number in enumerate(residuals.byte_classes):
            targets.setdefault(number, set()).add(residuals.step(state, byte))
        assert all(len(found) == 1 for found in targets.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_classes_of_one_block_have_one_residual(family: str) -> None:
    """Residuals are computed once for each block: here every class of it is derived by itself."""
    looks, booleans = FAMILIES[family]
    for seed in range(60):
        node = random_regular(Random(seed), 3, looks, booleans)
        terms = Terms(byte_classes(node), Budget("compile_work", 20_000))
        for term in _reached(terms, translate(terms, node), most=12):
            residual_of: dict[int, Term] = {}
            for byte_class, block in enumerate(partition(terms, term)):
                residual = derivative(terms, term, byte_class)
                assert residual_of.setdefault(block, residual) is residual, (seed, node)


def _reached(terms: Terms, start: Term, most: int) -> list[Term]:
    found = [start]
    for term in found:
        for byte_class in range(terms.class_count):
            residual = derivative(terms, term, byte_class)
            if residual not in found and len(found) < most:
                found.append(residual)
    return found


# -- sizes and work ---------------------------------------------------------------------------------------------------


def word(*excluded: str) -> Node:
    return Both(sequence([LOWER, repeat(choice([LOWER, DIGIT]))]), Not(choice(map(text, excluded))))


LABEL = sequence(
    [Look(text("-"), True, True), repeat(choice([LOWER, DIGIT, text("-")]), 1, 63), Look(text("-"), False, True)]
)
BIG = repeat(ANY_CHAR, 0, 100_000)


def contains(data: str | bytes) -> Node:
    return sequence([ANY_TEXT, text(data), ANY_TEXT])


# name: expression, most states, most work for all of them
SIZES: dict[str, tuple[Node, int, int]] = {
    "identifiers but keywords": (word("if", "else", "while"), 11, 100),
    "labels without outer hyphens": (LABEL, 2 * 63, 800),
    "no two hyphens": (repeat(sequence([Look(text("--"), True, True), ANY_CHAR])), 9, 80),
    "a literal and its complement": (Both(text("ab" * 500), Not(text("ab" * 500))), 0, 50),
    "contradiction": (Both(LOWER, DIGIT), 0, 40),
    "bounds that exclude each other": (Both(repeat(A, 10**6, 10**6), repeat(A, 10**6 + 1, 10**6 + 1)), 0, 40),
    "letters that contain a digit": (Both(repeat(LOWER, 0, 1000), sequence([repeat(LOWER), DIGIT])), 0, 60),
    "words of two lengths": (Not(repeat(choice([A, text("aa")]), 3, 40)), 90, 800),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str) -> None:
    node, states, work = SIZES[name]
    residuals = residuals_of(node, work)
    assert len(list(walk(residuals, 10_000))) <= states


@pytest.mark.parametrize(
    "node",
    [
        Both(BIG, Not(text("end"))),
        Both(BIG, contains("foo")),
        Both(repeat(ANY_CHAR, 500, 100_000), contains("foo")),
        repeat(repeat(A, 1000, 1000), 1000, 1000),
        Both(sequence([repeat(byte_set(b"ab")), A, repeat(byte_set(b"ab"), 20, 20)]), Not(A)),
        sequence([Look(contains("f"), True, False), Look(contains("bad"), True, True), BIG]),
        repeat(sequence([LOWER, Look(DIGIT, True, True), optional(text("-"))]), 0, 10**9),
    ],
)
def test_large_counters_cost_what_is_walked(node: Node) -> None:
    residuals = residuals_of(node, 3_000)
    assert len(list(walk(residuals, 20))) == 20


def test_conditions_are_met_one_after_the_other() -> None:
    """Twenty of them have 2**20 states; to see that one is alive takes a path of twenty steps, not a search."""
    letters = range(ord("a"), ord("a") + 20)
    conditions = [Look(contains(bytes([letter])), True, False) for letter in letters]
    residuals = residuals_of(sequence([*conditions, repeat(byte_set(letters))]), 1_000)
    state = state_after(residuals, bytes(letters)[:-1])
    assert not residuals.accepts(state)
    assert residuals.accepts(residuals.step(state, letters[-1]))


def test_neighbouring_counters_share_what_is_learnt() -> None:
    """Every `b` counts the length down by one; that an `a` and 500 letters still fit need not be searched again."""
    residuals = residuals_of(Both(BIG, sequence([ANY_TEXT, A, repeat(ANY_CHAR, 500, 500)])), 4_000)
    state = state_after(residuals, b"b" * 100 + b"a" + b"b" * 500)
    assert residuals.accepts(state)


def test_work_is_charged_before_it_is_done() -> None:
    explosive = Both(sequence([repeat(byte_set(b"ab")), A, repeat(byte_set(b"ab"), 40, 40)]), Not(A))
    residuals = residuals_of(explosive, 500)
    with pytest.raises(LimitExceeded):
        list(walk(residuals, 100_000))
    assert len(residuals) < 1_000


def test_the_same_input_does_the_same_work() -> None:
    node = random_regular(Random(7), 4)
    numbers = [
        [r.step(s, b) for s in walk(r, 50) for b in first_bytes(r)] for r in (residuals_of(node), residuals_of(node))
    ]
    assert numbers[0] == numbers[1]


def test_the_empty_language_has_no_start() -> None:
    assert residuals_of(NOTHING).start == -1
    assert residuals_of(Both(A, Not(A))).start == -1
    assert residuals_of(sequence([A, Look(B, True, False), C])).start == -1
    assert residuals_of(EPSILON).accepts(0)


NESTED: dict[str, Callable[[Node], Node]] = {
    "optional": lambda node: optional(sequence([node, B])),
    "star": lambda node: repeat(choice([node, A, text("ab")])),
    "complement": lambda node: Not(sequence([A, node])),
    "intersection": lambda node: Not(Both(node, repeat(byte_set(b"abc")))),
    "look ahead": lambda node: sequence([Look(node, True, True), A]),
    "look behind": lambda node: sequence([Look(node, False, True), A]),
    "name": lambda node: Named("x", node),
}


@pytest.mark.parametrize("kind", NESTED)
def test_nesting_never_breaks_the_stack(kind: str) -> None:
    """5,000 deep on a stack of 256 KiB: an answer or `LimitExceeded`."""
    outcome: list[object] = []

    def read() -> None:
        node: Node = A
        for _ in range(5_000):
            node = NESTED[kind](node)
        try:
            outcome.append(accepts(residuals_of(node, 40_000), b"aab"))
        except LimitExceeded as error:
            outcome.append(error)

    previous = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(previous)
    assert len(outcome) == 1
