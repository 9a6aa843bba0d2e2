"""Random small languages, vocabularies and texts for tests; every one is decided by its seed."""

from __future__ import annotations

import random

from grammars import Vocabulary
from grammars.expression import Bytes, Call, Chars, Choice, Node, Repeat, Sequence, Text

ALPHABET = b"ab"
END = b"<end>"


def random_rules(rng: random.Random, rules: int = 3) -> tuple[Node, dict[str, Node]]:
    """A random grammar: recursion of every kind, empty strings, counted repetitions, rules that never end."""
    names = [f"r{i}" for i in range(rules)]
    return Call(names[0]), {name: random_node(rng, names, depth=3) for name in names}


def random_node(rng: random.Random, names: list[str], depth: int) -> Node:
    kind = rng.random()
    if depth == 0 or kind < 0.25:
        return random_leaf(rng)
    if kind < 0.45 and names:
        return Call(rng.choice(names))
    if kind < 0.65:
        return Sequence(tuple(random_node(rng, names, depth - 1) for _ in range(rng.randint(2, 3))))
    if kind < 0.85:
        return Choice(tuple(random_node(rng, names, depth - 1) for _ in range(rng.randint(1, 3))))
    low = rng.choice([0, 0, 1, 2, 3])
    high = rng.choice([None, None, low, low + 1, low + 2])
    return Repeat(random_node(rng, names, depth - 1), low, high)


def random_leaf(rng: random.Random) -> Node:
    kind = rng.random()
    if kind < 0.15:
        return Text(b"")
    if kind < 0.6:
        return Text(bytes(rng.choices(ALPHABET, k=rng.randint(1, 2))))
    if kind < 0.8:
        return Bytes(1 << ALPHABET[0] | 1 << ALPHABET[1])
    return Chars(((0x61, 0x61), (0xE9, 0xEA))) if kind < 0.9 else Chars(((0x61, 0x62),))


def random_vocabulary(rng: random.Random) -> Vocabulary:
    """All single bytes that occur, longer tokens with duplicates, some special ones, one or two ends; in random
    order."""
    tokens = [bytes([b]) for b in (*ALPHABET, 0xC3, 0xA9, 0xAA, 0x63)]
    tokens += [bytes(rng.choices((*ALPHABET, 0xC3, 0xA9), k=rng.randint(2, 5))) for _ in range(rng.randint(3, 12))]
    tokens += [rng.choice(tokens) for _ in range(2)] + [b"a", END, END]
    rng.shuffle(tokens)
    ends = [i for i, token in enumerate(tokens) if token == END]
    special = [rng.choice([i for i, token in enumerate(tokens) if token != END])]
    return Vocabulary(tokens, eos=ends[: rng.randint(1, 2)], special=special + ends)
