"""The draw tape: the one source of randomness of every sampler.

A sampler never asks for a uniform number or for noise. All it can do is choose among finitely many possibilities with
given weights, in three shapes: rows of a small table (`choose`), allowed tokens of a vocabulary (`tokens`), and tokens
without replacement (`urn`). So a run is a path through a finite tree of choices, and whoever hands in another tape can
walk the whole tree: `samplers.laws` does so in exact rationals and returns the law of a sampler instead of a sample.

`RandomTape` draws with numpy's PCG64. Everything is float64 and drawn by inversion: float32 Gumbel noise has 24 bits
and loses every token below 1e-7, which at a vocabulary of 131,000 is most of them.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from samplers.errors import require
from samplers.kernels import BLOCK_WORDS, draw_allowed, sum_allowed
from samplers.log_space import log_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]


class Urn(Protocol):
    """Tokens that can be drawn, each with its probability among those left, and taken out."""

    def draw(self) -> int:
        """A token, proportionally to its weight among those left; -1 if nothing with mass is left. It stays in."""
        ...

    def take(self, token: int) -> None:
        """Take a token out."""
        ...

    def log_left(self) -> float:
        """log of the mass of what is left."""
        ...


@runtime_checkable
class Tape(Protocol):
    """What samplers are given as `rng`."""

    def choose(self, log_weights: Floats) -> Ints:
        """For each row an index, drawn proportionally to exp(row); -1 for a row without mass."""
        ...

    def tokens(self, log_probs: Floats, masks: Mask, rows: Ints) -> tuple[Ints, Floats]:
        """For each entry of `rows` an allowed token of that row of `log_probs`; and per row the log of its allowed
        mass."""
        ...

    def urns(self, log_probs: Floats, rows: Ints) -> list[Urn]:
        """For each entry of `rows` an urn with the tokens of that row of `log_probs`."""
        ...


Source = Tape | np.random.Generator


class RandomTape:
    """The tape of ordinary runs.

    >>> tape = RandomTape(np.random.default_rng(0))
    >>> tape.choose(np.log([[0.5, 0.5], [1e-9, 1.0]])).tolist()
    [1, 1]
    """

    def __init__(self, generator: np.random.Generator):
        self._generator = generator

    def choose(self, log_weights: Floats) -> Ints:
        top = log_weights.max(axis=1, initial=-math.inf, keepdims=True)
        weights = np.exp(log_weights - np.where(np.isinf(top), 0.0, top))
        below = np.cumsum(weights, axis=1)
        point = self._generator.random(len(weights))[:, None] * below[:, -1:]
        last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0.0, axis=1)
        chosen = np.minimum((below <= point).sum(axis=1), last)
        return np.where(below[:, -1] > 0.0, chosen, -1).astype(np.int64)

    def tokens(self, log_probs: Floats, masks: Mask, rows: Ints) -> tuple[Ints, Floats]:
        highest, blocks = allowed_sums(log_probs, masks)
        drawn = np.empty(len(rows), np.int64)
        uniforms = self._generator.random(len(rows))
        draw_allowed(log_probs, masks, highest, blocks, rows, uniforms, drawn)
        return drawn, highest + log_of(blocks.sum(axis=1))

    def urns(self, log_probs: Floats, rows: Ints) -> list[Urn]:
        bags = {row: _Bag(log_probs[row]) for row in dict.fromkeys(rows.tolist())}
        return [RandomUrn(bags[row], self._generator) for row in rows.tolist()]


def allowed_sums(log_probs: Floats, masks: Mask) -> tuple[Floats, Floats]:
    """Per row the largest allowed log-probability, and block sums relative to it (see `samplers.kernels`)."""
    highest = np.empty(len(log_probs))
    blocks = np.empty((len(log_probs), -(-masks.shape[1] // BLOCK_WORDS)))
    sum_allowed(log_probs, masks, highest, blocks)
    return highest, blocks


def log_allowed(log_probs: Floats, masks: Mask) -> Floats:
    """Per row the log of the allowed mass.

    >>> log_allowed(np.log([[0.25, 0.75]]), np.array([[1]], np.uint32)).round(4).tolist()
    [-1.3863]
    """
    highest, blocks = allowed_sums(log_probs, masks)
    return highest + log_of(blocks.sum(axis=1))


class _Bag:
    """Weights relative to the largest, and their running sums; shared by all urns that still hold everything."""

    def __init__(self, log_probs: Floats):
        self.log_probs = log_probs
        self.top = float(log_probs.max(initial=-math.inf))
        self.weights = np.exp(log_probs - self.top) if self.top > -math.inf else np.zeros(len(log_probs))
        self.sums = np.cumsum(self.weights)
        self.total = float(self.sums[-1])

    def without(self, tokens: set[int]) -> _Bag:
        """The bag that is left, relative to the largest weight that is left."""
        log_probs = self.log_probs.copy()
        log_probs[list(tokens)] = -math.inf
        return _Bag(log_probs)


class RandomUrn:
    """Draws from running sums, again if the token is out already; what was taken out is cleared away for good once it
    is half of the mass. So a draw takes two attempts on average, and what is left is never a small difference."""

    def __init__(self, bag: _Bag, generator: np.random.Generator):
        self._bag, self._generator = bag, generator
        self._taken: set[int] = set()
        self._taken_mass = 0.0

    def log_left(self) -> float:
        self._clear_away()
        left = self._bag.total - self._taken_mass
        return self._bag.top + math.log(left) if left > 0.0 else -math.inf

    def draw(self) -> int:
        self._clear_away()
        while self._bag.total > 0.0:
            point = self._generator.random() * self._bag.total
            token = int(np.searchsorted(self._bag.sums, point, side="right"))
            if token < len(self._bag.sums) and token not in self._taken:
                return token
        return -1

    def take(self, token: int) -> None:
        if token not in self._taken:
            self._taken.add(token)
            self._taken_mass += float(self._bag.weights[token])

    def _clear_away(self) -> None:
        """Forget what was taken out, once it is half of everything."""
        if 2.0 * self._taken_mass >= self._bag.total > 0.0:
            self._bag = self._bag.without(self._taken)
            self._taken, self._taken_mass = set(), 0.0


def tape_of(rng: Source) -> Tape:
    """The tape of `rng`: itself, or one that draws from a numpy generator.

    >>> isinstance(tape_of(np.random.default_rng(1)), RandomTape)
    True
    """
    return RandomTape(rng) if isinstance(rng, np.random.Generator) else rng


def seeded(seed: int | np.random.Generator | None) -> RandomTape:
    """A tape from a seed; None takes fresh entropy of the system.

    >>> seeded(7).choose(np.zeros((1, 100))) == seeded(7).choose(np.zeros((1, 100)))
    array([ True])
    """
    if isinstance(seed, np.random.Generator):
        return RandomTape(seed)
    value: object = seed
    whole = isinstance(value, int | np.integer) and value >= 0
    require(value is None or whole, f"a seed is an integer >= 0, not {value!r}")
    return RandomTape(np.random.default_rng(seed))


def coins(tape: Tape, log_heads: Floats) -> NDArray[np.bool_]:
    """One coin for each entry, True with probability exp(entry).

    >>> coins(seeded(0), np.array([0.0, -np.inf])).tolist()
    [True, False]
    """
    heads = np.exp(np.minimum(log_heads, 0.0))
    return tape.choose(log_of(np.stack([1.0 - heads, heads], axis=1))) == 1
