"""Compiling every kernel once, so that the first user does not wait."""

from __future__ import annotations

from grammars.automaton import TokenAutomaton
from grammars.front_ends import lark, regex
from grammars.limits import Limits
from grammars.schema import json_schema
from grammars.vocabulary import Vocabulary

_TEXT = b"(ab" * 40
_SCHEMA = {
    "type": "object",
    "properties": {"a": {"enum": ["x", "yé"]}, "b": {"type": "string", "pattern": "^a[^b]*$"}, "c": {"maxLength": 99}},
    "required": ["a"],
    "additionalProperties": {"type": "number", "minimum": 0.5},
}
_JSON = b'{"a": "x", "b": "ac", "c": "d", "e": 1.5}'


def warm() -> None:
    """Compile all kernels, or load them from the disk cache, by running small grammars through everything.

    >>> warm()
    """
    tokens = [bytes([byte]) for byte in range(256)] + [b"ab", b"(a", b"<end>"]
    vocabulary = Vocabulary(tokens, eos=[len(tokens) - 1])
    text = regex("[^x]*").compile(vocabulary)
    text.mask(text.start)
    nested = lark('start: start start | "(" start ")" | /[a-z]/ ~ 1..9')
    automaton = nested.compile(vocabulary, Limits(cache_bytes=1 << 14))
    _follow(automaton, _TEXT)
    _follow(json_schema(_SCHEMA).compile(vocabulary), _JSON)


def _follow(automaton: TokenAutomaton, text: bytes) -> None:
    state = automaton.start
    for byte in text:
        automaton.mask(state)
        state = automaton.advance(state, byte)
