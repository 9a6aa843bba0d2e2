"""What a JSON value is: tests that tell the type checker what follows from them."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a JSON object.

    >>> is_object({}), is_object([])
    (True, False)
    """
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Whether the value is a JSON array.

    >>> is_array([]), is_array("")
    (True, False)
    """
    return isinstance(value, list)
