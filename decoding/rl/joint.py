"""One call of a model for several prompts at once.

Samplers ask a model that knows its prompt. Rollouts have many prompts, and a forward pass for all of them costs hardly
more than for one: so their questions are put together here. Models of Hugging Face get padded batches with keys and
values, the built-in model and vLLM one call for all, and any other `LanguageModel` is simply asked in turn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from samplers.evaluation import checked_rows
from samplers.protocols import LanguageModel

if TYPE_CHECKING:
    from decoding.embedded.model import EmbeddedModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Question(NamedTuple):
    """What is asked about one prompt: log-probabilities after each of these contexts."""

    prompt: int
    contexts: Sequence[Ints]


class Joint(ABC):
    """Answers the questions about several prompts."""

    @abstractmethod
    def rows(self, questions: Sequence[Question]) -> Floats:
        """A row for each context of each question, in the order in which they were asked."""

    def answers(self, questions: Sequence[Question]) -> list[Floats]:
        """The rows of each question by themselves."""
        ends = np.cumsum([len(contexts) for _, contexts in questions])
        return np.split(self.rows(questions), ends[:-1])


def joint(models: Sequence[LanguageModel]) -> Joint:
    """The quickest way to ask these models, one for each prompt, together.

    >>> from decoding.embedded import load
    >>> together = joint([load("2 + 2 ="), load("The")])
    >>> [rows.shape for rows in together.answers([Question(1, [np.array([5]), np.array([6])])])]
    [(2, 2048)]
    """
    name = type(models[0]).__name__ if models else ""
    if name == "HuggingFaceModel" and _is_shared(models, "model") and not getattr(models[0], "_is_seq2seq", True):
        from decoding.rl.padded import PaddedModel

        first = cast("Any", models[0])
        return PaddedModel(first.model, first.vocabulary, [cast("Any", model).prompt for model in models])
    if name == "EmbeddedModel" and _is_shared(models, "_llama"):
        embedded = cast("Sequence[EmbeddedModel]", models)
        return _Together(replace(embedded[0], prompt=embedded[0].prompt[:1]), [model.prompt for model in embedded])
    if name == "VLLMModel" and _is_shared(models, "llm"):
        prompts = [cast("Any", model).prompt for model in models]
        return _Together(cast("Any", type(models[0]))(cast("Any", models[0]).llm, prompts[0][:1]), prompts)
    return _InTurn(models)


def _is_shared(models: Sequence[LanguageModel], part: str) -> bool:
    kind, first = type(models[0]), getattr(models[0], part)
    begins = {tuple(cast("Any", model).prompt[:1]) for model in models} if kind.__name__ != "HuggingFaceModel" else {()}
    return len(begins) == 1 and all(type(model) is kind and getattr(model, part) is first for model in models)


class _InTurn(Joint):
    """Each model for itself."""

    def __init__(self, models: Sequence[LanguageModel]):
        self._models = models
        self._asked: dict[int, dict[bytes, int]] = {}

    def rows(self, questions: Sequence[Question]) -> Floats:
        return np.concatenate([self._answer(*question) for question in questions])

    def _answer(self, prompt: int, contexts: Sequence[Ints]) -> Floats:
        before = self._asked.get(prompt, {})
        parents = np.array([before.get(c[:-1].tobytes(), -1) if len(c) else -1 for c in contexts], np.int64)
        self._asked[prompt] = {context.tobytes(): row for row, context in enumerate(contexts)}
        model = self._models[prompt]
        return checked_rows(model, model.log_probs(contexts, parents), len(contexts))


class _Together(Joint):
    """The built-in model and vLLM, which find again what sequences have in common: a prompt is nothing but the
    beginning of one. `model` is the one after the token that all prompts begin with."""

    def __init__(self, model: LanguageModel, prompts: Sequence[Sequence[int]]):
        self._prompts = [np.array(prompt, np.int64) for prompt in prompts]
        self._model = model

    def rows(self, questions: Sequence[Question]) -> Floats:
        sequences = [
            np.concatenate([self._prompts[prompt][1:], context])
            for prompt, contexts in questions
            for context in contexts
        ]
        return self._model.log_probs(sequences)
