"""The memory of what was computed: every prefix once, whoever asks for it.

A trie over tokens: a node is a prefix. Particles that descend from one another, trie samplers that return to an old
branch and prompts with a common beginning all find their nodes again, so a position is forwarded once for each
distinct prefix. Only nodes that are new go through the transformer, all of one call together.

When the memory is full it is emptied, and what is needed now is computed afresh: at most `limit` nodes are kept,
unless a single sequence is longer than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from decoding.embedded.llama import Floats, Ints, Llama, Store
from grammars.forking import lock_for

Path = NDArray[np.int64]  # the nodes of a prefix, from its first token on

_FIRST_CAPACITY = 256
_NODES_AT_ONCE = 512
_KEYS_AT_ONCE = 1 << 16  # what attention copies together: bounds its memory
_NOWHERE: Path = np.zeros(0, np.int64)


class Prefixes:
    """States of a transformer after token sequences. Safe from several threads, one at a time.

    `forwarded` counts the positions that went through the transformer.
    """

    def __init__(self, llama: Llama, limit: int):
        self.limit = limit
        self.forwarded = 0
        self._llama = llama
        self._store = Store(llama.shape, min(_FIRST_CAPACITY, limit))
        self._lock = lock_for(self)
        self._forget()

    def states(self, sequences: Sequence[Ints]) -> Floats:
        """The state after each sequence; none of them may be empty."""
        states = np.empty((len(sequences), self._llama.shape.hidden), np.float32)
        with self._lock:
            try:
                for begin, end in self._portions(sequences):
                    states[begin:end] = self._states(sequences[begin:end])
            except BaseException:
                self._forget()  # an interrupted computation must leave no node without its numbers
                raise
        return states

    def _forget(self) -> None:
        self._children: dict[int, int] = {}
        self._recent: dict[bytes, Path] = {}  # paths of the last call: most sequences extend one of them by a token
        self._fresh: list[tuple[int, Path]] = []  # the nodes that are still to be computed: token and path

    def _portions(self, sequences: Sequence[Ints]) -> Iterable[tuple[int, int]]:
        """Ranges of sequences that fit into the memory together; it is emptied where they do not."""
        begin, count = 0, len(self._children)
        for i, sequence in enumerate(sequences):
            count += len(sequence)
            if count > self.limit and count > len(sequence):
                yield begin, i
                begin, count = i, len(self._children) + len(sequence)
                if count > self.limit:
                    self._forget()
                    count = len(sequence)
        yield begin, len(sequences)

    def _states(self, sequences: Sequence[Ints]) -> Floats:
        paths = [self._path(sequence) for sequence in sequences]
        self._compute()
        self._recent = {sequence.tobytes(): path for sequence, path in zip(sequences, paths, strict=True)}
        return self._store.final[[path[-1] for path in paths]]

    def _path(self, sequence: Ints) -> Path:
        """The nodes of a sequence; those that are new wait for `_compute`."""
        begin = self._recent.get(sequence[:-1].tobytes(), _NOWHERE)
        known, node, added = len(self._children), int(begin[-1]) if len(begin) else -1, list[int]()
        tokens: list[int] = sequence[len(begin) :].tolist()
        for token in tokens:
            node = self._children.setdefault((node + 1) * self._llama.shape.vocabulary + token, len(self._children))
            added.append(node)
        path = np.concatenate([begin, np.array(added, np.int64)])
        ends = range(len(begin) + 1, len(path) + 1)
        self._fresh += [
            (token, path[:end]) for token, node, end in zip(tokens, added, ends, strict=True) if node >= known
        ]
        return path

    def _compute(self) -> None:
        """Forward all nodes that are new."""
        count, capacity = len(self._children), self._store.capacity
        if count > capacity:
            self._store.grow(max(count, min(self.limit, 2 * capacity)))
        for begin, end in _blocks([len(path) for _, path in self._fresh]):
            self._forward(self._fresh[begin:end])
        self._fresh = []

    def _forward(self, fresh: list[tuple[int, Path]]) -> None:
        lengths = np.array([len(path) for _, path in fresh], np.int64)
        paths = np.zeros((len(fresh), int(lengths.max())), np.int64)
        for row, (_, path) in zip(paths, fresh, strict=True):
            row[: len(path)] = path
        self._llama.forward(np.array([token for token, _ in fresh], np.int64), paths, lengths, self._store)
        self.forwarded += len(fresh)


def _blocks(lengths: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Ranges of nodes, in order, whose paths together stay within bounds.

    >>> list(_blocks([1 << 15, 1 << 15, 1 << 15]))
    [(0, 2), (2, 3)]
    """
    begin, widest = 0, 0
    for i, length in enumerate(lengths):
        widest = max(widest, length)
        size = i + 1 - begin
        if size > 1 and (size > _NODES_AT_ONCE or size * widest > _KEYS_AT_ONCE):
            yield begin, i
            begin, widest = i, length
    if lengths:
        yield begin, len(lengths)
