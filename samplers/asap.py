"""ASAp: masked draws that remember how the earlier ones ended.

**Idea.** Masking goes wrong where much of what it allows cannot be completed with the mass that it seems to have. Every
draw shows it: keep the upper bounds H(u) ≥ h*(u) that follow from all prefixes seen so far in a trie, and let the next
draw prefer what may still come to something.

**Formula.** q(a | u) = p(a | u)·H(ua)/Σ_b p(b | u)·H(ub); after each round H(u) ← Σ_a p(a | u)·H(ua) up the path. As
H falls to h*, q rises to P*: P*(a | u) = p(a | u)·h*(ua)/h*(u).

**Law.** The rows themselves: the first draw has the law of masking, the law of the k-th tends to P*, and every one
before is biased. Their weights w = H(root)·∏ Σ_b p(b | u)·H(ub)/H(u) ≤ H(root), the product over prefixes that were
new, make up for it exactly: (w, x) is properly weighted given all that went before. So: weighted; and if the weights
are dropped, the algorithm as published.

**Cost.** One model call for each prefix that the trie does not know, none for the others. `width` descents share a
round (and its model calls) and do not learn from each other.

**When.** Repeated draws from the same problem: the trie is kept from call to call, and can be saved (`asap.tries`). For
exact draws from the same trie, `CARS`; for estimates, `BTW`, which counts what it has found.

Paper: Grammar-Aligned Decoding (2405.21047).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from samplers.errors import require
from samplers.problem import Problem
from samplers.protocols import Floats, Info
from samplers.samples import Samples
from samplers.tape import Source, Tape, tape_of
from samplers.trie import Trie, Tries
from samplers.trie.rounds import NOWHERE, Run, as_samples, begun, certified, continued, distinct_mass, log_difference
from samplers.trie.walks import Bounds, Descent

Drawn = tuple[int, tuple[Descent, ...]]


@dataclass(frozen=True)
class ASAp:
    """Draws from a trie of bounds that every draw improves.

    `width` descents at a time; `stored` tokens of each prefix are kept, `max_bytes` bounds the trie.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb"))
    >>> asap = ASAp(width=1)
    >>> sample(problem, asap, n=3, seed=2).log_weights.round(3).tolist()
    [-1.674, -3.753, -1.962]
    >>> sample(problem, asap, n=2, seed=3).calls.distinct
    0
    """

    width: int = 8
    stored: int = 128
    max_bytes: int = 1 << 29
    tries: Tries = field(default_factory=Tries, compare=False, repr=False)

    law: ClassVar[str] = "weighted"
    takes_out: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require(self.width >= 1, f"width is at least 1, not {self.width}")
        require(self.stored >= 1, f"at least one token is stored for a prefix, not {self.stored}")

    def init(self, problem: Problem, n: int, rng: Source) -> Run[Drawn]:
        trie = self.tries.of(problem, stored=self.stored, max_bytes=self.max_bytes)
        require(not trie.found.size, "ASAp needs a trie of its own: from this one texts were taken out")
        return begun(problem, trie, Bounds(), self, (n, ()), tape_of(rng))

    def step(self, problem: Problem, state: Run[Drawn], log_probs: Floats, rng: Source) -> tuple[Run[Drawn], Info]:
        return continued(problem, state, log_probs, self, tape_of(rng))

    def finish(self, problem: Problem, state: Run[Drawn]) -> Samples:
        _, drawn = state.tally
        samples = as_samples(problem, drawn, np.array([d.log_weight for d in drawn], np.float64))
        found = distinct_mass(drawn)
        certificate = certified(problem, found, log_difference(state.trie.log_root, found))
        return replace(samples, certificate=certificate, notes={"log_root": state.trie.log_root})

    # -- the plan of its rounds -------------------------------------------------------------------------------------

    def size(self, trie: Trie, tally: Drawn, tape: Tape) -> tuple[int, Drawn]:
        n, drawn = tally
        if trie.log_root == -np.inf:
            return 0, (n, (*drawn, *(NOWHERE,) * (n - len(drawn))))
        return min(self.width, n - len(drawn)), tally

    def absorbed(self, problem: Problem, trie: Trie, tally: Drawn, descents: Sequence[Descent], tape: Tape) -> Drawn:
        return tally[0], (*tally[1], *descents)

    def tidied(self, problem: Problem, trie: Trie, tally: Drawn, descents: Sequence[Descent]) -> Drawn:
        if trie.full:
            trie.forget(problem)
        return tally
