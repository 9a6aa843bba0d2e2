"""Reading keyword values: each function returns the value of a keyword in the type it must have, or says what is
wrong with it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from grammars.errors import GrammarSyntaxError, LimitExceeded
from grammars.schema.documents import Place
from grammars.schema.json_types import is_array, is_object

_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_MOST = 1 << 30


def wrong(place: Place, keyword: str, expected: str) -> GrammarSyntaxError:
    """The error for a keyword of the wrong type."""
    return GrammarSyntaxError(
        f"{keyword} at {place.location} must be {expected}, not {str(place.schema[keyword])[:60]!r}"
    )


def number_of(place: Place, keyword: str) -> Decimal:
    """A number."""
    value = place.schema[keyword]
    if not isinstance(value, Decimal):
        raise wrong(place, keyword, "a number")
    return value


def count_of(place: Place, keyword: str, default: int | None) -> int | None:
    """A whole number that is not negative; `default` if the keyword is absent."""
    if keyword not in place.schema:
        return default
    value = number_of(place, keyword)
    if value < 0 or value != value.to_integral_value():
        raise wrong(place, keyword, "a whole number, not negative")
    if value > _MOST:
        if keyword.startswith("max"):
            return default
        raise LimitExceeded(f"{keyword} at {place.location} is over {_MOST}")
    return int(value)


def names_of(place: Place, keyword: str, value: Any) -> tuple[str, ...]:
    """A list of strings."""
    if not is_array(value) or not all(isinstance(name, str) for name in value):
        raise wrong(place, keyword, "a list of strings")
    return tuple(dict.fromkeys(value))


def map_of(place: Place, keyword: str) -> dict[str, Any]:
    """An object; empty if the keyword is absent."""
    value = place.schema.get(keyword, {})
    if not is_object(value):
        raise wrong(place, keyword, "an object")
    return value


def list_of(place: Place, keyword: str) -> list[Any]:
    """A list; empty if the keyword is absent."""
    value = place.schema.get(keyword, [])
    if not is_array(value):
        raise wrong(place, keyword, "a list")
    return value


def types_of(place: Place) -> frozenset[str]:
    """The types that the keyword `type` admits, all of them if it is absent."""
    if "type" not in place.schema:
        return frozenset(_TYPES)
    value = place.schema["type"]
    names = [value] if isinstance(value, str) else value
    if not is_array(names) or not all(isinstance(name, str) and name in _TYPES for name in names):
        raise wrong(place, "type", "one or several of " + ", ".join(_TYPES))
    return frozenset(names)
