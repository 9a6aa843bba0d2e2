"""When two sub-schemas are the same: equal content gives equal digests, unless a reference makes the place matter.

Annotations do not count. A digest is computed from those of the parts, once for each part of the document.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from grammars.schema.documents import Place, Resource
from grammars.schema.json_types import is_object
from grammars.schema.terms import digest

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$id", "id", "$schema"})
_ANNOTATIONS = frozenset({"title", "description", "$comment"})
_CONTAINERS = (dict, list)


class Identities:
    """Digests of the sub-schemas of a document."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[bytes, bool]] = {}
        self._places: dict[tuple[int, int, tuple[Resource, ...]], bytes] = {}
        self._kept: list[Any] = []  # digests go by object identity: the objects must not go away

    def of(self, place: Place) -> bytes:
        """The digest of a place."""
        key = (id(place.schema), id(place.resource), place.scope)
        known = self._places.get(key)
        if known is None:
            known = self._places[key] = self._of(place)
            self._kept.append(place)
        return known

    def _of(self, place: Place) -> bytes:
        content, refers = self._content(place.schema)
        parts = [content, bytes([place.draft % 256, place.resource.loose])]
        if refers:
            parts.append(place.resource.uri.encode("utf-8", "surrogatepass") + str(id(place.resource)).encode())
            parts.extend(str(id(resource)).encode() for resource in place.scope)
        return digest(b"schema", *parts)

    def content(self, value: Any) -> bytes:
        """The digest of a JSON value without annotations, wherever it stands."""
        return self._content(value)[0]

    def _content(self, schema: Any) -> tuple[bytes, bool]:
        if not _is_container(schema):
            return _scalar(schema), False
        known, stack, found = self._known, list[Any]([schema]), list[Any]()
        while stack:
            top: Any = stack.pop()
            if id(top) not in known:
                found.append(top)
                items: Iterable[Any] = top.values() if is_object(top) else top
                stack.extend([item for item in items if isinstance(item, _CONTAINERS)])
        for top in reversed(found):  # what is inside of something stands behind it
            known[id(top)] = self._object(top) if is_object(top) else self._array(top)
        self._kept += found
        return known[id(schema)]

    def _object(self, value: dict[str, Any]) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        refers = not _REFERENCES.isdisjoint(value)
        for key, item in value.items():
            if _is_container(item):
                content, inner = self._known[id(item)]
                refers = refers or inner
            elif key in _ANNOTATIONS and isinstance(item, str):
                continue
            else:
                content = _scalar(item)
            parts += (key.encode("utf-8", "surrogatepass"), content)
        return digest(b"object", *parts), refers

    def _array(self, value: Iterable[Any]) -> tuple[bytes, bool]:
        found = [self._known[id(item)] if _is_container(item) else (_scalar(item), False) for item in value]
        return digest(b"array", *[content for content, _ in found]), any(inner for _, inner in found)


def _is_container(value: Any) -> bool:
    return isinstance(value, _CONTAINERS)


def _scalar(value: Any) -> bytes:
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    return b"n" + str(value).encode() if isinstance(value, Decimal) else repr(value).encode()
