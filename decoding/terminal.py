"""The terminal: results go to standard output, what is said about the work to standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

T = TypeVar("T")

console = Console(highlight=False)
messages = Console(highlight=False, stderr=True)


def table(*titles: str) -> Table:
    """A table without lines."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        made.add_column(title, overflow="fold")
    return made


def with_progress(items: Iterable[T], total: int, doing: str) -> Iterator[T]:
    """The items, with a bar on standard error if that is a terminal."""
    bar = Progress(
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )
    with bar:
        yield from bar.track(items, total=total)
