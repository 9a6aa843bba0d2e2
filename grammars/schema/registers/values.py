"""Finished JSON values, equal exactly if the standard calls them equal: 1 is 1.0 is 10e-1, the order of keys does not
matter, and a character is the same however it was escaped.

Each value has a key, a short byte string that equal values share: the content of a scalar, a digest of the keys of
the parts of an array or object. So comparing never walks a value, however deep it nests.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

NUMBER, STRING, WORD, ARRAY, OBJECT = "nswao"


class Value:
    """A value with its key; `parts` are the items of an array, the members of an object, sorted by key, or the sign,
    digits and exponent of a number."""

    __slots__ = ("key", "kind", "parts")

    def __init__(self, kind: str, key: bytes, parts: Any = ()):
        self.kind: Final = kind
        self.key: Final = kind.encode() + key
        self.parts: Final = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Value({self.key!r})"


Members = tuple[tuple[bytes, Value], ...]


def number(negative: bool, digits: bytes, exponent: int) -> Value:
    """The number of these digits, without zeros at their ends, times a power of ten.

    >>> number(False, b"1", 0) == number(False, b"1", 0), number(True, b"", 3) == number(False, b"", 0)
    (True, True)
    """
    if not digits:
        return Value(NUMBER, b"0", (False, b"", 0))
    return Value(NUMBER, b"%s%se%s" % (b"-" * negative, digits, f"{exponent:x}".encode()), (negative, digits, exponent))


def string(content: bytes) -> Value:
    """A string, given in UTF-8."""
    return Value(STRING, content)


def word(text: bytes) -> Value:
    """`true`, `false` or `null`."""
    return Value(WORD, text)


def array(items: tuple[Value, ...]) -> Value:
    """An array."""
    return Value(ARRAY, _digest([item.key for item in items]), items)


def object_of(members: Members) -> Value:
    """An object, its members sorted by key."""
    return Value(OBJECT, _digest([part for key, value in members for part in (key, value.key)]), members)


def _digest(parts: list[bytes]) -> bytes:
    hasher = blake2b(digest_size=16)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "little"))
        hasher.update(part)
    return hasher.digest()
