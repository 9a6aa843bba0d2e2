"""A causal model of transformers as samplers see it: log-probabilities after a prompt and some tokens.

The prompt is computed once. When every context extends one of the previous call by a token, as it is with particles
and beams, their keys and values are taken over row by row (`batch_select_indices`: resampled particles share what they
have in common until they part), and one position is computed for each. Contexts that come from nowhere are computed
from the prompt on, those of equal length together.

Where a constraint is known (`expect`), tokens that it forces go through the model together with the one before them
(see `spans`): k tokens cost one forward instead of k, and the rows are the same. Batches go as far as all their
contexts are forced, since keys and values of all rows grow together.

`forwarded` counts positions that went through the model: divided by the distinct contexts it says what sharing saves.
`forwards` counts the forwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from decoding.hf.limits import require_width
from decoding.hf.spans import Spans
from grammars import DeadEnd, TokenAutomaton, Vocabulary, VocabularyError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


_MOST_LOGITS = 1 << 24  # that one forward over spans may give
_ATTENTION = {"DynamicLayer", "DynamicSlidingWindowLayer"}  # keys and values that take several tokens at once


@dataclass
class _Batch:
    """Keys and values of contexts of one length, and of tokens behind them that are certain to come."""

    cache: Any
    length: int
    rows: Ints
    """For each context of the latest call, where in the cache it is."""
    ahead: Ints
    """The tokens that went through the model already and were not asked for yet, a row for each row of the cache."""
    logits: torch.Tensor
    """What the model says behind each of them."""

    @property
    def pending(self) -> int:
        return self.ahead.shape[1]

    def after(self, origin: Ints) -> _Batch:
        """The batch one token further, where those tokens were drawn that are there already."""
        return _Batch(self.cache, self.length + 1, origin, self.ahead[:, 1:], self.logits[:, 1:])


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
        self.forwarded = self.forwards = 0
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
        self._reuses = self._takes_spans = True
        self._spans: Spans | None = None
        self._keeps = "logits_to_keep" in signature(model.forward).parameters

    def expect(self, constraint: object, max_tokens: int) -> None:
        """Feed what `constraint` forces in one go, if that can be known: if it is a compiled grammar.

        >>> from decoding.embedded import as_transformers
        >>> from decoding.tokenizers import vocabulary_from
        >>> from grammars import literal, regex
        >>> from samplers import Masking, Problem, sample
        >>> model, tokenizer = as_transformers()
        >>> asked = HuggingFaceModel(model, vocabulary_from(tokenizer), tokenizer("2 + 2 =").input_ids)
        >>> spelled = Problem(asked, regex("[0-9]") + literal(", I think"))
        >>> asked.expect(spelled.constraint, spelled.max_tokens)
        >>> len(sample(spelled, Masking()).tokens[0]) > asked.forwards
        True
        """
        self._spans = Spans(constraint, max_tokens) if isinstance(constraint, TokenAutomaton) else None

    def log_probs(self, contexts: Sequence[ArrayLike], parents: ArrayLike | None = None) -> Floats:
        """Normalised log-probabilities after each context, (n, V)."""
        rows = [np.asarray(context, np.int64) for context in contexts]
        if not rows:
            return np.zeros((0, self.vocabulary.size))
        if self._spans is not None:
            self._spans.learn(rows)
        with torch.inference_mode():
            logits = self._extended(rows, parents)
            if logits is None:
                logits = self._from_prompt(rows)
        return self._normalised(logits)

    # -- one token more -------------------------------------------------------------------------------------------

    def _extended(self, rows: list[Ints], parents: ArrayLike | None) -> torch.Tensor | None:
        batch, self._batch = self._batch, None
        origin = None if batch is None else _origin(batch, rows, parents)
        if batch is None or origin is None:
            if self._spans is not None and batch is not None and batch.pending:
                self._spans.left()
            return None
        last = np.array([row[-1] for row in rows], np.int64)
        if batch.pending and np.array_equal(batch.ahead[origin, 0], last):
            self._batch = batch.after(origin)
            return batch.logits[self._at(origin), 0]
        if not _cropped(batch.cache, batch.pending):
            return None
        if not np.array_equal(origin, np.arange(len(batch.ahead))):
            batch.cache.batch_select_indices(self._at(origin))
        return self._spanned(rows, last[:, None], batch.cache)

    def _spanned(self, rows: list[Ints], ids: Ints, cache: Any) -> torch.Tensor:
        """The logits behind contexts of one length that end with these ids, and behind what is forced after them."""
        ahead = self._forced(rows)
        logits, cache = self._forward(torch.from_numpy(np.concatenate([ids, ahead], axis=1)), cache, ahead.shape[1] + 1)
        if cache is not None and self._reuses:
            self._batch = _Batch(cache, len(rows[0]), np.arange(len(rows)), ahead, logits[:, 1:])
        return logits[:, 0]

    def _forced(self, rows: list[Ints]) -> Ints:
        if self._spans is None or not (self._reuses and self._takes_spans):
            return np.zeros((len(rows), 0), np.int64)
        return self._spans.behind(rows, max(0, _MOST_LOGITS // (len(rows) * self.vocabulary.size) - 1))

    def _at(self, rows: Ints) -> torch.Tensor:
        return torch.from_numpy(rows).to(self.model.device)

    # -- from the prompt on ---------------------------------------------------------------------------------------

    def _from_prompt(self, rows: list[Ints]) -> torch.Tensor:
        groups: dict[int, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            groups[len(row)].append(i)
        out: list[torch.Tensor | None] = [None] * len(rows)
        for length, members in groups.items():
            logits = self._group([rows[i] for i in members], length)
            for i, row in zip(members, logits, strict=True):
                out[i] = row
        if len(groups) > 1:
            self._batch = None
        return torch.stack([row for row in out if row is not None])

    def _group(self, rows: list[Ints], length: int) -> torch.Tensor:
        """Contexts of one length."""
        cache, logits = self._prompted()
        ids = np.stack(rows)
        if cache is None or (length > 1 and not self._takes_spans):
            return self._spanned(rows, np.concatenate([np.tile(self._start, (len(rows), 1)), ids], axis=1), None)
        cache = deepcopy(cache)
        if len(rows) > 1:
            cache.batch_repeat_interleave(len(rows))
        if length:
            return self._spanned(rows, ids, cache)
        nothing = np.zeros((len(rows), 0), np.int64)
        self._batch = _Batch(cache, 0, np.arange(len(rows)), nothing, logits[:, :0])
        return logits[:, 0].repeat(len(rows), 1)

    def _prompted(self) -> tuple[Any, torch.Tensor]:
        if self._first is None:
            logits, cache = self._forward(torch.tensor([self._start]), None, 1)
            require_width(self.vocabulary, logits.shape[-1])
            self._reuses = hasattr(cache, "batch_select_indices") and hasattr(cache, "batch_repeat_interleave")
            self._takes_spans = _is_attention(cache)
            self._first = (cache if self._reuses else None, logits)
        return self._first

    # -- the model ------------------------------------------------------------------------------------------------

    def _forward(self, ids: torch.Tensor, cache: Any, positions: int) -> tuple[torch.Tensor, Any]:
        """The logits behind the last positions of each row, and keys and values so far."""
        self.forwarded += ids.numel()
        self.forwards += 1
        device = self.model.device
        given: dict[str, Any] = {"past_key_values": cache, "use_cache": self._reuses}
        if self._is_seq2seq:
            given |= {"encoder_outputs": self._encoder_outputs(len(ids)), "decoder_input_ids": ids.to(device)}
        else:
            given["input_ids"] = ids.to(device)
        if self._keeps:
            given["logits_to_keep"] = positions
        out = self.model(**given)
        return out.logits[:, -positions:].float(), getattr(out, "past_key_values", None)

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
        out = torch.log_softmax(logits, dim=-1).cpu().numpy()
        if np.isnan(out[:, 0]).any():  # then all of the row is
            raise DeadEnd("the logits of the model are NaN", hint="a model in half precision may overflow")
        return out


def _origin(batch: _Batch, rows: list[Ints], parents: ArrayLike | None) -> Ints | None:
    """Where in the cache of a batch the contexts are that these extend by a token."""
    if parents is None or {len(row) for row in rows} != {batch.length + 1}:
        return None
    numbers = np.asarray(parents, np.int64)
    if (numbers < 0).any() or (numbers >= len(batch.rows)).any():
        return None
    return batch.rows[numbers]


def _cropped(cache: Any, positions: int) -> bool:
    """Take back the last positions; False where a cache cannot, which forgets what left its window."""
    try:
        if positions:
            cache.crop(-positions)
    except RuntimeError:
        return False
    return True


def _is_attention(cache: Any) -> bool:
    """Whether all of a cache are keys and values: recurrent states go on by single tokens."""
    layers = getattr(getattr(cache, "self_attention_cache", cache), "layers", ())
    return len(layers) > 0 and all(type(layer).__name__ in _ATTENTION for layer in layers)
