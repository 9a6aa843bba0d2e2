"""How to choose the next tokens under a constraint, for any model.

Masking the forbidden tokens and drawing from what is left is fast, and wrong: it does not draw from the model's
distribution conditioned on the constraint. This package is the place of the algorithms that do, or that say by how much
they do not. They know nothing of torch or of any model: log-probabilities come in, tokens and weights go out.

>>> from grammars import Vocabulary, regex
>>> from samplers import SMC, Problem, sample
>>> from samplers.models import Tabulated
>>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
>>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("(ab|bbb)+"))
>>> samples = sample(problem, SMC(500), seed=1)
>>> round(samples.expectation(lambda text: text == b"ab"), 1)
0.8

Where to read: `protocols` (what the parts expect of each other), `driver` (the loop), `samples` (what weights mean),
`masking`, `rejection`, `awrs`, `smc`, and the rest in any order. `exact` and `laws` are the ground truth of the tests.
"""

from pathlib import Path
from runpy import run_path

# By path: the name `grammars` may lead to somebody else's package, which is the question asked here.
run_path(str(Path(__file__).parents[1] / "grammars" / "provenance.py"))["require"]("grammars")

from samplers.asap import ASAp  # noqa: E402
from samplers.auto import Auto  # noqa: E402
from samplers.awrs import AdaptiveRejection  # noqa: E402
from samplers.backtracking import Backtracking  # noqa: E402
from samplers.beam import Beam  # noqa: E402
from samplers.best_of import BestOf  # noqa: E402
from samplers.btw import BTW  # noqa: E402
from samplers.cars import CARS  # noqa: E402
from samplers.chunk_guided import ChunkGuided  # noqa: E402
from samplers.constraints import bin_packing, feasible, knapsack, length, permutation, predicate, schedule  # noqa: E402
from samplers.diverse_beam import DiverseBeam  # noqa: E402
from samplers.driver import sample, steps  # noqa: E402
from samplers.errors import BrokenContract, InvalidOption  # noqa: E402
from samplers.evaluation import Evaluator  # noqa: E402
from samplers.exact import Enumeration, Exact, enumerate_texts  # noqa: E402
from samplers.found import found_set  # noqa: E402
from samplers.greedy import GreedyNLL  # noqa: E402
from samplers.guarded import Guarded  # noqa: E402
from samplers.masking import Masking  # noqa: E402
from samplers.mcmc import MCMC  # noqa: E402
from samplers.problem import Problem  # noqa: E402
from samplers.protocols import Constraint, Info, LanguageModel, Potential, Sampler  # noqa: E402
from samplers.rejection import Rejection  # noqa: E402
from samplers.samples import Calls, Certificate, Draw, Samples  # noqa: E402
from samplers.smc import SMC  # noqa: E402
from samplers.stochastic_beam import StochasticBeam  # noqa: E402
from samplers.trie import StateTable, Trie, Tries  # noqa: E402

__distribution__ = "scansion"

__all__ = [
    "BTW",
    "CARS",
    "MCMC",
    "SMC",
    "ASAp",
    "AdaptiveRejection",
    "Auto",
    "Backtracking",
    "Beam",
    "BestOf",
    "BrokenContract",
    "Calls",
    "Certificate",
    "ChunkGuided",
    "Constraint",
    "DiverseBeam",
    "Draw",
    "Enumeration",
    "Evaluator",
    "Exact",
    "GreedyNLL",
    "Guarded",
    "Info",
    "InvalidOption",
    "LanguageModel",
    "Masking",
    "Potential",
    "Problem",
    "Rejection",
    "Sampler",
    "Samples",
    "StateTable",
    "StochasticBeam",
    "Trie",
    "Tries",
    "bin_packing",
    "enumerate_texts",
    "feasible",
    "found_set",
    "knapsack",
    "length",
    "permutation",
    "predicate",
    "sample",
    "schedule",
    "steps",
]
