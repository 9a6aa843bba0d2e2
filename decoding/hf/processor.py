"""`ConstraintProcessor`: a mask on the logits of any `generate` call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LogitsProcessor

from decoding.hf.limits import require_width
from decoding.hf.masks import masked
from decoding.hf.tracking import DEAD, ENDED, Tracking
from grammars import DeadEnd, VocabularyError
from samplers.protocols import Constraint


class ConstraintProcessor(LogitsProcessor):
    """Allows the tokens after which a row's text can still become a text of its constraint, and nothing else.

    `constraint`: a compiled grammar or any constraint of `samplers`; or a sequence of them, one for each prompt of the
    batch. What stands in the ids at the first call is prompt and is not constrained; `prompt_length` moves that
    border, to go on with a text that was begun earlier; assisted decoding (`prompt_lookup_num_tokens`,
    `assistant_model`) needs it too. The processor may be used again and again: rows are recognised by their ids (see
    `tracking`).

    Rows that have ended may only be padded. Where a beam search keeps rows that are impossible, because it needs more
    rows than the language has texts, they stay at minus infinity.

    >>> from grammars import Vocabulary, regex
    >>> ab = regex("ab?").compile(Vocabulary([b"a", b"b", b"<end>"], eos=[2]))
    >>> process = ConstraintProcessor(ab)
    >>> process(torch.tensor([[1, 1]]), torch.zeros(1, 3)).tolist()
    [[0.0, -inf, -inf]]
    >>> process(torch.tensor([[1, 1, 0]]), torch.zeros(1, 3)).tolist()
    [[-inf, 0.0, 0.0]]
    """

    def __init__(self, constraint: Constraint | Sequence[Constraint], *, prompt_length: int | None = None):
        constraints = list(constraint) if isinstance(constraint, Sequence) else [constraint]
        for each in constraints:
            if not isinstance(cast("object", each), Constraint):
                raise VocabularyError(
                    f"{type(each).__name__} is no constraint over tokens",
                    hint="compile a grammar over the model's vocabulary first: grammar.compile(vocabulary)",
                )
        if not constraints:
            raise VocabularyError("no constraint was given")
        self._tracking = Tracking(constraints, prompt_length)
        self._width = -1  # how many logits were seen, and found to fit
        self._words = max(each.vocabulary.words for each in constraints)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores with minus infinity for every token that must not follow."""
        if scores.shape[-1] != self._width:
            for constraint in self._tracking.constraints:
                require_width(constraint.vocabulary, scores.shape[-1])
            self._width = scores.shape[-1]
        states = self._tracking.states(np.ascontiguousarray(input_ids.cpu().numpy(), np.int64))
        out = masked(scores, self._masks(states))
        _check(states, out)
        return out

    def _masks(self, states: list[int]) -> NDArray[np.uint32]:
        constraints = self._tracking.constraints
        masks = np.zeros((len(states), self._words), np.uint32)
        each = len(states) // len(constraints)
        for number, constraint in enumerate(constraints):
            begin = number * each
            own, rows = states[begin : begin + each], masks[begin : begin + each]
            live = [row for row, state in enumerate(own) if state >= 0]
            if len(live) == each:
                constraint.fill_masks(own, rows)
                continue
            rows[:, : constraint.vocabulary.words] = constraint.vocabulary.end_row
            for row in live:
                constraint.fill_masks([own[row]], rows[row : row + 1])
        return masks


def _check(states: list[int], out: torch.Tensor) -> None:
    best = out.amax(dim=-1)
    for row, value in enumerate(best.tolist()):
        if value > -torch.inf or states[row] in (DEAD, ENDED):
            continue
        if value != value:
            raise DeadEnd(f"the scores of row {row} are NaN", hint="a model in half precision may overflow")
        raise DeadEnd(
            f"row {row}: every token that may follow has probability 0",
            hint="other processors (top-k, bad words) must not forbid what the constraint needs: put it first",
        )
