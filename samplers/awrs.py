"""Adaptive weighted rejection sampling: a properly weighted token from a handful of single-token checks.

**Idea.** For a constraint that can only be asked "is this token allowed?", a mask costs V questions. Draw a token, ask,
and if the answer is no draw from the rest; a few further questions estimate how much mass was allowed. Tokens that were
refused are never drawn again, so it ends.

**Formula.** Three estimators, each with E[w·1{token = a}] = p(a)·m(a), in the model's own probabilities p:

* *recursive*: draw without replacement until a token a is allowed, R being the mass left when it was drawn; look at the
  token that would be drawn next: w = R if it is allowed, else p(a). (Written as a product over the refused tokens of
  1 − q, q the conditional probabilities, times 1 or q: the products telescope.) At the r-th refusal: w = what is left
  if the next token is allowed, else 0.
* *geometric*: draws with replacement, among which those of refused tokens need not be made, but counted: before each
  question Geometric(1 − refused mass) − 1 further refusals. Stop at k accepts or r refusals;
  w = min(k − 1, accepts)/(accepts + refusals − 1), the token is the first accept.
* *wildcard*: ask about the K likeliest tokens, whose allowed mass is A, and about one token c drawn from the rest, of
  mass s: w = A + s·m(c); the token is one of the head with probability A/w, else c. When A = 0, go on with the next 2K,
  4K, …
  The least variance for the same number of questions, and the default.

**Law.** Properly weighted, token by token, so properly weighted for texts. The token alone has exactly the law of
masking, and the bias of masking: what makes up for it are the weights.

**Cost.** One model call per token; questions: about 2 where the model and the constraint agree, up to the number of
tokens with mass where they do not (`rejects` bounds it; a weight 0 is the price). Equal prefixes share the answers.
After `patience` refusals at one prefix a mask is made, if the constraint is not a black box: what was refused so far
was not allowed, so masking is properly weighted for what is left, without noise.

**When.** `predicate` constraints, products with them, expensive checks; as the move of `SMC`. Where masks are cheap,
`Masking` has the same law and its weights have no noise at all.

Papers: Adaptive Weighted Rejection Sampling (2504.05410); the weights of *geometric* are the unbiased estimator of
Girshick, Mosteller and Savage (1946) for that stopping rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samplers.errors import require
from samplers.log_space import log_of, log_sums
from samplers.particles import Frontier, Proposal
from samplers.protocols import Floats
from samplers.sequential import Sequential
from samplers.tape import Tape, Urn

Ints = NDArray[np.int64]
Check = Callable[[int], bool]
Drawn = tuple[int, float]  # a token, or -1, and its log-weight

NOTHING: Drawn = (-1, -math.inf)
GIVEN_UP = -2
_MANY_REJECTS = 32


@dataclass(frozen=True)
class AdaptiveRejection(Sequential):
    """Draws tokens by adaptive rejection; `variant` is "wildcard", "recursive" or "geometric".

    `head` is K of *wildcard*, `accepts` k of *geometric*, `rejects` bounds the refusals at one prefix, `patience` those
    before a mask is made (not with *geometric*, and not for black boxes).

    >>> from grammars import Vocabulary
    >>> from samplers import Problem, predicate, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> calm = predicate(lambda text: b"bb" not in text)
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.4, 0.4, 0.2]), calm, max_tokens=5)
    >>> samples = sample(problem, AdaptiveRejection(), n=50, seed=0)
    >>> any(b"bb" in text for text in samples.text)
    False
    """

    variant: str = "wildcard"
    head: int = 2
    accepts: int = 2
    rejects: int | None = None
    patience: int = 16

    law: ClassVar[str] = "weighted"

    def __post_init__(self) -> None:
        known = ("wildcard", "recursive", "geometric")
        require(self.variant in known, f"there is no variant {self.variant!r}", f"use one of {', '.join(known)}")
        require(self.head >= 1, f"the head has at least one token, not {self.head}")
        require(self.accepts >= 2, f"at least two accepts are needed for a weight, not {self.accepts}")
        require(self.rejects is None or self.rejects >= 1, f"rejects is at least 1, not {self.rejects}")
        require(self.patience >= 0, f"patience is at least 0, not {self.patience}")

    def propose(self, front: Frontier, tape: Tape) -> Proposal:
        checks = [checked(front, row) for row in range(len(front.contexts))]
        asked = self._asked(front, checks, tape)
        given_up = np.flatnonzero(asked.tokens == GIVEN_UP)
        return _masked(front, asked, given_up, tape) if len(given_up) else asked

    def _asked(self, front: Frontier, checks: list[Check], tape: Tape) -> Proposal:
        """What questions about single tokens give; the token GIVEN_UP where there were too many."""
        patience = None if getattr(front.problem.constraint, "black_box", False) else self.patience
        if self.variant == "wildcard":
            return wildcard(front.log_probs, front.rows, checks, tape, self.head, self.rejects, patience)
        urns, rows = tape.urns(front.log_probs, front.rows), list[int](front.rows.tolist())
        pairs = zip(urns, rows, strict=True)
        if self.variant == "recursive":
            drawn = [recursive(urn, front.log_probs[r], checks[r], self.rejects, patience) for urn, r in pairs]
        else:
            most = self.rejects or _MANY_REJECTS
            drawn = [geometric(urn, checks[r], tape, self.accepts, most) for urn, r in pairs]
        return Proposal(np.array([t for t, _ in drawn], np.int64), np.array([w for _, w in drawn], np.float64))


def _masked(front: Frontier, asked: Proposal, given_up: Ints, tape: Tape) -> Proposal:
    """Masking where patience ran out."""
    contexts, rows = np.unique(front.rows[given_up], return_inverse=True)
    masks = front.problem.mask_rows(front.states[contexts])
    found, log_mass = tape.tokens(front.log_probs[contexts], masks, rows)
    tokens, log_weights = asked.tokens.copy(), asked.log_weights.copy()
    tokens[given_up], log_weights[given_up] = found, log_mass[rows]
    return Proposal(tokens, log_weights)


def checked(front: Frontier, row: int) -> Check:
    """The question whether a token may follow at one context; asked once for each token."""
    constraint, state = front.problem.constraint, int(front.states[row])
    known: dict[int, bool] = {}

    def check(token: int) -> bool:
        if token not in known:
            known[token] = constraint.allows(state, token)
        return known[token]

    return check


def recursive(
    urn: Urn, log_probs: Floats, check: Check, rejects: int | None = None, patience: int | None = None
) -> Drawn:
    """The recursive estimator: draw without replacement, then look one token further.

    >>> from samplers.tape import seeded
    >>> row = np.log([0.5, 0.3, 0.2])
    >>> urn = seeded(0).urns(row[None], np.array([0]))[0]
    >>> token, log_weight = recursive(urn, row, lambda token: token == 1)
    >>> token, round(math.exp(log_weight), 6)
    (1, 0.3)
    """
    refused = 0
    while patience is None or refused < patience:
        log_left, token = urn.log_left(), urn.draw()
        if token < 0:
            return NOTHING
        urn.take(token)
        if check(token):
            following = urn.draw()
            return token, log_left if following < 0 or check(following) else float(log_probs[token])
        refused += 1
        if refused == rejects:
            following = urn.draw()
            return (following, urn.log_left()) if following >= 0 and check(following) else NOTHING
    return GIVEN_UP, -math.inf


def geometric(urn: Urn, check: Check, tape: Tape, accepts: int = 2, rejects: int = _MANY_REJECTS) -> Drawn:
    """The geometric estimator: draws with replacement, of which only those with an unknown outcome are made.

    >>> from samplers.tape import seeded
    >>> tape, row = seeded(1), np.log([0.5, 0.3, 0.2])
    >>> geometric(tape.urns(row[None], np.array([0]))[0], lambda token: True, tape)[1]
    0.0
    """
    first, accepted, refused = -1, 0, 0
    while accepted < accepts and refused < rejects:
        refused += _phantoms(urn.log_left(), rejects - refused, tape)
        token = urn.draw() if refused < rejects else -1
        if token < 0:
            break
        if check(token):
            first, accepted = (token if first < 0 else first), accepted + 1
        else:
            refused += 1
            urn.take(token)
    return (first, _log_ratio(min(accepts - 1, accepted), accepted + refused - 1)) if accepted else NOTHING


def _log_ratio(numerator: int, denominator: int) -> float:
    return math.log(numerator / denominator)


def _phantoms(log_left: float, most: int, tape: Tape) -> int:
    """How many draws hit what was refused before one does not, at most `most`."""
    left = math.exp(min(log_left, 0.0))
    missed = 1.0 - left
    chances = [left * missed**count for count in range(most)] + [missed**most]
    return int(tape.choose(log_of(chances)[None])[0])


class Order:
    """Tokens from the likeliest on, sorted as far as somebody looks."""

    def __init__(self, log_probs: Floats):
        self.log_probs = log_probs
        self._sorted: Ints = np.zeros(0, np.int64)

    def block(self, begin: int, size: int) -> Ints:
        """The tokens at ranks `begin` to `begin + size`, those of probability 0 left out.

        >>> Order(np.log([0.2, 0.5, 0.3])).block(0, 2).tolist()
        [1, 2]
        """
        if begin + size > len(self._sorted) < len(self.log_probs):
            self._sort(4 * (begin + size))
        tokens = self._sorted[begin : begin + size]
        return tokens[self.log_probs[tokens] > -math.inf]

    def _sort(self, count: int) -> None:
        if count < len(self.log_probs):
            best = np.argpartition(-self.log_probs, count)[:count]
            self._sorted = best[np.argsort(-self.log_probs[best], kind="stable")]
        else:
            self._sorted = np.argsort(-self.log_probs, kind="stable")


class Head(NamedTuple):
    """What the questions about the likeliest tokens of a row have found."""

    allowed: list[int]
    rest: Floats
    """The row without all the tokens that were asked about."""


def head_of(
    log_probs: Floats, check: Check, size: int, rejects: int | None = None, patience: int | None = None
) -> Head | None:
    """Ask about the likeliest tokens, `size` of them, then twice as many, until some are allowed; None if there were
    more than `patience`.

    >>> head = head_of(np.log([0.5, 0.3, 0.2]), lambda token: token == 1, 1)
    >>> head.allowed, np.exp(head.rest).round(3).tolist()
    ([1], [0.0, 0.0, 0.0])
    """
    order, rest, asked, allowed = Order(log_probs), log_probs.copy(), 0, list[int]()
    while len(tokens := order.block(asked, size)) and not allowed:
        if asked and rejects is not None and asked >= rejects:
            break
        if patience is not None and asked >= patience:
            return None
        rest[tokens] = -math.inf
        allowed = [token for token in tokens.tolist() if check(token)]
        asked, size = asked + len(tokens), 2 * size
    return Head(allowed, rest)


def wildcard(
    log_probs: Floats,
    rows: Ints,
    checks: Sequence[Check],
    tape: Tape,
    head: int = 2,
    rejects: int | None = None,
    patience: int | None = None,
) -> Proposal:
    """The head-and-wildcard estimator, for each entry of `rows`: the likeliest tokens for certain, one token for all
    the others. The head is the same for all that share a row.

    >>> from samplers.tape import seeded
    >>> row = np.log([[0.5, 0.3, 0.2]])
    >>> drawn = wildcard(row, np.array([0]), [lambda token: token != 1], seeded(1), head=1)
    >>> int(drawn.tokens[0]) in (0, 2), round(math.exp(drawn.log_weights[0]), 6) in (0.5, 1.0)
    (True, True)
    """
    found = [head_of(row, check, head, rejects, patience) for row, check in zip(log_probs, checks, strict=True)]
    given_up = np.array([h is None for h in found])[rows]
    nothing = Head([], np.full(log_probs.shape[1], -math.inf))
    drawn = _headed([nothing if h is None else h for h in found], log_probs, rows, checks, tape)
    return Proposal(np.where(given_up, GIVEN_UP, drawn.tokens), drawn.log_weights)


def _headed(heads: list[Head], log_probs: Floats, rows: Ints, checks: Sequence[Check], tape: Tape) -> Proposal:
    """One of the allowed tokens of the head, or a token from the rest."""
    rest = np.stack([h.rest for h in heads])
    everything = np.full((len(rest), -(-rest.shape[1] // 32)), 0xFFFFFFFF, np.uint32)
    others, log_rest = tape.tokens(rest, everything, rows)
    width = 1 + max(len(h.allowed) for h in heads)
    tokens, logs = np.full((len(rows), width), -1), np.full((len(rows), width), -math.inf)
    cases: list[tuple[int, int]] = list(zip(rows.tolist(), others.tolist(), strict=True))
    for i, (row, other) in enumerate(cases):
        count = len(heads[row].allowed)
        tokens[i, :count] = heads[row].allowed
        logs[i, :count] = log_probs[row, heads[row].allowed]
        if other >= 0 and checks[row](other):
            tokens[i, count], logs[i, count] = other, log_rest[row]
    chosen = tape.choose(logs)
    return Proposal(np.where(chosen >= 0, tokens[np.arange(len(rows)), chosen], -1), log_sums(logs))
