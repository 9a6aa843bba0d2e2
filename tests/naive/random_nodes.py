"""Small random expressions and grammars over the letters a, b and c."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from grammars.expression import (
    EPSILON,
    Both,
    Call,
    Chars,
    Look,
    Named,
    Node,
    Not,
    byte_set,
    choice,
    repeat,
    sequence,
    text,
)

COUNTS = ((0, None), (1, None), (0, 1), (0, 2), (2, 3), (1, 2), (2, None), (3, 3), (0, 5))
LEAVES = (*map(text, ("a", "b", "c", "ab", "ba", "aab")), byte_set(b"ab"), byte_set(b"abc"), EPSILON)
RULES = ("S", "T", "U")


def random_regular(random: Random, depth: int, looks: bool = True, booleans: bool = True) -> Node:
    """A regular expression, with assertions and intersections or complements if wanted."""

    def grow() -> Node:
        return random_regular(random, depth - 1, looks, booleans)

    kind = random.random()
    if depth == 0 or kind < 0.2:
        return random.choice(LEAVES)
    if kind < 0.75 or not (looks or booleans):
        return _structure(random, grow)
    if looks and (kind < 0.92 or not booleans):
        return Look(grow(), random.random() < 0.5, random.random() < 0.5)
    if booleans:
        return Both(grow(), grow()) if random.random() < 0.5 else Not(grow())
    return random.choice(LEAVES)


def _structure(random: Random, grow: Callable[[], Node]) -> Node:
    kind = random.random()
    if kind < 0.35:
        return sequence([grow() for _ in range(random.randint(2, 3))])
    if kind < 0.65:
        return choice([grow() for _ in range(random.randint(2, 3))])
    return repeat(grow(), *random.choice(COUNTS))


def random_body(random: Random, depth: int) -> Node:
    """A rule's body: calls, counters, boolean leaves, intersections with other rules."""
    kind = random.random()
    if depth == 0 or kind < 0.15:
        calls = [Call(random.choice(RULES)) for _ in range(2)]
        return random.choice([text("a"), text("ab"), EPSILON, byte_set(b"ab"), Chars(((97, 98), (233, 233))), *calls])
    if kind < 0.85:
        return _structure(random, lambda: random_body(random, depth - 1))
    if kind < 0.9:
        return Named("name", random_body(random, depth - 1))
    plain = random_regular(random, 1, looks=False, booleans=False)
    other = random_regular(random, 1)
    return random.choice([Both(plain, other), Not(choice([plain, other])), Both(random_body(random, depth - 1), other)])


def random_grammar(random: Random) -> tuple[Node, dict[str, Node]]:
    """A grammar that is recursive, so that nothing can treat it as a regular expression."""
    rules: dict[str, Node] = {name: random_body(random, random.randint(1, 3)) for name in RULES}
    rules["loop"] = sequence([Call("loop"), text("c")])
    return choice([Call("S"), Call("loop")]), rules


def random_side(random: Random) -> Node:
    """A regular language to intersect with: seldom empty, seldom everything."""
    plain = random_regular(random, random.randint(1, 3))
    any_text = repeat(byte_set(b"ab"))
    return random.choice(
        [plain, Not(plain), repeat(choice([plain, text("ab"), text("b")])), sequence([any_text, plain, any_text])]
    )
