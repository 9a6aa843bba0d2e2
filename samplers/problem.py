"""Problem: what is to be sampled. A model, a constraint, potentials and a token budget define one target:

    P*(x) ∝ P(x) · 1[x ∈ L] · ∏ ψ(x),    x a text of at most `max_tokens` tokens, the end token not counted.

Constraints and potentials may come without a vocabulary (a `Grammar`, `predicate(fn)`, `length(1, 5)`, a score on
text); they are bound to the model's here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from copy import copy
from functools import cached_property
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars.errors import VocabularyError
from grammars.grammar import Grammar
from grammars.vocabulary import Vocabulary
from samplers.errors import BrokenContract, InvalidOption, require
from samplers.protocols import Constraint, Contexts, LanguageModel, Potential

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]


@runtime_checkable
class Bindable(Protocol):
    """A constraint or a potential that waits for a vocabulary."""

    def over(self, vocabulary: Vocabulary) -> Any: ...


class Problem:
    """One target distribution.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[0.5, 0.25, 0.25]), regex("a+b?"), max_tokens=3)
    >>> problem.mask_rows([problem.constraint.start]).tolist()
    [[1]]
    """

    def __init__(
        self,
        model: LanguageModel,
        constraint: Constraint | Grammar | Bindable,
        potentials: Sequence[Potential | Bindable] = (),
        max_tokens: int = 256,
    ):
        self.model = _checked_model(model)
        self.vocabulary = model.vocabulary
        self.constraint = _bound_constraint(constraint, self.vocabulary)
        self.potentials = tuple(bound_potential(p, self.vocabulary) for p in _listed(potentials))
        _require_count(max_tokens)
        self.max_tokens = max_tokens
        self._ends = np.array(self.vocabulary.eos, np.int64)

    # -- the constraint -------------------------------------------------------------------------------------------

    def mask_rows(self, states: ArrayLike, *, end_only: bool = False) -> Mask:
        """The masks of some states; with `end_only` nothing but the end tokens in them."""
        array = np.asarray(states, np.int64)
        masks = np.zeros((len(array), self.vocabulary.words), np.uint32)
        self.constraint.fill_masks(array, masks)
        return masks & self.vocabulary.end_row if end_only else masks

    def is_end(self, tokens: Ints) -> NDArray[np.bool_]:
        """Which of some tokens end the text."""
        return self._ends_text[tokens]

    @cached_property
    def _ends_text(self) -> NDArray[np.bool_]:
        return np.append(self.vocabulary.kind == 2, False)  # the last entry is that of -1, no token

    def advanced(self, states: Ints, tokens: Ints) -> Ints:
        """The states after one token each; -1 where a token is not allowed."""
        if not len(states):
            return states
        after = np.asarray(self.constraint.advance_many(states, tokens))
        if after.shape != states.shape or after.dtype.kind not in "iu":
            raise BrokenContract(
                f"{_name(self.constraint)}.advance_many returned {after.dtype} of shape {after.shape} "
                f"for {len(states)} states"
            )
        return after.astype(np.int64)

    def log_end(self, log_probs: Floats) -> Floats:
        """Per row the log of the probability that the text ends: that of all end tokens together."""
        return np.logaddexp.reduce(log_probs[:, self._ends], axis=1) if len(self._ends) else _nowhere(len(log_probs))

    # -- potentials -----------------------------------------------------------------------------------------------

    def log_prefix(self, contexts: Contexts) -> Floats:
        """log of the product of all potentials on prefixes."""
        return self._scores("log_prefix", contexts)

    def log_complete(self, contexts: Contexts) -> Floats:
        """log of the product of all potentials on finished texts."""
        return self._scores("log_complete", contexts)

    def _scores(self, method: str, contexts: Contexts) -> Floats:
        total = np.zeros(len(contexts))
        if len(contexts):
            for potential in self.potentials:
                total += checked_scores(potential, method, contexts)
        return total

    def with_potential(self, potential: Potential) -> Problem:
        """The same problem with one potential more."""
        problem = copy(self)
        problem.potentials = (*self.potentials, potential)
        return problem

    # -- text -----------------------------------------------------------------------------------------------------

    def text(self, context: Ints) -> bytes:
        """The bytes of some tokens."""
        return b"".join(map(self.vocabulary.tokens.__getitem__, context.tolist()))


def checked_scores(potential: Potential, method: str, contexts: Contexts) -> Floats:
    """What a potential says, if it keeps its contract: one number for each context, not NaN and not +inf.

    >>> from samplers.potentials import text_potential
    >>> from grammars import Vocabulary
    >>> bad = text_potential(lambda text: float("nan")).over(Vocabulary([b"a"], eos=[]))
    >>> checked_scores(bad, "log_complete", [np.array([0])])
    Traceback (most recent call last):
    samplers.errors.BrokenContract: OfText.log_complete returned nan for context 0
    hint: a potential returns log-scores: finite, or -inf for what is impossible
    """
    raw = getattr(potential, method)(contexts)
    try:
        scores = np.asarray(raw, np.float64)
    except (TypeError, ValueError):
        raise BrokenContract(f"{_name(potential)}.{method} returned {type(raw).__name__}, not numbers") from None
    if scores.shape != (len(contexts),):
        raise BrokenContract(
            f"{_name(potential)}.{method} returned an array of shape {scores.shape} for {len(contexts)} contexts",
            hint=f"return one log-score for each context: shape ({len(contexts)},)",
        )
    wrong = np.flatnonzero(~(scores < math.inf))
    if len(wrong):
        raise BrokenContract(
            f"{_name(potential)}.{method} returned {scores[wrong[0]]} for context {wrong[0]}",
            hint="a potential returns log-scores: finite, or -inf for what is impossible",
        )
    return scores


def _checked_model(model: LanguageModel) -> LanguageModel:
    if not isinstance(cast("object", model), LanguageModel):
        raise BrokenContract(
            f"{_name(model)} is no language model",
            hint="a model has `vocabulary` and `log_probs(contexts, parents)`; see samplers.models",
        )
    return model


def _bound_constraint(constraint: Constraint | Grammar | Bindable, vocabulary: Vocabulary) -> Constraint:
    if isinstance(constraint, Grammar):
        return constraint.compile(vocabulary)
    bound = constraint.over(vocabulary) if isinstance(constraint, Bindable) else constraint
    if not isinstance(cast("object", bound), Constraint):
        raise BrokenContract(
            f"{_name(constraint)} is no constraint",
            hint="a constraint is a Grammar, what it compiles to, predicate(...), length(...), or a class with "
            "vocabulary, start, advance_many, fill_masks, allows and accepts",
        )
    require_same(bound.vocabulary, vocabulary, "the constraint")
    return bound


def bound_potential(potential: Potential | Bindable, vocabulary: Vocabulary) -> Potential:
    """A potential over the tokens of `vocabulary`.

    >>> from samplers.potentials import text_potential
    >>> bound = bound_potential(text_potential(len), Vocabulary([b"a", b"bc"], eos=[]))
    >>> bound.log_complete([np.array([0, 1])]).tolist()
    [3.0]
    """
    bound = potential.over(vocabulary) if isinstance(potential, Bindable) else potential
    if not isinstance(cast("object", bound), Potential):
        raise BrokenContract(
            f"{_name(potential)} is no potential",
            hint="a potential has log_prefix(contexts) and log_complete(contexts); "
            "samplers.potentials.text_potential makes one of a function on text",
        )
    return bound


def bound_already(potential: Potential | Bindable) -> Potential:
    """A potential that needs no vocabulary any more.

    >>> from samplers.potentials import text_potential
    >>> bound_already(text_potential(len))
    Traceback (most recent call last):
    samplers.errors.InvalidOption: a potential on text needs a vocabulary first: .over(vocabulary)
    """
    if not isinstance(potential, Potential):
        raise InvalidOption("a potential on text needs a vocabulary first: .over(vocabulary)")
    return potential


def require_same(found: Vocabulary, wanted: Vocabulary, what: str) -> None:
    """Raise `VocabularyError` unless two vocabularies are the same.

    >>> v = Vocabulary([b"a", b"<end>"], eos=[1])
    >>> require_same(v, Vocabulary([b"a", b"<end>"], eos=[1]), "the constraint")
    """
    if found is not wanted and found.fingerprint != wanted.fingerprint:
        raise VocabularyError(
            f"{what} is over another vocabulary ({found!r}) than the model ({wanted!r})",
            hint="compile the grammar with model.vocabulary",
        )


def _require_count(max_tokens: object) -> None:
    whole = isinstance(max_tokens, int | np.integer) and not isinstance(max_tokens, bool)
    require(whole and cast("int", max_tokens) >= 0, f"max_tokens is a number of tokens, not {max_tokens!r}")


def _listed(potentials: object) -> Sequence[Any]:
    if isinstance(potentials, Potential | Bindable):  # a single one, forgotten to be put into a list
        return (potentials,)
    if potentials is not None and not isinstance(potentials, Iterable):
        raise BrokenContract(f"potentials is a sequence of potentials, not {_name(potentials)}")
    return tuple(cast("Iterable[Any]", potentials or ()))


def _nowhere(n: int) -> Floats:
    return np.full(n, -math.inf)


def _name(thing: object) -> str:
    return type(thing).__name__
