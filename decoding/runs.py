"""Runs: many answers to many prompts, handed over as they come.

Samplers whose rows do not depend on each other are asked for a few rows at a time, so that there is something to show,
and to keep if the run is interrupted; all others get the whole number, since their rows are one population, or share
what was learned. Weights of rows from different batches compare: each batch is properly weighted for itself.

A prompt that fails is told as a `Failure`; those after it are answered nevertheless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from decoding.engine import Answer, Answers, Engine
from grammars.errors import SamplingError
from samplers import AdaptiveRejection, Backtracking, BestOf, GreedyNLL, Masking, Rejection
from samplers.protocols import Sampler

_INDEPENDENT: Final = (AdaptiveRejection, Backtracking, BestOf, GreedyNLL, Masking, Rejection)
_AT_ONCE = 16


@dataclass(frozen=True)
class Row:
    """One answer to the prompt of that number, and its weight."""

    prompt: int
    answer: Answer
    log_weight: float

    def as_json(self, prompt: str) -> dict[str, Any]:
        """What a JSON line says of it. A weight of zero, whose logarithm JSON cannot write, is null."""
        answer = self.answer
        return {
            "prompt": prompt,
            "text": answer.text,
            "value": plain(answer.value),
            "finish": answer.finish,
            "log_prob": answer.log_prob,
            "log_weight": self.log_weight if self.log_weight > -np.inf else None,
            "tokens": list(answer.tokens),
        }


@dataclass(frozen=True)
class Failure:
    """A prompt to which nothing could be drawn."""

    prompt: int
    error: SamplingError

    def as_json(self, prompt: str) -> dict[str, Any]:
        """What a JSON line says of it."""
        return {"prompt": prompt, "error": {"code": self.error.code, "message": self.error.message}}


@dataclass(frozen=True)
class Run:
    """What is to be done for every prompt."""

    engine: Engine
    form: dict[str, Any]
    sampler: Sampler
    n: int = 1
    seed: int | None = None
    max_tokens: int = 256
    parse: Callable[[str], Any] | None = None

    def rows(self, prompts: Sequence[str]) -> Iterator[Row | Failure]:
        """The answers to all prompts, in order.

        >>> run = Run(Engine.load(), {"choice": [" yes", " no"]}, Masking(), n=2, seed=0)
        >>> [row.prompt for row in run.rows(["Is water wet?\\nAnswer:", "Is ice hot?\\nAnswer:"])]
        [0, 0, 1, 1]
        """
        seeds = np.random.SeedSequence(self.seed).spawn(len(prompts))
        for number, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
            try:
                yield from self._answered(number, prompt, np.random.default_rng(seed))
            except SamplingError as error:
                yield Failure(number, error)

    def _answered(self, number: int, prompt: str, rng: np.random.Generator) -> Iterator[Row]:
        most = _AT_ONCE if isinstance(self.sampler, _INDEPENDENT) else self.n
        for begin in range(0, self.n, max(most, 1)):
            count = min(most, self.n - begin)
            yield from self._rows(number, self._drawn(prompt, count, rng))

    def _drawn(self, prompt: str, count: int, rng: Any) -> Answers:
        given = self.form | {"sampler": self.sampler, "max_tokens": self.max_tokens, "seed": rng}
        return self.engine.generate_many(prompt, count, **given)

    def _rows(self, number: int, answers: Answers) -> Iterator[Row]:
        drawn = answers.samples
        weights = drawn.log_weights if len(drawn) == len(answers) else np.full(len(answers), drawn.log_z)
        for answer, log_weight in zip(answers, weights.tolist(), strict=True):
            yield Row(number, self._parsed(answer), log_weight)

    def _parsed(self, answer: Answer) -> Answer:
        if self.parse is None or answer.finish != "end":
            return answer
        return Answer(**{**vars(answer), "value": self.parse(answer.text)})


def plain(value: Any) -> Any:
    """A value as JSON can hold it: instances of Pydantic models and dataclasses become objects.

    >>> plain({"a": 1})
    {'a': 1}
    """
    if value is None or isinstance(value, str | int | float | dict | list):
        return value
    from pydantic import TypeAdapter

    return TypeAdapter(type(value)).dump_python(value, mode="json")
