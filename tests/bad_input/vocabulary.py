"""The vocabulary that bad input is tried on: about ten thousand tokens, the same on every machine.

Every byte is a token, so every text can be spelled; the others are what real vocabularies have too: pairs of
characters, runs, numbers, whole code points and pieces of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from grammars import Vocabulary


def _tokens() -> Iterator[bytes]:
    yield from (bytes([value]) for value in range(256))
    printable = range(0x20, 0x7F)
    yield from (bytes([first, second]) for first in printable for second in printable)
    yield from (bytes([letter]) * length for letter in b"ab( \n0" for length in (4, 8, 16, 32, 64))
    yield from (b"%03d" % number for number in range(1000))
    yield from (chr(point).encode() for point in (*range(0xA0, 0x180), 0x4E2D, 0x6587, 0x20AC, 0x1F600))
    yield from (b"\xe4\xb8", b"\xb8\xad", b"\xad\xe6", b"\xf0\x9f\x98", b"a\xc3", b"\xa9b")
    yield from (b"<end>", b"<|special|>")


_ALL = list(_tokens())

VOCABULARY = Vocabulary(_ALL, eos=[len(_ALL) - 2], special=[len(_ALL) - 1])
END = len(_ALL) - 2

_LONGEST = 64
_spellings: dict[int, dict[bytes, int]] = {}


def spell(vocabulary: Vocabulary, text: bytes) -> Iterator[int]:
    """Tokens that write `text`, the longest first; a byte that no token begins with is an error of the case."""
    if id(vocabulary) not in _spellings:
        hidden = {*vocabulary.eos, *vocabulary.special}
        _spellings[id(vocabulary)] = {
            token: i for i, token in enumerate(vocabulary.tokens) if token and i not in hidden
        }
    ids, place = _spellings[id(vocabulary)], 0
    while place < len(text):
        length = next(n for n in range(min(_LONGEST, len(text) - place), 0, -1) if text[place : place + n] in ids)
        yield ids[text[place : place + length]]
        place += length
