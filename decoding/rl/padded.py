"""A causal model of transformers with many prompts in one batch: padded on the left, keys and values kept.

Rows are sequences, prompt and context. As long as every row asked for extends one of the last call by a token, keys and
values are taken over (`batch_select_indices`: copies for rows that fork) and one position is computed for each;
otherwise all rows are computed anew from their first token on.

Padding moves the numbers of a model in single precision by about 1e-6. Rows of one call are normalised in float64 over
the tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decoding.rl.joint import Joint, Question
from grammars import Vocabulary

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Key = tuple[int, bytes]


@dataclass
class _Batch:
    """Keys and values of the rows of the last call, which positions of them are no padding, and where to find a row."""

    cache: Any
    real: torch.Tensor
    places: dict[Key, int]


class PaddedModel(Joint):
    """Answers questions about several prompts with one forward pass.

    >>> from decoding.embedded import as_transformers
    >>> from decoding.tokenizers import vocabulary_from
    >>> model, tokenizer = as_transformers()
    >>> prompts = [tokenizer(text).input_ids for text in ("2 + 2 =", "A")]
    >>> both = PaddedModel(model, vocabulary_from(tokenizer), prompts)
    >>> none = np.zeros(0, np.int64)
    >>> [rows.shape for rows in both.answers([Question(0, [none]), Question(1, [none])])]
    [(1, 2048), (1, 2048)]
    >>> _ = both.answers([Question(0, [np.array([300]), np.array([301])])])
    >>> both.forwarded
    14
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, prompts: Sequence[Sequence[int]]):
        self.model = model
        self.vocabulary = vocabulary
        self.prompts = [np.asarray(prompt, np.int64) for prompt in prompts]
        self.forwarded = 0
        self._batch: _Batch | None = None

    def rows(self, questions: Sequence[Question]) -> Floats:
        """Normalised log-probabilities of the next token."""
        asked = [(prompt, context) for prompt, contexts in questions for context in contexts]
        keys: list[Key] = [(prompt, context.tobytes()) for prompt, context in asked]
        with torch.inference_mode():
            logits = self._extended(asked)
            if logits is None:
                logits = self._afresh(asked)
            rows = self._normalised(logits)
        if self._batch is not None:
            self._batch.places = {key: place for place, key in enumerate(keys)}
        return rows

    def _extended(self, asked: Sequence[tuple[int, Ints]]) -> torch.Tensor | None:
        batch, self._batch = self._batch, None
        if batch is None or not all(len(context) for _, context in asked):
            return None
        places = [batch.places.get((prompt, context[:-1].tobytes()), -1) for prompt, context in asked]
        if min(places) < 0:
            return None
        chosen = torch.tensor(places, device=self._device)
        if places != list(range(len(batch.places))):
            batch.cache.batch_select_indices(chosen)
        ids = torch.tensor([[int(context[-1])] for _, context in asked], device=self._device)
        real = torch.cat([batch.real[chosen], torch.ones_like(ids)], dim=1)
        return self._forward(ids, real, batch.cache)

    def _afresh(self, asked: Sequence[tuple[int, Ints]]) -> torch.Tensor:
        sequences = [np.concatenate([self.prompts[prompt], context]) for prompt, context in asked]
        width = max(map(len, sequences))
        ids, real = np.zeros((len(asked), width), np.int64), np.zeros((len(asked), width), np.int64)
        for row, sequence in enumerate(sequences):
            ids[row, width - len(sequence) :] = sequence
            real[row, width - len(sequence) :] = 1
        return self._forward(torch.from_numpy(ids).to(self._device), torch.from_numpy(real).to(self._device), None)

    def _forward(self, ids: torch.Tensor, real: torch.Tensor, cache: Any) -> torch.Tensor:
        self.forwarded += ids.numel()
        places = (real.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.model(
            input_ids=ids,
            attention_mask=real,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        if hasattr(cache, "batch_select_indices"):
            self._batch = _Batch(cache, real, {})
        return out.logits[:, -1]

    def _normalised(self, logits: torch.Tensor) -> Floats:
        logits = logits[:, : self.vocabulary.size].double()
        if (missing := self.vocabulary.size - logits.shape[1]) > 0:
            logits = torch.nn.functional.pad(logits, (0, missing), value=-torch.inf)
        return torch.log_softmax(logits, dim=-1).cpu().numpy()

    @property
    def _device(self) -> torch.device:
        return self.model.device
