"""Where a sub-schema stands, and what its references mean.

A place is a sub-schema with the resource around it (the schema whose `$id` gives the base URI), the draft that the
resource follows and, where `$dynamicRef` needs it, the resources entered on the way. References are looked up in the
document, then in the registry, then among the standard's own meta-schemas; nothing is ever fetched. Identifiers are
indexed when the first reference asks for one that is no plain pointer.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from grammars.errors import GrammarSyntaxError, UnsupportedFeature
from grammars.limits import Limits
from grammars.schema.json_types import is_array, is_object
from grammars.schema.options import DRAFTS
from grammars.schema.reading import checked

_ONE = (
    *("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
    *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
)
_LIST = ("allOf", "anyOf", "oneOf", "items", "prefixItems")
_DYNAMIC_ANCHORS = frozenset({"$dynamicAnchor", "$recursiveAnchor"})
_MAP = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A schema with a URI of its own; `loose` if nobody said which draft it follows, `validating` unless its
    meta-schema leaves out the vocabulary of validation."""

    uri: str
    root: Any
    draft: int
    loose: bool
    pointer: str
    validating: bool = True


Scope = tuple[Resource, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A sub-schema and all that its meaning depends on."""

    schema: Any
    resource: Resource
    pointer: str
    scope: Scope

    @property
    def draft(self) -> int:
        return self.resource.draft

    @property
    def location(self) -> str:
        return f"{self.resource.uri}#{self.pointer}"


def escaped(token: str | int) -> str:
    """One step of a JSON pointer."""
    return str(token).replace("~", "~0").replace("/", "~1")


class Documents:
    """The schemas that references may reach."""

    def __init__(self, schema: Any, draft: int | None, registry: Mapping[str, Any], limits: Limits):
        self._draft = draft
        self._registry = registry
        self._limits = limits
        self._resources: dict[str, Resource] = {}
        self._anchors: dict[tuple[str, str], Place] = {}
        self._dynamic: set[tuple[str, str]] = set()
        self._indexed: set[int] = set()
        self._starts: dict[int, Resource] = {}
        self._base = Resource("", schema, *self._draft_of(schema, None), "", self._validates(schema, True))
        self._dynamic_names: dict[int, frozenset[str]] = {}
        root = self._enter(Place(schema, self._base, "", ()))
        self.root = replace(root, scope=self._scope_with((), root.resource))
        self._known("", self.root.resource)

    def child(self, place: Place, *steps: str | int) -> Place:
        """The sub-schema some steps below a place."""
        value = place.schema
        for step in steps:
            value = value[step]
        pointer = place.pointer + "".join("/" + escaped(step) for step in steps)
        return self._enter(Place(value, place.resource, pointer, place.scope))

    def follow(self, place: Place, reference: Any, keyword: str = "$ref") -> Place:
        """The place a `$ref` speaks of."""
        if not isinstance(reference, str):
            raise GrammarSyntaxError(f"{keyword} at {place.location} must be a string")
        uri, fragment = urldefrag(_joined(place.resource.uri, reference))
        found = self._resolve(place, uri, unquote(fragment), reference)
        return replace(found, scope=self._scope_with(place.scope, found.resource))

    def follow_dynamic(self, place: Place, reference: str) -> Place:
        """The place a `$dynamicRef` speaks of: the outermost resource that has such a dynamic anchor decides."""
        first = self.follow(place, reference, "$dynamicRef")
        anchor = urldefrag(reference)[1]
        if (first.resource.uri, anchor) not in self._dynamic or anchor.startswith("/"):
            return first
        for resource in place.scope:
            self._index(resource)
            if (resource.uri, anchor) in self._dynamic:
                return self.follow(place, f"{resource.uri}#{anchor}", "$dynamicRef")
        return first

    def follow_recursive(self, place: Place, reference: str) -> Place:
        """The place a `$recursiveRef` of draft 2019-09 speaks of."""
        first = self.follow(place, reference, "$recursiveRef")
        root = first.resource.root
        if is_object(root) and root.get("$recursiveAnchor") is True:
            for resource in place.scope:
                if is_object(resource.root) and resource.root.get("$recursiveAnchor") is True:
                    return self.follow(place, resource.uri + "#", "$recursiveRef")
        return first

    # -- resources ------------------------------------------------------------------------------------------------

    def _enter(self, place: Place) -> Place:
        """The place with the resource that begins there, if one does."""
        resource = self._beginning(place.schema, place.resource, place.pointer)
        if resource is place.resource:
            return place
        return Place(place.schema, resource, "", self._scope_with(place.scope, resource))

    def _scope_with(self, scope: Scope, resource: Resource) -> Scope:
        """The resources entered so far of which a dynamic reference could find one: those that are the outermost with
        some dynamic anchor. All others would only multiply the places that mean the same."""
        names = self._dynamic_anchors(resource)
        known = frozenset[str]().union(*map(self._dynamic_anchors, scope))
        return scope if names <= known else (*scope, resource)

    def _dynamic_anchors(self, resource: Resource) -> frozenset[str]:
        """The dynamic anchors of a resource; that of draft 2019-09, at its root, has no name."""
        names = self._dynamic_names.get(id(resource.root))
        if names is None:
            names = frozenset[str]()
            if _mentions(resource.root, _DYNAMIC_ANCHORS):
                self._index(resource)
                names = frozenset(name for uri, name in self._dynamic if uri == resource.uri)
                if is_object(resource.root) and resource.root.get("$recursiveAnchor") is True:
                    names |= {""}
            self._dynamic_names[id(resource.root)] = names
        return names

    def _beginning(self, schema: Any, around: Resource, pointer: str) -> Resource:
        if not is_object(schema) or (schema is around.root and around.uri):
            return around
        identifier = schema.get("id" if around.draft == 4 else "$id")
        if around.loose and identifier is None and isinstance(schema.get("id"), str) and schema is around.root:
            identifier = schema["id"]
        if not isinstance(identifier, str) or identifier.startswith("#"):
            return around
        if around.draft <= 7 and "$ref" in schema:
            return around
        known = self._starts.get(id(schema))
        if known is None:
            uri = urldefrag(_joined(around.uri, identifier))[0]
            draft, loose = self._draft_of(schema, around)
            validating = self._validates(schema, around.validating)
            known = Resource(uri, schema, draft, loose, around.pointer + pointer, validating)
            self._starts[id(schema)] = known
            self._known(uri, known)
        return known

    def _known(self, uri: str, resource: Resource) -> None:
        self._resources.setdefault(uri, resource)

    def _draft_of(self, schema: Any, around: Resource | None) -> tuple[int, bool]:
        """The draft of a resource, and whether it is only assumed."""
        if self._draft is not None and (around is None or not _names_dialect(schema)):
            return self._draft, False
        if _names_dialect(schema):
            for name, draft in DRAFTS.items():
                if f"draft-0{name}/" in schema["$schema"] or f"draft/{name}/" in schema["$schema"]:
                    return draft, False
        return (2020, True) if around is None else (around.draft, around.loose)

    def _validates(self, schema: Any, around: bool) -> bool:
        if not _names_dialect(schema):
            return around
        meta = self._registry.get(schema["$schema"])
        vocabularies = meta.get("$vocabulary") if is_object(meta) else None
        return not is_object(vocabularies) or any(str(name).endswith("/vocab/validation") for name in vocabularies)

    # -- references -----------------------------------------------------------------------------------------------

    def _resolve(self, place: Place, uri: str, fragment: str, reference: str) -> Place:
        resource = place.resource if uri == place.resource.uri else self._resource(uri)
        if resource is None:
            raise UnsupportedFeature(
                f"$ref {reference!r} at {place.location} leaves the document",
                hint="pass the schema it names in SchemaOptions(registry={uri: schema}); nothing is ever fetched",
            )
        if fragment and not fragment.startswith("/"):
            self._index(resource)
            anchor = self._anchors.get((resource.uri, fragment))
            if anchor is None:
                raise GrammarSyntaxError(f"$ref {reference!r} at {place.location}: there is no such anchor")
            return anchor
        here = Place(resource.root, resource, "", ())
        for token in fragment.split("/")[1:]:
            here = self._step(here, token.replace("~1", "/").replace("~0", "~"), reference, place)
        return here

    def _step(self, here: Place, token: str, reference: str, place: Place) -> Place:
        value = here.schema
        if is_object(value) and token in value:
            return self.child(here, token)
        if is_array(value) and token.isdecimal() and int(token) < len(value):
            return self.child(here, int(token))
        raise GrammarSyntaxError(f"$ref {reference!r} at {place.location} points nowhere")

    def _resource(self, uri: str) -> Resource | None:
        if uri not in self._resources:
            self._index(self.root.resource)
            self._index(self._base)
        if uri not in self._resources:
            self._load_registry(uri)
        return self._resources.get(uri)

    def _load_registry(self, uri: str) -> None:
        for name in (uri, uri + "#"):
            if name in self._registry:
                self._load(uri, checked(self._registry[name], self._limits))
                return
        for name, schema in self._registry.items():
            if is_object(schema) and urldefrag(name)[0] not in self._resources:
                self._load(urldefrag(name)[0], checked(schema, self._limits))
        if uri not in self._resources and uri in _metaschemas():
            self._load(uri, checked(_metaschemas()[uri], self._limits))

    def _load(self, uri: str, schema: Any) -> None:
        draft, loose = self._draft_of(schema, self._base)
        resource = Resource(uri, schema, draft, loose, "")
        entered = self._beginning(schema, resource, "")
        self._known(uri, entered)
        self._index(entered)

    def _index(self, resource: Resource) -> None:
        """Note all identifiers and anchors below a resource, once."""
        if id(resource.root) in self._indexed:
            return
        self._indexed.add(id(resource.root))
        stack = [Place(resource.root, resource, "", ())]
        while stack:
            place = stack.pop()
            if is_object(place.schema):
                self._indexed.add(id(place.schema))
                self._note_anchors(place)
                stack.extend(self._indexed_child(place, steps) for steps in _below(place.schema))

    def _indexed_child(self, place: Place, steps: tuple[str | int, ...]) -> Place:
        value = place.schema
        for step in steps:
            value = value[step]
        pointer = place.pointer + "".join("/" + escaped(step) for step in steps)
        resource = self._beginning(value, place.resource, pointer)
        return Place(value, resource, pointer if resource is place.resource else "", ())

    def _note_anchors(self, place: Place) -> None:
        uri = place.resource.uri
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = place.schema.get(keyword)
            if isinstance(name, str) and place.draft >= 2019:
                self._anchors[uri, name] = place
                if keyword == "$dynamicAnchor":
                    self._dynamic.add((uri, name))
        name = place.schema.get("id" if place.draft == 4 else "$id")
        if place.draft <= 7 and isinstance(name, str) and "#" in name and "$ref" not in place.schema:
            base, fragment = urldefrag(name)
            self._anchors[urljoin(uri, base) if base else uri, fragment] = place


def _below(schema: dict[str, Any]) -> Iterator[tuple[str | int, ...]]:
    for keyword in _ONE:
        if is_object(schema.get(keyword)):
            yield (keyword,)
    for keyword in _LIST:
        value = schema.get(keyword)
        if is_array(value):
            yield from ((keyword, index) for index, item in enumerate(value) if is_object(item))
    for keyword in _MAP:
        value = schema.get(keyword)
        if is_object(value):
            yield from ((keyword, name) for name, item in value.items() if is_object(item))


def _names_dialect(schema: Any) -> bool:
    return is_object(schema) and isinstance(schema.get("$schema"), str)


def _joined(base: str, reference: str) -> str:
    if reference.startswith("#"):
        return base + reference
    return urljoin(base, reference)


def _mentions(schema: Any, keywords: frozenset[str]) -> bool:
    stack = [schema]
    while stack:
        value = stack.pop()
        if is_object(value):
            if not keywords.isdisjoint(value):
                return True
            stack.extend([item for item in value.values() if isinstance(item, dict | list)])
        elif is_array(value):
            stack.extend([item for item in value if isinstance(item, dict | list)])
    return False


@cache
def _metaschemas() -> Mapping[str, Any]:
    """The standard's own schemas, if the package that carries them is installed."""
    if importlib.util.find_spec("jsonschema_specifications") is None:
        return {}
    registry = importlib.import_module("jsonschema_specifications").REGISTRY
    return {str(uri).rstrip("#"): registry[uri].contents for uri in registry}
