"""Saved programs for tests, and ways to damage them that leave the checksum right.

Run as a script, it loads a number of damaged files and uses what is accepted; see `test_serialization`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from io import BytesIO

from grammars import (
    DEAD,
    Grammar,
    LimitExceeded,
    Limits,
    SerializationError,
    TokenAutomaton,
    Vocabulary,
    gbnf,
    json_schema,
    lark,
    literal,
    regex,
)
from grammars.expression import Both, Chars, Sequence, choice, text
from grammars.serialization import _SECTIONS as SECTIONS
from grammars.serialization.container import pack, unpack

LEFT_RECURSIVE = 'start: start "+" term | term\nterm: term "*" atom | atom\natom: "a" | "(" start ")"'
BALANCED = "start: pair*\npair: /[(]/ start /[)]/"

GRAMMARS: dict[str, Callable[[], Grammar]] = {
    "literal": lambda: literal("été"),
    "regex": lambda: regex(r"(?P<word>[a-cé]+)(,[a-c]+)*|\d{2}"),
    "look-ahead": lambda: regex(r"(?!ab)[a-c]+(?=c)c"),
    "look-behind": lambda: regex(r"[ab]+(?<!ab)c(?<=bc)"),
    "complement": lambda: regex("[ab]*") - regex("(a|b)*aa(a|b)*"),
    "counters": lambda: regex("(ab|c){2,1000}") + regex("a{0,3}"),
    "far counters": lambda: regex("(abc|bca){300,400}"),
    "counted recursion": lambda: lark('start: (pair ","?)~3..500\npair: "a" pair "b" | "ab"'),
    "no upper bound": lambda: gbnf('root ::= ("a" root "b" | "ab"){2,}'),
    "left recursion": lambda: lark(LEFT_RECURSIVE),
    "intersection": lambda: lark(BALANCED) & regex("[()]{0,6}"),
    "gbnf": lambda: gbnf('root ::= "a" root "b" | "é" | ""'),
    "a part without strings": lambda: Grammar(choice([text("a"), Sequence((Both(*EMPTY), text("b")))])),
    "schema": lambda: json_schema(
        {"properties": {"a": {"const": 12}, "b": {"type": "string", "maxLength": 9}}, "additionalProperties": False}
    ),
    "every kind of node": lambda: regex(r"(?!(?P<n>a\b|é{2,}|[b-d]x)|(?:)$)(?<![^\x00-a])[a-cé]{1,3}"),
}
EMPTY = (Chars(((97, 97),)), Chars(((98, 98),)))


def vocabulary() -> Vocabulary:
    """Some characters, the bytes of é, and a few longer tokens; an end token and a special one."""
    tokens = [bytes([byte]) for byte in b'\0\nabcdtxyz0123()+*,:{}"\xc3\xa9']
    tokens += ["é".encode(), b"ab", b"abc", b"bcab", b"aab", b"((", b"12", b""]
    return Vocabulary([*tokens, b"<special>", b"<end>"], eos=[len(tokens) + 1], special=[len(tokens)])


def saved(automaton: TokenAutomaton) -> bytes:
    file = BytesIO()
    automaton.save(file)
    return file.getvalue()


def loaded(data: bytes, for_vocabulary: Vocabulary, limits: Limits | None = None) -> TokenAutomaton:
    return TokenAutomaton.load(BytesIO(data), for_vocabulary, limits)


def parts(data: bytes) -> list[bytearray]:
    """The sections of a file, to be changed and packed again."""
    return [bytearray(section) for section in unpack(data, SECTIONS)]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A file with one or two changes to its sections and the right checksum."""
    sections = parts(data)
    for _ in range(rng.choice((1, 1, 2))):
        section = rng.choice([s for s in sections if s])
        kind = rng.random()
        if kind < 0.1:  # another length
            del section[rng.randrange(len(section)) // 4 * 4 :]
        elif kind < 0.2:
            at = rng.randrange(len(section)) // 4 * 4
            section[at:at] = section[at : at + 4 * rng.randint(1, 4)]
        elif kind < 0.3:  # any byte
            section[rng.randrange(len(section))] ^= 1 << rng.randrange(8)
        else:  # a number near another one, or far off
            at = rng.randrange(len(section)) // 4 * 4
            old = int.from_bytes(section[at : at + 4], "little", signed=True)
            new = rng.choice([old - 1, old + 1, -1, 0, 1, 2, rng.randrange(100), 2**31 - 1, -(2**31), 2**21])
            section[at : at + 4] = max(-(2**31), min(2**31 - 1, new)).to_bytes(4, "little", signed=True)
    return pack([bytes(section) for section in sections])


def use(automaton: TokenAutomaton, rng: random.Random) -> None:
    """Walk along allowed tokens; masks and moves have to agree."""
    for _ in range(3):
        state = automaton.start
        for _ in range(6):
            mask = automaton.mask(state)
            allowed = [t for t in range(automaton.vocabulary.size) if mask[t >> 5] >> (t & 31) & 1]
            moves = [t for t in range(automaton.vocabulary.size) if automaton.advance(state, t) != DEAD]
            if allowed != moves:
                raise AssertionError("mask and moves disagree")
            if not allowed:
                break
            state = automaton.advance(state, rng.choice(allowed))
            if automaton.accepts(state) and state == 0:
                break


def try_damaged(name: str, seeds: range) -> tuple[int, int]:
    """Load damaged files; how many were refused and how many could be used. Anything else is an error."""
    tokens = vocabulary()
    data = saved(GRAMMARS[name]().compile(tokens))
    refused = used = 0
    limits = Limits(compile_work=2_000, mask_work=200_000)
    for seed in seeds:
        rng = random.Random(f"{name} {seed}")
        try:
            use(loaded(damaged(data, rng), tokens, limits), rng)
            used += 1
        except (SerializationError, LimitExceeded):
            refused += 1
    return refused, used


if __name__ == "__main__":
    for grammar in GRAMMARS:
        sys.stdout.write(f"{grammar}: {try_damaged(grammar, range(int(sys.argv[1])))}\n")
