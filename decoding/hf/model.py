"""A causal model of transformers as samplers see it: log-probabilities after a prompt and some tokens.

The prompt is computed once. When every context extends one of the previous call by a token, as it is with particles
and beams, their keys and values are taken over row by row (`batch_select_indices`: resampled particles share what they
have in common until they part), and one position is computed for each. Contexts that come from nowhere are computed
from the prompt on, those of equal length together.

`forwarded` counts positions that went through the model: divided by the distinct contexts it says what sharing saves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from grammars import Vocabulary, VocabularyError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class _Batch:
    """Keys and values of contexts of one length."""

    cache: Any
    length: int
    rows: int


class HuggingFaceModel:
    """A `LanguageModel` of `samplers`: P(next token | prompt, context).

    `prompt` are ids; for an encoder and decoder it is what the encoder reads. Probabilities are those of the model
    itself, in float32 and normalised in float64, whatever the generation settings say.

    >>> from decoding.embedded import as_transformers
    >>> from decoding.tokenizers import vocabulary_from
    >>> model, tokenizer = as_transformers()
    >>> asked = HuggingFaceModel(model, vocabulary_from(tokenizer), tokenizer("2 + 2 =").input_ids)
    >>> first = asked.log_probs([[]])
    >>> second = asked.log_probs([[300], [301]], parents=[0, 0])
    >>> second.shape == (2, asked.vocabulary.size), asked.forwarded - len(asked.prompt)
    (True, 2)
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, prompt: ArrayLike):
        self.model = model
        self.vocabulary = vocabulary
        self.prompt = tuple(np.asarray(prompt, np.int64).ravel().tolist())
        self.forwarded = 0
        self._is_seq2seq = bool(getattr(model.config, "is_encoder_decoder", False))
        self._start = self._decoder_start() if self._is_seq2seq else self.prompt
        if not self._start:
            raise VocabularyError(
                "the prompt has no tokens, so the model has nothing to go on",
                hint="begin with the token that begins a text (bos_token_id)",
            )
        self._encoded: Any = None
        self._first: tuple[Any, torch.Tensor] | None = None  # keys and values of the prompt, and what follows it
        self._batch: _Batch | None = None
        self._reuses = True

    def log_probs(self, contexts: Sequence[ArrayLike], parents: ArrayLike | None = None) -> Floats:
        """Normalised log-probabilities after each context, (n, V)."""
        rows = [np.asarray(context, np.int64) for context in contexts]
        if not rows:
            return np.zeros((0, self.vocabulary.size))
        with torch.inference_mode():
            logits = self._extended(rows, parents)
            if logits is None:
                logits = self._from_prompt(rows)
        return self._normalised(logits)

    # -- one token more -------------------------------------------------------------------------------------------

    def _extended(self, rows: list[Ints], parents: ArrayLike | None) -> torch.Tensor | None:
        batch, self._batch = self._batch, None
        if batch is None or parents is None or not self._reuses:
            return None
        origin = np.asarray(parents, np.int64)
        lengths = {len(row) for row in rows}
        if (origin < 0).any() or (origin >= batch.rows).any() or lengths != {batch.length + 1}:
            return None
        batch.cache.batch_select_indices(torch.from_numpy(origin).to(self.model.device))
        ids = torch.tensor([[int(row[-1])] for row in rows])
        logits, cache = self._forward(ids, batch.cache)
        self._batch = _Batch(cache, batch.length + 1, len(rows)) if cache is not None else None
        return logits

    # -- from the prompt on ---------------------------------------------------------------------------------------

    def _from_prompt(self, rows: list[Ints]) -> torch.Tensor:
        groups: dict[int, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            groups[len(row)].append(i)
        out: list[torch.Tensor | None] = [None] * len(rows)
        for length, members in groups.items():
            logits, cache = self._group([rows[i] for i in members], length)
            for i, row in zip(members, logits, strict=True):
                out[i] = row
            if len(groups) == 1 and cache is not None:
                self._batch = _Batch(cache, length, len(members))
        return torch.stack([row for row in out if row is not None])

    def _group(self, rows: list[Ints], length: int) -> tuple[torch.Tensor, Any]:
        """Contexts of one length."""
        cache, logits = self._prompted()
        cache = deepcopy(cache)
        if cache is None:
            prompt = torch.tensor([self._start]).repeat(len(rows), 1)
            ids = torch.cat([prompt, torch.from_numpy(np.stack(rows))], dim=1) if length else prompt
            return self._forward(ids, None)
        if len(rows) > 1:
            cache.batch_repeat_interleave(len(rows))
        if not length:
            return logits.repeat(len(rows), 1), cache
        return self._forward(torch.from_numpy(np.stack(rows)), cache)

    def _prompted(self) -> tuple[Any, torch.Tensor]:
        if self._first is None:
            logits, cache = self._forward(torch.tensor([self._start]), None)
            self._reuses = hasattr(cache, "batch_select_indices") and hasattr(cache, "batch_repeat_interleave")
            self._first = (cache if self._reuses else None, logits)
        return self._first

    # -- the model ------------------------------------------------------------------------------------------------

    def _forward(self, ids: torch.Tensor, cache: Any) -> tuple[torch.Tensor, Any]:
        """The logits behind the last position of each row, and keys and values so far."""
        self.forwarded += ids.numel()
        device = self.model.device
        given: dict[str, Any] = {"past_key_values": cache, "use_cache": self._reuses}
        if self._is_seq2seq:
            given |= {"encoder_outputs": self._encoder_outputs(len(ids)), "decoder_input_ids": ids.to(device)}
        else:
            given["input_ids"] = ids.to(device)
        out = self.model(**given)
        return out.logits[:, -1].float(), getattr(out, "past_key_values", None)

    def _decoder_start(self) -> tuple[int, ...]:
        start = self.model.generation_config.decoder_start_token_id
        start = self.model.config.decoder_start_token_id if start is None else start
        return () if start is None else (int(start),)

    def _encoder_outputs(self, rows: int) -> Any:
        if self._encoded is None:
            ids = torch.tensor([self.prompt]).to(self.model.device)
            self._encoded = self.model.get_encoder()(input_ids=ids)
        out = deepcopy(self._encoded)
        out.last_hidden_state = self._encoded.last_hidden_state.expand(rows, -1, -1)
        return out

    def _normalised(self, logits: torch.Tensor) -> Floats:
        """Over the tokens of the vocabulary; logits beyond it belong to no token."""
        logits = logits[:, : self.vocabulary.size].double()
        if logits.shape[1] < self.vocabulary.size:
            rest = self.vocabulary.size - logits.shape[1]
            logits = torch.nn.functional.pad(logits, (0, rest), value=-torch.inf)
        return torch.log_softmax(logits, dim=-1).cpu().numpy()
