"""`generate` with a `ConstraintProcessor` writes texts of the language, whatever the model and the way of decoding."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from decoding.hf import ConstraintProcessor, HuggingFaceModel
from decoding.hf.masks import masked
from grammars import DeadEnd, StateError, Vocabulary, VocabularyError, json_schema, regex
from samplers import Problem
from tests.significance import contradicts

DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def answers(tokenizer: Any, out: torch.Tensor, prompt_length: int) -> list[str]:
    return tokenizer.batch_decode(out[:, prompt_length:], skip_special_tokens=True)


@pytest.mark.parametrize("ways", [{}, {"do_sample": True}, {"num_beams": 3}, {"num_beams": 3, "do_sample": True}])
def test_every_family_and_way_of_decoding_stays_in_the_language(
    any_model: Any, built_in: tuple[Any, Any], vocabulary: Vocabulary, ways: dict[str, Any]
) -> None:
    tokenizer = built_in[1]
    prompt = tokenizer("When?", return_tensors="pt")
    process = ConstraintProcessor(regex(DATE).compile(vocabulary))
    torch.manual_seed(3)
    for _ in range(3):  # the same processor serves call after call
        out = any_model.generate(
            **prompt,
            **ways,
            max_new_tokens=15,
            logits_processor=[process],
            pad_token_id=2,
            num_return_sequences=2 if ways else 1,
        )
        begin = 1 if any_model.config.is_encoder_decoder else prompt.input_ids.shape[1]
        for answer in answers(tokenizer, out, begin):
            assert re.fullmatch(DATE, answer), answer


def test_a_thousand_seeds_give_a_thousand_valid_objects(built_in: tuple[Any, Any], vocabulary: Vocabulary) -> None:
    model, tokenizer = built_in
    prompt = tokenizer("User: Extract the person from: Ada is 36.\nAssistant: ", return_tensors="pt")
    process = ConstraintProcessor(json_schema(PERSON).compile(vocabulary))
    seen: set[str] = set()
    for seed in range(10):
        torch.manual_seed(seed)
        out = model.generate(
            **prompt, do_sample=True, top_k=0, num_return_sequences=100, max_new_tokens=120, logits_processor=[process]
        )
        for answer in answers(tokenizer, out, prompt.input_ids.shape[1]):
            value = json.loads(answer)
            assert set(value) == {"name", "age"}
            assert isinstance(value["name"], str)
            assert len(value["name"]) <= 12
            assert 0 <= value["age"] <= 150
            seen.add(answer)
    assert len(seen) > 10  # the model is rather sure of the name and the age


def test_greedy_decoding_without_a_constraint_is_what_it_was(built_in: tuple[Any, Any], vocabulary: Vocabulary) -> None:
    model, tokenizer = built_in
    prompt = tokenizer("User: What is the capital of France?\nAssistant:", return_tensors="pt")
    plain = model.generate(**prompt, do_sample=False, max_new_tokens=30)
    anything = ConstraintProcessor(regex(r"[\s\S]*").compile(vocabulary))
    assert torch.equal(plain, model.generate(**prompt, do_sample=False, max_new_tokens=30, logits_processor=[anything]))


def test_a_batch_with_a_constraint_for_each_row_equals_its_rows_alone(
    built_in: tuple[Any, Any], vocabulary: Vocabulary
) -> None:
    model, tokenizer = built_in
    tokenizer.padding_side = "left"
    prompts = [
        "User: When was it?\nAssistant: ",
        "User: How many apples are there in the box on the table?\nAssistant: ",
    ]
    constraints = [regex(DATE).compile(vocabulary), regex("[0-9]{1,2} apples").compile(vocabulary)]
    options = {"do_sample": False, "max_new_tokens": 16}
    both = tokenizer(prompts, return_tensors="pt", padding=True)
    out = model.generate(**both, **options, logits_processor=[ConstraintProcessor(constraints)])
    together = answers(tokenizer, out, both.input_ids.shape[1])
    for prompt, constraint, answer in zip(prompts, constraints, together, strict=True):
        one = tokenizer(prompt, return_tensors="pt")
        alone = model.generate(**one, **options, logits_processor=[ConstraintProcessor(constraint)])
        assert answers(tokenizer, alone, one.input_ids.shape[1]) == [answer]


ASSISTED = {"do_sample": False, "max_new_tokens": 60, "prompt_lookup_num_tokens": 4}
TWICE = 'User: Say it twice: {"name": "Ada", "age": 36}\nAssistant: '


def test_assisted_decoding_writes_what_plain_decoding_does(built_in: tuple[Any, Any], vocabulary: Vocabulary) -> None:
    model, tokenizer = built_in
    prompt = tokenizer(TWICE, return_tensors="pt")
    constraint = json_schema(PERSON).compile(vocabulary)
    options = {"do_sample": False, "max_new_tokens": 60}
    plain = model.generate(**prompt, **options, logits_processor=[ConstraintProcessor(constraint)])
    process = ConstraintProcessor(constraint, prompt_length=prompt.input_ids.shape[1])
    for _ in range(2):
        assert torch.equal(plain, model.generate(**prompt, **ASSISTED, logits_processor=[process]))


def test_assisted_decoding_has_to_say_where_the_prompt_ends(built_in: tuple[Any, Any], vocabulary: Vocabulary) -> None:
    model, tokenizer = built_in
    process = ConstraintProcessor(json_schema(PERSON).compile(vocabulary))
    with pytest.raises(StateError, match="prompt_length"):
        model.generate(**tokenizer(TWICE, return_tensors="pt"), **ASSISTED, logits_processor=[process])


def test_what_generate_draws_is_the_law_of_masking(built_in: tuple[Any, Any], vocabulary: Vocabulary) -> None:
    """P renormalised at every token, computed exactly by walking all texts."""
    model, tokenizer = built_in
    grammar = regex("yes|no|maybe")
    prompt = tokenizer("User: Is it?\nAssistant: ", return_tensors="pt")
    out = model.generate(
        **prompt,
        do_sample=True,
        top_k=0,
        num_return_sequences=3000,
        max_new_tokens=6,
        logits_processor=[ConstraintProcessor(grammar.compile(vocabulary))],
    )
    drawn = Counter(answers(tokenizer, out, prompt.input_ids.shape[1]))
    asked = HuggingFaceModel(model, vocabulary, prompt.input_ids[0])
    law = masking_law(Problem(asked, grammar, max_tokens=6))
    assert set(drawn) <= set(law)
    assert math.isclose(sum(law.values()), 1.0, abs_tol=1e-9)
    assert not contradicts({text: drawn[text] for text in law}, law)


def masking_law(problem: Problem) -> dict[str, float]:
    """The probability of every text when forbidden tokens are masked: a walk over all of them."""
    law: Counter[str] = Counter()
    waiting: list[tuple[list[int], int, float]] = [([], problem.constraint.start, 1.0)]
    while waiting:
        context, state, mass = waiting.pop()
        row = np.exp(problem.model.log_probs([np.array(context, np.int64)])[0])
        allowed = np.unpackbits(problem.mask_rows([state]).view(np.uint8), bitorder="little")[: len(row)].astype(bool)
        share = np.where(allowed, row, 0.0) / row[allowed].sum()
        for token in np.flatnonzero(share):
            if token in problem.vocabulary.eos:
                law[problem.text(np.array(context, np.int64)).decode()] += mass * share[token]
            else:
                after = int(problem.advanced(np.array([state]), np.array([token]))[0])
                waiting.append(([*context, int(token)], after, mass * float(share[token])))
    return dict(law)


def test_masks_reach_logits_of_any_width() -> None:
    masks = np.array([[0xFFFFFFFF, 0b1]], np.uint32)
    for width in (5, 32, 33, 64, 70):
        out = masked(torch.zeros(1, width), masks)[0]
        assert [i for i in range(width) if out[i] == 0] == list(range(min(width, 33)))


@pytest.mark.parametrize("width", [1, 31, 32, 64, 97, 200])
@pytest.mark.parametrize("words", [1, 2, 4, 9])
def test_scores_are_kept_or_forbidden_bit_by_bit(width: int, words: int) -> None:
    rng = np.random.default_rng(width * words)
    scores = rng.normal(size=(3, width)).astype(np.float32)
    scores[0, rng.integers(width)] = np.nan
    scores[1, rng.integers(width)] = np.inf
    masks = rng.integers(0, 1 << 32, size=(3, words), dtype=np.uint64).astype(np.uint32)
    bits = np.unpackbits(masks.view(np.uint8), axis=1, count=max(width, 32 * words), bitorder="little")[:, :width]
    given = torch.from_numpy(scores.copy())
    np.testing.assert_array_equal(masked(given, masks).numpy(), np.where(bits == 1, scores, -np.inf))
    np.testing.assert_array_equal(given.numpy(), scores)  # which `output_logits` may want to show


def test_rows_are_recognised_when_beams_permute_them(vocabulary: Vocabulary) -> None:
    constraint = regex("ab|cd").compile(vocabulary)
    token = {data: number for number, data in enumerate(vocabulary.tokens)}
    process = ConstraintProcessor(constraint)
    scores = torch.zeros(2, vocabulary.size)
    process(torch.tensor([[5], [5]]), scores)
    process(torch.tensor([[5, token[b"a"]], [5, token[b"c"]]]), scores)
    out = process(torch.tensor([[5, token[b"c"], token[b"d"]], [5, token[b"a"], token[b"b"]]]), scores)
    for row in out:
        assert [i for i in range(vocabulary.size) if row[i] == 0] == list(vocabulary.eos)


def test_a_new_call_is_noticed_even_if_it_has_one_token_more(vocabulary: Vocabulary) -> None:
    constraint = regex("ab").compile(vocabulary)
    process = ConstraintProcessor(constraint)
    first = process(torch.tensor([[5, 6]]), torch.zeros(1, vocabulary.size))
    assert torch.equal(process(torch.tensor([[5, 7, 7]]), torch.zeros(1, vocabulary.size)), first)


def test_scores_that_leave_nothing_end_in_a_clear_error(vocabulary: Vocabulary) -> None:
    constraint = regex("ab").compile(vocabulary)
    with pytest.raises(DeadEnd, match="probability 0"):
        ConstraintProcessor(constraint)(torch.tensor([[5]]), torch.full((1, vocabulary.size), -torch.inf))
    with pytest.raises(DeadEnd, match="NaN"):
        ConstraintProcessor(constraint)(torch.tensor([[5]]), torch.full((1, vocabulary.size), torch.nan))


def test_misuse_is_named(vocabulary: Vocabulary) -> None:
    constraint = regex("ab").compile(vocabulary)
    with pytest.raises(VocabularyError, match="compile"):
        ConstraintProcessor(regex("ab"))  # type: ignore[arg-type]
    with pytest.raises(VocabularyError, match="no constraint"):
        ConstraintProcessor([])
    with pytest.raises(StateError, match="3 rows"):
        ConstraintProcessor([constraint, constraint])(
            torch.zeros(3, 1, dtype=torch.long), torch.zeros(3, vocabulary.size)
        )
