"""Vocabulary: what the tokens of a model are in bytes, and which of them end a text.

Token ids are positions in `tokens`. End tokens and special tokens are never reachable through their text: a special
token named `<|python_tag|>` is not a way to write those characters. Ids of equal bytes are all allowed together. An
ordinary token without bytes is allowed wherever the text can still be completed, as the definition of a mask says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from grammars.errors import VocabularyError
from grammars.forking import lock_for
from grammars.token_rows import TokenRows
from grammars.trie import Trie, build_trie

MAX_TOKENS = 1 << 24

T = TypeVar("T")


class Vocabulary:
    """The tokens of a model.

    >>> v = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
    >>> v.size, v.words
    (4, 1)
    """

    def __init__(self, tokens: Sequence[bytes], eos: Iterable[int], special: Iterable[int] = ()):
        self.tokens: tuple[bytes, ...] = tuple(_listed(tokens, "tokens"))
        self._check_tokens()
        self.eos: tuple[int, ...] = tuple(sorted(set(self._ids(eos, "eos"))))
        self.special: frozenset[int] = frozenset(self._ids(special, "special"))
        self._lock = lock_for(self)

    def _check_tokens(self) -> None:
        if not 0 < len(self.tokens) <= MAX_TOKENS:
            raise VocabularyError(f"a vocabulary needs between 1 and {MAX_TOKENS} tokens, not {len(self.tokens)}")
        for i, token in enumerate(self.tokens):
            if type(token) is not bytes:
                raise VocabularyError(
                    f"token {i} is {type(token).__name__}, not bytes",
                    hint="give the bytes that a token stands for; text must be encoded in UTF-8",
                )

    def _ids(self, ids: Iterable[object], name: str) -> list[int]:
        checked: list[int] = []
        for value in _listed(ids, name):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise VocabularyError(f"{name} holds {value!r}, which is no token id")
            if not 0 <= value < len(self.tokens):
                raise VocabularyError(f"{name} holds id {value}, but the vocabulary has {len(self.tokens)} tokens")
            checked.append(int(cast("int", value)))
        return checked

    @property
    def size(self) -> int:
        """Number of token ids."""
        return len(self.tokens)

    @property
    def words(self) -> int:
        """Number of 32-bit words of a mask."""
        return (len(self.tokens) + 31) // 32

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that decides masks; equal for equal vocabularies on every machine."""
        digest = blake2b(digest_size=16)
        for part in (self.offsets, np.array(self.eos, np.int64), np.array(sorted(self.special), np.int64)):
            digest.update(len(part).to_bytes(8, "little") + part.astype("<i8").tobytes())
        digest.update(self.data.tobytes())
        return digest.hexdigest()

    @cached_property
    def data(self) -> NDArray[np.uint8]:
        """The bytes of all tokens, one after the other."""
        return np.frombuffer(b"".join(self.tokens), np.uint8)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Token i is `data[offsets[i]:offsets[i + 1]]`."""
        lengths = np.fromiter(map(len, self.tokens), np.int64, len(self.tokens))
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    @cached_property
    def kind(self) -> NDArray[np.uint8]:
        """For each token: 0 ordinary, 1 special, 2 end."""
        kind = np.zeros(self.size, np.uint8)
        kind[list(self.special)] = 1
        kind[list(self.eos)] = 2
        return kind

    @cached_property
    def trie(self) -> Trie:
        """The byte trie of all ordinary tokens."""
        return build_trie(self.tokens, np.flatnonzero(self.kind == 0), self.data, self.offsets)

    @cached_property
    def rows(self) -> TokenRows:
        """Mask rows that do not depend on a grammar."""
        return TokenRows(self.tokens, self.trie, self.offsets, self.words)

    @cached_property
    def end_row(self) -> NDArray[np.uint32]:
        """The mask of the end tokens."""
        row = np.zeros(self.words, np.uint32)
        for token in self.eos:
            row[token >> 5] |= np.uint32(1 << (token & 31))
        return row

    def __repr__(self) -> str:
        return (
            f"Vocabulary(size={self.size}, eos={list(self.eos)}, special={len(self.special)}, {self.fingerprint[:8]})"
        )


def _listed(values: Iterable[T], name: str) -> Iterable[T]:
    if not isinstance(cast("object", values), Iterable):
        raise VocabularyError(f"{name} must be a sequence, not {type(values).__name__}")
    return values
