"""What a reader must answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable


class Recognizer(Protocol):
    """A deterministic automaton over characters; its states are immutable values, made as far as they are reached."""

    @property
    def name(self) -> str:
        """What tells the language from all others."""
        ...

    @property
    def start(self) -> Any:
        """The first state, None if there are no texts."""
        ...

    @property
    def lengths(self) -> tuple[int, int | None]:
        """Bounds of the number of characters, None if there is no upper one."""
        ...

    @property
    def foreign(self) -> frozenset[int]:
        """Bytes below 128 that stand for themselves in no text of the language; 128 for all others."""
        ...

    def step(self, state: Any, code: int) -> Any:
        """The state after a character; None if no text of the language goes on like that."""
        ...

    def accepts(self, state: Any) -> bool:
        """Whether the characters that led to the state are a text of the language."""
        ...

    def edges(self, state: Any) -> Sequence[int]:
        """Characters, sorted: those from one up to the next all may follow or none of them, and whatever can follow one
        of them can follow the first."""
        ...

    def grain(self, state: Any) -> int:
        """Characters of one block of that many, with no edge between them, lead to one state; 1: each to its own."""
        ...


@runtime_checkable
class CountingRecognizer(Protocol):
    """A reader that counts something that decides nothing most of the time."""

    def far(self, state: Any) -> tuple[Any, int]:
        """A state in which the count decides nothing, and from how many characters on texts can tell the two apart."""
        ...
