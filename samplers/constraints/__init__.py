"""Constraints beside grammars: black-box checks, lengths, products, and answers that must stay feasible.

| made by | the texts |
|---|---|
| `predicate(fn)` | on whose every prefix a function says yes; `final=True`: that it accepts when they are finished |
| `length(min, max, unit)` | of so many tokens, characters or words |
| `c1 & c2` | of both; also between these and grammars or compiled automata |
| `permutation knapsack bin_packing schedule` | that answer a task; every prefix can still be completed |

All of them wait for a vocabulary; a `Problem` binds them to its model's.

>>> from grammars import Vocabulary, regex
>>> short_words = (regex("[ab]*") & length(1, 2, "characters")).over(Vocabulary([b"a", b"b", b"<end>"], eos=[2]))
>>> short_words.accepts(short_words.start)
False
"""

from samplers.constraints.feasible import Machine, bin_packing, feasible, knapsack, permutation, schedule
from samplers.constraints.lengths import length
from samplers.constraints.predicates import predicate
from samplers.constraints.products import Product, Waiting

__all__ = [
    "Machine",
    "Product",
    "Waiting",
    "bin_packing",
    "feasible",
    "knapsack",
    "length",
    "permutation",
    "predicate",
    "schedule",
]
