"""Masked draws with their weights, made by vLLM alone.

vLLM masks and draws; the processor records the allowed mass Z_t of each step. A finished text x was drawn with

    q(x) = P(x) / ∏_t Z_t,    so its weight is    w(x) = ∏_t Z_t,    and    E_q[w·f] = Z·E*[f]:

the rows are what `samplers.Masking` gives, at the speed of plain generation. Texts that the token budget cut carry
weight 0. Temperature, top-k and the like would make q another distribution, so they are not offered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoding.vllm.models import fetched, fresh_names, generate
from decoding.vllm.tokens import vocabulary_of
from decoding.vllm.wishes import RefusedRequest, constrained
from grammars import Vocabulary
from samplers import Samples
from samplers.samples import END, LENGTH

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stretch:
    """What one request generated, without an end token: its log weight, the model's log-probability of the tokens, and
    of the end if it came."""

    tokens: Ints
    log_weight: float
    log_prob: float
    finish: str


def weighted(
    llm: Any,
    prompts: Sequence[str | Sequence[int]],
    *,
    n: int = 1,
    max_tokens: int = 256,
    seed: int | None = None,
    **form: Any,
) -> list[Samples]:
    """`n` weighted draws for each prompt, all in one batch: `Samples` as `samplers` returns them.

    `form` is one of `schema`, `regex`, `lark`, `gbnf`, `choice` and `structural_tag`, and perhaps `options`;
    `max_tokens` does not count the end.
    """
    ids = [ids_of(llm, prompt) for prompt in prompts]
    spread = [one for one in ids for _ in range(n)]
    seeds = np.random.SeedSequence(seed).generate_state(len(spread), np.uint32).tolist()
    drawn = stretches(llm, spread, [0] * len(spread), max_tokens + 1, seeds, form)
    vocabulary = vocabulary_of(llm.llm_engine.model_config)
    return [collected(drawn[begin : begin + n], vocabulary) for begin in range(0, len(drawn), n)] if n else []


def stretches(
    llm: Any,
    prompts: Sequence[Sequence[int]],
    begun: Sequence[int],
    length: int,
    seeds: Sequence[int],
    form: dict[str, Any],
) -> list[Stretch]:
    """The next tokens behind each prompt, at most `length`, the end included; of `begun[i]` tokens at the end of prompt
    i the constrained text consists already."""
    if not prompts:
        return []
    names = fresh_names(len(prompts))
    options = [
        shared_options(length) | {"seed": seed, "extra_args": constrained(begun=count, record=name, **form)}
        for name, count, seed in zip(names, begun, seeds, strict=True)
    ]
    outputs = generate(llm, prompts, options)
    records = fetched(llm, names)
    vocabulary = vocabulary_of(llm.llm_engine.model_config)
    return [stretch(out, records[name], vocabulary) for out, name in zip(outputs, names, strict=True)]


def shared_options(length: int) -> dict[str, Any]:
    """The sampling parameters under which weights mean what they say."""
    return {"temperature": 1.0, "max_tokens": length, "logprobs": 0, "detokenize": False}


def stretch(output: Any, record: dict[str, Any], vocabulary: Vocabulary) -> Stretch:
    """What a request generated, from vLLM's output and the processor's record."""
    if record["failure"]:
        raise RefusedRequest(record["failure"])
    tokens = list(output.token_ids)
    ended = bool(tokens) and tokens[-1] in vocabulary.eos
    log_weight = math.fsum(record["log_mass"][: len(tokens)])
    of_tokens = [step[token].logprob for token, step in zip(tokens, output.logprobs, strict=True)]
    if ended:  # the end tokens are one, whichever of them was drawn
        of_tokens[-1] = record["log_end"][len(tokens) - 1]
        tokens = tokens[:-1]
    return Stretch(np.array(tokens, np.int64), log_weight, math.fsum(of_tokens), END if ended else LENGTH)


def collected(rows: Sequence[Stretch], vocabulary: Vocabulary) -> Samples:
    """Some texts as `Samples`; those that did not end carry weight 0.

    >>> vocabulary = Vocabulary([b"a", b"<end>"], eos=[1])
    >>> rows = [Stretch(np.array([0]), -1.0, -2.0, END), Stretch(np.array([0]), -1.0, -2.0, LENGTH)]
    >>> samples = collected(rows, vocabulary)
    >>> samples.text, samples.log_weights.tolist(), samples.finish
    ((b'a', b'a'), [-1.0, -inf], ('end', 'length'))
    """
    log_weights = np.array([row.log_weight if row.finish == END else -math.inf for row in rows])
    log_probs = np.array([row.log_prob for row in rows])
    return Samples(
        tokens=tuple(row.tokens for row in rows),
        finish=tuple(row.finish for row in rows),
        text=tuple(b"".join(vocabulary.tokens[token] for token in row.tokens.tolist()) for row in rows),
        log_weights=log_weights,
        log_probs=log_probs,
        log_proposal=log_probs - np.array([row.log_weight for row in rows]),
    )


def ids_of(llm: Any, prompt: str | Sequence[int]) -> list[int]:
    """The tokens of a prompt."""
    return list(llm.get_tokenizer().encode(prompt)) if isinstance(prompt, str) else [int(token) for token in prompt]
