"""One file of languages, every front end: tests/cases/languages.toml says what each language holds.

The texts decide what is right; beyond them, front ends that write the same language must offer the same next bytes
wherever the texts lead.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grammars import DEAD, Grammar, TokenAutomaton, Vocabulary, choice, gbnf, lark, literal, regex

CASES = Path(__file__).parent / "cases" / "languages.toml"
LANGUAGES: dict[str, dict[str, Any]] = {case["name"]: case for case in tomllib.loads(CASES.read_text())["language"]}
COMBINATORS = {"regex": regex, "literal": literal, "choice": choice, "lark": lark, "gbnf": gbnf}
FRONT_ENDS: dict[str, Callable[[str], Grammar]] = {
    "regex": regex,
    "ecma": lambda pattern: regex(pattern, dialect="ecma"),
    "lark": lark,
    "gbnf": gbnf,
    "combined": lambda expression: eval(expression, dict(COMBINATORS)),
}
KEYS = {"name", *FRONT_ENDS, "accepted", "rejected", "viable", "unviable", "viable_hex", "unviable_hex"}
BYTES = Vocabulary([bytes([value]) for value in range(256)] + [b"<end>"], eos=[256])
WITHOUT_JIT = ["one word", "a small counter", "balanced brackets", "left recursion", "letters beyond ASCII"]
WRITTEN = [
    pytest.param(name, front_end, marks=pytest.mark.jitless if name in WITHOUT_JIT else ())
    for name, case in LANGUAGES.items()
    for front_end in FRONT_ENDS
    if front_end in case
]


def strings(case: dict[str, Any], key: str) -> list[bytes]:
    return [text.encode() for text in case.get(key, [])] + [bytes.fromhex(data) for data in case.get(f"{key}_hex", [])]


def state_after(automaton: TokenAutomaton, text: bytes) -> int:
    state = automaton.start
    for byte in text:
        state = automaton.advance(state, byte)
    return state


def test_the_file_is_as_its_head_says() -> None:
    assert len(LANGUAGES) >= 40
    for name, case in LANGUAGES.items():
        assert set(case) <= KEYS, name
        assert case["accepted"], name
        assert case["rejected"], name


@pytest.mark.parametrize(("name", "front_end"), WRITTEN)
def test_a_front_end_reads_a_language(name: str, front_end: str) -> None:
    case = LANGUAGES[name]
    grammar = FRONT_ENDS[front_end](case[front_end])
    assert [text for text in strings(case, "accepted") if not grammar.matches(text)] == []
    assert [text for text in strings(case, "rejected") if grammar.matches(text)] == []
    automaton = grammar.compile(BYTES)
    for text in strings(case, "accepted"):
        assert automaton.accepts(state_after(automaton, text)), text
    assert [text for text in strings(case, "viable") if state_after(automaton, text) == DEAD] == []
    assert [text for text in strings(case, "unviable") if state_after(automaton, text) != DEAD] == []


SHARED = [
    pytest.param(name, marks=pytest.mark.jitless if name in WITHOUT_JIT else ())
    for name, case in LANGUAGES.items()
    if len(set(FRONT_ENDS) & set(case)) > 1
]


@pytest.mark.parametrize("name", SHARED)
def test_front_ends_that_write_one_language_offer_the_same_bytes(name: str) -> None:
    case = LANGUAGES[name]
    texts = [text for key in ("accepted", "rejected", "viable", "unviable") for text in strings(case, key)]
    prefixes = sorted({text[:n] for text in texts for n in range(min(len(text), 40) + 1)})
    masks = {}
    for front_end in FRONT_ENDS:
        if front_end in case:
            automaton = FRONT_ENDS[front_end](case[front_end]).compile(BYTES)
            masks[front_end] = [mask_after(automaton, prefix) for prefix in prefixes]
    first, *others = masks
    for other in others:
        differing = [p for p, a, b in zip(prefixes, masks[first], masks[other], strict=True) if a != b]
        assert differing == [], f"{first} and {other} differ"


def mask_after(automaton: TokenAutomaton, prefix: bytes) -> bytes:
    state = state_after(automaton, prefix)
    if state == DEAD:
        return b"dead"
    row = np.empty((1, BYTES.words), np.uint32)
    automaton.fill_masks([state], row)
    return row.tobytes()
