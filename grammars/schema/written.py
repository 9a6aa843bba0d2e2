"""Lexemes for strings as JSON writes them: a set of words, everything but some words, characters of some ranges.

Each is made in one go, by kernels, from an automaton over characters; small ones are kept, because schemas have most of
their words in common ("type", "name", "id").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from grammars.expression import ByteAutomaton, Lexeme, Node, Ranges, Rules
from grammars.kernels.spelling import spell
from grammars.kernels.word_trees import spelled_words

_KEPT = 4096
_SMALL = 256  # characters; a lexeme of so many takes some 20 KB

Array = NDArray[np.int64]


def spellable(words: Iterable[str]) -> tuple[str, ...]:
    """The words that JSON text in UTF-8 can spell, in order: those without lone surrogates.

    >>> spellable(["b", "\\ud800", "a"])
    ('a', 'b')
    """
    return tuple(sorted(word for word in words if word.isascii() or not _has_surrogates(word)))


def _has_surrogates(word: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in word)


def word_lexeme(
    words: tuple[str, ...],
    excluded: bool,
    quoted: bool,
    minimal: bool,
    expression: Callable[[], tuple[Node, Rules]],
) -> Node:
    """One of these words (see `spellable`), or with `excluded` any text but these, with quotation marks or without."""
    key = (words, excluded, quoted, minimal)
    name, automaton = _kept(*key) if sum(map(len, words)) <= _SMALL else _made(*key)
    return Lexeme(name, automaton, expression)


def _made(words: tuple[str, ...], excluded: bool, quoted: bool, minimal: bool) -> tuple[bytes, ByteAutomaton]:
    text = "".join(words).encode("utf-32-le")
    ends = np.array([*accumulate(map(len, words))], np.int64)
    codes = np.frombuffer(text, np.int32)
    name = b"%d %d %d " % (excluded, quoted, minimal) + ends.tobytes() + text
    return name, ByteAutomaton(*spelled_words(codes, ends, int(excluded), int(quoted), int(minimal)))


_kept = lru_cache(maxsize=_KEPT)(_made)


@lru_cache(maxsize=_KEPT)
def character_automaton(ranges: Ranges, minimal: bool) -> tuple[bytes, ByteAutomaton]:
    """One character out of ranges without surrogates, and a name for them."""
    flat = [code for low, high in ranges for code in (low, high, 1)]
    source: Array = np.array([2, 0, minimal, 0, len(ranges), len(ranges), 0, 1, *flat], np.int64)
    return source.tobytes(), ByteAutomaton(*spell(source))
