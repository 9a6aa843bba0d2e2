"""JSON Schema: from a schema to a grammar of exactly the JSON texts that are valid under it.

The pipeline, a file for each stage:

    text, dict, type ── reading ──▶ values with exact numbers
         ── documents ──▶ places: sub-schemas with their base URI and draft
         ── keywords ──▶ shapes: for each JSON type a set of values, boolean combinations worked out
         ── assembly, items, members ──▶ rules, one for each distinct sub-schema that is reached
         ── strings, number_grammar ──▶ expressions for what stands between quotes, and for numbers

What a keyword means never depends on where it stands, so `not`, `oneOf`, `if` and the others are operations on normal
forms (`shapes`), not special cases. What cannot be enforced exactly is refused, with the keyword and the place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from grammars.enforcement import Enforcement
from grammars.grammar import Grammar
from grammars.limits import Limits
from grammars.schema.assembly import Assembly
from grammars.schema.documents import Documents
from grammars.schema.identity import Identities
from grammars.schema.keywords import Keywords
from grammars.schema.options import DRAFTS, SchemaOptions
from grammars.schema.reading import read_schema
from grammars.schema.terms import digest

__all__ = ["Enforcement", "SchemaOptions", "json_schema"]

_DEFAULT_OPTIONS = SchemaOptions()


def json_schema(schema: Any, options: SchemaOptions = _DEFAULT_OPTIONS, limits: Limits | None = None) -> Grammar:
    """The JSON texts that are valid under a schema.

    `schema` is JSON text, a dict, a bool, or anything pydantic has a schema for: a model, a dataclass, a TypedDict,
    an enum, a type such as `list[int]`.

    >>> grammar = json_schema({"type": "array", "items": {"enum": [1, "a"]}, "maxItems": 2})
    >>> grammar.matches(b'[1.0, "a"]'), grammar.matches(b"[2]")
    (True, False)
    """
    limits = limits or Limits()
    value = read_schema(schema, limits)
    draft = None if options.draft is None else DRAFTS[options.draft]
    documents = Documents(value, draft, options.registry, limits)
    keywords = Keywords(documents, options, limits)
    dialect = _DEFAULT_DIALECT if options is _DEFAULT_OPTIONS else _dialect(options)
    family = _family(schema if isinstance(schema, str) else value, options, dialect)
    assembly = Assembly(keywords, options, limits, family, dialect)
    start, rules = assembly.grammar(keywords.term(documents.root))
    make = Grammar.of_rules if assembly.has_marks else Grammar
    return make(start, rules, keywords.notes.values())


def _dialect(options: SchemaOptions) -> bytes:
    """A digest of the options that say how values are written."""
    return digest(repr(replace(options, registry={})).encode("utf-8", "surrogatepass"))


def _family(value: Any, options: SchemaOptions, dialect: bytes) -> str:
    """What makes the names of rules unique to a schema and its options, so that grammars can be combined."""
    identities = Identities()
    parts = [identities.content(value), dialect]
    for uri, schema in options.registry.items():
        parts += [uri.encode("utf-8", "surrogatepass"), identities.content(schema)]
    return digest(*parts)[:6].hex()


_DEFAULT_DIALECT = _dialect(_DEFAULT_OPTIONS)
