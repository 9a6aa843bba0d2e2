"""Fields: the members of an object that describes something; each must be known, and of the type it must have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from grammars.errors import GrammarSyntaxError, UnsupportedFeature
from grammars.schema.json_types import is_array, is_object

_REQUIRED = object()


class Fields:
    """The fields of an object but its type, to be taken one by one.

    >>> fields = Fields({"type": "tag", "begin": "<a>"}, "tag")
    >>> fields.text("begin")
    '<a>'
    >>> fields.close()
    """

    def __init__(self, value: Any, what: str):
        if not is_object(value):
            raise GrammarSyntaxError(f"a {what} must be an object, not {str(value)[:60]!r}")
        self._what = what
        self._left = {name: field for name, field in value.items() if name != "type"}

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """The field of this name."""
        value = self._left.pop(name, default)
        if value is _REQUIRED:
            raise GrammarSyntaxError(f"the {self._what} has no {name!r}")
        return value

    def list(self, name: str, default: Any = _REQUIRED) -> list[Any]:
        """A field that is a list."""
        value = self.take(name, default)
        if not is_array(value):
            raise self._wrong(name, "a list", value)
        return value

    def text(self, name: str) -> str:
        """A field that is text."""
        value = self.take(name)
        if not isinstance(value, str):
            raise self._wrong(name, "text", value)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A field that is true or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def count(self, name: str, default: Any = _REQUIRED) -> int | None:
        """A field that is a whole number; None where null is the default."""
        value = self.take(name, default)
        if value is None and default is None:
            return None
        if not isinstance(value, Decimal) or value != value.to_integral_value():
            raise self._wrong(name, "a whole number", value)
        return int(value)

    def close(self) -> None:
        """Refuse what is left."""
        if self._left:
            raise UnsupportedFeature(f"the field {next(iter(self._left))!r} of a {self._what} is not known")

    def _wrong(self, name: str, expected: str, value: Any) -> GrammarSyntaxError:
        return GrammarSyntaxError(f"{name!r} of a {self._what} must be {expected}, not {str(value)[:60]!r}")
