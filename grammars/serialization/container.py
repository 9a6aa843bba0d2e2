"""The outer layer of a saved program: that a file is ours, whole and unchanged.

    bytes   what
    16      magic; holds a byte beyond ASCII and both line ends, so that a transfer as text is noticed
    4       version of the format
    4       number of sections
    8       length of the whole file
    32      BLAKE2b of everything else
    8 each  lengths of the sections
            the sections, in an order that the version fixes

All numbers are little-endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct

from grammars.errors import SerializationError

MAGIC = b"\x89scansion\r\n\x1a\n\0\0\0"
VERSION = 1

_PREFIX = Struct("<16sIIQ")
_DIGEST_SIZE = 32
_HEADER_SIZE = _PREFIX.size + _DIGEST_SIZE


def pack(sections: Sequence[bytes]) -> bytes:
    """A file with these sections.

    >>> [bytes(section) for section in unpack(pack([b"a", b"", b"bc"]), 3)]
    [b'a', b'', b'bc']
    """
    body = Struct(f"<{len(sections)}Q").pack(*map(len, sections)) + b"".join(sections)
    prefix = _PREFIX.pack(MAGIC, VERSION, len(sections), _HEADER_SIZE + len(body))
    return prefix + _digest(prefix, body) + body


def unpack(data: bytes, count: int) -> list[memoryview]:
    """The `count` sections of a file; raises `SerializationError` unless it is exactly what `pack` made."""
    _check_origin(data)
    _, version, sections, length = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise SerializationError(
            f"the file has version {version} of the format, and this release reads version {VERSION}",
            hint="compile the grammar with this release and save it again",
        )
    if length != len(data):
        what = "truncated" if len(data) < length else "followed by something else"
        raise SerializationError(f"the file is {what}: it has {len(data)} bytes and should have {length}")
    view = memoryview(data)
    if _digest(view[: _PREFIX.size], view[_HEADER_SIZE:]) != data[_PREFIX.size : _HEADER_SIZE]:
        raise SerializationError("the file is corrupt: its checksum is not that of its content")
    if sections != count:
        raise SerializationError(f"the file has {sections} sections and should have {count}")
    return _split(view[_HEADER_SIZE:], count)


def _check_origin(data: bytes) -> None:
    if not data:
        raise SerializationError("the file is empty")
    if not data.startswith(MAGIC):
        if MAGIC.startswith(data):
            raise SerializationError(f"the file is truncated: it has only {len(data)} bytes")
        raise SerializationError(
            "this is no saved program: it does not begin like one",
            hint="save one with TokenAutomaton.save or Grammar.save",
        )
    if len(data) < _HEADER_SIZE:
        raise SerializationError(f"the file is truncated: it has only {len(data)} bytes")


def _split(body: memoryview, count: int) -> list[memoryview]:
    table = Struct(f"<{count}Q")
    if len(body) < table.size:
        raise SerializationError("the table of sections is cut off")
    lengths = table.unpack_from(body)
    if table.size + sum(lengths) != len(body):
        raise SerializationError("the lengths of the sections do not add up to that of the file")
    sections: list[memoryview] = []
    at = table.size
    for length in lengths:
        sections.append(body[at : at + length])
        at += length
    return sections


def _digest(prefix: bytes | memoryview, body: bytes | memoryview) -> bytes:
    digest = blake2b(prefix, digest_size=_DIGEST_SIZE, person=b"scansion program")
    digest.update(body)
    return digest.digest()
