"""The table ĥ[state of the constraint, tokens left] behind the twist: means that shrink to coarser means."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from samplers.errors import require

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class _Means:
    """Sums and counts under numbers 0, 1, …"""

    def __init__(self) -> None:
        self.total, self.count = np.zeros(64), np.zeros(64)

    def fit(self, size: int) -> None:
        while len(self.total) < size:
            self.total = np.concatenate([self.total, np.zeros(len(self.total))])
            self.count = np.concatenate([self.count, np.zeros(len(self.count))])

    def add(self, ids: Ints, amounts: Floats, counts: Floats) -> None:
        np.add.at(self.total, ids, amounts)
        np.add.at(self.count, ids, counts)


class StateTable:
    """Estimated completion probabilities by state and tokens left. Tries over the same constraint may share one.

    >>> table = StateTable()
    >>> ids = table.ids(np.array([7, 8]), np.array([3, 3]))
    >>> table.learn(ids, np.zeros(2), np.array([0.2, 0.4]), np.array([True, True]))
    >>> table.values(ids).round(3).tolist(), round(table.mean, 3)
    ([0.283, 0.433], 0.533)
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        self._of_state: dict[int, int] = {}
        self._group: list[int] = []
        self._keys, self._states, self._all = _Means(), _Means(), _Means()
        self._constraint: object = None

    def __len__(self) -> int:
        return len(self._numbers)

    def serve(self, constraint: object) -> None:
        """State numbers mean something for one constraint only: the first that asks."""
        require(
            self._constraint is None or self._constraint is constraint,
            "a table of states belongs to one constraint",
            "compile the grammar once, and give that to every Problem that shares the table",
        )
        self._constraint = constraint

    def ids(self, states: Ints, left: Ints) -> Ints:
        """The entries of some states with so many tokens left; new ones where there is none."""
        pairs: list[tuple[int, int]] = list(zip(states.tolist(), left.tolist(), strict=True))
        out = np.array([self._id(*pair) for pair in pairs], np.int64)
        self._keys.fit(len(self._numbers))
        self._states.fit(len(self._of_state))
        return out

    def _id(self, state: int, left: int) -> int:
        number = self._numbers.setdefault((state, left), len(self._numbers))
        if number == len(self._group):
            self._group.append(self._of_state.setdefault(state, len(self._of_state)))
        return number

    @property
    def mean(self) -> float:
        """Over everything; 1 at first."""
        return float((self._all.total[0] + 1.0) / (self._all.count[0] + 1.0))

    def values(self, ids: Ints) -> Floats:
        """ĥ of some entries."""
        groups = self._groups(ids)
        coarse = (self._states.total[groups] + self.mean) / (self._states.count[groups] + 1.0)
        return (self._keys.total[ids] + coarse) / (self._keys.count[ids] + 1.0)

    def learn(self, ids: Ints, old: Floats, new: Floats, fresh: Flags) -> None:
        """Nodes with these entries estimate `new` where they estimated `old`; `fresh` ones had not been counted."""
        groups = self._groups(ids)
        change, counts = new - np.where(fresh, 0.0, old), fresh.astype(np.float64)
        self._keys.add(ids, change, counts)
        self._states.add(groups, change, counts)
        self._all.add(np.zeros(len(ids), np.int64), change, counts)

    def _groups(self, ids: Ints) -> Ints:
        return np.array([self._group[i] for i in ids.tolist()], np.int64)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything, for saving."""
        keys = np.array(list(self._numbers), np.int64).reshape(-1, 2)
        return {
            "state": keys[:, 0],
            "left": keys[:, 1],
            "total": self._keys.total[: len(keys)],
            "count": self._keys.count[: len(keys)],
            "state_total": self._states.total[: len(self._of_state)],
            "state_count": self._states.count[: len(self._of_state)],
            "all": np.array([self._all.total[0], self._all.count[0]]),
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]], renamed: Mapping[int, int]) -> None:
        """What `arrays` gave, with new numbers of states; states that are not among them get numbers nobody has."""
        old = [int(state) for state in arrays["state"].tolist()]
        states = [renamed.get(state, -2 - index) for index, state in enumerate(old)]
        first: dict[int, int] = {}  # entries of one unknown state stay together
        states = [first.setdefault(o, s) for o, s in zip(old, states, strict=True)]
        self.ids(np.array(states, np.int64), np.asarray(arrays["left"], np.int64))
        self._keys.total[: len(old)], self._keys.count[: len(old)] = arrays["total"], arrays["count"]
        groups = len(self._of_state)
        self._states.total[:groups], self._states.count[:groups] = arrays["state_total"], arrays["state_count"]
        self._all.total[0], self._all.count[0] = arrays["all"].tolist()
