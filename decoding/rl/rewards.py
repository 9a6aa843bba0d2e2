r"""Rewards: a number for each rollout of a group.

A reward is any callable of a prompt and its rollouts that returns a number each; `of_text` makes one of a function on
text, `total` adds several up. Ready-made: how far a text keeps to a form (`format_reward`, for unconstrained rollouts
and for forms beyond the constraint), lengths alone and within the group, and likelihoods under a model.

A reward that is NaN, infinite or None says that the text cannot be judged: `scored` counts it, and the rollout is left
out.

>>> from grammars import json_schema
>>> form = format_reward(json_schema({"type": "object"}))
>>> [round(form.grade(text), 2) for text in (b'{"a": 1}', b'{"a": ', b'{"a"; 1}', b"no")]
[1.0, 0.86, 0.44, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from decoding.rl.errors import TrainingError
from decoding.rl.free import Free
from decoding.rl.incidents import Incidents
from decoding.rl.rollouts import Rollout
from decoding.vocabularies import single_bytes
from grammars import Grammar
from samplers import enumerate_texts
from samplers.protocols import LanguageModel

if TYPE_CHECKING:
    from decoding.engine import Engine

Floats = NDArray[np.float64]


class Reward(Protocol):
    """Numbers for the rollouts of one prompt, higher is better; None for what cannot be judged."""

    def __call__(self, prompt: str, rows: Sequence[Rollout]) -> Sequence[float | None]: ...


def of_text(judge: Callable[[str, str], float | None]) -> Reward:
    """A reward from a function of prompt and text.

    >>> from decoding.rl.rollouts import Rollout
    >>> nothing = np.zeros(0)
    >>> row = Rollout((), np.zeros(0, np.int64), b"four", "end", nothing, nothing, 0.0, None, 9)
    >>> of_text(lambda prompt, text: len(text))("2 + 2 = ", [row])
    [4]
    """
    return lambda prompt, rows: [judge(prompt, row.text.decode("utf-8", "replace")) for row in rows]


def total(parts: Mapping[str, tuple[float, Reward]]) -> Reward:
    """The weighted sum of several rewards; what one of them cannot judge, the sum cannot."""

    def add(prompt: str, rows: Sequence[Rollout]) -> Sequence[float | None]:
        columns = [[_number(weight * _number(r)) for r in reward(prompt, rows)] for weight, reward in parts.values()]
        return [math.fsum(each) if all(map(math.isfinite, each)) else None for each in zip(*columns, strict=True)]

    return add


def scored(reward: Reward, prompt: str, rows: Sequence[Rollout], incidents: Incidents) -> Floats:
    """The rewards of a group; NaN and counted where one cannot be used. Unfinished texts earn 0.

    >>> noted = Incidents()
    >>> scored(lambda prompt, rows: [], "", [], noted).tolist(), dict(noted)
    ([], {})
    """
    found = list(reward(prompt, rows)) if rows else []
    if len(found) != len(rows):
        raise TrainingError(f"the reward returned {len(found)} numbers for {len(rows)} rollouts")
    values = np.array([_number(value) for value in found], np.float64)
    values[~np.isfinite(values)] = np.nan
    values[[not row.finished for row in rows]] = 0.0
    incidents.note("bad_reward", int(np.isnan(values).sum()))
    return values


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


# -- form -------------------------------------------------------------------------------------------------------------


class FormatReward:
    """How far a text is a viable prefix of the form, as a share of what it would take; 1 if it is complete."""

    def __init__(self, grammar: Grammar):
        self._automaton = grammar.compile(single_bytes())

    def __call__(self, prompt: str, rows: Sequence[Rollout]) -> Sequence[float]:
        return [self.grade(row.text) for row in rows]

    def grade(self, text: bytes) -> float:
        """The bytes that are viable over all of them and the end."""
        state = self._automaton.start
        for count, byte in enumerate(text):
            state = self._automaton.advance(state, byte)
            if state < 0:
                return count / (len(text) + 1)
        return 1.0 if self._automaton.accepts(state) else len(text) / (len(text) + 1)


def format_reward(grammar: Grammar) -> FormatReward:
    """A graded reward for the form: text that goes wrong late earns more than text that goes wrong at once.

    >>> from grammars import regex
    >>> format_reward(regex("[0-9]{3}")).grade(b"12x")
    0.5
    """
    return FormatReward(grammar)


# -- length -----------------------------------------------------------------------------------------------------------

_UNITS: Mapping[str, Callable[[Rollout], int]] = {
    "tokens": lambda row: len(row.ids) - int(row.finished),
    "bytes": lambda row: len(row.text),
    "characters": lambda row: len(row.text.decode("utf-8", "replace")),
    "words": lambda row: len(row.text.split()),
}


def _measured(unit: str) -> Callable[[Rollout], int]:
    if unit not in _UNITS:
        raise TrainingError(f"there is no unit {unit!r}", hint=f"there are {', '.join(_UNITS)}")
    return _UNITS[unit]


def exact_length(wanted: int, unit: str = "tokens") -> Reward:
    """1 for texts of exactly this length, else 0."""
    measure = _measured(unit)
    return lambda prompt, rows: [float(measure(row) == wanted) for row in rows]


def target_length(wanted: int, unit: str = "tokens", tolerance: int = 0) -> Reward:
    """1 within the tolerance, falling by the share that is missing or too much, down to 0."""
    measure = _measured(unit)

    def judge(prompt: str, rows: Sequence[Rollout]) -> list[float]:
        off = [max(abs(measure(row) - wanted) - tolerance, 0) for row in rows]
        return [max(0.0, 1.0 - each / max(wanted, 1)) for each in off]

    return judge


def group_length_penalty(unit: str = "tokens", correct: Reward | None = None) -> Reward:
    """From 0.5 for the shortest of the group to −0.5 for the longest. With `correct`, texts whose reward there is not
    positive gain nothing by being short.

    Paper: Kimi k1.5 (2501.12599).
    """
    measure = _measured(unit)

    def judge(prompt: str, rows: Sequence[Rollout]) -> list[float]:
        lengths = np.array([measure(row) for row in rows], np.float64)
        spread = float(np.ptp(lengths)) if len(lengths) else 0.0
        shorter = 0.5 - (lengths - lengths.min()) / spread if spread else np.zeros(len(lengths))
        if correct is None:
            return shorter.tolist()
        is_right = np.array([_number(value) > 0 for value in correct(prompt, rows)], np.bool_)
        return np.where(is_right, shorter, np.minimum(shorter, 0.0)).tolist()

    return judge


# -- likelihood -------------------------------------------------------------------------------------------------------


def likelihood(engine: Engine) -> Reward:
    """The mean log-probability per token that another model of the same vocabulary gives to a text after its prompt."""

    def judge(prompt: str, rows: Sequence[Rollout]) -> list[float]:
        model = engine.problem(prompt, constraint=Free(engine.vocabulary)).model
        return [_mean_log_prob(model, row.ids) for row in rows]

    return judge


def _mean_log_prob(model: LanguageModel, ids: NDArray[np.int64]) -> float:
    if not len(ids):
        return math.nan
    rows = model.log_probs([ids[:t] for t in range(len(ids))])
    return float(np.mean(rows[np.arange(len(ids)), ids]))


def likelihood_of(engine: Engine, answer: Callable[[str], str]) -> Reward:
    """How likely a model is to go on with the right answer after prompt and text: log P(answer), over all its spellings
    in tokens. What a text is worth that leads up to an answer.
    """

    def judge(prompt: str, rows: Sequence[Rollout]) -> list[float]:
        wanted = [answer(prompt)]
        texts = [prompt + row.text.decode("utf-8", "replace") for row in rows]
        return [enumerate_texts(engine.problem(text, choice=wanted, max_tokens=64)).log_z for text in texts]

    return judge
