"""Each kernel against a twin that is slow and obviously right, on random input."""

from __future__ import annotations

import importlib
import pkgutil
import random
from itertools import product

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

import grammars.kernels
from grammars import Grammar, Limits, TokenAutomaton, UnsatisfiableGrammar, Vocabulary, lark, regex
from grammars.components import components_of
from grammars.kernels.analysis import corner_calls, prune, solve
from grammars.kernels.collect import collect
from grammars.kernels.extremes import extremes
from grammars.kernels.intern import rehash, sort_run, touch
from grammars.kernels.layout import (
    CONFIG,
    CONFIG_MASK,
    CONFIGS,
    CONTEXT,
    COUNT,
    CTX_BITS,
    CTX_MASK,
    EPOCH,
    FLAGS,
    HEAP,
    LENGTH,
    LOOP,
    OFFSET,
    OUTER,
    SEED_SLOTS,
)
from grammars.kernels.partitions import refined
from grammars.kernels.trie import CHILD, CHILDREN_END, END, FIRST, OTHER_BYTES, OWN_END, UTF8_STATES, utf8_step
from grammars.kernels.walk import exits
from grammars.machine import START_CONFIG, Machine
from grammars.program import ACCEPT, AGAIN, CALL, LEX, LOW, NOT_A_LOOP, NULLABLE, RETURN, RULE_WIDTH, SPLIT, START
from tests.naive import twins
from tests.random_languages import random_rules, random_vocabulary
from tests.walks import allowed, random_tokens, states_along, synthetic_vocabulary, unpacked

pytestmark = pytest.mark.jitless
SEEDS = range(20)


# -- UTF-8 ------------------------------------------------------------------------------------------------------------


def test_the_decoder_follows_the_unicode_standard() -> None:
    for state in range(UTF8_STATES):
        for byte in range(256):
            assert utf8_step(state, byte) == twins.utf8_step(state, byte), (state, byte)


def test_the_decoder_reads_what_python_decodes() -> None:
    rng = random.Random(8)
    for _ in range(2_000):
        data = bytearray("".join(rng.choices("aé中🙂\x7f\u0800\ud7ff\ue000\U0010ffff", k=3)).encode())
        if rng.random() < 0.5:
            data[rng.randrange(len(data))] = rng.choice([0x80, 0xBF, 0xC0, 0xED, 0xA0, 0xF4, 0x90, 0xFF])
        state = 0
        for byte in data:
            state = utf8_step(state, byte) if state >= 0 else -1
        assert (state == 0) == is_text(bytes(data)), data


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# -- the trie ---------------------------------------------------------------------------------------------------------


def trie_vocabulary(seed: int) -> Vocabulary:
    """Random tokens over few bytes, so that they share prefixes; duplicates, empty and special ones among them."""
    rng = random.Random(f"trie {seed}")
    letters = [b"a", b"b", b"@", b"\x7f", "é".encode(), "中".encode(), b"\xe0", b"\xed", b"\xa0", b"\xff", b"\x00"]
    tokens = [b"".join(rng.choices(letters, k=rng.randint(0, 4))) for _ in range(rng.randint(1, 60))]
    return Vocabulary([*tokens, b"<end>", b"a"], eos=[len(tokens)], special=[len(tokens) + 1])


def node_texts(vocabulary: Vocabulary) -> list[bytes]:
    """The string of each node, found from the root downwards."""
    byte, nodes, _, _ = vocabulary.trie
    texts = {0: b""}
    waiting = [0]
    while waiting:
        node = waiting.pop()
        for child in range(nodes[node, CHILD], nodes[node, CHILDREN_END]):
            assert child not in texts, "every node has one parent"
            texts[child] = texts[node] + bytes([byte[child]])
            waiting.append(child)
    return [texts[node] for node in range(len(texts))]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_trie_has_a_node_for_every_prefix_with_its_tokens_in_a_run(seed: int) -> None:
    vocabulary = trie_vocabulary(seed)
    ordinary = dict(enumerate(vocabulary.tokens[:-2]))
    byte, nodes, _, tokens = vocabulary.trie
    texts = node_texts(vocabulary)
    assert len(byte) == len(nodes) == len(texts)
    assert sorted(texts) == sorted({data[:n] for data in ordinary.values() for n in range(len(data) + 1)} | {b""})
    for node, text in enumerate(texts):
        first, own_end, end = (int(nodes[node, column]) for column in (FIRST, OWN_END, END))
        assert set(tokens[first:own_end].tolist()) == {i for i, data in ordinary.items() if data == text}
        assert set(tokens[first:end].tolist()) == {i for i, data in ordinary.items() if data.startswith(text)}
    assert vocabulary.trie.longest == max(map(len, ordinary.values()))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_knows_what_occurs_below_it(seed: int) -> None:
    vocabulary = trie_vocabulary(seed)
    _, nodes, below, _ = vocabulary.trie
    for node, text in enumerate(node_texts(vocabulary)):
        rests = [data[len(text) :] for data in vocabulary.tokens[:-2] if data.startswith(text)]
        occurring = set(b"".join(rests))
        low, high, states, leads = (int(word) & (1 << 64) - 1 for word in below[node])
        assert {b for b in range(64) if low >> b & 1} | {b + 64 for b in range(64) if high >> b & 1} == {
            b for b in occurring if b < 128
        }
        assert bool(states & OTHER_BYTES) == any(b >= 128 for b in occurring)
        assert {b + 192 for b in range(64) if leads >> b & 1} == {b for b in occurring if b >= 192}
        for state in range(UTF8_STATES):
            assert bool(states >> state & 1) == all(twins.reads_utf8(state, rest) for rest in rests), (text, state)
        assert nodes[node, -1] == max(map(len, rests), default=0)


FIRST_BYTES = (0x00, 0x40, 0x61, 0x62, 0x7F, 0xC3, 0xE0, 0xE4, 0xED)


def words_of(characters: set[int]) -> NDArray[np.int64]:
    """A set of the first bytes of characters, as kernels want it."""
    words = [sum(1 << (b & 63) for b in characters if b >> 6 == word) for word in (0, 1, 3)]
    return np.array([word - (1 << 64) if word >> 63 else word for word in words])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_region_sorts_the_tokens_below_a_node(seed: int) -> None:
    vocabulary = trie_vocabulary(seed)
    rng = random.Random(seed)
    byte, nodes, _, tokens = vocabulary.trie
    for node, text in enumerate(node_texts(vocabulary)):
        firsts, loops = ({b for b in FIRST_BYTES if rng.random() < 0.7} for _ in range(2))
        row = np.zeros(vocabulary.words, np.uint32)
        found, begins = np.zeros((2, vocabulary.size), np.int64)
        size = exits(byte, nodes, tokens, node, words_of(firsts), words_of(loops), row, found, begins)
        rests = {i: t[len(text) :] for i, t in enumerate(vocabulary.tokens[:-2]) if t.startswith(text)}
        expected = {i: twins.split_inside(rest, firsts, loops) for i, rest in rests.items()}
        inside = {i for i, length in expected.items() if length == len(rests[i])}
        assert set(np.flatnonzero(unpacked(row, vocabulary.size)).tolist()) == inside
        left = {i: length for i, length in expected.items() if length is not None and i not in inside}
        assert dict(zip(found[:size].tolist(), begins[:size].tolist(), strict=True)) == left


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_short_tokens_hold_the_short_tokens(seed: int) -> None:
    vocabulary = trie_vocabulary(seed)
    for length in range(8):
        row = unpacked(vocabulary.rows.shorter_than(length), vocabulary.size)
        assert row.tolist() == [len(token) < length for token in vocabulary.tokens]


# -- sorting ----------------------------------------------------------------------------------------------------------


@numba.njit
def _sorted(store: np.ndarray, at: int, length: int) -> int:
    return sort_run(store, at, length)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 22, 23, 24, 25, 26, 60, 333])
def test_a_run_is_sorted_and_its_doubles_go(length: int) -> None:
    rng = random.Random(length)
    for most in (1, 3, length + 1, 1 << 62):
        words = [rng.randrange(most) for _ in range(length)]
        store = np.array([7, *words, 8], np.int64)
        kept = _sorted(store, 1, length)
        assert store[1 : 1 + kept].tolist() == sorted(set(words))
        assert store[0] == 7
        assert store[-1] == 8


# -- networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_components_are_mutually_reachable_and_numbered_along_the_edges(seed: int) -> None:
    rng = random.Random(f"components {seed}")
    size = rng.randint(0, 12)
    successors = [rng.sample(range(size), k=rng.randint(0, min(size, 3))) for _ in range(size)]
    found = components_of(successors)
    assert {frozenset(group) for group in found} == twins.components(successors)
    number = {node: i for i, group in enumerate(found) for node in group}
    assert all(number[node] <= number[target] for node in range(size) for target in successors[node])


def random_network(rng: random.Random) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    states, rules = rng.randint(3, 14), rng.randint(1, 4)
    targets: list[int] = []
    ops: list[tuple[int, int, int]] = []
    for _ in range(states):
        kind = rng.choice([LEX, LEX, SPLIT, SPLIT, CALL, CALL, RETURN, AGAIN, ACCEPT])
        a, b = rng.randrange(rules), rng.randrange(states)
        if kind == SPLIT:
            a, b = len(targets), len(targets) + rng.randint(0, 3)
            targets += [rng.randrange(states) for _ in range(b - a)]
        ops.append((kind, a, b))
    rows = []
    for _ in range(rules):
        row = [0] * 16
        row[START] = rng.randrange(states)
        row[LOW] = rng.choice([NOT_A_LOOP, NOT_A_LOOP, 0, 2])
        rows.append(row)
    return np.array(ops), np.array(targets or [0]), np.array(rows)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_can_end_and_what_can_be_empty_are_least_fixpoints(seed: int) -> None:
    rng = random.Random(f"solve {seed}")
    for _ in range(20):
        ops, targets, rules = random_network(rng)
        network = twins.Network(ops.tolist(), targets.tolist(), rules.tolist())
        productive, nullable = np.zeros(len(ops), np.int64), np.zeros(len(ops), np.int64)
        solve(ops, targets, rules, productive, nullable)
        assert nullable.astype(bool).tolist() == network.nullable()
        assert productive.astype(bool).tolist() == network.productive()
        assert rules[:, NULLABLE].tolist() == [network.rule_holds(r, network.nullable()) for r in range(len(rules))]


@pytest.mark.parametrize("seed", SEEDS)
def test_pruning_cuts_exactly_what_can_never_end(seed: int) -> None:
    rng = random.Random(f"prune {seed}")
    for _ in range(20):
        ops, targets, rules = random_network(rng)
        network = twins.Network(ops.tolist(), targets.tolist(), rules.tolist())
        productive = np.array(network.productive(), np.int64)
        prune(ops, targets, rules, productive)
        for state, (kind, a, b) in enumerate(network.ops):
            new_kind, new_a, new_b = ops[state].tolist()
            if kind == SPLIT:
                kept = [t for t in network.targets[a:b] if productive[t]]
                assert (new_kind, targets[new_a:new_b].tolist()) == (SPLIT, kept)
            elif productive[state]:
                assert (new_kind, new_a, new_b) == (kind, a, b)
            else:
                assert (new_kind, new_b - new_a) == (SPLIT, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_corner_calls_are_those_before_the_first_byte(seed: int) -> None:
    rng = random.Random(f"corners {seed}")
    for _ in range(20):
        ops, targets, rules = random_network(rng)
        network = twins.Network(ops.tolist(), targets.tolist(), rules.tolist())
        solve(ops, targets, rules, np.zeros(len(ops), np.int64), np.zeros(len(ops), np.int64))
        calls: list[tuple[int, int, int]] = corner_calls(ops, targets, rules).tolist()
        for rule in range(len(rules)):
            assert {call[1:] for call in map(tuple, calls) if call[0] == rule} == network.corner_calls(rule)


def test_corner_calls_of_rules_that_share_a_body_find_room() -> None:
    ops = np.array([[CALL, 0, 1], [CALL, 1, 2], [RETURN, 0, 0]], np.int64)
    rules = np.zeros((40, RULE_WIDTH), np.int64)
    rules[:, LOW], rules[:, NULLABLE] = NOT_A_LOOP, 1
    found = corner_calls(ops, np.zeros(0, np.int64), rules).tolist()
    assert found == [call for rule in range(40) for call in ([rule, 0, 1], [rule, 1, 2])]


@pytest.mark.parametrize("seed", SEEDS)
def test_partitions_are_refined_as_by_columns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for others in range(5):
        first = np.cumsum(rng.random(256) < 0.1).astype(np.int64)
        table = rng.integers(0, rng.integers(1, 257), size=(others, 256))
        numbers: dict[tuple[int, ...], int] = {}
        columns = map(tuple, np.vstack([first, table]).T.tolist())
        expected = [numbers.setdefault(column, len(numbers)) for column in columns]
        assert refined(first - first[0], table).tolist() == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_extremes_are_those_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for length in (1, 2, 50):
        array = rng.integers(-(1 << 40), 1 << 40, size=length)
        assert tuple(extremes(array)) == (array.min(), array.max())


# -- the store --------------------------------------------------------------------------------------------------------


def unfolded_configs(machine: Machine, depth: int = 6) -> dict[int, object]:
    """Each configuration as the nested set it stands for, down to some depth: numbers of contexts do not show."""
    store = machine.store
    known: dict[tuple[int, int], object] = {}

    def run_of(row: int, left: int) -> object:
        begin = store[HEAP] + store[row + OFFSET]
        words = store[begin : begin + store[row + LENGTH]].tolist()
        return frozenset((word >> CTX_BITS, context(word & CTX_MASK, left)) for word in words)

    def context(number: int, left: int) -> object:
        if left == 0:
            return None
        if (number, left) not in known:
            row = int(store[CONTEXT]) + 5 * number
            if store[row + LOOP] >= 0:
                inner = context(int(store[row + OUTER]), left - 1)
                known[number, left] = ("loop", int(store[row + LOOP]), int(store[row + COUNT]), inner)
            else:
                known[number, left] = run_of(row, left - 1)
        return known[number, left]

    found: dict[int, object] = {}
    for config in range(store[CONFIGS]):
        row = int(store[CONFIG]) + 4 * config
        if store[row + OFFSET] >= 0:
            found[config] = (int(store[row + FLAGS]), run_of(row, depth))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_a_collection_keeps_what_is_held_as_it_is_and_nothing_else(seed: int) -> None:
    rng = random.Random(f"collect {seed}")
    try:
        grammar = Grammar(*random_rules(rng))
        machine = Machine(grammar.lowered(Limits()), Limits())
    except UnsatisfiableGrammar:
        return
    texts = [bytes(rng.choices(b"ab", k=rng.randint(0, 8))) for _ in range(12)]
    reached = {text: machine.read(START_CONFIG, text) for text in texts}
    before = unfolded_configs(machine)
    machine.store[EPOCH] += 1
    held = {text: state for text, state in reached.items() if state >= 0 and rng.random() < 0.5}
    for state in held.values():
        touch(machine.store, state & CONFIG_MASK)
    machine.moves[:] = 0
    for section in (*range(CONFIG + 2, CONTEXT, 2), CONTEXT + 2, SEED_SLOTS):  # LOOPS, FAR and the hash tables
        clear(machine, section)
    collect(machine.store, 1)
    rehash(machine.store)
    after = unfolded_configs(machine)
    assert set(after) == {0, 1, START_CONFIG} | set(held.values())
    assert after == {config: before[config] for config in after}
    fresh = Machine(grammar.lowered(Limits()), Limits())
    for text, more in product(reached, (b"", b"a", b"b", b"ab", b"aaab")):
        expected = outcome(fresh, fresh.read(START_CONFIG, text + more))
        assert outcome(machine, machine.read(START_CONFIG, text + more)) == expected
        if text in held:
            assert outcome(machine, machine.read(held[text], more)) == expected


def outcome(machine: Machine, state: int) -> bool | None:
    """Whether a text is complete; None if it is dead."""
    return None if state < 0 else machine.accepts(machine.config(state))


def clear(machine: Machine, section: int) -> None:
    begin = int(machine.store[section])
    end = int(machine.store[section + 2]) if section + 3 < machine.store[CONFIG] else len(machine.store)
    machine.store[begin:end] = 0


# -- masks ------------------------------------------------------------------------------------------------------------


def definition_of_mask(automaton: TokenAutomaton, state: int) -> set[int]:
    every = range(automaton.vocabulary.size)
    return {t for t in every if automaton.advance(state, t) >= 0}


@pytest.mark.parametrize("seed", range(10))
def test_a_walk_finds_what_single_steps_find(seed: int) -> None:
    rng = random.Random(f"walk {seed}")
    try:
        automaton = Grammar(*random_rules(rng)).compile(random_vocabulary(rng))
    except UnsatisfiableGrammar:
        return
    for state in states_along(automaton, random_tokens(automaton, seed, 6)):
        assert set(allowed(automaton, state).tolist()) == definition_of_mask(automaton, state)


@pytest.mark.parametrize(
    "pattern", [".{0,60}", ".{5,20}", "(ab?){3,9}", "(a|b{2,30}){1,40}!", "[ab]{7,}", "(é|a){2,5}"]
)
def test_short_tokens_cannot_tell_a_far_count_from_the_count(pattern: str) -> None:
    """The claim behind far counts, in both directions of use: with the count itself every token is walked alone."""
    vocabulary = synthetic_vocabulary()
    automaton = regex(pattern).compile(vocabulary)
    machine = automaton._machine
    for state in states_along(automaton, random_tokens(automaton, pattern, 8)):
        config = machine.config(state)
        far, nearest = automaton._far(config)
        shorter = vocabulary.rows.shorter_than(nearest)
        exact = automaton._walked(config)
        np.testing.assert_array_equal(automaton._walked(far) & shorter, exact & shorter)
        np.testing.assert_array_equal(exact, automaton.mask(state) & ~vocabulary.end_row)


# -- compilation ------------------------------------------------------------------------------------------------------


def dispatchers() -> dict[str, object]:
    """Every compiled function of the kernel package that Python calls."""
    found = {}
    for module_info in pkgutil.iter_modules(grammars.kernels.__path__):
        module = importlib.import_module(f"grammars.kernels.{module_info.name}")
        for name, value in vars(module).items():
            is_compiled = hasattr(value, "signatures") and not name.startswith("_")
            if is_compiled and value.py_func.__module__ == module.__name__:
                found[f"{module_info.name}.{name}"] = value
    return found


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_every_kernel_is_compiled_for_one_signature() -> None:
    """A second one means that somewhere an array is of another type or writable: a hidden compilation of a second."""
    vocabulary = synthetic_vocabulary()
    sums = 'start: start "+" start | "(" start ")" | /[0-9]+/'
    for grammar in (regex(r"(?!no)(\w+\s){0,29}\w+|.{2,80}"), regex("a{3,50}"), lark(sums)):
        automaton = grammar.compile(vocabulary, Limits(cache_bytes=400_000))
        for seed in range(3):
            random_tokens(automaton, seed, 10)
        automaton.advance_many([automaton.start], [0])
        grammar.matches(b"1+1")
    kernels = dispatchers()
    assert len(kernels) >= 15
    compiled = {name: len(kernel.signatures) for name, kernel in kernels.items()}  # type: ignore[attr-defined]
    assert {name: count for name, count in compiled.items() if count > 1} == {}
