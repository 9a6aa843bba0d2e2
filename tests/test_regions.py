"""Masks that take whole regions of the trie at once are the masks of plain walks."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from grammars import Grammar, Limits, TokenAutomaton, Vocabulary, automaton, json_schema, lark, literal, regex
from grammars.token_rows import BY_STEPS, Place, Region, TokenRows

LANGUAGES = {
    "json": lambda: lark(r"""
        value: "{" (pair ("," pair)*)? "}" | STRING | NUMBER
        pair: STRING ":" value
        start: value
        STRING: /"([^"\\\x00-\x1f]|\\["\\nt])*"/
        NUMBER: /-?[0-9]+/
        %ignore / +/
        """),
    "names": lambda: regex("[a-z_][a-z_0-9]*") - literal("if") - literal("in"),
    "calls": lambda: lark(r"""
        start: NAME "(" (start ("," start)*)? ")" | NAME | start "+" start
        NAME: /(?!(if|in)\b)[a-zé][a-z0-9]*/
        %ignore / +/
        """),
    "words": lambda: regex(r"(\w+ ){0,4}\w+"),
    "some text": lambda: regex(r"(.|\n){3,40}"),
    "a word somewhere": lambda: regex(".*if.*"),
    "no blanks": lambda: regex(r"(\S+\s+){0,4}\S+"),
    "a word before a bracket": lambda: regex(r"[a-z ]*if[a-z ]*\)|[a-z ]*\("),
    "texts of bytes": lambda: literal(b"\xff") + regex("[^,]*") + literal(b",\xc3") + regex("[a-z]*"),
}
COUNTED = {
    "a short string": lambda: regex(r'"([^"\\\n]|\\["nt]){2,12}",?'),
    "a long enough one": lambda: regex("[^,]{7,},a*"),
    "words of a length": lambda: regex("([^ ]{3,8} )+"),
    "either length": lambda: regex("[^,]{4}|[^,]{9},a"),
    "a pattern with a length": lambda: json_schema({"type": "string", "pattern": "^[^0]+$", "maxLength": 9}),
    "a set cut up finely": lambda: regex(r"\w{2,7}\s?"),
}
PIECES = (
    "a",
    "b",
    "if",
    "n",
    "0",
    "12",
    "_",
    '"',
    "\\",
    "(",
    ")",
    ",",
    ":",
    "+",
    " ",
    "\n",
    "é",
    "中",
    "🙂",
    "{",
    "}",
    "\u2003",
    "\u3000",
)


def random_vocabulary(rng: random.Random) -> Vocabulary:
    """Tokens of a few pieces, some cut inside a character."""
    tokens = {"".join(rng.choices(PIECES, k=rng.randint(1, 5))).encode() for _ in range(1500)}
    tokens |= {token[rng.randint(0, 1) : len(token) - rng.randint(0, 2)] for token in rng.sample(sorted(tokens), 400)}
    tokens |= {bytes([byte]) for byte in range(256)}
    return Vocabulary([*sorted(tokens - {b""}), b"<end>"], eos=[len(tokens - {b""})])


def along_a_random_text(guide: TokenAutomaton, rng: random.Random, steps: int) -> Iterator[int]:
    state = guide.start
    for _ in range(steps):
        bits = np.unpackbits(guide.mask(state).view(np.uint8), bitorder="little")
        choices = np.setdiff1d(np.flatnonzero(bits), guide.vocabulary.eos)
        if len(choices) == 0:
            return
        token = int(rng.choice(choices))
        yield token
        state = guide.advance(state, token)


def masks_along(grammar: Grammar, vocabulary: Vocabulary, tokens: list[int]) -> list[bytes]:
    walked = grammar.compile(vocabulary)
    state, masks = walked.start, [walked.mask(walked.start).tobytes()]
    for token in tokens:
        state = walked.advance(state, token)
        masks.append(walked.mask(state).tobytes())
    return masks


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """The regions that are used from now on."""
    region, seen = TokenRows.region, list[Place]()

    def noted(rows: TokenRows, place: Place) -> Region | None:
        found = region(rows, place)
        seen.extend([place] if found else [])
        return found

    monkeypatch.setattr(TokenRows, "region", noted)
    return seen


@pytest.mark.parametrize("name", LANGUAGES | COUNTED)
def test_a_mask_made_of_regions_equals_a_plain_one(
    name: str, taken: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        rng = random.Random(f"{name} {seed}")
        vocabulary, grammar = random_vocabulary(rng), (LANGUAGES | COUNTED)[name]()
        monkeypatch.setattr(automaton, "_PATIENCE", 0)
        tokens = list(along_a_random_text(grammar.compile(vocabulary), rng, 25))
        plain = masks_along(grammar, vocabulary, tokens)
        monkeypatch.setattr(automaton, "_PATIENCE", 1)
        monkeypatch.setattr(automaton, "_LARGE_REGION", 2)
        for _ in range(3):
            assert masks_along(grammar, vocabulary, tokens) == plain
    assert taken or name == "a word somewhere"  # its inside is no single configuration
    assert name not in COUNTED or any(place.ends == BY_STEPS for place in taken)


def test_regions_are_right_while_caches_are_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random("collected")
    vocabulary, grammar = random_vocabulary(rng), LANGUAGES["calls"]()
    tokens = list(along_a_random_text(grammar.compile(vocabulary), rng, 60))
    plain = masks_along(grammar, vocabulary, tokens)
    monkeypatch.setattr(automaton, "_PATIENCE", 1)
    monkeypatch.setattr(automaton, "_LARGE_REGION", 2)
    for _ in range(3):
        tight = grammar.compile(vocabulary, Limits(cache_bytes=40_000))
        matcher = tight.matcher()
        masks = [tight.mask(matcher.state).tobytes()]
        for token in tokens:
            assert matcher.accept_token(token)
            masks.append(tight.mask(matcher.state).tobytes())
        assert masks == plain
        assert tight.stats()["collections"] > 0
