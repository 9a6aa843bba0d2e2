"""Found sets: forget how often a text was drawn, and weigh it with its own probability.

**Idea.** All texts that a sampler found have known probabilities. So the distinct ones, weighted by P(x)·ψ(x), are an
estimator that costs nothing (the limit of Rao–Blackwellising over the draws).

**Formula.** Ê[f] = Σ_{y ∈ F} P(y)·ψ(y)·f(y) / Z_F over the distinct texts F; Z_F = Σ P(y)·ψ(y) ≤ Z for certain.

**Law.** P* restricted to F: no more random than F is. Its distance from P* is 1 − Z_F/Z: excellent where a few texts
have nearly all the mass, harmful on flat targets, where F holds a sliver of it and says nothing about the rest. So it
is nothing that is done unasked. Where a trie certifies Z from above, the distance is certified, too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from samplers.log_space import log_sum
from samplers.samples import END, Certificate, Samples


def found_set(samples: Samples) -> Samples:
    """The distinct complete texts of some samples, weighted by their exact probabilities.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Masking, Problem, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a|bb"))
    >>> found = found_set(sample(problem, Masking(), n=50, seed=0))
    >>> sorted(found.text), round(found.expectation(lambda text: text == b"a"), 6), round(8 / 9, 6)
    ([b'a', b'bb'], 0.888889, 0.888889)
    """
    first: dict[bytes, int] = {}
    for row, (tokens, finish) in enumerate(zip(samples.tokens, samples.finish, strict=True)):
        if finish == END:
            first.setdefault(tokens.tobytes(), row)
    rows = np.array(list(first.values()), np.int64)
    masses = samples.log_probs[rows] + samples.log_potential[rows]
    log_found = log_sum(masses)
    kept = samples.take(rows, masses + math.log(max(len(rows), 1)))
    return replace(kept, log_z=log_found, certificate=_narrowed(samples.certificate, log_found))


def _narrowed(certificate: Certificate | None, log_found: float) -> Certificate | None:
    """The upper bound stays; the lower one, and the distance, are those of the found texts."""
    if certificate is None:
        return None
    upper = certificate.log_upper
    distance = -math.expm1(min(0.0, log_found - upper)) if upper > -math.inf else 0.0
    return Certificate(max(certificate.log_lower, log_found), upper, max(0.0, distance))
