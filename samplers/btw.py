"""BTW, bracketed trie sampling without replacement: nothing is drawn twice, and Z lies between two numbers.

**Idea.** A text that has been found has an exact probability: there is no need to draw it again. Take it out of the
trie of bounds, count it, and draw from what is left. What is left has an upper bound U, so what was found is
certified.

**Formula.** F is the set of found texts, H the bounds of the rest, U = H(root). Draw x from the rest with weight w.
Given the past,

    μ_k(f) = Σ_{y ∈ F} P(y)·ψ(y)·f(y) + w·f(x)

is unbiased for Z·E*[f]. Then x moves into F. The draws are combined as Σ g_k·μ_k/Σ g_k.

**Law.** `weights="fixed"`: g_k = 1, so the combination is unbiased: properly weighted. `weights="predictable"`: g_k =
1/U_k², known before the draw; late draws, whose remainder is small, count more: consistent and of lower variance,
though no longer unbiased. `mode="exact"`: with probability Z_F/(Z_F + U) pick from F (no model call), else descend
and accept with probability w/U: independent draws from P*, all with the weight Z_F + w of a later descent.

**Certificate.** Z_F ≤ Z ≤ Z_F + U, and F renormalised is within U/(Z_F + U) of P* in total variation. For certain.

**Twist.** With `twist`, the weighted mode proposes with a table ĥ[state of the constraint, tokens left] that it
learns on the way (`samplers.trie.twist`): what was learned about one prefix helps with all in the same state. Weights
stay exact, but may exceed U. A `StateTable` of yours carries it over to other prompts and models.

**Cost.** One model call for each prefix that is new. A row for each text that was known and for each of the n draws;
`max_calls` ends the run when so many prefixes have been expanded (then n is only a limit). The descents of a round do
not learn from each other: a round begins with one, and has more, up to `width`, as soon as the bounds hardly move.

**When.** Peaked targets, finite answers, estimates that must come with a guarantee: at 1,000 model calls a third of the
error of the best alternative. With 100 calls, or flat targets, or long free text (U hardly falls), `SMC`.

The combination with g_k = 1 is the estimator of Des Raj (1956) for sampling without replacement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from grammars.errors import BudgetExhausted, DeadEnd
from samplers.cars import log_estimate_behind
from samplers.errors import require
from samplers.problem import Problem
from samplers.protocols import Info
from samplers.samples import END, Samples
from samplers.tape import Source, Tape, coins, tape_of
from samplers.trie import StateTable, Trie, Tries
from samplers.trie.rounds import NOWHERE, Run, as_samples, begun, certified, continued, distinct_mass, log_difference
from samplers.trie.tree import Text
from samplers.trie.twist import Twisted, learned
from samplers.trie.walks import Bounds, Descent, Guide

Floats = NDArray[np.float64]

_MODES = ("weighted", "exact")
_WEIGHTS = ("fixed", "predictable")
_LOSS, _MOST = 0.05, 1 << 16


@dataclass(frozen=True, eq=False)
class Tally:
    """What has been drawn so far.

    Weighted: `drawn` with the weight g of each, and `log_g`, the sum of all g. `lost` are found texts that the trie had
    to forget, with what they had earned. Exact: `accepted`, and `trials` of the round that is on its way, None where
    a descent is; `log_z` once it is known.
    """

    n: int
    begin: int
    drawn: tuple[Descent, ...] = ()
    log_gs: tuple[float, ...] = ()
    log_g: float = -math.inf
    lost: tuple[Text, ...] = ()
    trials: tuple[Descent | None, ...] = ()
    accepted: tuple[Descent, ...] = ()
    count: int = 0
    log_z: float | None = None
    log_first: float = math.inf
    """log U after the first round."""
    log_left: float = math.inf
    """log U of the last round."""
    calm: int = 1
    """How many descents the next round may have, as the bounds move."""


@dataclass(frozen=True)
class BTW:
    """Draws without replacement from a trie of bounds.

    `mode` is "weighted" or "exact", `weights` "fixed" or "predictable"; `twist` is True, False or a `StateTable`, and
    `trust` its share in the proposal. `width` descents at a time; `max_draws` bounds the descents for each text of the
    exact mode; `stored` tokens of each prefix are kept, `max_bytes` bounds the trie.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb"))
    >>> samples = sample(problem, BTW(width=1), n=2, seed=0)
    >>> sorted(samples.text), samples.certificate.distance, round(math.exp(samples.certificate.log_upper), 6)
    ([b'a', b'bb'], 0.0, 0.140625)
    """

    mode: str = "weighted"
    weights: str = "fixed"
    twist: bool | StateTable = True
    trust: float = 0.9
    width: int = 8
    max_calls: int | None = None
    max_draws: int = 10_000
    stored: int = 128
    max_bytes: int = 1 << 29
    tries: Tries = field(default_factory=Tries, compare=False, repr=False)

    takes_out: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.mode in _MODES, f"there is no mode {self.mode!r}", f"use one of {', '.join(_MODES)}")
        require(self.weights in _WEIGHTS, f"there are no weights {self.weights!r}", f"use one of {', '.join(_WEIGHTS)}")
        require(0.0 <= self.trust < 1.0, f"trust is at least 0 and below 1, not {self.trust}")
        require(self.width >= 1, f"width is at least 1, not {self.width}")
        require(self.max_calls is None or self.max_calls >= 1, f"max_calls is at least 1, not {self.max_calls}")
        require(self.max_draws >= 1, f"max_draws is at least 1, not {self.max_draws}")
        require(self.stored >= 1, f"at least one token is stored for a prefix, not {self.stored}")

    @property
    def law(self) -> str:
        """Predictable weights are consistent, and no more."""
        if self.mode == "exact":
            return "exact"
        return "weighted" if self.weights == "fixed" else "approximate"

    def init(self, problem: Problem, n: int, rng: Source) -> Run[Tally]:
        table = self.twist if isinstance(self.twist, StateTable) else None
        trie = self.tries.of(problem, stored=self.stored, max_bytes=self.max_bytes, table=table)
        trie.found.since[:] = -math.inf
        return begun(problem, trie, self._guide(), self, Tally(n, trie.expansions), tape_of(rng))

    def step(self, problem: Problem, state: Run[Tally], log_probs: Floats, rng: Source) -> tuple[Run[Tally], Info]:
        return continued(problem, state, log_probs, self, tape_of(rng))

    def finish(self, problem: Problem, state: Run[Tally]) -> Samples:
        trie, tally = state.trie, state.tally
        samples = (
            _exact_rows(problem, trie, tally) if self.mode == "exact" else self._weighted_rows(problem, trie, tally)
        )
        notes = {
            "draws": len(tally.drawn) + tally.count,
            "found": trie.found.size,
            "log_found": trie.log_found,
            "log_left": trie.log_root,
        }
        shown = distinct_mass(tally.accepted) if self.mode == "exact" else None
        return replace(samples, certificate=certified(problem, trie.log_found, trie.log_root, shown), notes=notes)

    def _guide(self) -> Guide:
        twisted = self.mode == "weighted" and self.twist is not False
        return Twisted(self.trust) if twisted else Bounds()

    # -- the plan of its rounds -------------------------------------------------------------------------------------

    def size(self, trie: Trie, tally: Tally, tape: Tape) -> tuple[int, Tally]:
        if self.mode == "exact":
            return self._next_trials(trie, tally, tape)
        room = self._room(trie, tally)
        if not room or trie.log_root == -math.inf:
            return 0, tally
        return min(self.width, tally.calm, room, tally.n - len(tally.drawn)), tally

    def _room(self, trie: Trie, tally: Tally) -> int:
        """How many more descents `max_calls` leaves room for, if they cost what those so far did; at least one."""
        if self.max_calls is None:
            return self.width
        spent = trie.expansions - tally.begin
        each = max(1.0, spent / max(len(tally.drawn), 1))
        return max(1, int((self.max_calls - spent) / each)) if spent < self.max_calls else 0

    def absorbed(self, problem: Problem, trie: Trie, tally: Tally, descents: Sequence[Descent], tape: Tape) -> Tally:
        if self.mode == "exact":
            return _judged(trie, tally, descents, tape)
        log_g = 0.0 if self.weights == "fixed" else -2.0 * trie.log_root
        return replace(
            tally,
            drawn=(*tally.drawn, *descents),
            log_gs=(*tally.log_gs, *(log_g,) * len(descents)),
            log_g=float(np.logaddexp(tally.log_g, log_g + math.log(len(descents)))),
            log_left=trie.log_root,
        )

    def tidied(self, problem: Problem, trie: Trie, tally: Tally, descents: Sequence[Descent]) -> Tally:
        new = len({d.tokens.tobytes() for d in descents if d.finish == END})
        trie.found.since[trie.found.size - new : trie.found.size] = tally.log_g
        if isinstance(self._guide(), Twisted):
            learned(problem, trie, trie.ancestry(d.node for d in descents))
        first = trie.log_root if tally.log_first == math.inf else tally.log_first
        tally = replace(tally, log_first=first, calm=_calm(tally.log_left, trie.log_root, len(descents)))
        if not trie.full:
            return tally
        _, lost = trie.forget(problem)
        earned = [text._replace(since=log_difference(tally.log_g, text.since)) for text in lost]
        return replace(tally, lost=(*tally.lost, *earned))

    # -- weighted ---------------------------------------------------------------------------------------------------

    def _weighted_rows(self, problem: Problem, trie: Trie, tally: Tally) -> Samples:
        """A row for each text that was known before, then one for each draw. A text that was found earns P(y)·g of
        all later draws; this goes to the row that found it."""
        if not tally.n:
            return as_samples(problem, (), np.zeros(0))
        tally = self._completed(trie, tally)
        rows, earned = list(tally.drawn), [d.log_weight + g for d, g in zip(tally.drawn, tally.log_gs, strict=True)]
        finder = {d.tokens.tobytes(): i for i, d in reversed(list(enumerate(rows))) if d.finish == END}
        known = [trie.found_text(row) for row in range(trie.found.size)]
        known = [text._replace(since=log_difference(tally.log_g, text.since)) for text in known]
        for text in (*known, *tally.lost):
            row = finder.setdefault(text.tokens.tobytes(), len(rows))
            if row == len(rows):
                rows.append(Descent(text.tokens, END, 0.0, text.log_prob, text.log_score, -1, -1))
                earned.append(-math.inf)
            earned[row] = float(np.logaddexp(earned[row], text.log_prob + text.log_score + text.since))
        return as_samples(problem, rows, np.array(earned) - tally.log_g + math.log(len(rows)))

    def _completed(self, trie: Trie, tally: Tally) -> Tally:
        """The draws that were not made because nothing is left: they would have found what is found."""
        missing = tally.n - len(tally.drawn)
        if trie.log_root > -math.inf or not missing:
            return tally
        padded = replace(
            tally, drawn=(*tally.drawn, *(NOWHERE,) * missing), log_gs=(*tally.log_gs, *(-math.inf,) * missing)
        )
        if self.weights == "fixed":
            return replace(padded, log_g=math.log(tally.n))
        trie.found.since[:] = -math.inf  # with g = 1/0² the last draw alone counts, and it knows everything
        return replace(padded, log_g=0.0, log_gs=(-math.inf,) * len(padded.drawn), lost=())

    # -- exact ------------------------------------------------------------------------------------------------------

    def _next_trials(self, trie: Trie, tally: Tally, tape: Tape) -> tuple[int, Tally]:
        """Toss for the next trials whether they pick a found text or descend; picks that need no descent are done."""
        log_found, log_left = trie.log_found, trie.log_root
        if tally.n and log_found == log_left == -math.inf:
            raise DeadEnd("the model gives the language no mass within the token budget", hint="raise max_tokens")
        while len(tally.accepted) < tally.n and tally.count < self.max_draws * tally.n:
            trials = self._tossed(trie, tally.n - len(tally.accepted), log_found, log_left, tape)
            tally = replace(tally, trials=trials, count=tally.count + len(trials))
            descents = sum(trial is None for trial in trials)
            if descents:
                return descents, tally
            picked = [*tally.accepted, *(trial for trial in trials if trial is not None)]
            tally = replace(tally, accepted=tuple(picked[: tally.n]), trials=())
        if tally.log_z is None and len(tally.accepted) == tally.n > 0:
            if log_left > -math.inf:
                return 1, replace(tally, trials=(None,))
            tally = replace(tally, log_z=log_found)
        return 0, tally

    def _tossed(
        self, trie: Trie, wanted: int, log_found: float, log_left: float, tape: Tape
    ) -> tuple[Descent | None, ...]:
        share = math.exp(log_found - float(np.logaddexp(log_found, log_left)))
        count = wanted if share == 1.0 else max(1, min(max(wanted, self.width), int(self.width / (1.0 - share))))
        picks = coins(tape, np.full(count, math.log(share) if share else -math.inf))
        masses = np.broadcast_to(trie.found_masses, (int(picks.sum()), trie.found.size))
        texts = iter([_as_descent(trie.found_text(row)) for row in tape.choose(masses).tolist()] if picks.any() else [])
        return tuple(next(texts) if pick else None for pick in picks.tolist())


def _calm(log_before: float, log_after: float, size: int) -> int:
    """A round so large that U is likely to lose a twentieth in it, given what the last one, of that size, took away."""
    each = -math.expm1(min(0.0, log_after - log_before)) / size if size else 1.0
    return max(1, int(_LOSS / max(each, _LOSS / _MOST)))


def _as_descent(text: Text) -> Descent:
    return Descent(text.tokens, END, -math.inf, text.log_prob, text.log_score, -1, -1)


def _judged(trie: Trie, tally: Tally, descents: Sequence[Descent], tape: Tape) -> Tally:
    """Accept descents with probability w/U; picks are accepted anyhow. Trials count in the order of their launch."""
    missing = tally.n - len(tally.accepted)
    if not missing:
        return replace(tally, log_z=_log_estimate(trie, (), descents), trials=())
    heads: list[bool] = coins(tape, np.array([d.log_weight for d in descents]) - trie.log_root).tolist()
    remaining, accepted, used = iter(zip(descents, heads, strict=True)), list(tally.accepted), 0
    for trial in tally.trials:
        if len(accepted) == tally.n:
            break
        descent, head = (trial, True) if trial is not None else next(remaining)
        used += trial is None
        accepted += [descent] if head else []
    after = descents[used:]
    log_z = _log_estimate(trie, descents[:used], after) if len(accepted) == tally.n and after else None
    return replace(tally, accepted=tuple(accepted), trials=(), log_z=log_z)


def _log_estimate(trie: Trie, before: Sequence[Descent], after: Sequence[Descent]) -> float:
    """log of Z_F and of what descents after the last accepted text say about the rest."""
    return float(np.logaddexp(trie.log_found, log_estimate_behind(before, after)))


def _exact_rows(problem: Problem, trie: Trie, tally: Tally) -> Samples:
    accepted, missing = tally.accepted, tally.n - len(tally.accepted)
    if tally.n and not accepted:
        raise BudgetExhausted(
            f"none of {tally.count} trials was accepted", hint="raise BTW(max_draws=...), or use its weighted mode"
        )
    if not tally.n:
        return as_samples(problem, (), np.zeros(0))
    log_z = tally.log_z if tally.log_z is not None else trie.log_found
    scale = math.log(tally.n / len(accepted))
    return as_samples(problem, (*accepted, *(NOWHERE,) * missing), np.full(tally.n, log_z + scale))
