"""Encodings of tiktoken."""

from __future__ import annotations

from typing import Any

from decoding.tokenizers.pieces import Pieces

_END = "<|endoftext|>"


def pieces(encoding: Any) -> Pieces | None:
    """What a `tiktoken.Encoding` tells; None if it is none."""
    read = getattr(encoding, "decode_single_token_bytes", None)
    if not callable(read):
        return None
    specials: dict[str, int] = {name: encoding.encode_single_token(name) for name in encoding.special_tokens_set}
    tokens = [b""] * encoding.n_vocab
    missing: set[int] = set()
    for number in range(encoding.n_vocab):
        try:
            tokens[number] = bytes(read(number))  # pyright: ignore[reportArgumentType] - the library has no types
        except KeyError:
            missing.add(number)
    end = {specials[_END]} if _END in specials else set()
    has_bytes = all(bytes([byte]) in tokens for byte in b"abcdefghijklmnopqrstuvwxyz ,0123456789")
    encode = encoding.encode_ordinary if has_bytes else None
    return Pieces(tokens, missing | set(specials.values()), end, encode)
