"""Rounds: the loop that samplers on a trie share.

    launch `width` descents; when all are done hand up what they learned; let the sampler take stock; again, until it
    wants no more.

A sampler says with its `Plan` how many descents it wants next and what it makes of those that are done, in the order
of their launch. A round that needs no model (everything it met is known) is over at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np

from samplers.log_space import log_of, log_sum
from samplers.problem import Problem
from samplers.protocols import NO_TOKENS, Contexts, Floats, Info
from samplers.samples import CUT, END, Certificate, Samples
from samplers.tape import Tape
from samplers.trie.tree import Trie
from samplers.trie.walks import Descent, Guide, Walk, handed_up, launched, resumed

T = TypeVar("T")

NOWHERE = Descent(NO_TOKENS, CUT, -math.inf, 0.0, 0.0, -1, -1)
"""A draw from nothing: everything is found."""
_SLACK = 1e-9  # rows of a model are normalised up to this, so a bound of 1 is one up to this, for each token


class Plan(Protocol[T]):
    """What a sampler makes of rounds; `T` is what it carries from round to round, a value."""

    takes_out: ClassVar[bool]
    """Whether texts that are found are taken out of the bounds."""

    def size(self, trie: Trie, tally: T, tape: Tape) -> tuple[int, T]:
        """How many descents are wanted next; 0 for no more rounds."""
        ...

    def absorbed(self, problem: Problem, trie: Trie, tally: T, descents: Sequence[Descent], tape: Tape) -> T:
        """After a round, before the trie knows of it: `trie.log_root` is still the bound of this round."""
        ...

    def tidied(self, problem: Problem, trie: Trie, tally: T, descents: Sequence[Descent]) -> T:
        """After the trie knows of it."""
        ...


@dataclass(frozen=True, eq=False)
class Run(Generic[T]):
    """A round on its way, and what came of those before it. The trie is shared between states, and only learns."""

    trie: Trie
    guide: Guide
    walk: Walk | None
    tally: T

    @property
    def contexts(self) -> Contexts:
        return self.walk.contexts if self.walk is not None else ()

    @property
    def demand(self) -> int:
        return self.walk.demand if self.walk is not None else 0


def begun(problem: Problem, trie: Trie, guide: Guide, plan: Plan[T], tally: T, tape: Tape) -> Run[T]:
    """The first round."""
    return _settled(problem, _next(problem, Run(trie, guide, None, tally), plan, tape), plan, tape)


def continued(problem: Problem, run: Run[T], log_probs: Floats, plan: Plan[T], tape: Tape) -> tuple[Run[T], Info]:
    """One answer of the model further."""
    if run.walk is None:
        return run, Info(np.zeros(0))
    walk = resumed(problem, run.walk, log_probs, tape)
    after = _settled(problem, replace(run, walk=walk), plan, tape)
    notes = {"log_root": run.trie.log_root, "prefixes": run.trie.nodes.size}
    return after, Info(np.full(run.demand, math.nan), notes=notes)


def _next(problem: Problem, run: Run[T], plan: Plan[T], tape: Tape) -> Run[T]:
    size, tally = plan.size(run.trie, run.tally, tape)
    walk = launched(problem, run.trie, run.guide, size, tape) if size else None
    return replace(run, walk=walk, tally=tally)


def _settled(problem: Problem, run: Run[T], plan: Plan[T], tape: Tape) -> Run[T]:
    """End the rounds that are done, until one needs the model or no more are wanted."""
    while run.walk is not None and run.walk.done:
        tally = plan.absorbed(problem, run.trie, run.tally, run.walk.descents(), tape)
        descents = handed_up(run.walk, taking_out=plan.takes_out)
        tally = plan.tidied(problem, run.trie, tally, descents)
        run = _next(problem, replace(run, tally=tally), plan, tape)
    return run


def as_samples(problem: Problem, descents: Sequence[Descent], log_weights: Floats) -> Samples:
    """Descents as rows; those that did not end with a text have weight 0."""
    done = np.array([d.finish == END for d in descents], np.bool_)
    weights = np.where(done, log_weights, -math.inf)
    log_probs = np.array([d.log_prob for d in descents], np.float64)
    scores = np.where(done, np.array([d.log_score for d in descents], np.float64), 0.0)
    return Samples(
        tokens=tuple(d.tokens for d in descents),
        finish=tuple(d.finish for d in descents),
        text=tuple(problem.text(d.tokens) for d in descents),
        log_weights=weights,
        log_probs=log_probs,
        log_proposal=np.where(weights > -math.inf, log_probs + scores - np.where(done, weights, 0.0), 0.0),
        log_potential=scores,
    )


def certified(problem: Problem, log_found: float, log_left: float, log_shown: float | None = None) -> Certificate:
    """Z_F ≤ Z ≤ Z_F + U, and the found texts, renormalised, are within U/(Z_F + U) of the target. Rounded outwards.

    If the rows show only some of the found texts, `log_shown` is log of the mass of these: the distance is theirs.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"<end>"], eos=[1])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[1, 1]), regex("a*"), max_tokens=5)
    >>> round(certified(problem, math.log(0.5), math.log(0.5)).distance, 6)
    0.5
    """
    left = log_left + _SLACK * (problem.max_tokens + 1)
    upper = float(np.logaddexp(log_found, left)) if log_found > -math.inf else left
    if log_shown is not None:
        left = float(np.logaddexp(left, log_difference(log_found, log_shown)))
    distance = math.exp(min(0.0, left - upper)) if upper > -math.inf else 0.0
    return Certificate(log_found - _SLACK * 1e-3, upper + _SLACK * 1e-3, distance)


def log_difference(larger: float, smaller: float) -> float:
    """log(e^larger − e^smaller), -inf if there is no difference.

    >>> round(math.exp(log_difference(math.log(0.75), math.log(0.5))), 9)
    0.25
    """
    return larger + float(log_of(-math.expm1(smaller - larger))) if larger > smaller else -math.inf


def distinct_mass(descents: Sequence[Descent]) -> float:
    """log of the mass of the different texts among some descents.

    >>> distinct_mass([NOWHERE])
    -inf
    """
    texts = {d.tokens.tobytes(): d.log_prob + d.log_score for d in descents if d.finish == END}
    return log_sum(list(texts.values()))
