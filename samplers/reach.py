"""What can be refused for certain: a token budget that no text fits into, a start that has no mass.

A breadth-first search over the states of a constraint, token by token: the first accepting state gives the least number
of tokens. The work is bounded; what it cannot decide is left to the run. Constraints that can only be asked about one
token at a time (`black_box = True`) are not searched.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from grammars.errors import BudgetExhausted, DeadEnd
from samplers.bits import tokens_of
from samplers.problem import Problem
from samplers.protocols import Contexts, Floats
from samplers.samples import LENGTH, Samples
from samplers.tape import log_allowed

Ints = NDArray[np.int64]

_QUICK = 1 << 12  # successors looked at before every run: well below a millisecond for small vocabularies
_SHORT = 32  # budgets beyond this are not searched before a run
_THOROUGH = 1 << 20


def least_tokens(problem: Problem, work: int) -> int | None:
    """The fewest tokens that a complete text needs; `max_tokens + 1` if none fits, None if `work` does not suffice.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"aa", b"<end>"], eos=[2])
    >>> least_tokens(Problem(Tabulated(v, {}, otherwise=[0.4, 0.4, 0.2]), regex("a{7}")), 1000)
    4
    """
    constraint, seen = problem.constraint, {problem.constraint.start}
    layer = [constraint.start]
    for depth in range(problem.max_tokens + 1):
        if any(constraint.accepts(state) for state in layer):
            return depth
        following: set[int] = set()
        for state in layer:
            tokens = _moves(problem, state)
            work -= 1 + len(tokens)
            if work < 0:
                return None
            following.update(problem.advanced(np.full(len(tokens), state), tokens).tolist())
        layer = sorted(following - seen - {-1})
        seen.update(layer)
        if not layer:
            return problem.max_tokens + 1
    return problem.max_tokens + 1


def _moves(problem: Problem, state: int) -> Ints:
    tokens = tokens_of(problem.mask_rows([state])[0], problem.vocabulary.size)
    return tokens[~problem.is_end(tokens)]


def refuse_hopeless_budget(problem: Problem) -> None:
    """Raise `BudgetExhausted` before a run that cannot finish a text, where that is quickly decided."""
    if problem.max_tokens <= _SHORT and problem.vocabulary.size <= _QUICK:
        _refuse(problem, _QUICK)


def refuse_massless_start(problem: Problem, contexts: Contexts, log_probs: Floats) -> None:
    """Raise `DeadEnd` if no token that may begin a text has any probability: then Z = 0 for certain."""
    if getattr(problem.constraint, "black_box", False) or len(contexts[0]):
        return
    if log_allowed(log_probs[:1], problem.mask_rows([problem.constraint.start]))[0] == -math.inf:
        raise DeadEnd(
            "the model gives the language no mass: every token that may begin a text has probability 0",
            hint="a different prompt or model may, or a wider constraint",
        )


def refuse_hopeless_rows(problem: Problem, samples: Samples) -> None:
    """Raise `BudgetExhausted` after a run in which every row ran out of tokens, if no other run could do better."""
    if LENGTH in samples.finish and all(f == LENGTH for f in samples.finish):
        _refuse(problem, _THOROUGH)


def _refuse(problem: Problem, work: int) -> None:
    if getattr(problem.constraint, "black_box", False):
        return
    least = least_tokens(problem, work)
    if least is not None and least > problem.max_tokens:
        raise BudgetExhausted(
            f"no text of the language fits into max_tokens={problem.max_tokens}",
            hint="raise max_tokens",
        )
