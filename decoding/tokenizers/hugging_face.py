"""Tokenizers of transformers: fast ones tell their rules in JSON, slow ones are SentencePiece or plain tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from decoding.tokenizers import sentence_piece
from decoding.tokenizers.pieces import Pieces
from grammars import VocabularyError

_Reader = Callable[[str], bytes]


def pieces(tokenizer: Any) -> Pieces | None:
    """What a tokenizer of transformers (or of the library tokenizers) tells; None if it is none."""
    fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if callable(getattr(fast, "to_str", None)) and callable(getattr(fast, "get_vocab", None)):
        return _fast(tokenizer, fast)
    if not callable(getattr(tokenizer, "convert_ids_to_tokens", None)):
        return None
    processor = getattr(tokenizer, "sp_model", None)
    if processor is None:
        raise VocabularyError(
            f"{type(tokenizer).__name__} does not tell the bytes of its tokens",
            hint="load the fast tokenizer (use_fast=True), or build a Vocabulary from the bytes of the tokens",
        )
    return _slow(tokenizer, processor)


def _fast(tokenizer: Any, fast: Any) -> Pieces:
    rules = json.loads(fast.to_str())
    read = _reader(rules.get("decoder"))
    added = {int(entry["id"]): entry for entry in rules.get("added_tokens", [])}
    table: dict[str, int] = fast.get_vocab(with_added_tokens=True)
    tokens = [b""] * (1 + max(table.values(), default=-1))
    special = set(range(len(tokens))) - set(table.values())
    for piece, number in table.items():
        if number in added:
            tokens[number] = piece.encode()
        else:
            tokens[number] = read(piece)
    special |= {number for number, entry in added.items() if entry.get("special")}
    special |= _unknown(rules, table)
    return Pieces(tokens, special, _ends(tokenizer), _encoder(tokenizer, fast), _is_lossy(rules))


def _encoder(tokenizer: Any, fast: Any) -> Callable[[str], list[int]]:
    return lambda text: list(fast.encode(text, add_special_tokens=False).ids)


def _ends(tokenizer: Any) -> set[int]:
    end = getattr(tokenizer, "eos_token_id", None)
    return set() if end is None else set(end) if isinstance(end, list) else {int(end)}


def _unknown(rules: dict[str, Any], table: dict[str, int]) -> set[int]:
    """The token that stands for what the tokenizer cannot write is no text."""
    unknown = rules.get("model", {}).get("unk_token")
    number = table.get(unknown) if unknown else rules.get("model", {}).get("unk_id")
    return set() if number is None else {int(number)}


def _is_lossy(rules: dict[str, Any]) -> bool:
    names = {part.get("type") for part in _flattened(rules.get("normalizer"))}
    return bool(names & {"BertNormalizer", "Lowercase", "StripAccents", "NFKD", "NFD"})


def _flattened(part: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The parts of a sequence of rules, sequences within it opened."""
    waiting = [part] if part else []
    while waiting:
        part = waiting.pop()
        inner = part.get("decoders") or part.get("normalizers") or part.get("pretokenizers")
        if inner:
            waiting.extend(reversed(inner))
        else:
            yield part


def _reader(decoder: dict[str, Any] | None) -> _Reader:
    """How a piece of the vocabulary becomes bytes, by the decoder's rules."""
    parts = list(_flattened(decoder))
    names = [part["type"] for part in parts]
    if "ByteLevel" in names:
        return byte_level
    if "WordPiece" in names:
        return _word_piece(next(part for part in parts if part["type"] == "WordPiece"))
    if "BPEDecoder" in names:
        suffix = next(part for part in parts if part["type"] == "BPEDecoder").get("suffix") or "</w>"
        return lambda piece: (piece[: -len(suffix)] + " " if piece.endswith(suffix) else piece).encode()
    if set(names) <= {"Metaspace", "Replace", "ByteFallback", "Fuse", "Strip"}:
        return _replacing(parts)
    raise VocabularyError(
        f"the tokenizer's decoder {' + '.join(names)} has rules that scansion does not know",
        hint="build a Vocabulary from the bytes of the tokens",
    )


def byte_level(piece: str) -> bytes:
    """GPT-2's spelling of bytes: printable ones as they are, the others as letters from U+0100 on.

    >>> byte_level("Ġvoil"), byte_level("Ã©")
    (b' voil', b'\\xc3\\xa9')
    """
    letters = _byte_of_letter()
    try:
        return bytes([letters[letter] for letter in piece])
    except KeyError:
        return piece.encode()


@cache
def _byte_of_letter() -> dict[str, int]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _word_piece(part: dict[str, Any]) -> _Reader:
    prefix = part.get("prefix", "##")
    return lambda piece: (piece[len(prefix) :] if piece.startswith(prefix) else f" {piece}").encode()


def _replacing(parts: list[dict[str, Any]]) -> _Reader:
    """Replacements one after the other (Metaspace is one), then `<0x0A>` for bytes."""
    pairs: list[tuple[str, str]] = []
    has_bytes = False
    for part in parts:
        if part["type"] == "Metaspace":
            pairs.append((part.get("replacement", "▁"), " "))
        elif part["type"] == "Replace":
            pattern = part.get("pattern", {})
            if "String" not in pattern:
                raise VocabularyError("the tokenizer's decoder replaces by a regular expression")
            pairs.append((pattern["String"], part.get("content", "")))
        has_bytes |= part["type"] == "ByteFallback"

    def read(piece: str) -> bytes:
        for old, new in pairs:
            piece = piece.replace(old, new)
        byte = sentence_piece.byte_of(piece) if has_bytes else None
        return piece.encode() if byte is None else bytes([byte])

    return read


def _slow(tokenizer: Any, processor: Any) -> Pieces:
    found = sentence_piece.pieces(processor)
    if found is None:
        raise VocabularyError(f"{type(tokenizer).__name__} holds no SentencePiece model that can be read")
    added: dict[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
    found.tokens += [b""] * (1 + max(added, default=-1) - len(found.tokens))
    for number, token in added.items():
        found.tokens[number] = str(token).encode()
        if getattr(token, "special", True):
            found.special.add(number)
    found.eos = _ends(tokenizer) or found.eos
    return found
