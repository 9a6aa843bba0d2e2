"""Auto: looks at the problem for a few draws, then chooses, and says what it chose and why.

**Idea.** No method is best everywhere. Where a few texts have the mass, or draws keep coming back to known prefixes,
what was found should be counted and not drawn again (`BTW`). Where every draw is new and the weights are uneven,
particles should be resampled early (`SMC`). A few draws tell which it is, by statistics that cost nothing.

**Formula.** `probe` draws of `BTW` give the found texts F, the bounds H and U = H(root) of the rest, the weights w.
With the share of effective draws e = ESS(w)/probe, the covered share c = Z_F/Ẑ and the share d of prefixes that were
new:

* U = 0: everything is known; nothing is drawn any more.
* `aim="samples"` and Ẑ/(Z_F + U) ≥ `acceptance`: exact acceptance from the same trie (`BTW(mode="exact")`).
* e < 1/4, c < 1/4, d > 9/10 (d > 1/2 with potentials, which guide particles, but no trie), and bounds that say little,
  Ẑ < (Z_F + U)/100, and hardly move, by less than half since the first draw: `SMC` for the rest, with F counted
  exactly: Z·E*[f] = Σ_F P·ψ·f + the estimate of the particles. They are twisted by H(u), what the trie knows, and have
  weight 0 on F.
* otherwise, and this is the rule: go on with the trie (`BTW`).

**Law.** `aim` says what the rows are for.

* "expectation": the least error of `Samples.expectation`. `BTW` goes on from the probe with predictable weights:
  consistent, not unbiased; approximate in this sense.
* "estimate": properly weighted. The estimate rests on what is drawn after the choice, and on F, which is exact; the
  draws of the probe count through F alone.
* "samples": equal weights, exact, where acceptance allows that; else as "estimate".

Rows: the texts of F, then those of the method that was chosen.

**Cost.** That of the probe, and n draws (or particles); `max_calls` bounds the prefixes that are expanded in all.

**When.** One does not know the problem. `Samples.notes["chose"]` and `["because"]` tell what came of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samplers.btw import BTW, Tally
from samplers.errors import require
from samplers.log_space import effective_size, log_mean
from samplers.problem import Problem
from samplers.protocols import Contexts, Info
from samplers.samples import END, Samples
from samplers.smc import SMC
from samplers.tape import Source
from samplers.trie import Trie, Tries
from samplers.trie.rounds import Run, as_samples, certified
from samplers.trie.walks import Descent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_AIMS = ("expectation", "estimate", "samples")
_UNEVEN = 0.25
_NEARLY_ALL_NEW = 0.9
_OFTEN_NEW = 0.5  # potentials say on the way what a text is worth: particles listen to them
_TIGHT = 0.01
_FALLEN = 0.5
_PROBE_SHARE = 8  # of a limit on calls, the probe may spend one in so many


@dataclass(frozen=True)
class Statistics:
    """What the probe tells: shares between 0 and 1."""

    acceptance: float
    """Ẑ/(Z_F + U): how often exact acceptance would succeed."""
    effective: float
    """ESS of the weights, per draw."""
    covered: float
    """Z_F/Ẑ."""
    new: float
    """Prefixes that were expanded, per token written."""
    spread: float
    """Standard deviation of log w."""
    left: float
    """U/(Z_F + U)."""
    fallen: float
    """How far the upper bound of Z has come down: 1 − (Z_F + U)/U₁, with the U after the first draw."""


@dataclass(frozen=True, eq=False)
class Watched:
    """The probe, then the chosen sampler."""

    n: int
    sampler: Any
    problem: Problem
    inner: Any
    trie: Trie
    begin: int
    known: Samples | None = None
    """F at the time of the choice, for the sampler that does not know it."""
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def contexts(self) -> Contexts:
        return self.inner.contexts if self.n else ()

    @property
    def demand(self) -> int:
        return self.inner.demand


@dataclass(frozen=True)
class Auto:
    """Probes with `probe` draws, then chooses for `aim`, "expectation", "estimate" or "samples".

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb"))
    >>> samples = sample(problem, Auto(), n=10, seed=0)
    >>> samples.notes["chose"], samples.notes["because"]
    ('BTW', 'everything is known')
    >>> round(samples.expectation(lambda text: text == b"a"), 6)
    0.888889
    """

    aim: str = "expectation"
    probe: int = 16
    acceptance: float = 0.05
    max_calls: int | None = None
    twist: bool = True
    width: int = 4
    stored: int = 128
    max_bytes: int = 1 << 29
    tries: Tries = field(default_factory=Tries, compare=False, repr=False)

    @property
    def law(self) -> str:
        """What the rows are, whatever is chosen."""
        return "approximate" if self.aim == "expectation" else "weighted"

    def __post_init__(self) -> None:
        require(self.aim in _AIMS, f"there is no aim {self.aim!r}", f"use one of {', '.join(_AIMS)}")
        require(self.probe >= 1, f"a probe takes at least one draw, not {self.probe}")
        require(0.0 < self.acceptance <= 1.0, f"acceptance is above 0 and at most 1, not {self.acceptance}")
        require(self.max_calls is None or self.max_calls >= 1, f"max_calls is at least 1, not {self.max_calls}")
        require(self.width >= 1, f"width is at least 1, not {self.width}")
        require(self.stored >= 1, f"at least one token is stored for a prefix, not {self.stored}")

    def init(self, problem: Problem, n: int, rng: Source) -> Watched:
        share = self.max_calls if self._goes_on else None
        if self.max_calls is not None and not self._goes_on:
            share = max(1, self.max_calls // _PROBE_SHARE)
        sampler = self._trie_sampler(share)
        inner: Run[Tally] = sampler.init(problem, self._draws(n), rng)
        state = Watched(n, sampler, problem, inner, inner.trie, inner.tally.begin)
        return self._settled(problem, state, rng)

    def step(self, problem: Problem, state: Watched, log_probs: Floats, rng: Source) -> tuple[Watched, Info]:
        inner, info = state.sampler.step(state.problem, state.inner, log_probs, rng)
        return self._settled(problem, replace(state, inner=inner), rng), info

    def finish(self, problem: Problem, state: Watched) -> Samples:
        if not state.n:
            return as_samples(problem, (), np.zeros(0))
        samples = state.sampler.finish(state.problem, state.inner)
        if state.known is not None:
            samples = joined(state.known, samples)
            certificate = certified(problem, state.trie.log_found, state.trie.log_root)
            samples = replace(samples, certificate=certificate)
        return replace(samples, notes=samples.notes | state.notes)

    @property
    def _goes_on(self) -> bool:
        """Whether the probe is the beginning of the run: predictable weights forget it by themselves."""
        return self.aim == "expectation"

    def _draws(self, n: int) -> int:
        """Of the probe, or of a run that begins with it."""
        return (n + self.probe if self._goes_on else self.probe) if n else 0

    def _trie_sampler(self, max_calls: int | None, mode: str = "weighted") -> BTW:
        return BTW(
            mode,
            "predictable" if self._goes_on else "fixed",
            twist=self.twist,
            width=self.width,
            max_calls=max_calls,
            stored=self.stored,
            max_bytes=self.max_bytes,
            tries=self.tries,
        )

    def _settled(self, problem: Problem, state: Watched, rng: Source) -> Watched:
        """Choose, when the probe is done."""
        if state.notes or not state.n or not self._probed(state):
            return state
        statistics = probed(state.trie, state.inner.tally, state.begin)
        chose, because = self._choice(statistics, bool(problem.potentials))
        if len(state.inner.tally.drawn) < self.probe and chose == "SMC" and self._goes_on:
            chose, because = "BTW", "the calls ran out during the probe"
        spent = state.trie.expansions - state.begin
        left = None if self.max_calls is None else max(1, self.max_calls - spent)
        notes = {"chose": chose, "because": because, "statistics": statistics}
        if chose == "SMC":
            return self._particles(problem, replace(state, notes=notes), left, rng)
        if self._goes_on:
            return replace(state, notes=notes)
        sampler = self._trie_sampler(left, "exact" if chose == "exact acceptance" else "weighted")
        return replace(state, sampler=sampler, inner=sampler.init(problem, state.n, rng), notes=notes)

    def _probed(self, state: Watched) -> bool:
        """Whether the draws of the probe are done. A run that goes on is looked at between two rounds."""
        return not len(state.contexts) or (self._goes_on and len(state.inner.tally.drawn) >= self.probe)

    def _choice(self, found: Statistics, guided: bool) -> tuple[str, str]:
        if found.left == 0.0:
            return ("exact acceptance" if self.aim == "samples" else "BTW"), "everything is known"
        if self.aim == "samples" and found.acceptance >= self.acceptance:
            return "exact acceptance", f"about {found.acceptance:.0%} of the descents would be accepted"
        if found.covered >= _UNEVEN:
            return "BTW", f"the texts that are found have about {found.covered:.0%} of the mass"
        if found.effective >= _UNEVEN:
            return "BTW", f"the weights are even: {found.effective:.0%} of the draws are effective"
        if found.acceptance >= _TIGHT:
            return "BTW", f"the bounds are tight: Z is about {found.acceptance:.1%} of what they allow"
        if found.fallen >= _FALLEN:
            return "BTW", f"the bounds fall: by {found.fallen:.0%} so far"
        if found.new <= (_OFTEN_NEW if guided else _NEARLY_ALL_NEW):
            return "BTW", f"draws come back to known prefixes: {found.new:.0%} were new"
        because = f"the weights are uneven ({found.effective:.0%} effective) and {found.new:.0%} of the prefixes new"
        return "SMC", because

    def _particles(self, problem: Problem, state: Watched, calls: int | None, rng: Source) -> Watched:
        """SMC for what is not found yet."""
        trie, drawn = state.trie, state.inner.tally.drawn
        length = float(np.mean([len(d.tokens) + 1 for d in drawn]))
        count = state.n if calls is None else max(1, min(state.n, int(calls / length)))
        rest = problem.with_potential(Rest(trie))
        sampler = SMC()
        inner = sampler.init(rest, count, rng)
        return replace(state, sampler=sampler, problem=rest, inner=inner, known=_found(problem, trie))


class Rest:
    """What a trie says about texts that are not found: a potential that excludes found ones, and is log H on the way.

    >>> from samplers.contracts import tiny_problem
    >>> problem = tiny_problem()
    >>> Rest(Trie(problem)).log_prefix([np.array([0])]).tolist()
    [0.0]
    """

    def __init__(self, trie: Trie):
        self._bounds: dict[bytes, float] = {}
        self._found = {trie.found_text(row).tokens.tobytes() for row in range(trie.found.size)}
        for node in range(trie.nodes.size):
            self._bounds[trie.prefix(node).tobytes()] = float(trie.nodes.log_total[node]) - trie.bound

    def log_prefix(self, contexts: Contexts) -> Floats:
        """log H of known prefixes, 0 of others."""
        return np.array([self._bounds.get(context.tobytes(), 0.0) for context in contexts], np.float64)

    def log_complete(self, contexts: Contexts) -> Floats:
        """-inf for what has been found."""
        return np.array([-math.inf if c.tobytes() in self._found else 0.0 for c in contexts], np.float64)


def probed(trie: Trie, tally: Tally, begin: int) -> Statistics:
    """The statistics of a probe.

    >>> from samplers.contracts import tiny_problem
    >>> probed(Trie(tiny_problem()), Tally(0, 0), 0).left
    1.0
    """
    log_w = np.array([d.log_weight for d in tally.drawn], np.float64)
    alive = log_w[log_w > -math.inf]
    log_found, log_left = trie.log_found, trie.log_root
    bound = float(np.logaddexp(log_found, log_left))
    log_z = max(log_found, float(np.logaddexp(log_mean(log_w), -math.inf)))
    written = sum(len(d.tokens) + 1 for d in tally.drawn)
    return Statistics(
        acceptance=min(1.0, math.exp(log_z - bound)) if bound > -math.inf else 0.0,
        effective=effective_size(log_w) / max(len(log_w), 1),
        covered=min(1.0, math.exp(log_found - log_z)) if log_z > -math.inf else 0.0,
        new=min(1.0, (trie.expansions - begin) / max(written, 1)),
        spread=float(alive.std()) if len(alive) else math.nan,
        left=math.exp(log_left - bound) if bound > -math.inf else 0.0,
        fallen=-math.expm1(min(0.0, bound - tally.log_first)) if tally.drawn else 0.0,
    )


def _found(problem: Problem, trie: Trie) -> Samples:
    """The found texts, as if they were the whole target."""
    texts = [trie.found_text(row) for row in range(trie.found.size)]
    rows = [Descent(text.tokens, END, 0.0, text.log_prob, text.log_score, -1, -1) for text in texts]
    return as_samples(problem, rows, trie.found_masses + math.log(max(len(rows), 1)))


def joined(known: Samples, others: Samples) -> Samples:
    """Two sets of rows whose estimates add up: weights such that the mean over all is the sum of both means.

    >>> from samplers import Masking, sample
    >>> from samplers.contracts import tiny_problem
    >>> samples = sample(tiny_problem(), Masking(), 3, seed=0)
    >>> abs(math.exp(joined(samples, samples).log_z) - 2.0 * math.exp(samples.log_z)) < 1e-12
    True
    """
    total = len(known) + len(others)
    scale = [math.log(total / len(part)) if len(part) else 0.0 for part in (known, others)]
    return Samples(
        tokens=(*known.tokens, *others.tokens),
        finish=(*known.finish, *others.finish),
        text=(*known.text, *others.text),
        log_weights=np.concatenate([known.log_weights + scale[0], others.log_weights + scale[1]]),
        log_probs=np.concatenate([known.log_probs, others.log_probs]),
        log_proposal=np.concatenate([known.log_proposal - scale[0], others.log_proposal - scale[1]]),
        log_potential=np.concatenate([known.log_potential, others.log_potential]),
    )
