"""The record of an SMC run: everything that was proposed, also what did not survive.

`Samples` know the texts that were left at the end. What the particles tried on the way is seen by the token sampler
alone, so the record stands between it and SMC, and notes each proposal. The draws are the same as without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from samplers import SMC, InvalidOption, Problem, Samples, sample
from samplers.particles import Frontier, Proposal
from samplers.protocols import Sampler
from samplers.sequential import TokenSampler
from samplers.tape import Tape

Prefix = tuple[int, ...]
END = -1
"""In a prefix: the text ends here."""


@dataclass
class Branch:
    """A prefix that particles reached: how many proposed it, and what becomes of it."""

    token: int
    count: int = 0
    weight: float = 0.0
    """The share of the final weight that goes through it."""
    children: dict[int, Branch] = field(default_factory=dict[int, "Branch"])


@dataclass(frozen=True)
class Step:
    """One step of the population."""

    ess: float
    log_mass: NDArray[np.float64]
    """Of each particle that moved, the log of the mass of the allowed tokens."""
    resampled: bool


@dataclass(frozen=True)
class Trace:
    """A finished run."""

    root: Branch
    steps: tuple[Step, ...]
    samples: Samples
    threshold: float
    """The ESS below which the population is resampled."""


@dataclass(frozen=True)
class _Recorded:
    """A token sampler that notes what it proposes."""

    inner: TokenSampler
    noted: list[tuple[Prefix, int]] = field(default_factory=list[tuple[Prefix, int]])

    def propose(self, front: Frontier, tape: Tape) -> Proposal:
        proposal = self.inner.propose(front, tape)
        ends = front.problem.is_end(proposal.tokens).tolist()
        drawn = zip(front.rows.tolist(), proposal.tokens.tolist(), ends, strict=True)
        contexts = [tuple(context.tolist()) for context in front.contexts]
        self.noted.extend((contexts[row], END if is_end else token) for row, token, is_end in drawn if token >= 0)
        return proposal


def traced(problem: Problem, sampler: Sampler, n: int, seed: int | None = None) -> Trace:
    """Run a sampler of particles and keep a record. A token sampler alone is run without resampling.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> trace = traced(Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb")), SMC(), 6, seed=0)
    >>> trace.root.count, sum(branch.count for branch in trace.root.children.values())
    (6, 6)
    """
    smc = sampler if isinstance(sampler, SMC) else SMC(ess=0.0, proposal=_token_sampler(sampler))
    recorded = _Recorded(smc.proposal)
    samples = sample(problem, replace(smc, n=max(n, smc.n), proposal=recorded), max(n, smc.n), seed)
    steps = tuple(
        Step(info.ess, info.log_mass[~np.isnan(info.log_mass)], info.ancestors is not None) for info in samples.history
    )
    return Trace(_tree(recorded.noted, samples), steps, samples, smc.ess * len(samples))


def _token_sampler(sampler: Sampler) -> TokenSampler:
    if not hasattr(sampler, "propose"):
        name = type(sampler).__name__
        raise InvalidOption(f"{name} has no particles to draw", hint="use SMC, Masking or AdaptiveRejection")
    return sampler  # type: ignore[return-value]


def _tree(noted: list[tuple[Prefix, int]], samples: Samples) -> Branch:
    root = Branch(END, count=len(samples), weight=1.0)
    for prefix, token in noted:
        branch = root
        for step in (*prefix, token):
            branch = branch.children.setdefault(step, Branch(step))
        branch.count += 1
    if samples.log_z > -np.inf:
        for tokens, weight in zip(samples.tokens, samples.normalized_weights().tolist(), strict=True):
            for branch in _path(root, (*tokens.tolist(), END)):
                branch.weight += weight
    return root


def _path(root: Branch, steps: Prefix) -> Iterator[Branch]:
    branch = root
    for step in steps:
        if step not in branch.children:
            return
        branch = branch.children[step]
        yield branch
