"""What proofs about masks share: languages worth walking through, a vocabulary that is always there, and walks.

A walk takes allowed tokens at random. Half of the time it prefers short ones: long tokens are mostly plain text, and
the interesting states lie behind brackets, quotes and escapes.
"""

from __future__ import annotations

import ast
import heapq
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from grammars import DEAD, Grammar, TokenAutomaton, Vocabulary, gbnf, lark, regex

JSON = r"""
start: value
?value: object | array | STRING | NUMBER | "true" | "false" | "null"
object: "{" [pair ("," pair)*] "}"
pair: STRING ":" value
array: "[" [value ("," value)*] "]"
STRING: /"([^"\\\x00-\x1f]|\\(["\\\/bfnrt]|u[0-9a-fA-F]{4}))*"/
NUMBER: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/
WS: /[ \t\n\r]+/
%ignore WS
"""

ARITHMETIC = r"""
start: sum
sum: product | sum ("+" | "-") product
product: atom | product ("*" | "/") atom
atom: NUMBER | "-" atom | "(" sum ")"
NUMBER: /0|[1-9][0-9]*/
"""

C_LIKE = r"""
start: statement*
statement: "{" statement* "}" | "if" "(" expression ")" statement ("else" statement)? | "return" expression? ";"
    | "int" NAME ("=" expression)? ";" | expression ";"
expression: assignment
assignment: NAME "=" assignment | comparison
comparison: sum (("==" | "!=" | "<" | "<=" | ">" | ">=") sum)*
sum: term | sum ("+" | "-") term
term: factor | term ("*" | "/" | "%") factor
factor: NAME | NUMBER | STRING | NAME "(" [expression ("," expression)*] ")" | "(" expression ")" | ("-" | "!") factor
NAME: /[A-Za-z_][A-Za-z_0-9]*/
NUMBER: /[0-9]+/
STRING: /"([^"\\\n]|\\.)*"/
COMMENT: /\/\*([^*]|\*+[^*\/])*\*+\//
%ignore COMMENT
%ignore /[ \n]+/
"""

LISTS = r"""
root ::= item ("," ws item)*
item ::= "- " word ("\n" | "!"+) | "(" root ")" | [0-9]{1,3}
word ::= [a-zà-ÿ]+
ws ::= [ \t]*
"""


@dataclass(frozen=True)
class Language:
    """A grammar and, from elsewhere, a test that every text of it passes."""

    grammar: Grammar
    confirms: Callable[[str], object]


def _fullmatch(pattern: str, flags: int = 0) -> Callable[[str], object]:
    return re.compile(pattern, flags).fullmatch


def _is_list(text: str) -> bool:
    """Brackets are taken out from the inside until none is left."""
    item = r"(- [a-zà-ÿ]+(\n|!+)|[0-9]{1,3}|@)"
    items = re.compile(rf"{item}(,[ \t]*{item})*")
    before = ""
    while before != text:
        before, text = text, re.sub(rf"\({items.pattern}\)", "@", text)
    return bool(items.fullmatch(text))


def _is_arithmetic(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9()+*/-]+", text)) and ast.parse(text, mode="eval") is not None


def _json_text(text: str) -> bool:
    json.loads(text)
    return True


_EMAIL = r"[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,10}"
_WORDS = r"(\w+\s){0,29}\w+"
_NO_KEYWORD = r"(?!(?:if|else|while|return|for)\b)[A-Za-z_]\w*"
_ODD_STRING = r'"(?!\s)(?:[^"\\]|\\.)*(?<!\s)"'
_KEYWORDS = "if|else|while|return|for|import"


@cache
def languages() -> dict[str, Language]:
    """Languages of every kind the engine knows, by name."""
    identifiers = regex("[A-Za-z_][A-Za-z_0-9]*") - regex(_KEYWORDS)
    return {
        "json": Language(lark(JSON), _json_text),
        "arithmetic": Language(lark(ARITHMETIC), _is_arithmetic),
        "c": Language(lark(C_LIKE), lambda text: text.count("{") >= 0),
        "email": Language(regex(_EMAIL), _fullmatch(_EMAIL)),
        "short": Language(regex(".{0,60}"), _fullmatch(".{0,60}")),
        "words": Language(regex(_WORDS), _fullmatch(_WORDS)),
        "identifiers": Language(identifiers, _fullmatch(rf"(?!(?:{_KEYWORDS})$)[A-Za-z_][A-Za-z_0-9]*")),
        "no keyword": Language(regex(_NO_KEYWORD), _fullmatch(_NO_KEYWORD)),
        "look-around": Language(regex(_ODD_STRING), _fullmatch(_ODD_STRING)),
        "lists": Language(gbnf(LISTS), _is_list),
    }


# Separated by tabs: blanks belong to them
_PIECES = (
    're\tti\ton\tif\ter\tthe\ta\ti\to\ted\tel\tse\tx1\tab\t00\t12\té\tñ\tж\t中\t🙂\t_\t"\t",\t":\t": "'
    "\t{\t}\t[\t]\t()\t);\t = \t\\\t\\n\t\\u00\t- \t, \t@\t.com\t+\t*\t/*\t*/\t//"
)


@cache
def synthetic_vocabulary() -> Vocabulary:
    """Four thousand tokens as tokenisers have them: bytes, words, runs, split code points, duplicates, two ends."""
    rng = random.Random(4000)
    tokens = [bytes([value]) for value in range(256)]
    pieces = [*_PIECES.split("\t"), " ", "\n", "\n\n", "  "]
    for _ in range(3700):
        data = "".join(rng.choices(pieces, k=rng.randint(1, 4))).encode()
        begin = rng.randint(0, 1) if data[0] >= 0x80 else 0
        tokens.append(data[begin : len(data) - rng.choice([0, 0, 0, 1])])
    tokens += [b" " * n for n in range(2, 40)] + [b"", b"a", b"true", b"<end>", b"<stop>", b"<tool>"]
    order = list(range(len(tokens)))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    ends = [place[len(tokens) - 3], place[len(tokens) - 2]]
    return Vocabulary([tokens[i] for i in order], eos=ends, special=[place[len(tokens) - 1]])


def unpacked(masks: np.ndarray, size: int) -> np.ndarray:
    """Rows of words as rows of booleans, one per token."""
    bits = np.unpackbits(np.ascontiguousarray(masks).view(np.uint8), axis=-1, bitorder="little")
    return bits[..., :size].astype(bool)


def masks_of(automaton: TokenAutomaton, states: list[int]) -> np.ndarray:
    """The masks of states as rows of words."""
    out = np.empty((len(states), automaton.vocabulary.words), np.uint32)
    automaton.fill_masks(states, out)
    return out


def allowed(automaton: TokenAutomaton, state: int) -> np.ndarray:
    """The ids that the mask of a state allows."""
    return np.flatnonzero(unpacked(masks_of(automaton, [state])[0], automaton.vocabulary.size))


def random_tokens(automaton: TokenAutomaton, seed: int | str, steps: int) -> list[int]:
    """Ordinary tokens that lead, one after the other, from the start to live states."""
    rng = random.Random(seed)
    tokens: list[int] = []
    state = automaton.start
    for _ in range(steps):
        choices = [int(t) for t in allowed(automaton, state) if t not in automaton.vocabulary.eos]
        if not choices:
            break
        if rng.random() < 0.6:
            some = rng.sample(choices, min(len(choices), 400))
            choices = [t for t in some if len(automaton.vocabulary.tokens[t]) <= 2] or choices
        tokens.append(rng.choice(choices))
        state = automaton.advance(state, tokens[-1])
    return tokens


def states_along(automaton: TokenAutomaton, tokens: list[int]) -> list[int]:
    """The start and the states behind each of the tokens."""
    states = [automaton.start]
    for token in tokens:
        states.append(automaton.advance(states[-1], token))
    return states


def text_of(vocabulary: Vocabulary, tokens: list[int]) -> bytes:
    return b"".join(vocabulary.tokens[t] for t in tokens)


_CLOSERS = b"\"')]};@.:0a"


@cache
def single_bytes(vocabulary: Vocabulary) -> dict[int, int]:
    """For each byte an ordinary token that is this byte."""
    ordinary = set(range(vocabulary.size)) - set(vocabulary.eos) - vocabulary.special
    return {t[0]: i for i, t in enumerate(vocabulary.tokens) if len(t) == 1 and i in ordinary}


def witness(automaton: TokenAutomaton, state: int, most: int = 3_000) -> bytes | None:
    """Bytes that complete the text of a state: the cheapest path, where the bytes that close something cost least."""
    byte_tokens = single_bytes(automaton.vocabulary)
    tokens = np.array(list(byte_tokens.values()))
    costs = [1 if b in _CLOSERS else 4 for b in byte_tokens]
    finished: set[int] = set()
    waiting = [(0, b"", state)]
    while waiting and len(finished) < most:
        spent, done, state = heapq.heappop(waiting)
        if automaton.accepts(state):
            return done
        if state in finished:
            continue
        finished.add(state)
        after = automaton.advance_many(np.full(len(tokens), state), tokens).tolist()
        for byte, cost, following in zip(byte_tokens, costs, after, strict=True):
            if following != DEAD and following not in finished:
                heapq.heappush(waiting, (spent + cost, done + bytes([byte]), following))
    return None
