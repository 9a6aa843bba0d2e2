"""Requests with a form get texts of that form; all others are left alone; what cannot be served is refused at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed", exc_type=ImportError)

from engines import ASKED

from decoding.embedded.model import EmbeddedModel
from decoding.vllm import VLLMModel, constrained
from decoding.vllm.interfaces import refusals
from grammars import regex

Completed = Callable[..., list[Any]]
PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}}, "required": ["name"]}

FORMS: list[tuple[dict[str, Any], Callable[[str], object]]] = [
    ({"regex": "[0-9]{3}-[a-z]{2,4}"}, lambda text: re.fullmatch("[0-9]{3}-[a-z]{2,4}", text)),
    ({"choice": ["certainly not", "yes"]}, lambda text: text in ("certainly not", "yes")),
    ({"gbnf": 'root ::= "(" root ")" | "x"'}, lambda text: text.count("(") == text.count(")")),
    ({"lark": 'start: "ab" start?'}, lambda text: set(text) <= {"a", "b"}),
    ({"schema": PERSON | {"additionalProperties": False}, "options": {"whitespace": "compact"}}, json.loads),
    ({"schema": json.dumps({"enum": ["red", 7]})}, lambda text: json.loads(text) in ("red", 7)),
]


@pytest.mark.parametrize(("form", "is_right"), FORMS, ids=lambda value: next(iter(value)) if value is dict else None)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_finished_text_is_of_its_form(completed: Completed, form: Any, is_right: Any, temperature: float):
    for out in completed(*[constrained(**form)] * 3, temperature=temperature, seed=1):
        assert out.finish_reason == "length" or is_right(out.text), out.text


def test_a_form_may_come_as_json_text_as_it_does_over_http(completed: Completed):
    (out,) = completed({"scansion": '{"choice": ["maybe"]}'})
    assert out.text == "maybe"


def test_requests_without_a_form_are_left_alone(completed: Completed):
    alone = completed(None, temperature=0.0)[0].token_ids
    beside = completed(constrained(regex="[a-z]{30}"), None, constrained(regex="x"), temperature=0.0)[1].token_ids
    assert alone == beside


def test_what_is_reported_are_the_log_probabilities_of_the_model_itself(completed: Completed, own_model: EmbeddedModel):
    (out,) = completed(constrained(regex="[0-9]{4}"), logprobs=0, seed=3)
    tokens = list(out.token_ids)
    own = own_model.log_probs([tokens[:i] for i in range(len(tokens))])
    reported = [step[token].logprob for token, step in zip(tokens, out.logprobs, strict=True)]
    np.testing.assert_allclose(reported, own[np.arange(len(tokens)), tokens], atol=1e-4)


def test_a_greedy_answer_is_that_of_the_processor_of_hugging_face(completed: Completed):
    import torch

    from decoding.embedded import as_transformers
    from decoding.hf import ConstraintProcessor as OfHuggingFace
    from decoding.tokenizers import vocabulary_from

    model, tokenizer = as_transformers()
    pattern = '\\{"n": [0-9]{1,3}, "word": "[a-z]{1,6}"\\}'
    automaton = regex(pattern).compile(vocabulary_from(tokenizer))
    prompt = tokenizer(ASKED, return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**prompt, max_new_tokens=40, do_sample=False, logits_processor=[OfHuggingFace(automaton)])[
            0, prompt.input_ids.shape[1] :
        ]
    (out,) = completed(constrained(regex=pattern), temperature=0.0)
    assert list(out.token_ids) == ids.tolist()


def test_a_stop_token_of_the_request_ends_the_text_where_it_is_complete_and_nowhere_else(
    completed: Completed, own_model: EmbeddedModel
):
    (stop,) = own_model.encode("3").tolist()
    for out in completed(*[constrained(regex="[0-9]{3}")] * 8, stop_token_ids=[stop], seed=5):
        assert stop not in out.token_ids[:-1]
        assert re.fullmatch("[0-24-9]{3}", out.text), (out.text, out.token_ids)


def test_a_text_may_begin_in_the_prompt(llm: Any, own_model: EmbeddedModel):
    from vllm import SamplingParams

    begun = own_model.encode('{"age": ').tolist()
    ids = [*own_model.prompt, *begun]
    params = SamplingParams(max_tokens=20, extra_args=constrained(regex='\\{"age": [0-9]{2}\\}', begun=len(begun)))
    text = llm.generate([{"prompt_token_ids": ids}], params, use_tqdm=False)[0].outputs[0].text
    assert re.fullmatch(r"[0-9]{2}\}", text)


BAD: list[tuple[Any, dict[str, Any], str]] = [
    ({"regex": "(a"}, {}, "unclosed group"),
    ({"regex": "a", "choice": ["b"]}, {}, "one form"),
    ({"pattern": "a"}, {}, "does not know pattern"),
    ({}, {}, "gives no form"),
    ({"regex": 7}, {}, "must be a text"),
    ({"choice": "yes"}, {}, "list of texts"),
    ({"choice": []}, {}, ""),
    ({"schema": {"type": "string", "pattern": "(a)\\1"}}, {}, ""),
    ({"schema": {"type": "nothing"}}, {}, ""),
    ({"schema": "{"}, {}, ""),
    ({"regex": "a", "options": {"spaces": 1}}, {}, "SchemaOptions"),
    ({"regex": "a", "begun": -1}, {}, "begun"),
    ({"regex": "[^\\x00-\\U0010ffff]"}, {}, ""),
    ("{", {}, "no JSON"),
    (7, {}, "must be an object"),
    ({"regex": "a"}, {"min_tokens": 3}, "min_tokens"),
    ({"regex": "a"}, {"bad_words": ["b"]}, "bad_words"),
    ({"regex": "a"}, {"allowed_token_ids": [5]}, "allowed_token_ids"),
    ({"regex": "a", "record": "r"}, {"n": 2}, "share one record"),
    ({"regex": "a", "record": "r"}, {"logit_bias": {5: 1.0}}, "logit_bias"),
]


@pytest.mark.parametrize(("asked", "options", "told"), BAD)
def test_what_cannot_be_served_is_refused_in_the_front_end(completed: Completed, asked: Any, options: Any, told: str):
    with pytest.raises(refusals(), match=re.escape(told) or None):
        completed({"scansion": asked}, **options)
    assert completed({"scansion": {"choice": ["fine"]}})[0].text == "fine"


def test_a_language_that_the_tokens_cannot_write_harms_nobody_else(completed: Completed):
    odd = constrained(regex="a{300000,}", record="odd")  # longer than any answer: never complete
    first, second = completed(odd, constrained(choice=["fine"]), max_tokens=10)
    assert (first.finish_reason, second.text) == ("length", "fine")


def test_the_model_of_samplers_is_the_model(llm: Any, own_model: EmbeddedModel):
    contexts = [[], [300], [300, 301], list(range(40, 80)), [300]]
    model = VLLMModel(llm, own_model.prompt)
    np.testing.assert_allclose(model.log_probs(contexts), own_model.log_probs(contexts), atol=1e-4)
    assert model.asked == len(contexts)
