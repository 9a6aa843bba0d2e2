"""Sections that are arrays of integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grammars.errors import SerializationError
from grammars.kernels.extremes import extremes

Array = NDArray[np.int64]


def write_integers(array: Any, kind: str = "<i4") -> bytes:
    """An array as little-endian integers.

    >>> write_integers([1, -1])
    b'\\x01\\x00\\x00\\x00\\xff\\xff\\xff\\xff'
    """
    wide = np.asarray(array, np.int64)
    narrow = wide.astype(kind)
    if (narrow != wide).any():
        raise SerializationError(f"a number of the program does not fit into the format's {kind}")
    return narrow.tobytes()


def read_integers(data: memoryview, columns: int, kind: str = "<i4") -> Array:
    """The rows of a section, as native integers."""
    width = columns * np.dtype(kind).itemsize
    if len(data) % width:
        raise SerializationError(f"a section of {len(data)} bytes should consist of rows of {width}")
    return np.frombuffer(data, kind).reshape(-1, columns).astype(np.int64)


def require(condition: bool | np.bool_, message: str) -> None:
    """Refuse the file unless the condition holds."""
    if not condition:
        raise SerializationError(f"the program is inconsistent: {message}")


def require_range(array: Array, low: int, high: int, what: str) -> None:
    """Refuse the file unless all numbers are in `range(low, high)`."""
    if array.size:
        least, most = extremes(array.ravel())
        worst = least if least < low else most
        require(low <= least and most < high, f"{what} {worst} is not between {low} and {high - 1}")
