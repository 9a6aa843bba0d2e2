"""A model of Hugging Face behind the server: one cache for all rows, which come and go.

Rows have lengths of their own, so the cache is padded on the left: keys and values of a row end at the right edge, what
stands before them is hidden by the attention mask, and positions are counted from where the row begins. At each step

* rows that grew by one token are picked out of the cache (a row may be picked twice: particles split) and go through
  the model together, one token each;
* rows that are new are read from their first token on, those of like length together, and put beside the others.

Models whose cache is not of this kind (sliding windows, recurrent states, encoders), or whose rows are not what they
would be alone (where the longest one decides how all are rotated), are read from the first token on at every step,
each by itself: slower, and right.

Every row's numbers are those of the model up to rounding, which depends on the shape of a batch; see
`decoding.server.steady` for a model where not even that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import signature
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import DynamicCache, DynamicLayer

from decoding.server.models import InProcess
from decoding.server.tokenized import TokenizedPrompts
from decoding.server.turns import with_ordinary_markers
from grammars import Vocabulary

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Layers = list[tuple[torch.Tensor, torch.Tensor]]
_TOKENS_AT_ONCE = 4096  # padding included


class HuggingFaceServed(TokenizedPrompts, InProcess):
    """A causal language model and its tokenizer.

    >>> from decoding.embedded import as_transformers
    >>> model = HuggingFaceServed(*as_transformers(), name="small")
    >>> first = model.log_probs([model.prompt("SQL: SELECT"), model.prompt("2 + 2 =")])
    >>> first.shape == (2, model.vocabulary.size)
    True
    """

    def __init__(self, model: Any, tokenizer: Any, name: str = "model"):
        super().__init__(tokenizer, _vocabulary(model, tokenizer), name)
        self._model = model
        self.context = int(getattr(model.config, "max_position_embeddings", 0) or 1 << 15)
        self._lock = Lock()
        self._rows: dict[bytes, int] = {}
        self._lengths: Ints = np.zeros(0, np.int64)
        self._layers: _Layers = []
        self._short = {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}
        self._keeps = True
        with torch.inference_mode():
            self._keeps = not _rotates_by_the_longest(model.config) and self._rows_are_what_they_are_alone()

    def _rows_are_what_they_are_alone(self) -> bool:
        rows = [np.arange(4) % self.vocabulary.size, np.zeros(1, np.int64)]
        first, layers = self._read(rows[:1])
        if not layers:
            return False
        alone = self._normalised(torch.cat([first, self._read(rows[1:])[0]]))
        is_half = self._model.dtype in (torch.bfloat16, torch.float16)
        return np.allclose(alone, self._normalised(self._read(rows)[0]), rtol=0.0, atol=0.3 if is_half else 1e-3)

    def log_probs(self, sequences: Sequence[Ints]) -> Floats:
        with self._lock, torch.inference_mode():
            if self._keeps:
                return self._normalised(self._grown(sequences))
            return self._normalised(torch.cat([self._read([sequence])[0] for sequence in sequences]))

    # -- one step -------------------------------------------------------------------------------------------------

    def _grown(self, sequences: Sequence[Ints]) -> torch.Tensor:
        """The logits behind all sequences, whose keys and values are the cache from now on."""
        keys = [sequence.tobytes() for sequence in sequences]
        parents = [self._rows.get(sequence[:-1].tobytes(), -1) for sequence in sequences]
        old = [i for i, parent in enumerate(parents) if parent >= 0]
        new = [i for i, parent in enumerate(parents) if parent < 0]
        logits: list[Any] = [None] * len(sequences)
        pieces: list[tuple[_Layers, Ints]] = []
        if old:
            grown = self._extended([int(sequences[i][-1]) for i in old], np.array([parents[i] for i in old]))
            pieces.append((self._layers, self._lengths))
            for i, row in zip(old, grown, strict=True):
                logits[i] = row
        order = list(old)
        for batch in self._batches(sequences, new):
            rows, layers = self._read([sequences[i] for i in batch])
            pieces.append((layers, np.array([len(sequences[i]) for i in batch], np.int64)))
            order += batch
            for i, row in zip(batch, rows, strict=True):
                logits[i] = row
        self._layers, self._lengths = _beside(pieces)
        self._rows = {keys[i]: row for row, i in enumerate(order)}
        return torch.stack(logits)

    def _batches(self, sequences: Sequence[Ints], new: list[int]) -> Iterator[list[int]]:
        """Sequences to read together: at most half of each is padding, and they are not too much at once."""
        left = sorted(new, key=lambda i: -len(sequences[i]))
        while left:
            longest = len(sequences[left[0]])
            alike = sum(2 * len(sequences[i]) >= longest for i in left)
            count = max(1, min(alike, _TOKENS_AT_ONCE // longest))
            yield left[:count]
            left = left[count:]

    def _extended(self, tokens: list[int], parents: Ints) -> torch.Tensor:
        """One more token for rows of the cache, in one forward."""
        lengths = self._lengths[parents]
        width = int(lengths.max())
        chosen = torch.from_numpy(parents).to(self._model.device)
        cache = DynamicCache([(k[chosen, :, -width:], v[chosen, :, -width:]) for k, v in self._layers])
        seen = np.arange(width + 1) >= (width - lengths)[:, None]
        out = self._model(
            input_ids=self._tensor(tokens)[:, None],
            attention_mask=self._tensor(seen.astype(np.int64)),
            position_ids=self._tensor(lengths)[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        self._layers = [(layer.keys, layer.values) for layer in out.past_key_values.layers]
        self._lengths = lengths + 1
        return out.logits[:, -1]

    def _read(self, sequences: Sequence[Ints]) -> tuple[torch.Tensor, _Layers]:
        """Some sequences from their first tokens on, in one forward; no layers if their cache is not plain."""
        width = max(map(len, sequences))
        missing = np.array([[width - len(sequence)] for sequence in sequences])
        tokens = [np.pad(sequence, (width - len(sequence), 0)) for sequence in sequences]
        options: dict[str, Any] = {"use_cache": self._keeps, **self._short}
        if missing.any():
            options["attention_mask"] = self._tensor(np.arange(width) >= missing)
            options["position_ids"] = self._tensor(np.maximum(np.arange(width) - missing, 0))
        out = self._model(input_ids=self._tensor(tokens), **options)
        cache: Any = getattr(out, "past_key_values", None)
        layers: list[Any] = cache.layers if isinstance(cache, DynamicCache) else []
        is_plain = all(type(layer) is DynamicLayer for layer in layers)
        return out.logits[:, -1], [(layer.keys, layer.values) for layer in layers if is_plain]

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values, np.int64)).to(self._model.device)

    def _normalised(self, logits: torch.Tensor) -> Floats:
        logits = logits[:, : self.vocabulary.size].double()
        missing = self.vocabulary.size - logits.shape[1]
        if missing > 0:
            logits = torch.nn.functional.pad(logits, (0, missing), value=-torch.inf)
        return torch.log_softmax(logits, dim=-1).cpu().numpy()


def _rotates_by_the_longest(config: Any) -> bool:
    """Whether the longest row of a batch decides how the positions of all are written down."""
    config = config.get_text_config()
    rope: dict[str, Any] = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = [each.get("rope_type", each.get("type")) for each in (rope, *rope.values()) if isinstance(each, dict)]
    return "dynamic" in kinds or "longrope" in kinds


def _beside(pieces: list[tuple[_Layers, Ints]]) -> tuple[_Layers, Ints]:
    """Caches of several batches as one, padded on the left."""
    lengths = np.concatenate([length for _, length in pieces])
    width = int(lengths.max())
    columns = zip(*(layers for layers, _ in pieces), strict=True)
    joined = [
        tuple(torch.cat([_padded(layer[side], width) for layer in column]) for side in (0, 1)) for column in columns
    ]
    return [(keys, values) for keys, values in joined], lengths


def _padded(states: torch.Tensor, width: int) -> torch.Tensor:
    missing = width - states.shape[2]
    return torch.nn.functional.pad(states, (0, 0, missing, 0)) if missing > 0 else states[:, :, -width:]


def _vocabulary(model: Any, tokenizer: Any) -> Vocabulary:
    """The tokens, those that end a text, and as ordinary ones the markers that models have tokens for."""
    from decoding.tokenizers import vocabulary_from

    ends = getattr(model.generation_config, "eos_token_id", None)
    eos = None if ends is None else [ends] if isinstance(ends, int) else list(ends)
    return with_ordinary_markers(vocabulary_from(tokenizer, eos=eos, size=int(model.config.vocab_size)))


def load_served(name: str, device: str | None = None, dtype: str | None = None) -> HuggingFaceServed:
    """The model of a name or folder. Unless told otherwise it computes with what it was saved as; but with float32 on a
    processor for which PyTorch has no quick arithmetic for half-precision numbers: they take many times as long."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=dtype or "auto").eval()
    if device:
        model = model.to(device)
    is_free = not dtype and not getattr(model, "is_quantized", False)
    if is_free and model.device.type == "cpu" and not _is_quick(model.dtype):
        model = model.float()
    return HuggingFaceServed(model, AutoTokenizer.from_pretrained(name), name)


def _is_quick(dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies such numbers on this processor."""
    name = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}.get(dtype)
    return name is None or bool(getattr(torch.ops.mkldnn, name, lambda: False)())
