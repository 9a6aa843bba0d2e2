"""NLPO's dynamic masks: what a masking policy finds likely, inside what the grammar allows.

A masking policy, an older copy of the policy that is renewed every so many steps, names at each prefix the smallest set
of tokens that hold `top_p` of its own mass. Rollouts draw from the policy over (that set) ∧ (the grammar's mask); where
nothing is in both, over the grammar's mask alone.

These masks depend on a model, so they are no function of the text: the rollout keeps them, and losses use what was kept
(`Rollout.masks`). Weights are against the narrowed language: a text outside of it is never drawn.

Paper: NLPO, "Is Reinforcement Learning (Not) for Natural Language Processing?" (2210.01241).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers import Evaluator
from samplers.bits import mask_of_flags
from samplers.errors import require
from samplers.log_space import effective_size
from samplers.particles import Particles, Proposal, at_budget, collected, ending, extended, frontier, started
from samplers.problem import Problem, require_same
from samplers.protocols import Contexts, Floats, Info, LanguageModel
from samplers.samples import Samples
from samplers.tape import Source, tape_of

Mask = NDArray[np.uint32]
Kept = dict[bytes, tuple[Mask, float]]


@dataclass(frozen=True, eq=False)
class Narrowed:
    """Particles, and the masks that were used at each prefix with log of the mass that they left."""

    particles: Particles
    masker: LanguageModel
    kept: Kept = field(default_factory=dict[bytes, tuple[Mask, float]])

    @property
    def contexts(self) -> Contexts:
        return self.particles.contexts

    @property
    def demand(self) -> int:
        return self.particles.demand


@dataclass(frozen=True)
class DynamicMasking:
    """Masking by a grammar and by `masker`'s `top_p`. The masker knows the prompt, as every `LanguageModel` does.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> policy, masker = Tabulated(v, {}, otherwise=[1, 1, 1]), Tabulated(v, {}, otherwise=[8, 1, 1])
    >>> sample(Problem(policy, regex("[ab]{2}")), DynamicMasking(masker, top_p=0.7), n=2, seed=0).text
    (b'aa', b'aa')
    """

    masker: LanguageModel
    top_p: float = 0.9

    law: ClassVar[str] = "approximate"

    def __post_init__(self) -> None:
        require(0.0 < self.top_p <= 1.0, f"top_p lies above 0 and up to 1, not {self.top_p}")

    def init(self, problem: Problem, n: int, rng: Source) -> Narrowed:
        require_same(self.masker.vocabulary, problem.vocabulary, "the masker")
        return Narrowed(started(problem, n), Evaluator(self.masker))

    def step(self, problem: Problem, state: Narrowed, log_probs: Floats, rng: Source) -> tuple[Narrowed, Info]:
        front = frontier(problem, state.particles, log_probs)
        if at_budget(problem, state.particles):
            masks, proposal = problem.mask_rows(front.states, end_only=True), ending(front)
            log_mass = problem.log_end(log_probs)
        else:
            masks = narrowed(front.masks, state.masker.log_probs(front.contexts), self.top_p)
            tokens, log_mass = tape_of(rng).tokens(log_probs, masks, front.rows)
            proposal = Proposal(tokens, log_mass[front.rows])
        kept = dict(state.kept)
        for context, mask, mass in zip(front.contexts, masks, log_mass.tolist(), strict=True):
            kept[context.tobytes()] = (mask, mass)
        after = extended(problem, state.particles, front, proposal)
        shown = np.full(len(after), np.nan)
        shown[state.particles.running] = proposal.log_weights
        return replace(state, particles=after, kept=kept), Info(shown, effective_size(after.log_weights))

    def finish(self, problem: Problem, state: Narrowed) -> Samples:
        return replace(collected(problem, state.particles), notes={"masks": state.kept})


def narrowed(masks: Mask, log_probs: Floats, top_p: float) -> Mask:
    """Each mask without what is not in the likeliest `top_p` of the row; the mask itself where nothing would be left.

    >>> narrowed(np.array([[0b110], [0b100]], np.uint32), np.log([[0.5, 0.4, 0.1]] * 2), 0.8).ravel().tolist()
    [2, 4]
    """
    order = np.argsort(-log_probs, axis=1, kind="stable")
    ranked = np.exp(np.take_along_axis(log_probs, order, axis=1))
    before = np.cumsum(ranked, axis=1) - ranked
    flags = np.zeros(log_probs.shape, np.bool_)
    np.put_along_axis(flags, order, before < top_p, axis=1)
    both = masks & mask_of_flags(flags)
    is_empty = ~both.any(axis=1, keepdims=True)
    return np.where(is_empty, masks, both)
