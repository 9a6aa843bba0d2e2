"""Reading a schema: JSON text with exact numbers, values that are checked, and Python types by way of pydantic.

Numbers are decimals throughout (`Decimal`), an object that names a key twice is refused, and how deep brackets nest
is counted before the parser, which recurses, sees the text.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from grammars.errors import BackendUnavailable, GrammarSyntaxError, LimitExceeded, Span
from grammars.limits import Limits
from grammars.schema.json_types import is_array, is_object

_MOST_DIGITS = 10_000
_PARSER_DEPTH = 500  # how deep json.loads may be trusted to recurse on a small stack
_SKIPPED = re.compile(r'[^"\[\]{}]+|"(?:[^"\\]|\\.)*"', re.DOTALL)


def read_schema(schema: Any, limits: Limits) -> Any:
    """The schema as a value of dicts, lists, strings, decimals, booleans and None."""
    if isinstance(schema, str | bytes):
        return read_json(schema.decode() if isinstance(schema, bytes) else schema, limits)
    if isinstance(schema, dict | bool):
        return checked(schema, limits)
    return checked(_schema_of_type(schema), limits)


def read_json(text: str, limits: Limits) -> Any:
    """The value of a JSON text.

    >>> read_json('{"minimum": 0.1}', Limits())
    {'minimum': Decimal('0.1')}
    """
    if len(text) > limits.source_bytes:
        raise LimitExceeded(f"the schema is longer than Limits.source_bytes = {limits.source_bytes}")
    _check_nesting(text, min(limits.nesting, _PARSER_DEPTH))
    try:
        return json.loads(
            text, parse_float=decimal, parse_int=decimal, parse_constant=_no_constant, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise GrammarSyntaxError(f"the schema is not JSON: {error.msg}", span=Span(text, error.pos)) from error


def decimal(text: str) -> Decimal:
    """A number, exactly; one that would take more than 10,000 digits to write is over the limit."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise LimitExceeded(f"the number {text[:40]}... is too large") from error
    _, digits, exponent = value.as_tuple()
    if len(digits) + abs(int(exponent)) > _MOST_DIGITS:
        raise LimitExceeded(f"the number {text[:40]} has more than {_MOST_DIGITS} digits")
    return value


def _no_constant(name: str) -> Any:
    raise GrammarSyntaxError(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise GrammarSyntaxError(f"an object of the schema has the key {twice!r} twice")
    return value


def _check_nesting(text: str, most: int) -> None:
    if text.count("[") + text.count("{") <= most:
        return
    depth, position = 0, 0
    while position < len(text):
        skipped = _SKIPPED.match(text, position)
        if skipped:
            position = skipped.end()
            continue
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(text[position], 0)
        if depth > most:
            raise LimitExceeded(f"the schema nests deeper than {most}", hint="see Limits.nesting")
        position += 1


def checked(schema: Any, limits: Limits) -> Any:
    """A Python value as a JSON value with decimals, copied without recursion."""
    holder: list[Any] = [None]
    stack: list[tuple[Any, Any, Any, int]] = [(schema, holder, 0, 0)]
    while stack:
        value, parent, place, depth = stack.pop()
        if depth > limits.nesting:
            raise LimitExceeded(f"the schema nests deeper than Limits.nesting = {limits.nesting}")
        items: list[Any] = []
        copy: Any
        if is_object(value):
            names: list[Any] = list(value)
            if not all(isinstance(name, str) for name in names):
                raise GrammarSyntaxError("keys of a schema must be strings")
            copy, items = dict.fromkeys(value), list(value.items())
        elif is_array(value):
            copy, items = [None] * len(value), list(enumerate(value))
        else:
            copy = _scalar(value)
        stack.extend((item, copy, key, depth + 1) for key, item in items)
        parent[place] = copy
    return holder[0]


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal):
        if isinstance(value, float | Decimal) and not isfinite(value):
            raise GrammarSyntaxError(f"{value!r} is no JSON number")
        return decimal(_written(value))
    raise GrammarSyntaxError(f"a schema holds JSON values, not {type(value).__name__}")


def _written(value: float | Decimal) -> str:
    if isinstance(value, int) and value.bit_length() > 4 * _MOST_DIGITS:
        raise LimitExceeded(f"a number has more than {_MOST_DIGITS} digits")
    return (
        format(Decimal(value), "f")
        if isinstance(value, int)
        else repr(value)
        if isinstance(value, float)
        else str(value)
    )


def _schema_of_type(kind: Any) -> Any:
    if importlib.util.find_spec("pydantic") is None:
        raise BackendUnavailable(
            f"a schema is a JSON text, a dict or a bool; to read {kind!r} as a Python type pydantic is needed",
            hint="pip install pydantic",
        )
    pydantic = importlib.import_module("pydantic")
    try:
        return pydantic.TypeAdapter(kind).json_schema()
    except pydantic.errors.PydanticUserError as error:
        raise GrammarSyntaxError(f"{kind!r} has no JSON schema: {error}") from error
