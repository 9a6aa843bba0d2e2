"""What a request may ask of vLLM's worker, and the compiled turns that a server sends along."""

from __future__ import annotations

import json
from dataclasses import asdict
from io import BytesIO

import pytest

from decoding.server.dialects import Form
from decoding.server.turns import Turn
from decoding.vllm.wishes import KEY, Automata, RefusedRequest, constrained, read
from decoding.vocabularies import single_bytes
from grammars import Limits, TokenAutomaton

LIMITS = Limits(states=1000)


def turn(*texts: str) -> Turn:
    return Turn(Form("choice", list(texts), "choice"))


def program(of: Turn) -> bytes:
    file = BytesIO()
    of.grammar(LIMITS).save(file)
    return file.getvalue()


def made(of: Turn, program: bytes) -> TokenAutomaton:
    asked = constrained(turn=of.text, options=asdict(LIMITS), program=program)
    wish = read(asked[KEY])
    return Automata().compiled(wish.language, single_bytes(), wish.program)


def first(automaton: TokenAutomaton) -> str:
    return "".join(chr(byte) for byte in range(256) if automaton.allows(automaton.start, byte))


def test_a_program_is_loaded_not_compiled():
    assert first(made(turn("a", "b"), program(turn("a", "b")))) == "ab"
    assert first(made(turn("a", "b"), program(turn("x")))) == "x"  # which no compiler makes of this turn


@pytest.mark.parametrize("damaged", [b"no program", program(turn("x"))[:-1], program(turn("x" * 5000))])
def test_what_cannot_be_loaded_is_compiled(damaged: bytes):
    """The last one is larger than the limits of who loads it."""
    assert first(made(turn("a", "b"), damaged)) == "ab"


def test_requests_with_and_without_a_program_share_an_automaton():
    of, automata = turn("a"), Automata()
    wishes = [read({"turn": of.text, "program": with_it}) for with_it in (program(of), b"")]
    one, other = (automata.compiled(wish.language, single_bytes(), wish.program) for wish in wishes)
    assert one is other


@pytest.mark.parametrize("asked", [{"regex": "a", "program": b"p"}, {"turn": turn("a").text, "program": "text"}])
def test_a_program_comes_as_bytes_and_with_a_turn(asked: dict[str, object]):
    with pytest.raises(RefusedRequest, match="a program comes as bytes, and with a turn"):
        read(asked)


def test_over_http_no_program_can_come():
    with pytest.raises(RefusedRequest, match="as bytes"):
        read(json.dumps({"turn": turn("a").text, "program": "p"}))
