"""Tokenizers of mistral-common: tekken gives bytes, older models hold a SentencePiece model."""

from __future__ import annotations

from typing import Any

from decoding.tokenizers import sentence_piece
from decoding.tokenizers.pieces import Pieces


def pieces(tokenizer: Any) -> Pieces | None:
    """What a tokenizer of mistral-common tells, from whatever it is wrapped in; None if it is none."""
    inner = tokenizer
    for name in ("tokenizer", "instruct_tokenizer", "tokenizer"):
        inner = getattr(inner, name, inner)
    if callable(getattr(inner, "id_to_byte_piece", None)):
        return _tekken(inner)
    model = getattr(inner, "_model", None)
    return sentence_piece.pieces(model) if hasattr(inner, "id_to_piece") and model is not None else None


def _tekken(tokenizer: Any) -> Pieces:
    first = int(tokenizer.num_special_tokens)
    size = int(tokenizer.n_words)
    tokens = [str(tokenizer.id_to_piece(number)).encode() for number in range(first)]
    tokens += [bytes(tokenizer.id_to_byte_piece(number)) for number in range(first, size)]
    return Pieces(
        tokens,
        set(range(first)),
        {int(tokenizer.eos_id)},
        lambda text: list(tokenizer.encode(text, bos=False, eos=False)),
    )
