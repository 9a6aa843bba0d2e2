"""Which tokens keep a text inside a language?

Walks along a text, token by token, and shows at every step how many of the built-in model's tokens the language allows
next, what it took to find out, and a few of them. What is slow the first time is found again the second time.
"""

from __future__ import annotations

import random
import time

import numpy as np

from decoding.embedded import load
from grammars import Grammar, TokenAutomaton, Vocabulary, lark, regex
from grammars.warming import warm

EMAIL = r"[a-z0-9]+([._-][a-z0-9]+)*@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,10}"
RECORD = r'\{"name": "[A-Z][a-z]{1,20}", "born": [12][0-9]{3}\}'
JSON = r"""
    start: value
    value: object | array | STRING | NUMBER | "true" | "false" | "null"
    object: "{" [pair ("," pair)*] "}"
    pair: STRING ":" value
    array: "[" [value ("," value)*] "]"
    STRING: "\"" (/[^"\\\x00-\x1f]/ | "\\" /["\\\/bfnrt]/)* "\""
    NUMBER: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/
    %ignore /[ \t\n]+/
"""


def allowed(automaton: TokenAutomaton, state: int) -> tuple[list[int], float]:
    """The allowed tokens, and the microseconds it took to compute their mask."""
    states = np.array([state], np.int32)
    mask = np.zeros((1, automaton.vocabulary.words), np.uint32)
    begin = time.perf_counter()
    automaton.fill_masks(states, mask)
    spent = time.perf_counter() - begin
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist(), 1e6 * spent


def walk(title: str, grammar: Grammar, vocabulary: Vocabulary, text: bytes) -> None:
    """Show what may follow at every step of `text`, cut into the longest tokens."""
    begin = time.perf_counter()
    automaton = grammar.compile(vocabulary)
    print(f"\n{title} (compiled in {1000 * (time.perf_counter() - begin):.1f} ms)")
    print(f"  {'allowed':>7}  {'cold':>9}  {'again':>8}  {'next token':<14} some of the allowed")
    state, rest, pick = automaton.start, text, random.Random(0)
    while rest:
        ids, cold = allowed(automaton, state)
        again = allowed(automaton, state)[1]
        token = max((t for t in ids if rest.startswith(vocabulary.tokens[t])), key=lambda t: len(vocabulary.tokens[t]))
        some = " ".join(show(vocabulary.tokens[t]) for t in pick.sample(ids, min(5, len(ids))))
        print(f"  {len(ids):7,}  {cold:6.0f} µs  {again:5.1f} µs  {show(vocabulary.tokens[token]):<14} {some}")
        state, rest = automaton.advance(state, token), rest[len(vocabulary.tokens[token]) :]
    print(f"  complete: {automaton.accepts(state)}")


def show(token: bytes) -> str:
    return repr(token)[1:]


def main() -> None:
    vocabulary = load().vocabulary
    warm()
    walk("An e-mail address, by a regex", regex(EMAIL), vocabulary, b"ada.lovelace@math.org")
    walk("A record, by a regex", regex(RECORD), vocabulary, b'{"name": "Ada", "born": 1815}')
    walk("JSON, by a recursive Lark grammar", lark(JSON), vocabulary, b'{"name": "Ada", "notes": [1, {"G": null}]}')


if __name__ == "__main__":
    main()
