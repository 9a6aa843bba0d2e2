"""Reading a safetensors file with numpy alone.

The format is 8 bytes with the length of a header, the header in JSON (for each tensor its type, shape and place), and
the numbers. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """All tensors of the file by name, as float32."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    entries = json.loads(content[8:begin])
    entries.pop("__metadata__", None)
    return {name: _tensor(content, begin, entry) for name, entry in entries.items()}


def _tensor(content: bytes, begin: int, entry: dict[str, Any]) -> NDArray[np.float32]:
    first, last = entry["data_offsets"]
    numbers = np.frombuffer(content[begin + first : begin + last], _TYPES[entry["dtype"]])
    return numbers.reshape(entry["shape"]).astype(np.float32)
