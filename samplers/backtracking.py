"""Backtracking: approximately aligned decoding for checks that fail late.

**Idea.** Write on as if there were no constraint; when the next token turns out to be forbidden, learn from it, and do
not throw the whole text away: keep as much of it as its new probability justifies.

**Formula.** H(u) is the mass below prefix u that is not known to be dead, 1 at first. A forbidden token b at u_k makes
H(u_k b) = 0, and with it, up to the root, H(u) ← H(u) − p(a | u)·ΔH(ua). Both the law before, p_old(a | u) = p(a |
u)·H_old(ua)/H_old(u), and the law after are known, so the text is treated as a draft in speculative sampling: from the
root on keep token a_t with probability min(1, p_new(a_t)/p_old(a_t)); at the first that is not kept, draw from the
residual max(0, p_new − p_old), which is p·H over the other tokens, and go on from there.

**Law.** Approximate. Each repair has exactly the law p_new if the draft had p_old, but the draft was seen to fail,
which is information about it. The bias is far below that of masking where failures are rare. Equal weights: the rows
are meant to be used as they are; log_z is the mean of H(root), an upper bound of Z.

**Cost.** One model call per token written, prefixes that are written again are known. `max_repairs` bounds the failures
of one text, else it is "dead".

**When.** Black-box checks that rarely fail, and fail late: code that must not use a name, a text without certain
sequences. Where failures are common or exactness matters, `CARS`, or `SMC` with `AdaptiveRejection`. Potentials are
not part of it, and refused.

Paper: Approximately Aligned Decoding (2410.01103).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samplers.errors import require
from samplers.grouping import grouped
from samplers.log_space import log_mean
from samplers.particles import pinned
from samplers.problem import Problem
from samplers.protocols import NO_TOKENS, Contexts, Info
from samplers.samples import CUT, END, LENGTH, Samples
from samplers.tape import Source, Tape, coins, tape_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NOTHING_LEFT = 1e-12  # a mass below this is what rounding left of nothing


@dataclass(frozen=True, eq=False)
class Draft:
    """A text in progress. `alive` holds H of prefixes where it is not 1, `touched` for each prefix the tokens behind it
    of which that is so; `path` is log p of the tokens written."""

    tokens: Ints = field(default_factory=lambda: NO_TOKENS)
    states: tuple[int, ...] = ()
    path: tuple[float, ...] = ()
    alive: dict[bytes, float] = field(default_factory=dict[bytes, float])
    touched: dict[bytes, frozenset[int]] = field(default_factory=dict[bytes, frozenset[int]])
    avoided: int = -1
    """The token that the next draw must not take: it was not kept by a repair."""
    repairs: int = 0
    finish: str = ""
    log_end: float = 0.0

    def mass(self, length: int) -> float:
        """H of a prefix of the text."""
        return self.alive.get(self.tokens[:length].tobytes(), 1.0)


@dataclass(frozen=True, eq=False)
class Drafts:
    """All texts; each is at its own length."""

    drafts: tuple[Draft, ...]
    pin: object = None

    @cached_property
    def running(self) -> tuple[int, ...]:
        return tuple(i for i, draft in enumerate(self.drafts) if not draft.finish)

    @cached_property
    def groups(self) -> tuple[tuple[Ints, ...], Ints]:
        distinct, rows, _ = grouped(self.drafts[i].tokens for i in self.running)
        return distinct, rows

    @property
    def contexts(self) -> Contexts:
        return self.groups[0]

    @property
    def demand(self) -> int:
        return len(self.running)


@dataclass(frozen=True)
class Backtracking:
    """Writes, and repairs what it wrote when a token is forbidden.

    >>> from grammars import Vocabulary
    >>> from samplers import Problem, predicate, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 2, 1]), predicate(lambda text: b"bb" not in text))
    >>> sample(problem, Backtracking(), n=3, seed=0).text
    (b'baba', b'a', b'a')
    """

    max_repairs: int = 1_000

    law: ClassVar[str] = "approximate"

    def __post_init__(self) -> None:
        require(self.max_repairs >= 0, f"max_repairs is at least 0, not {self.max_repairs}")

    def init(self, problem: Problem, n: int, rng: Source) -> Drafts:
        require(not problem.potentials, "Backtracking knows no potentials", "use SMC")
        return Drafts((Draft(states=(problem.constraint.start,)),) * n)

    def step(self, problem: Problem, state: Drafts, log_probs: Floats, rng: Source) -> tuple[Drafts, Info]:
        drafts, tape = list(state.drafts), tape_of(rng)
        for i, row in zip(state.running, state.groups[1].tolist(), strict=True):
            drafts[i] = self._moved(problem, drafts[i], log_probs[row], tape)
        pin = pinned(problem.constraint, [s for draft in drafts if not draft.finish for s in draft.states])
        repairs = np.array([draft.repairs for draft in drafts])
        return Drafts(tuple(drafts), pin), Info(np.full(len(drafts), np.nan), notes={"repairs": repairs})

    def finish(self, problem: Problem, state: Drafts) -> Samples:
        done = np.array([draft.finish == END for draft in state.drafts], np.bool_)
        level = log_mean([math.log(draft.mass(0)) if draft.mass(0) > 0.0 else -math.inf for draft in state.drafts])
        log_probs = np.array([sum(draft.path) + draft.log_end for draft in state.drafts], np.float64)
        return Samples(
            tokens=tuple(draft.tokens for draft in state.drafts),
            finish=tuple(draft.finish for draft in state.drafts),
            text=tuple(problem.text(draft.tokens) for draft in state.drafts),
            log_weights=np.where(done, level, -math.inf),
            log_probs=log_probs,
            log_proposal=log_probs - (level if done.any() else 0.0),
            log_z=level if len(state.drafts) else math.nan,
            notes={"repairs": np.array([draft.repairs for draft in state.drafts])},
        )

    def _moved(self, problem: Problem, draft: Draft, row: Floats, tape: Tape) -> Draft:
        """One token further, or back."""
        token = int(tape.choose(_open(problem, draft, row)[None])[0])
        if token < 0:
            return replace(draft, finish=CUT)
        draft = replace(draft, avoided=-1)
        state = draft.states[-1]
        fits = len(draft.tokens) < problem.max_tokens
        if problem.is_end(np.array([token]))[0]:
            if problem.constraint.accepts(state):
                return replace(draft, finish=END, log_end=float(problem.log_end(row[None])[0]))
        elif fits and problem.constraint.allows(state, token):
            return _written(problem, draft, row, token)
        if draft.repairs >= self.max_repairs:
            return replace(draft, finish=CUT if fits else LENGTH)
        return _repaired(draft, token, math.exp(float(_merged(problem, row)[token])), tape)


def _open(problem: Problem, draft: Draft, row: Floats) -> Floats:
    """log of p·H over the next tokens, without the one to be avoided. All end tokens are one."""
    logs = _merged(problem, row)
    for token in draft.touched.get(draft.tokens.tobytes(), ()):
        logs[token] += _log(draft.alive[np.append(draft.tokens, token).tobytes()])
    if draft.avoided >= 0:
        logs[draft.avoided] = -math.inf
    return logs


def _merged(problem: Problem, row: Floats) -> Floats:
    """A copy of a row in which the first end token stands for all of them."""
    logs, ends = row.copy(), list(problem.vocabulary.eos)
    if ends:
        logs[ends] = -math.inf
        logs[ends[0]] = problem.log_end(row[None])[0]
    return logs


def _written(problem: Problem, draft: Draft, row: Floats, token: int) -> Draft:
    after = int(problem.advanced(np.array([draft.states[-1]]), np.array([token]))[0])
    tokens = np.append(draft.tokens, token)
    return replace(draft, tokens=tokens, states=(*draft.states, after), path=(*draft.path, float(row[token])))


def _repaired(draft: Draft, token: int, p: float, tape: Tape) -> Draft:
    """Learn that `token`, of probability p, is dead, and keep as much of the text as the new law justifies."""
    before = [draft.mass(length) for length in range(len(draft.tokens) + 1)]
    draft = _learned(draft, token, p)
    after = [draft.mass(length) for length in range(len(draft.tokens) + 1)]
    if after[0] <= 0.0:
        return replace(draft, finish=CUT)
    for length in range(len(draft.tokens)):
        log_ratio = _log(after[length + 1]) + _log(before[length]) - _log(after[length]) - _log(before[length + 1])
        if not coins(tape, np.array([min(0.0, log_ratio)]))[0]:
            return _cut(draft, length, int(draft.tokens[length]))
    return draft


def _learned(draft: Draft, token: int, p: float) -> Draft:
    """H with one token dead: the loss is handed up to the root."""
    alive, touched = dict(draft.alive), dict(draft.touched)
    path = np.append(draft.tokens, token)
    loss = alive.get(path.tobytes(), 1.0) * p
    alive[path.tobytes()] = 0.0
    for length in range(len(draft.tokens), -1, -1):
        prefix = path[:length].tobytes()
        left = alive.get(prefix, 1.0) - loss
        alive[prefix] = left if left > _NOTHING_LEFT else 0.0
        touched[prefix] = touched.get(prefix, frozenset()) | {int(path[length])}
        loss *= math.exp(draft.path[length - 1]) if length else 0.0
    return replace(draft, alive=alive, touched=touched, repairs=draft.repairs + 1)


def _cut(draft: Draft, length: int, avoided: int) -> Draft:
    return replace(
        draft,
        tokens=draft.tokens[:length],
        states=draft.states[: length + 1],
        path=draft.path[:length],
        avoided=avoided,
    )


def _log(value: float) -> float:
    return math.log(value) if value > 0.0 else -math.inf
