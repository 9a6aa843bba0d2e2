"""What a saved program says about itself, as JSON: its vocabulary, the names of its rules, its report.

Lines of the report that are an `Enforcement` are written as an object with its fields, and read from one; others must
be JSON already.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from typing import Any, Final, NamedTuple, cast

from grammars.enforcement import Enforcement
from grammars.errors import SerializationError

_FIELDS: Final = {field.name for field in fields(Enforcement)}

_DEPTH = 32  # the parser of the standard library recurses; nobody needs deeper reports
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)


class Information(NamedTuple):
    """The first section of a file."""

    fingerprint: str | None
    rules: tuple[str, ...]
    notes: tuple[Any, ...]


def write_information(information: Information) -> bytes:
    """The section as bytes.

    >>> write_information(Information(None, ("start",), ()))
    b'{"vocabulary":null,"rules":["start"],"notes":[]}'
    """
    notes = [asdict(note) if isinstance(note, Enforcement) else _plain(note) for note in information.notes]
    content = {"vocabulary": information.fingerprint, "rules": information.rules, "notes": notes}
    try:
        data = json.dumps(content, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"an entry of the report cannot be written as JSON: {error}") from None
    if _nesting(data) > _DEPTH:
        raise SerializationError(f"an entry of the report is nested more than {_DEPTH} deep")
    return data


def read_information(data: memoryview) -> Information:
    """The section of these bytes."""
    text = bytes(data)
    if _nesting(text) > _DEPTH:
        raise SerializationError("the names and notes of the program are nested too deep")
    try:
        content: Any = json.loads(text)
    except ValueError as error:
        raise SerializationError(f"the names and notes of the program are no JSON: {error}") from None
    if not isinstance(content, dict) or set(cast("dict[str, Any]", content)) != {"vocabulary", "rules", "notes"}:
        raise SerializationError("the names and notes of the program are not what they should be")
    return _information(cast("dict[str, Any]", content))


def _information(content: dict[str, Any]) -> Information:
    fingerprint, rules, notes = content["vocabulary"], content["rules"], content["notes"]
    if fingerprint is not None and not isinstance(fingerprint, str):
        raise SerializationError("the fingerprint of the vocabulary is no text")
    if not isinstance(rules, list) or not all(isinstance(name, str) for name in cast("list[Any]", rules)):
        raise SerializationError("the names of the rules are no list of texts")
    if not isinstance(notes, list):
        raise SerializationError("the report is no list")
    return Information(fingerprint, tuple(cast("list[str]", rules)), tuple(map(_note, cast("list[Any]", notes))))


def _plain(note: Any) -> Any:
    """A note that will not be taken for an `Enforcement`."""
    if _fields_of(note) is not None:
        raise SerializationError("an entry of the report has the fields of an Enforcement and is none")
    return note


def _note(note: Any) -> Any:
    """An `Enforcement` from its fields; anything else as it is."""
    found = _fields_of(note)
    if found is None:
        return note
    if not all(isinstance(value, bool if name == "enforced" else str) for name, value in found.items()):
        raise SerializationError("a line of the report is not what it should be")
    return Enforcement(**found)


def _fields_of(note: Any) -> dict[str, Any] | None:
    """The fields of an `Enforcement`, if these are such."""
    found = cast("dict[str, Any]", note) if isinstance(note, dict) else {}
    return found if set(found) == _FIELDS else None


def _nesting(text: bytes) -> int:
    """How deep brackets outside of strings are nested."""
    deepest = depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        bracket = found[0]
        if bracket in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in (b"]", b"}"):
            depth -= 1
    return deepest
