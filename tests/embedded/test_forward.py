"""The numpy forward pass is the transformer that Hugging Face runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from decoding.embedded import EmbeddedModel, hf_directory, load
from decoding.embedded.evaluation import greedy
from samplers.protocols import LanguageModel

PROMPT = 'User: Extract the person from: Ada Lovelace, 36, lives in London.\nAssistant: {"name":'
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model() -> EmbeddedModel:
    return load(PROMPT)


def contexts(model: EmbeddedModel, seed: int, lengths: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, model.vocabulary.size, length) for length in lengths]


def alone(context: np.ndarray) -> np.ndarray:
    """What a model without any memory says."""
    return load(PROMPT).log_probs([context])[0]


def test_it_is_a_language_model_as_samplers_expect_one(model: EmbeddedModel):
    assert isinstance(model, LanguageModel)


def test_rows_are_normalised_and_in_double_precision(model: EmbeddedModel):
    rows = model.log_probs(contexts(model, 1, [0, 3, 9]))
    assert rows.dtype == np.float64
    assert rows.shape == (3, model.vocabulary.size)
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, rtol=1e-12)


def test_no_contexts_give_no_rows(model: EmbeddedModel):
    assert model.log_probs([]).shape == (0, model.vocabulary.size)


def test_a_batch_of_uneven_lengths_is_what_each_row_is_alone(model: EmbeddedModel):
    batch = contexts(model, 2, [0, 17, 1, 40, 5, 5])
    for row, context in zip(model.log_probs(batch), batch, strict=True):
        np.testing.assert_allclose(row, alone(context), atol=TOLERANCE)


def test_extending_token_by_token_is_what_reading_at_once_is():
    model = load(PROMPT)
    (whole,) = contexts(model, 3, [30])
    rows = [model.log_probs([whole[:end]], parents=[0 if end else -1])[0] for end in range(31)]
    np.testing.assert_allclose(rows[-1], alone(whole), atol=TOLERANCE)


def test_each_distinct_position_is_forwarded_once():
    model = load(PROMPT)
    left, right = contexts(model, 4, [10, 10])
    right[:4] = left[:4]
    model.log_probs([left[:5], right[:5], left[:5]])
    model.log_probs([right, left], parents=[-1, -1])
    model.log_probs([left[:7], right])
    distinct = {tuple(row[:end]) for row in (left, right) for end in range(1, 11)}
    assert model.forwarded == len(model.prompt) + len(distinct)


def test_wrong_parents_change_nothing():
    model = load(PROMPT)
    first, second = contexts(model, 5, [6, 6])
    model.log_probs([first[:5], second[:5]])
    rows = model.log_probs([first, second], parents=[1, 0])
    np.testing.assert_allclose(rows, [alone(first), alone(second)], atol=TOLERANCE)


@pytest.mark.parametrize("limit", [1, 60, 100])
def test_a_memory_that_overflows_changes_nothing(limit: int):
    model = load(PROMPT, kept_prefixes=limit)
    batch = contexts(model, 6, [20, 33, 1, 8])
    for _ in range(2):
        for row, context in zip(model.log_probs(batch), batch, strict=True):
            np.testing.assert_allclose(row, alone(context), atol=TOLERANCE)


def test_models_with_other_prompts_share_the_memory_and_nothing_else():
    model = load(PROMPT)
    model.log_probs([[]])
    before = model.forwarded
    longer = model.with_prompt(PROMPT + ' "Ada')
    rows = longer.log_probs([[]])
    assert model.forwarded - before == len(longer.prompt) - len(model.prompt)
    np.testing.assert_allclose(rows, load(PROMPT + ' "Ada').log_probs([[]]), atol=TOLERANCE)


def test_an_interrupted_call_leaves_no_half_computed_prefix(monkeypatch: pytest.MonkeyPatch):
    model = load(PROMPT)
    llama = type(model._llama)
    forward = llama.forward
    (context,) = contexts(model, 7, [12])

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(llama, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.log_probs([context])
    monkeypatch.setattr(llama, "forward", forward)
    np.testing.assert_allclose(model.log_probs([context])[0], alone(context), atol=TOLERANCE)


def test_rows_equal_those_of_transformers(model: EmbeddedModel):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    reference, _ = model.as_transformers()
    for context in contexts(model, 8, [0, 1, 25, 130]):
        tokens = torch.tensor([[*model.prompt, *context.tolist()]])
        with torch.no_grad():
            wanted = torch.log_softmax(reference(input_ids=tokens).logits[0, -1].double(), -1)
        np.testing.assert_allclose(model.log_probs([context])[0], wanted, atol=TOLERANCE)


def test_rows_equal_those_of_transformers_with_its_cache_and_left_padding(model: EmbeddedModel):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    reference, tokenizer = cast("tuple[Any, Any]", model.as_transformers())
    texts = [PROMPT, "SQL:", "User: Hello!\nAssistant:"]
    batch = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
    with torch.no_grad():
        written = reference.generate(
            **batch,
            max_new_tokens=12,
            min_new_tokens=12,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
    for i, text in enumerate(texts):
        start, tokens = load(text), written.sequences[i, batch.input_ids.shape[1] :].numpy()
        rows = start.log_probs([tokens[:end] for end in range(12)])
        wanted = np.stack([torch.log_softmax(step[i].double(), -1).numpy() for step in written.logits])
        # Before it ends the text; what `generate` does after that is its own business.
        np.testing.assert_allclose(rows, wanted, atol=TOLERANCE)


def test_the_auto_classes_load_the_folder():
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(str(hf_directory()))
    assert sum(p.numel() for p in loaded.parameters()) == parameters(hf_directory())


def parameters(folder: Path) -> int:
    """The number of weights, by the header of the file."""
    content = (folder / "model.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return sum(int(np.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__")


def test_the_weights_stay_below_four_megabytes():
    assert (hf_directory() / "model.safetensors").stat().st_size <= 4_000_000


def test_it_reads_a_person_out_of_a_sentence():
    asked = "Extract the person from: Ada Lovelace is 36 years old and lives in London.\nJSON:"
    answer = json.loads(greedy(load(), [asked])[0])
    assert answer == {"name": "Ada Lovelace", "age": 36, "city": "London"}


def test_it_writes_queries_and_greets():
    query, hello = greedy(
        load(), ["Write an SQL query: Show all books sorted by year.\nSQL:", "User: Hello!\nAssistant:"]
    )
    assert query == " SELECT * FROM books ORDER BY year;"
    assert hello.startswith(" Hello! How can I help you?")
