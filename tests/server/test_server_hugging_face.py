"""One cache for all rows of a Hugging Face model: whoever joins, leaves or splits, the numbers are the model's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers
from fastapi.testclient import TestClient
from server_asked import ASK, PERSON

from decoding.embedded import as_transformers
from decoding.server.app import create_app
from decoding.server.hugging_face import HuggingFaceServed, load_served

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return as_transformers()


def untrained(family: str) -> Any:
    """A model whose cache is of one kind or another."""
    torch.manual_seed(3)
    ids = {"vocab_size": 2060, "bos_token_id": 0, "eos_token_id": 1, "max_position_embeddings": 256}
    if family == "gpt2":
        config = transformers.GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=256, vocab_size=2060, bos_token_id=0, eos_token_id=1
        )
        return transformers.GPT2LMHeadModel(config).eval()
    if family == "sliding":
        config = transformers.MistralConfig(num_key_value_heads=2, sliding_window=8, **SMALL, **ids)
        return transformers.MistralForCausalLM(config).eval()
    if family == "roberta":  # counts positions from its padding on
        config = transformers.RobertaConfig(is_decoder=True, pad_token_id=1, **SMALL, **ids)
        return transformers.RobertaForCausalLM(config).eval()
    if family == "mamba":  # has states instead of a cache, and takes no positions
        config = transformers.MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, vocab_size=2060)
        return transformers.MambaForCausalLM(config).eval()
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4, "original_max_position_embeddings": 8}
    extra = {"rope_parameters": rope} if family == "dynamic" else {}
    config = transformers.LlamaConfig(num_key_value_heads=2, **SMALL, **ids, **extra)
    return transformers.LlamaForCausalLM(config).eval()


def directly(model: Any, row: np.ndarray, size: int) -> np.ndarray:
    with torch.inference_mode():
        logits = model(input_ids=torch.from_numpy(row)[None]).logits[0, -1, :size].double()
    return torch.log_softmax(logits, -1).numpy()


@pytest.mark.parametrize("family", ["llama", "gpt2", "sliding", "dynamic", "roberta", "mamba"])
def test_rows_come_and_go_and_split(pair: tuple[Any, Any], family: str):
    model = untrained(family)
    served, rng = HuggingFaceServed(model, pair[1]), np.random.default_rng(0)
    rows = [rng.integers(3, 2048, size=length) for length in (1, 9, 4)]
    for _ in range(20):
        found = served.log_probs(rows)
        for row, numbers in zip(rows, found, strict=True):
            assert np.abs(numbers - directly(model, row, served.vocabulary.size)).max() < 1e-3
        kept = [rows[i] for i in rng.integers(0, len(rows), size=rng.integers(1, 7))]
        grown = [np.append(row, rng.integers(3, 2048)) for row in kept]
        grown += [rng.integers(3, 2048, size=rng.integers(1, 12)) for _ in range(rng.integers(0, 5))]
        rows = list({row.tobytes(): row for row in grown}.values())


@pytest.mark.parametrize(("saved", "is_quick"), [("bfloat16", True), ("bfloat16", False), ("float16", False)])
def test_half_numbers_are_kept_where_the_processor_is_quick_at_them(
    saved: str, is_quick: bool, tmp_path: Path, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
):
    untrained("llama").to(getattr(torch, saved)).save_pretrained(tmp_path)
    pair[1].save_pretrained(tmp_path)
    monkeypatch.setattr("decoding.server.hugging_face._is_quick", lambda dtype: is_quick or dtype == torch.float32)
    served, told = load_served(str(tmp_path)), load_served(str(tmp_path), dtype=saved)
    assert computes_with(served) == (saved if is_quick else "float32")
    assert computes_with(told) == saved
    row = np.array([3, 4, 5])
    exact = directly(untrained("llama").to(getattr(torch, saved)).float(), row, served.vocabulary.size)
    assert np.abs(served.log_probs([row])[0] - exact).max() < (0.1 if is_quick else 1e-4)


def test_quantised_weights_stay_as_they_are(tmp_path: Path, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch):
    untrained("llama").half().save_pretrained(tmp_path)
    pair[1].save_pretrained(tmp_path)
    monkeypatch.setattr("decoding.server.hugging_face._is_quick", lambda dtype: dtype == torch.float32)
    monkeypatch.setattr(transformers.LlamaForCausalLM, "is_quantized", True, raising=False)
    assert computes_with(load_served(str(tmp_path))) == "float16"


def test_what_is_read_together_is_alike_and_not_too_much(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch):
    model = untrained("llama")
    served, rng, shapes = HuggingFaceServed(model, pair[1]), np.random.default_rng(1), list[tuple[int, ...]]()
    model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    monkeypatch.setattr("decoding.server.hugging_face._TOKENS_AT_ONCE", 20)
    rows = [rng.integers(3, 2048, size=length) for length in (1, 8, 30, 5, 8, 3, 2)]
    found = served.log_probs(rows)
    assert shapes == [(1, 30), (2, 8), (2, 5), (2, 2)]
    for row, numbers in zip(rows, found, strict=True):
        assert np.abs(numbers - directly(model, row, served.vocabulary.size)).max() < 1e-3


def computes_with(served: HuggingFaceServed) -> str:
    (found,) = {str(weights.dtype).removeprefix("torch.") for weights in served._model.parameters()}
    return found


def test_it_serves(pair: tuple[Any, Any]):
    with TestClient(create_app(HuggingFaceServed(*pair, name="small"))) as client:
        asked = {"messages": [{"role": "user", "content": ASK}], "format": PERSON, "n": 3, "seed": 0, "max_tokens": 60}
        answer = client.post("/v1/chat/completions", json=asked).json()
        for choice in answer["choices"]:
            assert set(json.loads(choice["message"]["content"])) == {"name", "age"}
