"""Samplers in the place of `generate`'s loop, and a Hugging Face model as samplers see it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from decoding.hf import HuggingFaceModel, constrained_generate
from grammars import BackendUnavailable, Vocabulary, VocabularyError, regex
from samplers import SMC, Exact, Masking, Problem, Rejection, sample
from tests.significance import contradicts


def plain_rows(model: Any, asked: HuggingFaceModel, contexts: list[list[int]]) -> np.ndarray:
    """The same, without keys, values or batches."""
    rows = []
    for context in contexts:
        if model.config.is_encoder_decoder:
            decoder = torch.tensor([[model.config.decoder_start_token_id, *context]])
            out = model(input_ids=torch.tensor([asked.prompt]), decoder_input_ids=decoder)
        else:
            out = model(input_ids=torch.tensor([[*asked.prompt, *context]]))
        logits = out.logits[0, -1, : asked.vocabulary.size].double()
        rows.append(torch.log_softmax(logits, -1).detach().numpy())
    return np.stack(rows)


def test_rows_are_those_of_the_model_however_they_are_asked_for(any_model: Any, vocabulary: Vocabulary) -> None:
    asked = HuggingFaceModel(any_model, vocabulary, [0, 17, 33, 90])
    steps: list[tuple[list[list[int]], list[int] | None]] = [
        ([[]], None),
        ([[5], [9]], [0, 0]),
        ([[9, 4], [5, 8], [9, 7]], [1, 0, 1]),  # a permutation with a copy
        ([[5, 8, 1], [9, 7, 2]], [1, 2]),  # one is left out
        ([[9, 7, 2, 2], [5]], [1, -1]),  # of different length
        ([[5, 1], [11]], [1, -1]),
        ([[3, 3, 3]], None),
    ]
    for contexts, parents in steps:
        rows = asked.log_probs(contexts, parents)
        np.testing.assert_allclose(rows, plain_rows(any_model, asked, contexts), atol=1e-4)


def test_a_particle_costs_one_position_for_each_token(any_model: Any, vocabulary: Vocabulary) -> None:
    prompt = [0, *range(20, 60)]
    asked = HuggingFaceModel(any_model, vocabulary, prompt)
    samples = sample(Problem(asked, regex("[a-z ]{30}"), max_tokens=40), SMC(8), seed=1)
    before = 1 if any_model.config.is_encoder_decoder else len(prompt)
    assert asked.forwarded - before <= 1.05 * (samples.calls.distinct - 1)


def test_draws_follow_the_models_own_distribution(built_in: tuple[Any, Any], vocabulary: Vocabulary) -> None:
    """An exact sampler under `generate` against exact enumeration."""
    model, tokenizer = built_in
    grammar = regex("yes|no|maybe|[0-9]")
    prompt = tokenizer("User: Is it?\nAssistant: ", return_tensors="pt")
    drawing = constrained_generate(grammar, Exact(), vocabulary=vocabulary, seed=5)
    out = model.generate(**prompt, do_sample=True, max_new_tokens=8, num_return_sequences=2000, custom_generate=drawing)
    texts = tokenizer.batch_decode(out[:, prompt.input_ids.shape[1] :], skip_special_tokens=True)
    asked = HuggingFaceModel(model, vocabulary, prompt.input_ids[0])
    masses = {text: mass_of(asked, text.encode()) for text in ["yes", "no", "maybe", *"0123456789"]}
    total = sum(masses.values())
    assert not contradicts(Counter(texts), {text: mass / total for text, mass in masses.items()})


def mass_of(asked: HuggingFaceModel, text: bytes) -> float:
    """P(text) and then the end, over all ways to cut it into tokens."""
    tokens = asked.vocabulary.tokens
    special = {*asked.vocabulary.special, *asked.vocabulary.eos}
    total, waiting = 0.0, [([], text, 1.0)]
    while waiting:
        context, rest, mass = waiting.pop()
        row = np.exp(asked.log_probs([context])[0])
        if not rest:
            total += mass * row[list(asked.vocabulary.eos)].sum()
        for number, data in enumerate(tokens):
            if data and number not in special and rest.startswith(data):
                waiting.append(([*context, number], rest[len(data) :], mass * row[number]))
    return float(total)


@pytest.mark.parametrize("sampler", [Masking(), SMC(12), Rejection()], ids=lambda s: type(s).__name__)
def test_a_padded_batch_gives_valid_answers_for_every_prompt(
    sampler: Any, built_in: tuple[Any, Any], vocabulary: Vocabulary
) -> None:
    model, tokenizer = built_in
    tokenizer.padding_side = "left"
    prompts = tokenizer(
        ["1 + 1 =", "User: What is 20 + 30?\nAssistant: The answer is"], return_tensors="pt", padding=True
    )
    drawing = constrained_generate(regex(" ?[0-9]+[^0-9]{0,40}"), sampler, vocabulary=vocabulary, seed=2)
    out = model.generate(**prompts, do_sample=True, max_new_tokens=60, num_return_sequences=2, custom_generate=drawing)
    assert out.shape[0] == 4
    assert len(drawing.samples) == 2
    for samples in drawing.samples:
        assert all(
            finish == "end" or weight == -np.inf
            for finish, weight in zip(samples.finish, samples.log_weights, strict=True)
        )


def test_settings_that_change_the_target_are_refused(built_in: tuple[Any, Any], vocabulary: Vocabulary) -> None:
    model, tokenizer = built_in
    prompt = tokenizer("1 + 1 =", return_tensors="pt")
    drawing = constrained_generate(regex("[0-9]+"), vocabulary=vocabulary)
    with pytest.raises(BackendUnavailable, match="Temperature"):
        model.generate(**prompt, do_sample=True, temperature=0.5, max_new_tokens=8, custom_generate=drawing)


def test_a_model_needs_something_to_go_on(built_in: tuple[Any, Any], vocabulary: Vocabulary) -> None:
    with pytest.raises(VocabularyError, match="prompt"):
        HuggingFaceModel(built_in[0], vocabulary, [])
