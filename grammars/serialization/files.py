"""Paths and open files, to read from and to write to.

A path is written beside its place and then moved there: whoever reads it, be it another process, finds the old file or
the new one, never half of one.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Protocol

from grammars.errors import LimitExceeded, SerializationError
from grammars.limits import Limits

_CHUNK = 1 << 20


class Reader(Protocol):
    """What is needed of a file that is open for reading bytes."""

    def read(self, size: int, /) -> bytes: ...


class Writer(Protocol):
    """What is needed of a file that is open for writing bytes."""

    def write(self, data: bytes, /) -> object: ...


Source = str | os.PathLike[str] | Reader
Destination = str | os.PathLike[str] | Writer


def read_file(file: Source, limits: Limits) -> bytes:
    """The bytes of a file, which count as memory of the automaton that it becomes."""
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as opened:
            return read_file(opened, limits)
    chunks: list[bytes] = []
    left = limits.cache_bytes
    while left >= 0:
        chunk: Any = file.read(min(left + 1, _CHUNK))
        if not isinstance(chunk, bytes):
            raise SerializationError("reading the file does not give bytes", hint='open it with mode "rb"')
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        left -= len(chunk)
    raise LimitExceeded(
        f"the file has more bytes than Limits.cache_bytes = {limits.cache_bytes}",
        hint="raise Limits(cache_bytes=...) if you trust its author",
    )


def write_file(file: Destination, data: bytes) -> None:
    """Write `data`; an existing file is replaced."""
    if not isinstance(file, str | os.PathLike):
        file.write(data)
        return
    path = Path(file)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
