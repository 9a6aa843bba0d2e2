"""When two sub-schemas are the same: equal content gives equal digests, unless a reference makes the place matter.

Annotations do not count. A digest is computed from those of the parts, once for each part of the document.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from grammars.schema.documents import Place
from grammars.schema.json_types import is_array, is_object
from grammars.schema.terms import digest

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$id", "id", "$schema"})
_ANNOTATIONS = frozenset({"title", "description", "$comment"})


class Identities:
    """Digests of the sub-schemas of a document."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[bytes, bool]] = {}
        self._kept: list[Any] = []  # digests go by object identity: the objects must not go away

    def of(self, place: Place) -> bytes:
        """The digest of a place."""
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
        stack: list[Any] = [schema]
        while stack:
            top = stack[-1]
            items: list[Any] = list(top.values()) if is_object(top) else list(top)
            waiting = [item for item in items if _is_container(item) and id(item) not in self._known]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if id(top) not in self._known:
                self._known[id(top)] = self._combined(top)
                self._kept.append(top)
        return self._known[id(schema)]

    def _combined(self, value: Any) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        refers = False
        items: Any = value.items() if is_object(value) else enumerate(value)
        pairs: list[tuple[Any, Any]] = list(items)
        for key, item in pairs:
            if key in _ANNOTATIONS and isinstance(item, str):
                continue
            content, inner = self._known[id(item)] if _is_container(item) else (_scalar(item), False)
            refers = refers or inner or key in _REFERENCES
            parts.extend((str(key).encode("utf-8", "surrogatepass"), content))
        return digest(b"object" if is_object(value) else b"array", *parts), refers


def _is_container(value: Any) -> bool:
    return bool(is_object(value) or is_array(value))


def _scalar(value: Any) -> bytes:
    if isinstance(value, Decimal):
        return b"n" + str(value).encode()
    return b"s" + value.encode("utf-8", "surrogatepass") if isinstance(value, str) else repr(value).encode()
