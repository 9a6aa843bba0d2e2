"""Every sampler with options that are small enough for exact laws: what the shared tests run over."""

from __future__ import annotations

from collections.abc import Callable

from samplers import (
    BTW,
    CARS,
    MCMC,
    SMC,
    AdaptiveRejection,
    ASAp,
    Auto,
    Backtracking,
    Beam,
    BestOf,
    ChunkGuided,
    DiverseBeam,
    Exact,
    GreedyNLL,
    Guarded,
    Masking,
    Problem,
    Rejection,
    StochasticBeam,
)
from samplers.contracts import tiniest_problem, tiny_problem
from samplers.models import Tabulated
from samplers.potentials import text_potential
from samplers.protocols import Sampler

ROSTER: dict[str, Callable[[], Sampler]] = {
    "Masking": Masking,
    "Rejection": lambda: Rejection(max_draws=1),
    "Rejection, side by side": lambda: Rejection(max_draws=1, width=2),
    "AdaptiveRejection wildcard": lambda: AdaptiveRejection("wildcard", head=1),
    "AdaptiveRejection recursive": lambda: AdaptiveRejection("recursive"),
    "AdaptiveRejection geometric": lambda: AdaptiveRejection("geometric", rejects=2),
    "SMC systematic": lambda: SMC(2, 0.9),
    "SMC multinomial": lambda: SMC(2, 0.9, "multinomial"),
    "SMC stratified": lambda: SMC(2, 0.9, "stratified"),
    "SMC residual": lambda: SMC(2, 0.9, "residual"),
    "SMC over AdaptiveRejection": lambda: SMC(2, 0.9, proposal=AdaptiveRejection(head=1)),
    "Exact": Exact,
    "BestOf": lambda: BestOf(2),
    "ChunkGuided": lambda: ChunkGuided(text_potential(len, len), chunk=1, width=2),
    "GreedyNLL": GreedyNLL,
    "Backtracking": Backtracking,
    "ASAp": lambda: ASAp(width=2),
    "CARS": lambda: CARS(width=2),
    "CARS, one at a time": lambda: CARS(width=1),
    "BTW": lambda: BTW(twist=False, width=2),
    "BTW exact": lambda: BTW("exact", width=1),
    "BTW predictable": lambda: BTW(weights="predictable", width=2),
    "MCMC restart": lambda: MCMC(1, "restart"),
    "MCMC uniform": lambda: MCMC(1, "uniform"),
    "MCMC priority": lambda: MCMC(1),
    "Beam": Beam,
    "DiverseBeam": DiverseBeam,
    "StochasticBeam": StochasticBeam,
    "Auto": lambda: Auto("estimate", probe=1, width=1, twist=False),
    "Auto expectation": lambda: Auto(probe=1, width=1),
}
"""`Guarded` needs a policy over the vocabulary of the problem, so it is made by `guarded`."""


def guarded(problem: Problem) -> Guarded:
    """A policy that has all tokens alike."""
    size = problem.vocabulary.size
    return Guarded(Tabulated(problem.vocabulary, {}, otherwise=[1] * size), k=1)


RETRYING = ("CARS", "CARS, one at a time", "BTW exact")
"""Samplers that try until they succeed: the tree of all they can do is small in the tiniest world alone."""


GROWING = (
    *("Exact", "ASAp", "CARS", "CARS, one at a time", "BTW", "BTW exact", "BTW predictable"),
    *("MCMC restart", "MCMC uniform", "MCMC priority", "Auto", "Auto expectation"),
)
"""Samplers whose states share something that learns along the way: a trie, or the layers of an enumeration."""


def court(name: str) -> Problem:
    """The world in which the exact law of a sampler is judged."""
    return tiniest_problem() if name in RETRYING else tiny_problem()


WEIGHTED = {name: make for name, make in ROSTER.items() if getattr(make(), "law", "") in ("weighted", "exact")}
