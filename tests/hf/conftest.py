"""The built-in model as Hugging Face sees it, and fresh models of other families over the same tokens."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from decoding.embedded import as_transformers
from decoding.tokenizers import vocabulary_from
from grammars import Vocabulary

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(scope="session")
def built_in() -> tuple[Any, Any]:
    """Model and tokenizer."""
    torch.manual_seed(0)
    return as_transformers()


@pytest.fixture(scope="session")
def vocabulary(built_in: tuple[Any, Any]) -> Vocabulary:
    return vocabulary_from(built_in[1])


def fresh_model(family: str, vocabulary: Vocabulary) -> Any:
    """A model nobody trained: what it says is arbitrary, how it says it is real. Its logits are wider than its
    vocabulary."""
    ids: dict[str, Any] = {"vocab_size": vocabulary.size + 13, "bos_token_id": 0, "eos_token_id": vocabulary.eos[0]}
    torch.manual_seed(7)
    if family == "gpt2":
        config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=256, **ids)
        return transformers.GPT2LMHeadModel(config).eval()
    if family == "qwen":
        config = transformers.Qwen2Config(num_key_value_heads=2, max_position_embeddings=256, **SMALL, **ids)
        return transformers.Qwen2ForCausalLM(config).eval()
    if family == "t5":
        small = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
        config = transformers.T5Config(decoder_start_token_id=0, pad_token_id=2, **small, **ids)
        return transformers.T5ForConditionalGeneration(config).eval()
    config = transformers.LlamaConfig(num_key_value_heads=2, max_position_embeddings=256, **SMALL, **ids)
    return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture(params=["llama", "qwen", "gpt2", "t5"])
def any_model(request: pytest.FixtureRequest, vocabulary: Vocabulary) -> Any:
    return fresh_model(request.param, vocabulary)
