"""Potentials: scores that multiply into the target, on text or on tokens.

| made by | ψ(x) |
|---|---|
| `text_potential(complete, prefix)` | exp of a function of the text, for any vocabulary |
| `classifier(probability, label)` | the probability that a classifier gives to a label |
| `second_model(model, weight)` | P₂(x)^weight: a product of experts, or with a negative weight a contrast |
| `chunk_scorer(score, every)` | a score asked only every few tokens, for scorers that cost much |
| `tempered(potential, exponent)` | ψ^exponent |

>>> from samplers.potentials import tempered, text_potential
>>> from grammars import Vocabulary
>>> import numpy as np
>>> short = text_potential(lambda text: -len(text)).over(Vocabulary([b"ab", b"c"], eos=[]))
>>> tempered(short, 0.5).log_complete([np.array([0, 1])]).tolist()
[-1.5]
"""

from samplers.potentials.chunks import ChunkScorer, chunk_scorer
from samplers.potentials.experts import SecondModel, second_model
from samplers.potentials.tempering import Tempered, tempered
from samplers.potentials.texts import OfText, TextPotential, classifier, text_potential

__all__ = [
    "ChunkScorer",
    "OfText",
    "SecondModel",
    "Tempered",
    "TextPotential",
    "chunk_scorer",
    "classifier",
    "second_model",
    "tempered",
    "text_potential",
]
