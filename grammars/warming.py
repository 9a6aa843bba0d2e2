"""Compiling every kernel once, so that the first user does not wait."""

from __future__ import annotations

from grammars.front_ends import lark, regex
from grammars.limits import Limits
from grammars.vocabulary import Vocabulary

_TEXT = b"(ab" * 40


def warm() -> None:
    """Compile all kernels, or load them from the disk cache, by running a small grammar through everything.

    >>> warm()
    """
    tokens = [bytes([byte]) for byte in range(256)] + [b"ab", b"(a", b"<end>"]
    vocabulary = Vocabulary(tokens, eos=[len(tokens) - 1])
    text = regex("[^x]*").compile(vocabulary)
    text.mask(text.start)
    nested = lark('start: start start | "(" start ")" | /[a-z]/ ~ 1..9')
    automaton = nested.compile(vocabulary, Limits(cache_bytes=1 << 14))
    state = automaton.start
    for byte in _TEXT:
        automaton.mask(state)
        state = automaton.advance(state, byte)
