"""What a constraint forces goes through the model in one forward, and nothing that comes out of it changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers

from decoding.engine import Engine
from decoding.hf import HuggingFaceModel, constrained_generate
from decoding.hf.spans import Spans
from grammars import BudgetExhausted, Vocabulary, regex
from samplers import SMC, AdaptiveRejection, Masking, Problem, Rejection, sample
from tests.hf.conftest import SMALL, fresh_model

BYTES = Vocabulary([*(bytes([byte]) for byte in range(256)), b"<end>"], eos=[256])
FAMILIES = ["llama", "qwen", "gpt2", "t5"]
FORM = "Name: [a-z]; born on the day [0-9]{2}\\."


def windowed(vocabulary: Vocabulary) -> Any:
    """A model that forgets what is further back than eight tokens."""
    torch.manual_seed(3)
    config = transformers.MistralConfig(
        vocab_size=vocabulary.size, sliding_window=8, num_key_value_heads=2, max_position_embeddings=256, **SMALL
    )
    return transformers.MistralForCausalLM(config).eval()


def recurrent(vocabulary: Vocabulary) -> Any:
    """A model whose state goes on by one token at a time."""
    torch.manual_seed(3)
    config = transformers.MambaConfig(vocab_size=vocabulary.size, hidden_size=32, num_hidden_layers=2, state_size=4)
    return transformers.MambaForCausalLM(config).eval()


def drawn(model: Any, vocabulary: Vocabulary, grammar: Any, sampler: Any, n: int, *, expecting: bool) -> Any:
    """The samples, and the model that was asked."""
    asked = HuggingFaceModel(model, vocabulary, [5, 60, 70, 80])
    problem = Problem(asked, grammar, max_tokens=60)
    if expecting:
        asked.expect(problem.constraint, problem.max_tokens)
    return sample(problem, sampler, n=n, seed=4), asked


def assert_same(one: Any, other: Any) -> None:
    assert [row.tolist() for row in one.tokens] == [row.tolist() for row in other.tokens]
    for name in ("log_probs", "log_weights"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-3)
    assert one.log_z == pytest.approx(other.log_z, abs=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_k_forced_tokens_cost_one_forward(family: str) -> None:
    model, grammar = fresh_model(family, BYTES), regex(FORM)
    plain, slow = drawn(model, BYTES, grammar, Masking(), 1, expecting=False)
    spanned, quick = drawn(model, BYTES, grammar, Masking(), 1, expecting=True)
    assert_same(spanned, plain)
    assert slow.forwards == len(plain.tokens[0]) + 1
    # the prompt; "Name: "; the letter and "; born on the day "; a digit; the other and "."
    assert quick.forwards == 5
    assert quick.forwarded == slow.forwarded


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sampler", [Masking(), SMC(5), AdaptiveRejection()], ids=lambda s: type(s).__name__)
def test_draws_are_the_same_whatever_tokens_spell_the_text(family: str, sampler: Any, vocabulary: Vocabulary) -> None:
    """Over a vocabulary in which every forced text can be cut in many ways, by a model that does not care which."""
    model, grammar = fresh_model(family, vocabulary), regex(FORM)
    plain, slow = drawn(model, vocabulary, grammar, sampler, 3, expecting=False)
    spanned, quick = drawn(model, vocabulary, grammar, sampler, 3, expecting=True)
    assert_same(spanned, plain)
    assert quick.forwards <= slow.forwards


@pytest.mark.parametrize("make", [windowed, recurrent])
@pytest.mark.parametrize("tokens", ["bytes", "pieces"])
def test_caches_that_cannot_go_back_give_the_same_draws(make: Any, tokens: str, vocabulary: Vocabulary) -> None:
    over = BYTES if tokens == "bytes" else vocabulary
    model, grammar = make(over), regex(FORM)
    plain, _ = drawn(model, over, grammar, SMC(4), 4, expecting=False)
    spanned, _ = drawn(model, over, grammar, SMC(4), 4, expecting=True)
    assert_same(spanned, plain)


def test_a_batch_goes_as_far_as_all_its_rows_are_forced() -> None:
    model = fresh_model("llama", BYTES)
    problem = Problem(HuggingFaceModel(model, BYTES, [1]), regex("[x]aaaa[0-9]|[y]aa[0-9]"))
    asked, x, y, a = problem.model, ord("x"), ord("y"), ord("a")
    asked.expect(problem.constraint, problem.max_tokens)
    asked.log_probs([[]])
    before = asked.forwards
    both = asked.log_probs([[x], [y]], [0, 0])
    asked.log_probs([[x, a], [y, a]], [0, 1])
    rows = asked.log_probs([[y, a, a], [x, a, a]], [1, 0])
    assert asked.forwards == before + 1
    only = asked.log_probs([[x, a, a, a]], [1])
    asked.log_probs([[x, a, a, a, a]], [0])
    assert asked.forwards == before + 2
    for row, context in [(both[1], [y]), (rows[0], [y, a, a]), (rows[1], [x, a, a]), (only[0], [x, a, a, a])]:
        np.testing.assert_allclose(row, HuggingFaceModel(model, BYTES, [1]).log_probs([context])[0], atol=1e-4)


def test_no_position_is_computed_beyond_the_budget() -> None:
    """GPT-2 has no positions beyond its last one."""
    model = fresh_model("gpt2", BYTES)
    asked = HuggingFaceModel(model, BYTES, [1] * 250)
    asked.expect(regex("(ba{90})?").compile(BYTES), 6)
    asked.log_probs([[]])
    asked.log_probs([[ord("b")]], [0])
    assert asked.forwarded == 256


def test_samplers_that_do_not_follow_are_fed_no_spans_for_long() -> None:
    model, grammar = fresh_model("llama", BYTES), regex("[a-z]one and the same text")
    forwarded: dict[bool, int] = {}
    for expecting in (False, True):
        asked = HuggingFaceModel(model, BYTES, [1])
        problem = Problem(asked, grammar, max_tokens=30)
        if expecting:
            asked.expect(problem.constraint, problem.max_tokens)
        for seed in range(60):  # each a run of its own: a letter, and then hardly ever an "o"
            with pytest.raises(BudgetExhausted):
                sample(problem, Rejection(max_draws=10), seed=seed)
        forwarded[expecting] = asked.forwarded
    assert forwarded[False] < forwarded[True] <= forwarded[False] + 100


def test_a_padded_batch_of_generate_gives_the_same_ids(
    built_in: tuple[Any, Any], vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = built_in
    tokenizer.padding_side = "left"
    texts = ["1 + 1 =", "User: What is 20 + 30?\nAssistant: The answer is"]
    prompts = tokenizer(texts, return_tensors="pt", padding=True)
    forwards: list[int] = []
    monkeypatch.setattr(model, "forward", counted(model.forward, forwards))

    def generated() -> torch.Tensor:
        forwards.clear()
        drawing = constrained_generate(
            regex(" ?the (sum is|result is) [0-9]{2}"), Masking(), vocabulary=vocabulary, seed=2
        )
        return model.generate(**prompts, do_sample=True, max_new_tokens=30, custom_generate=drawing)

    with_spans, few = generated(), len(forwards)
    monkeypatch.setattr(HuggingFaceModel, "expect", lambda *_: None)
    assert torch.equal(generated(), with_spans)
    assert few < len(forwards)


def counted(forward: Any, calls: list[int]) -> Any:
    """A forward that says that it was called; with the signature of the original, which is looked at."""

    def counting(*args: Any, logits_to_keep: Any = 0, **kwargs: Any) -> Any:
        calls.append(1)
        return forward(*args, logits_to_keep=logits_to_keep, **kwargs)

    return counting


def test_the_front_door_feeds_spans(built_in: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine.load(*built_in)
    calls: list[int] = []
    monkeypatch.setattr(built_in[0], "forward", counted(built_in[0].forward, calls))
    answer = engine.generate("User: Is it?\nAssistant: ", regex="(I am quite|I am not) sure of that", seed=1)
    assert len(calls) < len(answer.tokens)


def test_what_is_forced_is_known_from_the_constraint_alone(vocabulary: Vocabulary) -> None:
    spans = Spans(regex("[ab]the end|c?").compile(BYTES), max_tokens=20)
    a, b = ord("a"), ord("b")
    assert bytes(spans.behind([np.array([a]), np.array([b])])[1].tolist()) == b"the end"
    assert spans.behind([np.array([a, *b"the"])], most=2).tolist() == [list(b" e")]
    assert spans.behind([np.array([], np.int64)]).shape == (1, 0)  # nothing is forced where the text may end
    assert spans.behind([np.array([a]), np.array([ord("x")])]).shape == (2, 0)  # nor behind what cannot be completed
