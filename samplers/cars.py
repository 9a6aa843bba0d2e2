"""CARS: exact draws whose acceptance rate never falls.

**Idea.** Rejection throws away what it paid for. Here every draw, accepted or not, tightens upper bounds in a trie, and
the next one is proposed from them: what cannot come to anything is never tried again.

**Formula.** Propose by H as `ASAp` does, with weight w ≤ H(root); accept with probability w/H(root). The chance to
propose x and to accept it is P(x)·ψ(x)/H(root), whatever H is, so accepted texts have the law P*; the acceptance rate
is Z/H(root), and H(root) only falls. With `masks` a new prefix begins with z(u), the mass of its allowed tokens.
Without (`CARS(masks=False)`, adaptive rejection sampling), everything is viable until a draw fails: no mask is ever
made, for constraints whose masks are expensive. H ≡ 1 would be `Rejection`.

**Law.** Exact: independent draws from P*. Bounds are frozen while a round of `width` descents runs, and the round is
committed in the order of its launch, so nothing depends on who ends first. All rows carry one estimate of Z,

    Ẑ = Z_F + (1/m) Σ w·1{x ∉ F},

F the texts seen up to the n-th accepted one, over the m ≥ `estimates` descents after it: given all that came before,
each term is unbiased, so E[Ẑ·f(x_i)] = Z·E*[f]. (The acceptance rate itself is not: it depends on what was found.) If
`max_draws` ends the run early, the missing rows are dead, and Ẑ is the mean weight, consistent only.

**Cost.** H(root)/Z descents for each text, but known prefixes cost nothing, and the rate improves.

**When.** Exact samples, and Z not below a percent or so at first; many draws from one problem (the trie is kept from
call to call). Long free text makes every prefix new: then H(root) hardly falls, and `SMC` is the tool. Potentials
need an upper bound: log ψ ≤ 0, or the attribute `log_bound`.

Papers: CARS (2510.01902); adaptive rejection as in Grammar-Aligned Decoding (2405.21047).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from grammars.errors import BudgetExhausted, DeadEnd
from samplers.errors import require
from samplers.log_space import log_mean
from samplers.problem import Problem
from samplers.protocols import Floats, Info
from samplers.samples import END, Samples
from samplers.tape import Source, Tape, coins, tape_of
from samplers.trie import Trie, Tries
from samplers.trie.rounds import NOWHERE, Run, as_samples, begun, certified, continued, distinct_mass, log_difference
from samplers.trie.walks import Bounds, Descent


@dataclass(frozen=True, eq=False)
class Tally:
    """What has been drawn: all descents up to the last accepted one, which of them are accepted, and those after it."""

    n: int
    drawn: tuple[Descent, ...] = ()
    accepted: tuple[Descent, ...] = ()
    after: tuple[Descent, ...] = ()

    @property
    def complete(self) -> bool:
        return len(self.accepted) == self.n

    @property
    def draws(self) -> int:
        return len(self.drawn) + len(self.after)


@dataclass(frozen=True)
class CARS:
    """Draws from a trie of bounds, and accepts with probability w/H(root).

    `masks=False` learns from failures only. `width` descents at a time; at most `max_draws` for each text that is
    wanted; `estimates` descents at least after the last one, from which Z is estimated; `stored` tokens of each
    prefix are kept, `max_bytes` bounds the trie.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb"))
    >>> samples = sample(problem, CARS(), n=5, seed=0)
    >>> samples.text, round(samples.certificate.distance, 3)
    ((b'bb', b'bb', b'a', b'a', b'a'), 0.0)
    """

    masks: bool = True
    width: int = 8
    max_draws: int = 10_000
    estimates: int = 1
    stored: int = 128
    max_bytes: int = 1 << 29
    tries: Tries = field(default_factory=Tries, compare=False, repr=False)

    law: ClassVar[str] = "exact"
    takes_out: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require(self.width >= 1, f"width is at least 1, not {self.width}")
        require(self.max_draws >= 1, f"max_draws is at least 1, not {self.max_draws}")
        require(self.estimates >= 1, f"estimates is at least 1, not {self.estimates}")
        require(self.stored >= 1, f"at least one token is stored for a prefix, not {self.stored}")

    def init(self, problem: Problem, n: int, rng: Source) -> Run[Tally]:
        trie = self.tries.of(problem, masks=self.masks, stored=self.stored, max_bytes=self.max_bytes)
        require(not trie.found.size, "CARS needs a trie of its own: from this one texts were taken out")
        require(trie.masks == self.masks, f"the trie was built with masks={trie.masks}")
        return begun(problem, trie, Bounds(), self, Tally(n), tape_of(rng))

    def step(self, problem: Problem, state: Run[Tally], log_probs: Floats, rng: Source) -> tuple[Run[Tally], Info]:
        return continued(problem, state, log_probs, self, tape_of(rng))

    def finish(self, problem: Problem, state: Run[Tally]) -> Samples:
        tally = state.tally
        if tally.n and not tally.accepted:
            raise BudgetExhausted(
                f"none of {tally.draws} descents was accepted",
                hint="raise CARS(max_draws=...), or use SMC or BTW, whose rows are weighted",
            )
        log_z = _log_estimate(tally)
        rows = (*tally.accepted, *(NOWHERE,) * (tally.n - len(tally.accepted)))
        samples = as_samples(problem, rows, np.full(len(rows), log_z))
        found = distinct_mass((*tally.drawn, *tally.after))
        left = log_difference(state.trie.log_root, found)
        certificate = certified(problem, found, left, distinct_mass(tally.accepted))
        notes = {"draws": tally.draws, "log_root": state.trie.log_root}
        return replace(samples, certificate=certificate, notes=notes)

    # -- the plan of its rounds -------------------------------------------------------------------------------------

    def size(self, trie: Trie, tally: Tally, tape: Tape) -> tuple[int, Tally]:
        if tally.complete:
            return (max(0, self.estimates - len(tally.after)) if tally.n else 0), tally
        if trie.log_root == -math.inf:
            raise DeadEnd("the model gives the language no mass within the token budget", hint="raise max_tokens")
        return min(self.width, max(0, self.max_draws * tally.n - tally.draws)), tally

    def absorbed(self, problem: Problem, trie: Trie, tally: Tally, descents: Sequence[Descent], tape: Tape) -> Tally:
        if tally.complete:
            return replace(tally, after=(*tally.after, *descents))
        ratios = np.array([d.log_weight for d in descents]) - trie.log_root
        heads = coins(tape, ratios)
        end = _end_of(heads.tolist(), tally.n - len(tally.accepted))
        accepted = [d for d, head in zip(descents[:end], heads[:end], strict=True) if head]
        return replace(
            tally,
            drawn=(*tally.drawn, *descents[:end]),
            accepted=(*tally.accepted, *accepted),
            after=tuple(descents[end:]),
        )

    def tidied(self, problem: Problem, trie: Trie, tally: Tally, descents: Sequence[Descent]) -> Tally:
        if trie.full:
            trie.forget(problem)
        return tally


def _end_of(heads: list[bool], wanted: int) -> int:
    """How many descents it takes until so many are accepted; all of them if there are fewer."""
    places = [i for i, head in enumerate(heads) if head]
    return places[wanted - 1] + 1 if len(places) >= wanted else len(heads)


def _log_estimate(tally: Tally) -> float:
    if not tally.n:
        return math.nan
    if not tally.complete:
        scale = math.log(tally.n / len(tally.accepted))
        return log_mean([d.log_weight for d in tally.drawn]) + scale
    return log_estimate_behind(tally.drawn, tally.after)


def log_estimate_behind(before: Sequence[Descent], after: Sequence[Descent]) -> float:
    """log of Z_F + the mean of w·1{x ∉ F} over the descents `after`, F the texts among those `before`.

    >>> log_estimate_behind([NOWHERE], [NOWHERE])
    -inf
    """
    known = {d.tokens.tobytes() for d in before if d.finish == END}
    new = [d.log_weight if d.tokens.tobytes() not in known else -math.inf for d in after]
    return float(np.logaddexp(distinct_mass(before), log_mean(new)))
