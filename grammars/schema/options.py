"""SchemaOptions: how the values of a schema may be written, and what a schema means where the standard leaves it
open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DRAFTS = {"4": 4, "6": 6, "7": 7, "2019-09": 2019, "2020-12": 2020}


def _no_schemas() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class SchemaOptions:
    """Options of `json_schema`; the defaults admit every spelling that JSON allows, in bounded form.

    >>> SchemaOptions(whitespace="compact").max_whitespace
    20
    """

    property_order: str = "schema"
    """"schema": the order of `properties`, then required ones, then others: what users of structured output expect, and
    what models have learnt to follow. "any": every order, the standard's own meaning; for objects of few properties."""

    whitespace: str = "flexible"
    """"flexible": whitespace wherever JSON allows it between tokens. "compact": none. Anything else is a regex for
    it. None is allowed before or after the document, so that generation ends with the document."""

    max_whitespace: int = 20
    """Longest run of flexible whitespace: endless whitespace is the best known way for a model never to finish."""

    formats: str = "assertion"
    """"assertion": known formats are enforced, because that is what their authors hope for. "annotation": they are
    ignored."""

    numbers: str = "any"
    """"any": exponents too, where what they mean can be checked by reading from left to right: on numbers that are
    bounded by zero only, and e0 everywhere. "decimal": no exponents."""

    escapes: str = "any"
    """"any": each character in every spelling that JSON has for it. "minimal": escapes only where JSON demands them."""

    additional_properties: bool = True
    """Whether an object schema that does not say so admits undeclared properties; the standard's answer is yes."""

    draft: str | None = None
    """"2020-12", "2019-09", "7", "6" or "4"; None: what `$schema` says, else 2020-12, in which the older meanings of
    `items` with a list and of `exclusiveMinimum: true` are understood too, as many schemas never say which draft they
    follow."""

    registry: Mapping[str, Any] = field(default_factory=_no_schemas)
    """Schemas by URI, for references that leave the document. Nothing is ever fetched."""

    lenient: bool = False
    """Whether what cannot be enforced is left out instead of refused: patterns with back references. `report()` lists
    each with its place; the language is then wider than the schema, also below `not`, and never narrower."""

    def __post_init__(self) -> None:
        _one_of("property_order", self.property_order, ("schema", "any"))
        _one_of("formats", self.formats, ("assertion", "annotation"))
        _one_of("numbers", self.numbers, ("any", "decimal"))
        _one_of("escapes", self.escapes, ("any", "minimal"))
        _one_of("draft", self.draft, (None, *DRAFTS))
        if self.max_whitespace < 0:
            raise ValueError(f"max_whitespace must not be negative, it is {self.max_whitespace}")


def _one_of(name: str, value: object, admitted: tuple[object, ...]) -> None:
    if value not in admitted:
        raise ValueError(f"{name} is one of {', '.join(map(repr, admitted))}, not {value!r}")
