"""Texts become tokens and come back; Hugging Face cuts them alike."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoding.embedded import EmbeddedModel, load
from decoding.embedded.corpus import documents
from grammars import VocabularyError

FINGERPRINT = "5bfa6c201c09aa27d7077a97a5cd9fde"


@pytest.fixture(scope="module")
def model() -> EmbeddedModel:
    return load()


def joined(model: EmbeddedModel, text: str | bytes) -> bytes:
    return b"".join(model.vocabulary.tokens[token] for token in model.encode(text))


@given(text=st.text())
def test_text_comes_back(text: str):
    model = load()
    assert joined(model, text) == text.encode()
    assert model.decode(model.encode(text)) == text


@given(data=st.binary())
def test_bytes_come_back_even_if_they_are_no_text(data: bytes):
    assert joined(load(), data) == data


@given(text=st.text(alphabet=st.one_of(st.sampled_from(" \n\t'\"{}:,.-_aAbBzZ09éÉ€漢🙂\x00\x7f\x80"), st.characters())))
def test_tokens_equal_those_of_transformers(text: str):
    tokenizer = transformers_twin()
    assert load().encode(text).tolist() == tokenizer.encode(text, add_special_tokens=False)


def test_tokens_of_the_corpus_equal_those_of_transformers(model: EmbeddedModel):
    tokenizer = transformers_twin()
    for text in islice(documents(seed=5), 200):
        assert model.encode(text).tolist() == tokenizer.encode(text, add_special_tokens=False)


@cache
def transformers_twin() -> Any:
    """The tokenizer of Hugging Face, made of the same file."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return load().as_transformers()[1]


def test_the_prompt_equals_what_transformers_makes_of_it():
    tokenizer = transformers_twin()
    assert list(load("SQL: SELECT").prompt) == tokenizer("SQL: SELECT").input_ids


def test_the_chat_template_writes_the_form_that_was_trained():
    tokenizer = transformers_twin()
    messages = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "Hi"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "System: Answer briefly.\nUser: Hi\nAssistant:"


def test_special_tokens_are_not_read_out_of_text(model: EmbeddedModel):
    tokens = model.encode("<|begin|><|end|><|pad|>")
    assert not {*model.vocabulary.eos, *model.vocabulary.special} & {*tokens.tolist()}
    assert model.decode(tokens) == "<|begin|><|end|><|pad|>"


def test_half_a_surrogate_pair_is_refused(model: EmbeddedModel):
    with pytest.raises(VocabularyError, match="surrogate"):
        model.encode("\ud800")


def test_the_vocabulary_is_the_shipped_one(model: EmbeddedModel):
    assert model.vocabulary.size == 2048
    assert model.vocabulary.fingerprint == FINGERPRINT


def test_every_byte_is_a_token(model: EmbeddedModel):
    reserved = {*model.vocabulary.eos, *model.vocabulary.special}
    ordinary = {token for i, token in enumerate(model.vocabulary.tokens) if i not in reserved}
    assert {bytes([value]) for value in range(256)} <= ordinary


@pytest.mark.parametrize("context", [[2048], [-1], [0.5], [[1]], ["a"]])
def test_contexts_that_hold_no_tokens_are_refused(model: EmbeddedModel, context: Any):
    with pytest.raises(VocabularyError, match="context 1"):
        model.log_probs([[], context])
