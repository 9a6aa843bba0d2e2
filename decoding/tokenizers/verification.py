"""A round trip through a tokenizer: texts must come back from the bytes of their tokens.

A tokenizer may put a blank in front of a text, and some normalise blanks or compatibility characters; a text that is
not returned to itself is fine as long as its plain neighbours are. What is refused is a tokenizer for which even
plain letters, digits or blanks between words come back wrong: then its tables are read by the wrong rules. (That is
no theory: a repository of byte-level BPE whose configuration claims Metaspace comes back with `Ġ` for blanks.)
"""

from __future__ import annotations

import unicodedata

from decoding.tokenizers.pieces import Pieces
from grammars import VocabularyError

_PLAIN = ("hello world", "the answer is 42", "red, green and blue")
_OTHERS = ('{"name": "Zoë", "n": [1, 2.5]}', "price: 3 €", "数学者 and 🙂")


def verify(pieces: Pieces) -> None:
    """Raise `VocabularyError` if texts do not come back."""
    if pieces.encode is None:
        return
    for text in _PLAIN:
        found = _again(pieces, text)
        if found != text:
            _refuse(text, found)
    if not pieces.is_lossy:
        for text in _OTHERS:
            found = _again(pieces, text)
            if not _same(found, text) and "�" not in found and not _has_unknown(pieces, text):
                _refuse(text, found)


def _again(pieces: Pieces, text: str) -> str:
    ids = pieces.encode(text) if pieces.encode else []
    data = b"".join(pieces.tokens[i] for i in ids)
    decoded = data.decode("utf-8", "replace")
    return decoded[1:] if decoded.startswith(" ") else decoded


def _same(found: str, text: str) -> bool:
    return unicodedata.normalize("NFKC", found) == unicodedata.normalize("NFKC", text)


def _has_unknown(pieces: Pieces, text: str) -> bool:
    """Whether the tokenizer has no token for something in the text."""
    return any(i in pieces.special for i in (pieces.encode(text) if pieces.encode else []))


def _refuse(text: str, found: str) -> None:
    raise VocabularyError(
        f"the tokenizer's tables do not describe what it does: {text!r} comes back as {found!r}",
        hint="its files may name the wrong decoder; load it with the class it was made for, or give a Vocabulary "
        "made from the bytes of the tokens",
    )
