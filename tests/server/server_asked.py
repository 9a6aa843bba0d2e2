"""What the tests of the server ask for."""

from __future__ import annotations

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ASK = "Extract the person from: Ada Lovelace is 36 years old."
