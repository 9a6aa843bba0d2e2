"""Every sampler with options that are small enough for exact laws: what the shared tests run over."""

from __future__ import annotations

from collections.abc import Callable

from samplers import SMC, AdaptiveRejection, Backtracking, BestOf, ChunkGuided, Exact, GreedyNLL, Masking, Rejection
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
}

WEIGHTED = {name: make for name, make in ROSTER.items() if getattr(make(), "law", "") in ("weighted", "exact")}
