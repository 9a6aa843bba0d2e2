"""A JSON value while it is read, as an immutable state.

The grammar has checked the syntax, so the reader only has to understand it: open arrays and objects with what they
hold so far, and the scalar at hand. Bytes between values (whitespace, commas, colons, the brackets of the array
around) leave it as it is.

>>> reader = IDLE
>>> for byte in b'[1, "\\\\u0061"]':
...     reader = reader.read(byte)
>>> [item.key for item in reader.value().parts]
[b'n1e0', b'sa']
"""

from __future__ import annotations

from typing import NamedTuple

from grammars.schema.registers import numerals
from grammars.schema.registers.numerals import Numeral
from grammars.schema.registers.values import Members, Value, array, object_of, string, word

_ESCAPED = dict(zip(b'"\\/bfnrt', (b'"', b"\\", b"/", b"\b", b"\f", b"\n", b"\r", b"\t"), strict=True))
_WORDS = frozenset({b"true", b"false", b"null"})
_QUOTE, _BACKSLASH = 0x22, 0x5C


class OpenArray(NamedTuple):
    """An array that is not closed yet."""

    items: tuple[Value, ...] = ()


class OpenObject(NamedTuple):
    """An object that is not closed yet; `key` is the key whose value is to come."""

    members: Members = ()
    key: bytes | None = None


class OpenString(NamedTuple):
    """A string that is not closed yet; `escape` is an unfinished escape sequence."""

    content: bytes = b""
    escape: bytes = b""

    def read(self, byte: int) -> OpenString:
        """The string with one more byte that does not end it."""
        if not self.escape:
            if byte == _BACKSLASH:
                return OpenString(self.content, b"\\")
            return OpenString(self.content + bytes([byte]))
        escape = self.escape + bytes([byte])
        if len(escape) == 2 and byte in _ESCAPED:
            return OpenString(self.content + _ESCAPED[byte])
        if len(escape) in (6, 12):
            return self._unescaped(escape)
        return OpenString(self.content, escape)

    def _unescaped(self, escape: bytes) -> OpenString:
        code = int(escape[2:6], 16)
        if 0xD800 <= code < 0xDC00:
            if len(escape) == 6:
                return OpenString(self.content, escape)  # the second half of a pair is to come
            code = 0x10000 + ((code & 0x3FF) << 10) + (int(escape[8:12], 16) & 0x3FF)
        return OpenString(self.content + chr(code).encode("utf-8", "surrogatepass"))


Frame = OpenArray | OpenObject
Scalar = OpenString | Numeral | bytes | Value | None


class Reader(NamedTuple):
    """Open containers, outermost first, and the scalar at hand: part of one, or a finished value."""

    frames: tuple[Frame, ...] = ()
    scalar: Scalar = None

    def read(self, byte: int) -> Reader:
        """The reader after one more byte."""
        scalar = self.scalar
        if isinstance(scalar, OpenString):
            if byte == _QUOTE and not scalar.escape:
                return self._closed_string(scalar.content)
            return Reader(self.frames, scalar.read(byte))
        if isinstance(scalar, Numeral):
            if byte in numerals.BYTES:
                return Reader(self.frames, scalar.read(byte))
            return self._with(scalar.value())._between(byte)
        if isinstance(scalar, bytes):
            text = scalar + bytes([byte])
            return self._with(word(text)) if text in _WORDS else Reader(self.frames, text)
        return self._between(byte)

    def _between(self, byte: int) -> Reader:
        """A byte that begins a value, ends a container or separates."""
        if byte == _QUOTE:
            return Reader(self.frames, OpenString())
        if byte == 0x5B:
            return Reader((*self.frames, OpenArray()))
        if byte == 0x7B:
            return Reader((*self.frames, OpenObject()))
        if byte in b"]}":
            return self._closed_container()
        if byte in b"-0123456789":
            return Reader(self.frames, numerals.START.read(byte))
        if byte in b"tfn":
            return Reader(self.frames, bytes([byte]))
        return self

    def _closed_string(self, content: bytes) -> Reader:
        top = self.frames[-1] if self.frames else None
        if isinstance(top, OpenObject) and top.key is None:
            return Reader((*self.frames[:-1], OpenObject(top.members, content)))
        return self._with(string(content))

    def _closed_container(self) -> Reader:
        if not self.frames:
            return self
        top, outer = self.frames[-1], Reader(self.frames[:-1])
        return outer._with(array(top.items) if isinstance(top, OpenArray) else object_of(top.members))

    def _with(self, value: Value) -> Reader:
        """A finished value takes its place in the innermost container."""
        if not self.frames:
            return Reader((), value)
        top = self.frames[-1]
        if isinstance(top, OpenArray):
            grown: Frame = OpenArray((*top.items, value))
        else:
            members = {**dict(top.members), top.key or b"": value}  # a key that occurs twice has its last value
            grown = OpenObject(tuple(sorted(members.items(), key=lambda member: member[0])))
        return Reader((*self.frames[:-1], grown))

    def value(self) -> Value:
        """The value if it ends here."""
        if isinstance(self.scalar, Numeral):
            return self.scalar.value()
        if isinstance(self.scalar, Value):
            return self.scalar
        raise ValueError("the value has not ended")

    def blurred(self) -> Reader:
        """The same for all that could follow."""
        return Reader(self.frames, self.scalar.blurred()) if isinstance(self.scalar, Numeral) else self


IDLE = Reader()
