"""The finished values of one array, and whether an unfinished one could still equal one of them.

>>> used = NONE.with_value(string(b"ab")).with_value(number(False, b"1", 0))
>>> used.could_equal(IDLE.read(ord('"')).read(ord("a"))), used.could_equal(IDLE.read(ord("2")))
(True, False)
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any

from grammars.errors import LimitExceeded
from grammars.schema.registers.numerals import Numeral
from grammars.schema.registers.reader import IDLE, OpenArray, OpenObject, OpenString, Reader
from grammars.schema.registers.values import ARRAY, NUMBER, OBJECT, STRING, WORD, Members, Value, number, string

ENOUGH = 1 << 20  # values; `richness` counts on it that no array is longer

_BACKSLASH = 0x5C

__all__ = ["ENOUGH", "IDLE", "NONE", "Used", "number", "string"]


class Used:
    """A set of values; immutable."""

    __slots__ = ("_others", "_strings", "keys")

    def __init__(self, keys: frozenset[bytes], strings: list[bytes], others: tuple[Value, ...]):
        self.keys = keys
        self._strings = strings  # sorted: those with a prefix stand side by side
        self._others = others

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Used) and self.keys == other.keys

    def __hash__(self) -> int:
        return hash(self.keys)

    def __contains__(self, value: Value) -> bool:
        return value.key in self.keys

    def with_value(self, value: Value) -> Used:
        """The set with one more value."""
        if len(self.keys) >= ENOUGH:
            raise LimitExceeded(f"an array whose items must differ from each other has more than {ENOUGH} of them")
        keys = self.keys | {value.key}
        if value.kind != STRING:
            return Used(keys, self._strings, (*self._others, value))
        strings = self._strings.copy()
        insort(strings, value.key[1:])
        return Used(keys, strings, self._others)

    def could_equal(self, reader: Reader) -> bool:
        """Whether the value at hand could still become one of the set; yes in case of doubt."""
        if reader.frames:
            return _containers_could_equal(self._others, reader)
        scalar = reader.scalar
        if isinstance(scalar, OpenString):
            return _has_prefix(self._strings, scalar.content)
        if isinstance(scalar, Value):
            return scalar in self
        return any(_could_be(scalar, value) for value in self._others)

    def next_bytes(self, reader: Reader) -> frozenset[int] | None:
        """The bytes with which a string could go on and still become one of the set; None if that is not plain."""
        scalar = reader.scalar
        if reader.frames or not isinstance(scalar, OpenString) or scalar.escape:
            return None
        found: set[int] = {_BACKSLASH}
        for at in range(bisect_left(self._strings, scalar.content), len(self._strings)):
            word = self._strings[at]
            if not word.startswith(scalar.content):
                break
            found.update(word[len(scalar.content) : len(scalar.content) + 1])
        return frozenset(found)


NONE = Used(frozenset(), [], ())


def _has_prefix(strings: list[bytes], prefix: bytes) -> bool:
    at = bisect_left(strings, prefix)
    return at < len(strings) and strings[at].startswith(prefix)


def _could_be(scalar: Any, value: Value) -> bool:
    if isinstance(scalar, OpenString):
        return value.kind == STRING and value.key[1:].startswith(scalar.content)
    if isinstance(scalar, Numeral):
        return value.kind == NUMBER and scalar.could_be(value)
    return value.kind == WORD and value.key[1:].startswith(scalar or b"")


def _containers_could_equal(values: Iterable[Value], reader: Reader) -> bool:
    candidates = list(values)
    for depth, frame in enumerate(reader.frames):
        last = depth + 1 == len(reader.frames)
        candidates = [
            found for value in candidates for found in _below(frame, value, reader.scalar if last else None, last)
        ]
        if last or not candidates:
            break
    return bool(candidates)


def _below(frame: OpenArray | OpenObject, value: Value, scalar: Any, last: bool) -> list[Value]:
    """What stands in `value` where the frame is being filled; at the innermost frame anything that tells that the
    scalar at hand fits."""
    if isinstance(frame, OpenArray):
        return _below_array(frame.items, value, scalar, last)
    if value.kind != OBJECT:
        return []
    if frame.key is not None:
        rest = _without(value.parts, frame.members, frame.key)
        inner = None if rest is None else dict(rest).get(frame.key)
        return [] if inner is None or (last and scalar is not None and not _could_be(scalar, inner)) else [inner]
    rest = _without(value.parts, frame.members, None)
    if rest is None or (isinstance(scalar, OpenString) and not any(key.startswith(scalar.content) for key, _ in rest)):
        return []
    return [value]


def _below_array(items: tuple[Value, ...], value: Value, scalar: Any, last: bool) -> list[Value]:
    count = len(items)
    if value.kind != ARRAY or value.parts[:count] != items:
        return []
    if last and scalar is None:
        return [value]
    if len(value.parts) == count or (last and not _could_be(scalar, value.parts[count])):
        return []
    return [value.parts[count]]


def _without(members: Members, written: Members, key: bytes | None) -> Members | None:
    """The members that are not written yet, None if what is written differs; a key at hand may be written again."""
    known = dict(members)
    for name, value in written:
        if known.get(name) != value and name != key:
            return None
        if name != key:
            known.pop(name, None)
    return tuple(known.items())
