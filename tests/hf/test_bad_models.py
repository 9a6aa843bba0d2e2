"""What does not fit together is refused in a few words, before or at the first step."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from decoding.engine import Engine
from decoding.hf import ConstraintProcessor, HuggingFaceModel, constrained_generate
from grammars import BackendUnavailable, BudgetExhausted, DeadEnd, RequestError, Vocabulary, VocabularyError, regex
from samplers import Masking
from tests.hf.conftest import fresh_model

SMALL = Vocabulary([b"a", b"b", b"<end>"], eos=[2])


def larger(vocabulary: Vocabulary) -> Vocabulary:
    return Vocabulary([*vocabulary.tokens, *(b"%d" % number for number in range(5000))], eos=list(vocabulary.eos))


def generated(model: Any, tokenizer: Any, **how: Any) -> Any:
    return model.generate(**tokenizer("When?", return_tensors="pt"), max_new_tokens=20, **how)


@pytest.mark.parametrize("wrong", ["small", "larger"])
def test_a_vocabulary_of_another_model_is_refused(
    wrong: str, built_in: tuple[Any, Any], vocabulary: Vocabulary
) -> None:
    other = SMALL if wrong == "small" else larger(vocabulary)
    constraint = regex("a+").compile(other) if wrong == "small" else regex("4999").compile(other)
    message = rf"over {other.size} tokens, and the model has {vocabulary.size} logits"
    with pytest.raises(VocabularyError, match=message):
        generated(*built_in, logits_processor=[ConstraintProcessor(constraint)])
    with pytest.raises(VocabularyError, match=message):
        generated(*built_in, custom_generate=constrained_generate(constraint, Masking()))
    with pytest.raises(VocabularyError, match="another vocabulary"):
        generated(*built_in, custom_generate=constrained_generate(constraint, Masking(), tokenizer=built_in[1]))


def test_logits_beyond_the_vocabulary_are_padding(vocabulary: Vocabulary) -> None:
    out = fresh_model("llama", vocabulary).generate(
        torch.tensor([[5, 6]]),
        max_new_tokens=3,
        logits_processor=[ConstraintProcessor(regex("a*").compile(vocabulary))],
    )
    assert set(b"".join(vocabulary.tokens[t] for t in out[0, 2:].tolist() if t not in vocabulary.eos)) <= {ord("a")}


def test_logits_that_are_nan_are_named(built_in: tuple[Any, Any]) -> None:
    broken = deepcopy(built_in[0])
    broken.lm_head.weight.data[:] = torch.nan
    with pytest.raises(DeadEnd, match="NaN"):
        generated(broken, built_in[1], custom_generate=constrained_generate(regex("[0-9]"), tokenizer=built_in[1]))
    with pytest.raises(DeadEnd, match="NaN"):
        Engine.load(broken, built_in[1]).generate("x", regex="[0-9]")


@pytest.mark.parametrize("kind", ["built in", "transformers"])
def test_a_prompt_without_room_behind_it_is_refused(kind: str, built_in: tuple[Any, Any]) -> None:
    engine = Engine.load() if kind == "built in" else Engine.load(*built_in)
    with pytest.raises(BudgetExhausted, match="made for 1024: there is no room behind it"):
        engine.generate("a b c d " * 400, regex="[0-9]{2}")


def test_behind_a_long_prompt_there_are_as_many_tokens_as_the_model_has_places(vocabulary: Vocabulary) -> None:
    """GPT-2 fails beyond its last position; a text that needs no more than there is comes out."""
    model = fresh_model("gpt2", vocabulary)
    prompt = torch.full((1, 250), 40)
    drawing = constrained_generate(regex("[0-9]{1,200}"), Masking(), vocabulary=vocabulary, seed=0)
    model.generate(prompt, max_new_tokens=100, do_sample=True, custom_generate=drawing, num_return_sequences=8)
    assert all(len(tokens) <= 6 for tokens in drawing.samples[0].tokens)
    with pytest.raises(BudgetExhausted, match="made for 256"):
        model.generate(torch.full((1, 256), 40), max_new_tokens=4, do_sample=True, custom_generate=drawing)


def test_what_is_no_model_and_no_prompt_is_named(built_in: tuple[Any, Any]) -> None:
    model, tokenizer = built_in
    with pytest.raises(BackendUnavailable, match="there is no folder /no/such/model"):
        Engine.load("/no/such/model")
    with pytest.raises(RequestError, match="no model of Hugging Face"):
        Engine.load(tokenizer, model)
    with pytest.raises(RequestError, match="needs its tokenizer"):
        Engine.load(model)
    with pytest.raises(RequestError, match="a prompt is a text, not list"):
        Engine.load().generate(["Who?"], regex="a")  # type: ignore[arg-type]
    with pytest.raises(VocabularyError, match="logits"):
        HuggingFaceModel(model, SMALL, [1]).log_probs([[]])
