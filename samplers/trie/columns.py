"""The arrays that a trie is made of: nodes and edges as rows of columns that grow by doubling.

Nothing here knows what the numbers mean. A node takes about 110 bytes and an edge 48, a tenth of what
Python objects would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _ints() -> Ints:
    return np.empty(0, np.int64)


def _floats() -> Floats:
    return np.empty(0, np.float64)


@dataclass(eq=False)
class Columns:
    """Rows 0 … size - 1 of several arrays; rows behind `size` are free.

    >>> edges = Edges()
    >>> edges.added(3), edges.added(2), edges.size
    (0, 3, 5)
    """

    size: int = 0

    def added(self, count: int) -> int:
        """Make room for `count` more rows; where they begin. They hold the blanks of their columns."""
        begin = self.size
        self.size += count
        for name in self.names():
            column: NDArray[Any] = getattr(self, name)
            if len(column) < self.size:
                column = np.concatenate([column[:begin], np.empty(max(64, 2 * self.size) - begin, column.dtype)])
                setattr(self, name, column)
            column[begin : self.size] = _BLANKS[name]
        return begin

    def names(self) -> list[str]:
        """The names of the columns."""
        return [f.name for f in fields(self) if f.name != "size"]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The rows in use, by column."""
        return {name: getattr(self, name)[: self.size] for name in self.names()}

    def replace(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Put other rows in their place."""
        for name in self.names():
            setattr(self, name, arrays[name].copy())
        self.size = len(arrays[self.names()[0]])

    @property
    def bytes(self) -> int:
        """What the rows in use take."""
        return sum(array.nbytes for array in self.arrays().values())


@dataclass(eq=False)
class Nodes(Columns):
    """The prefixes that have been expanded."""

    parent: Ints = field(default_factory=_ints)
    slot: Ints = field(default_factory=_ints)
    """Which edge of the parent leads here."""
    depth: Ints = field(default_factory=_ints)
    state: Ints = field(default_factory=_ints)
    """The state of the constraint."""
    begin: Ints = field(default_factory=_ints)
    count: Ints = field(default_factory=_ints)
    room: Ints = field(default_factory=_ints)
    """The edges: from `begin` on, `count` of them, with `room` for so many."""
    log_p: Floats = field(default_factory=_floats)
    """log P of the prefix."""
    log_mass: Floats = field(default_factory=_floats)
    """log z(u): the mass of what may follow."""
    log_rest: Floats = field(default_factory=_floats)
    """The part of that mass whose tokens are not stored."""
    log_total: Floats = field(default_factory=_floats)
    """log H(u), as it follows from the edges."""
    entropy: Floats = field(default_factory=_floats)
    """Of the distribution over what may follow, in nats."""
    value: Floats = field(default_factory=_floats)
    """The estimate of h*(u) that the twist learns from."""
    key: Ints = field(default_factory=_ints)
    """Its entry in the twist's table, -1 if it has none yet."""


@dataclass(eq=False)
class Edges(Columns):
    """What may follow each node."""

    token: Ints = field(default_factory=_ints)
    """-1 for the end of the text."""
    log_p: Floats = field(default_factory=_floats)
    log_h: Floats = field(default_factory=_floats)
    """log H of where the edge leads."""
    child: Ints = field(default_factory=_ints)
    """The node where it leads, -1 if that is not expanded."""
    state: Ints = field(default_factory=_ints)
    """The state of the constraint there; -1 dead, -2 not asked yet."""
    key: Ints = field(default_factory=_ints)
    """The entry of that state in the twist's table, -1 if it has none."""


@dataclass(eq=False)
class Found(Columns):
    """Complete texts whose mass is known and has been taken out of H."""

    node: Ints = field(default_factory=_ints)
    log_prob: Floats = field(default_factory=_floats)
    log_score: Floats = field(default_factory=_floats)
    since: Floats = field(default_factory=_floats)
    """A note of the run that found it; see `samplers.btw`."""


_BLANKS: dict[str, float] = {
    "parent": -1,
    "slot": -1,
    "depth": 0,
    "state": -2,
    "begin": 0,
    "count": 0,
    "room": 0,
    "log_p": -math.inf,
    "log_mass": -math.inf,
    "log_rest": -math.inf,
    "log_total": -math.inf,
    "entropy": 0.0,
    "value": 0.0,
    "key": -1,
    "token": -1,
    "log_h": -math.inf,
    "child": -1,
    "node": -1,
    "log_prob": -math.inf,
    "log_score": 0.0,
    "since": -math.inf,
}
