r"""Byte-level byte-pair encoding in plain Python, the same as the file `tokenizer.json` means to Hugging Face.

A text is cut into pieces by `PATTERN`; within a piece the neighbouring pair that was learned first is merged, again
and again. The file writes bytes as printable characters (`Ġ` is a space): GPT-2's alphabet, undone by `byte_of`.

A special token is never read out of text: the characters `<|end|>` are eight bytes like any others. (Hugging Face's
tokenizer reads them as the token; a server that passes on what users write must not.)

>>> tokenizer = Tokenizer([b"<end>", b"a", b"b", b"ab", b"\xff"], [(b"a", b"b")], specials=[0])
>>> tokenizer.encode("abba"), tokenizer.decode([3, 2, 1, 0])
([3, 2, 1], 'abba')
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from pathlib import Path

from grammars import VocabularyError

# Only ASCII by name, everything else a letter: all engines cut alike (see tokenizer_training).
_LETTER = r"[^\x00-@\[-`{-\x7f]"
PATTERN = (
    rf"[A-Z]{_LETTER}*"
    rf"| ?[^\x00-`{{-\x7f]{_LETTER}*"
    r"|[0-9]"
    r"| ?[!-/:-@\[-`{-~]+"
    r"|[\x00-\x20\x7f]+(?![^\x00-\x20\x7f])"
    r"|[\x00-\x20\x7f]"
)
_CUT = re.compile(PATTERN)
_SHORT = 32  # characters of a piece that is worth remembering
_KEPT_PIECES = 1 << 14


class Tokenizer:
    """`tokens[i]` are the bytes of token i, `merges` the pairs to join, the most urgent first."""

    def __init__(self, tokens: Sequence[bytes], merges: Iterable[tuple[bytes, bytes]], specials: Iterable[int]):
        self.tokens = tuple(tokens)
        self.specials = frozenset(specials)
        self._ids = {token: i for i, token in enumerate(tokens) if i not in self.specials}
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._short = lru_cache(_KEPT_PIECES)(self._merged)

    def encode(self, text: str | bytes) -> list[int]:
        """The tokens of `text`. Bytes that are no UTF-8 are kept as they are."""
        characters = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
        return [token for piece in _CUT.findall(characters) for token in self._tokens(piece)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens, special ones left out; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.tokens[i] for i in ids if i not in self.specials).decode("utf-8", "replace")

    def _tokens(self, piece: str) -> tuple[int, ...]:
        return self._short(piece) if len(piece) <= _SHORT else self._merged(piece)

    def _merged(self, piece: str) -> tuple[int, ...]:
        """Join neighbours, the earliest learned pair first and its leftmost place first; n log n for n bytes."""
        parts = [bytes([byte]) for byte in _bytes(piece)] + [b""]  # what is empty has no pair
        left, right = list(range(-1, len(parts) - 1)), list(range(1, len(parts)))
        heap: list[tuple[int, int]] = []

        def offer(i: int) -> None:
            rank = self._ranks.get((parts[i], parts[right[i]]))
            if rank is not None:
                heappush(heap, (rank, i))

        for i in range(len(right)):
            offer(i)
        while heap:
            rank, i = heappop(heap)
            j = right[i]
            if self._ranks.get((parts[i], parts[j])) != rank:
                continue  # one of the two has been joined to something else meanwhile
            parts[i], parts[j] = parts[i] + parts[j], b""
            if j < len(right):
                right[i] = right[j]
                left[right[i]] = i
            offer(i)
            if left[i] >= 0:
                offer(left[i])
        return tuple(self._ids[part] for part in parts if part)


def _bytes(piece: str) -> bytes:
    try:
        return piece.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise VocabularyError(
            f"the text holds {piece[error.start]!r}, half of a surrogate pair, which has no bytes",
            hint="pass bytes, or text that can be encoded in UTF-8",
        ) from None


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a `tokenizer.json` as `tokenizer_training` writes it."""
    content = json.loads(path.read_text("utf-8"))
    named = {entry["id"]: entry["content"] for entry in content["added_tokens"]}
    by_id = {token_id: text for text, token_id in content["model"]["vocab"].items()}
    tokens = [named[i].encode() if i in named else spoken(by_id[i]) for i in range(len(by_id))]
    merges = [(spoken(left), spoken(right)) for left, right in content["model"]["merges"]]
    return Tokenizer(tokens, merges, named)


def spoken(text: str) -> bytes:
    """The bytes that a token stands for in GPT-2's alphabet.

    >>> spoken("ĠAda")
    b' Ada'
    """
    table = byte_of()
    return bytes(table[character] for character in text)


@lru_cache(maxsize=1)
def byte_of() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 characters stand for themselves, the rest for U+0100 and what follows."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}
