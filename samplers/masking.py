"""Masking: forbid what the constraint forbids, renormalise, draw. What everybody does.

**Idea.** At each prefix u draw from the model's distribution over the allowed tokens.

**Formula.** q(a | u) = p(a | u)·m(u, a)/z(u) with z(u) = Σ_a p(a | u)·m(u, a).

**Law.** q(x) = P(x)/∏_t z(u_t), which is *not* P*(x) = P(x)/Z: a token that leads to a part of the language with little
mass is as likely as one that leads to much of it. But the factor is known, w = ∏_t z(u_t), and E_q[w·f] = Z·E*[f]. So
the weights are carried along, and what is wrong as a sample is right as a weighted one. Potentials multiply into them.

**Cost.** One model call and one mask per token, nothing else.

**When.** Always, if the constraint says little about the content: all w are then alike (see `Samples.ess`). Not on its
own where they differ much: a few rows carry all the weight. `SMC` resamples early, `CARS` and `AdaptiveRejection` with
restarts are exact.

Papers: the bias, Grammar-Aligned Decoding (2405.21047); the weights are sequential importance sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from samplers.particles import Frontier, Proposal
from samplers.sequential import Sequential
from samplers.tape import Tape


@dataclass(frozen=True)
class Masking(Sequential):
    """Draws from the allowed tokens; carries the weight that makes up for it.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> samples = sample(Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb")), Masking(), n=2, seed=3)
    >>> samples.text, samples.log_weights.round(3).tolist()
    ((b'a', b'a'), [-1.674, -1.674])
    """

    law: ClassVar[str] = "weighted"

    def propose(self, front: Frontier, tape: Tape) -> Proposal:
        tokens, log_mass = tape.tokens(front.log_probs, front.masks, front.rows)
        return Proposal(tokens, log_mass[front.rows])
