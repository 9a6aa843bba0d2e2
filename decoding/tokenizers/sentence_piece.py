"""SentencePiece models: `▁` stands for a blank, `<0x0A>` for a byte."""

from __future__ import annotations

import re
from typing import Any

from decoding.tokenizers.pieces import Pieces

_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")


def byte_of(piece: str) -> int | None:
    """The byte that a piece stands for, if it is one for bytes.

    >>> byte_of("<0x0A>"), byte_of("<0x0A")
    (10, None)
    """
    found = _BYTE.fullmatch(piece)
    return int(found[1], 16) if found else None


def pieces(processor: Any) -> Pieces | None:
    """What a `SentencePieceProcessor` tells; None if it is none."""
    if not callable(getattr(processor, "IdToPiece", None)):
        return None
    tokens: list[bytes] = []
    special: set[int] = set()
    for number in range(processor.GetPieceSize()):
        piece: str = processor.IdToPiece(number)
        byte = byte_of(piece) if processor.IsByte(number) else None
        tokens.append(piece.replace("▁", " ").encode() if byte is None else bytes([byte]))
        if processor.IsControl(number) or processor.IsUnknown(number) or processor.IsUnused(number):
            special.add(number)
    end = processor.eos_id()
    return Pieces(tokens, special, {end} if end >= 0 else set(), lambda text: list(processor.EncodeAsIds(text)))
