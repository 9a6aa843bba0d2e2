"""A model in vLLM: prompts by its tokenizer, and log-probabilities by requests for one token.

The rows of logits that samplers need are recorded by the processor in vLLM's worker and fetched from there
(`decoding.vllm.models`). Texts do not need them: `decoding.server.vllm.writing`.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import generate_latest

from decoding.server.tokenized import TokenizedPrompts
from decoding.server.turns import with_ordinary_markers
from decoding.server.vllm.engine import Engine, engine_down
from decoding.server.vllm.scheduling import VLLMScheduler
from decoding.vllm.interfaces import the_vllm
from decoding.vllm.models import fresh_names, normalised, portions
from decoding.vllm.tokens import vocabulary_of
from decoding.vllm.wishes import constrained

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class VLLMServed(TokenizedPrompts):
    """The model of a name or folder, with options of vLLM's engine."""

    scheduler = VLLMScheduler

    def __init__(self, model: str, name: str | None = None, **options: Any):
        self.engine = Engine(model, options)
        config = self.engine.llm.model_config
        self.context = int(config.max_model_len) - 1  # behind the last token the end is asked for
        tokenizer = import_module("vllm.tokenizers").cached_tokenizer_from_config(config)
        super().__init__(tokenizer, with_ordinary_markers(vocabulary_of(config)), name or model)

    @property
    def status(self) -> str:
        """Whether requests are served: "ok" or "restarting"."""
        return "ok" if self.engine.is_up else "restarting"

    def figures(self) -> bytes:
        """vLLM's own, which it keeps for the whole process."""
        return generate_latest()

    def close(self) -> None:
        """Stop the engine."""
        self.engine.close()

    def log_probs(self, sequences: Sequence[Ints]) -> Floats:
        """Normalised log-probabilities behind each sequence."""
        rows = np.empty((len(sequences), self.vocabulary.size))
        for begin, end in portions(len(sequences), self.vocabulary.size):
            rows[begin:end] = self.engine.begin(self._logits(sequences[begin:end])).result()
        return normalised(rows)

    async def _logits(self, sequences: Sequence[Ints]) -> Floats:
        names = fresh_names(len(sequences))
        await asyncio.gather(*map(self._first_token, sequences, names))
        found: dict[str, Any] = {}
        for records in await self.engine.ask("scansion_take", names):
            found = records | found
        if any(name not in found for name in names):  # another engine has begun meanwhile
            raise engine_down()
        return np.stack([np.frombuffer(found[name]["row"], np.float32) for name in names]).astype(np.float64)

    async def _first_token(self, sequence: Ints, name: str) -> None:
        params = the_vllm().SamplingParams(
            max_tokens=1, temperature=0.0, detokenize=False, extra_args=constrained(record=name, rows=True)
        )
        async with aclosing(self.engine.outputs(sequence.tolist(), params)) as outputs:
            async for _ in outputs:
                pass
