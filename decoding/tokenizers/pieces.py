"""What a reader finds out about a tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Pieces:
    """The bytes of all tokens; which never come from text, which end one; and how to check that this is right."""

    tokens: list[bytes]
    special: set[int]
    eos: set[int]
    encode: Callable[[str], list[int]] | None = field(default=None, repr=False)
    """Ids of a text without special tokens."""
    is_lossy: bool = False
    """The tokenizer changes texts (case, accents, blanks): they cannot come back as they were."""
