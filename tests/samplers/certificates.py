"""Bounds that must hold always: Z_F ≤ Z ≤ Z_F + U after every step, and H(u) ≥ h*(u) at every prefix of a trie.

`make board` checks a million of them. One violation is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from grammars import DeadEnd
from samplers import BTW, CARS, ASAp, Auto, Enumeration, enumerate_texts
from samplers.problem import Problem
from samplers.trie import Trie
from tests.samplers.worlds import random_world

ROUNDING = 1e-9
DRAWS = 60

KEEPING: dict[str, Callable[[], Any]] = {
    "CARS": lambda: CARS(width=2),
    "CARS without masks": lambda: CARS(masks=False, width=2, max_draws=20),
    "ASAp": lambda: ASAp(width=3, stored=2),
}
"""Samplers that leave texts in their tries: H bounds all of h*."""
TAKING: dict[str, Callable[[], Any]] = {
    "BTW": lambda: BTW(width=2),
    "BTW exact": lambda: BTW("exact", width=2),
    "Auto": lambda: Auto("samples", probe=3),
}
"""Samplers that take out what they found: only what is left is bounded."""


def broken(count: int, first: int = 0) -> Iterator[tuple[int, list[str]]]:
    """For each of some random worlds, how many bounds were checked and which did not hold."""
    for seed in range(first, first + count):
        world = random_world(seed, scored=seed % 3 == 0, tokens=4, length=5, strings=24)
        truth = enumerate_texts(world.problem())
        checked, wrong = 0, list[str]()
        for name, make in (KEEPING | TAKING).items():
            actual = list[float]()  # h* of the nodes of the trie
            for trie in _tries(world.problem(), make(), seed):
                found = _nodes(trie, truth, actual) if name in KEEPING else _root(trie, truth.log_z)
                checked += found.size
                wrong += [f"{name}, world {seed}"] * int((found > ROUNDING).sum())
        yield checked, wrong


def _tries(problem: Problem, sampler: Any, seed: int) -> Iterator[Trie]:
    """The trie of a run, after every step."""
    rng = np.random.default_rng(seed)
    try:
        state = sampler.init(problem, DRAWS, rng)
        while len(state.contexts):
            state, _ = sampler.step(problem, state, problem.model.log_probs(state.contexts), rng)
            if hasattr(state, "trie"):
                yield state.trie
    except DeadEnd:
        return


def _root(trie: Trie, log_z: float) -> np.ndarray:
    """By how much Z is outside of its bounds, above and below."""
    return np.array([trie.log_found - log_z, log_z - np.logaddexp(trie.log_found, trie.log_root)])


def _nodes(trie: Trie, truth: Enumeration, actual: list[float]) -> np.ndarray:
    """By how much h* is above H, at every prefix; `actual` grows with the trie."""
    new = range(len(actual), trie.nodes.size)
    actual.extend(truth.log_completion(trie.prefix(node).tolist()) for node in new)
    bounds = trie.nodes.log_total[: trie.nodes.size]
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.array(actual) - bounds, nan=0.0, neginf=0.0)
