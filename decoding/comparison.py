"""Masking beside samplers that keep the model's probabilities, and both beside the exact truth.

Where the problem is small enough to be enumerated, nothing here is estimated but the samplers' own answers: the truth
is P*(x) = P(x)/Z over all texts of the language, and masking writes x with the product of its renormalised steps,

    q(x) = Π_t p(x_t | x_<t)/z(x_<t),        z(u) = the mass of the tokens that are allowed after u.

Texts are added up over all the ways to cut them into tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from samplers import Enumeration, Evaluator, Problem, Samples, enumerate_texts, sample
from samplers.exact import END_EDGE, Layer
from samplers.log_space import log_sum
from samplers.protocols import Sampler

Law = dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Laws over the same texts, by name; the truth first, then masking."""

    laws: Mapping[str, Law]
    log_z: float
    calls: Mapping[str, int]
    """Model calls (distinct prefixes) of each sampler that was run."""

    def texts(self, most: int) -> list[str]:
        """The texts that matter, the likeliest first.

        >>> Comparison({"truth": {"a": 0.9, "b": 0.1}}, 0.0, {}).texts(1)
        ['a']
        """
        weight = dict[str, float]()
        for law in self.laws.values():
            for text, p in law.items():
                weight[text] = max(weight.get(text, 0.0), p)
        kept = sorted(weight, key=lambda text: -weight[text])[:most]
        truth = next(iter(self.laws.values()))
        return sorted(kept, key=lambda text: -truth.get(text, 0.0))

    def distance(self, name: str) -> float:
        """The total variation between a law and the truth: the share of answers that is wrong.

        >>> Comparison({"truth": {"a": 0.9, "b": 0.1}, "masking": {"a": 0.5, "b": 0.5}}, 0.0, {}).distance("masking")
        0.4
        """
        truth, law = next(iter(self.laws.values())), self.laws[name]
        differences = (abs(truth.get(x, 0.0) - law.get(x, 0.0)) for x in truth.keys() | law.keys())
        return round(sum(differences) / 2, 12)


def compared(
    problem: Problem, runs: Mapping[str, tuple[Sampler, int]], seed: int = 0, max_prefixes: int = 20_000
) -> Comparison:
    """The truth, the law of masking, and what some samplers, each with a number of draws, make of it.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import SMC
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb"))
    >>> both = compared(problem, {"SMC": (SMC(), 4000)})
    >>> {name: round(law["a"], 1) for name, law in both.laws.items()}
    {'truth': 0.9, 'masking': 0.7, 'SMC': 0.9}
    """
    solved = enumerate_texts(problem, max_prefixes)
    laws = {"truth": _texts(problem, solved.probabilities()), "masking": _texts(problem, masking_law(solved))}
    calls = dict[str, int]()
    for number, (name, (sampler, n)) in enumerate(runs.items()):
        fresh = Problem(Evaluator(problem.model), problem.constraint, problem.potentials, problem.max_tokens)
        drawn = sample(fresh, sampler, n, seed=seed + number)
        laws[name], calls[name] = law_of(drawn), drawn.calls.distinct
    return Comparison(laws, solved.log_z, calls)


def law_of(drawn: Samples) -> Law:
    """The law that weighted rows estimate.

    >>> from samplers.samples import Samples
    >>> rows = np.array([0]), np.array([1])
    >>> law_of(Samples(rows, ("end", "end"), (b"a", b"b"), np.log([0.3, 0.1]), *np.zeros((2, 2))))
    {'a': 0.75, 'b': 0.25}
    """
    law = Law()
    for text, weight in zip(drawn.text, drawn.normalized_weights().tolist(), strict=True):
        key = text.decode("utf-8", "backslashreplace")
        law[key] = law.get(key, 0.0) + weight
    return {text: round(p, 12) for text, p in law.items() if p > 0}


def masking_law(solved: Enumeration) -> dict[tuple[int, ...], float]:
    """With which probability masking writes each text, end included: the product of its renormalised steps.

    What is missing to 1 is the chance of running into the token budget.
    """
    law = dict[tuple[int, ...], float]()
    stack: list[tuple[int, int, tuple[int, ...], float]] = [(0, 0, (), 0.0)]
    while stack:
        depth, node, prefix, log_q = stack.pop()
        layer = solved.layers[depth]
        for token, target, log_step in _steps(layer, node):
            if target == END_EDGE:
                law[prefix] = law.get(prefix, 0.0) + float(np.exp(log_q + log_step))
            else:
                stack.append((depth + 1, target, (*prefix, token), log_q + log_step))
    return law


def _steps(layer: Layer, node: int) -> list[tuple[int, int, float]]:
    """Each allowed step: its token, where it leads, and the log of its share of the allowed mass."""
    edges = layer.edges(node)
    log_p = layer.log_p[edges]
    shares = log_p - log_sum(log_p) if len(log_p) else log_p
    return list(zip(layer.token[edges].tolist(), layer.target[edges].tolist(), shares.tolist(), strict=True))


def _texts(problem: Problem, law: Mapping[tuple[int, ...], float]) -> Law:
    texts = Law()
    for tokens, p in law.items():
        text = problem.text(np.array(tokens, np.int64)).decode("utf-8", "backslashreplace")
        texts[text] = texts.get(text, 0.0) + p
    return texts
