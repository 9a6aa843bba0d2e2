"""SMC that stays on the device: particles go on for a stretch of tokens at a time.

`samplers.SMC` asks a model token by token. Here vLLM draws `stride` masked tokens for every particle in one call, and
the weights, recorded by the processor, come back with them. Between two stretches particles are resampled when

    ESS = (Σ W)² / Σ W²  <  ess · n,

and those that are chosen twice go on from the same prefix, whose blocks vLLM keeps: a fork computes at most one block.

**Law.** A stretch is a properly weighted extension, whatever its length (the product of those of its tokens), and
resampling keeps the mean of the weights, so E[Ẑ] = Z for every stride, as for SMC. A larger stride resamples later, at
1/stride of the calls. Texts that are not complete at the token budget carry weight 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoding.vllm.tokens import vocabulary_of
from decoding.vllm.weights import Stretch, collected, ids_of, stretches
from samplers import Samples
from samplers.errors import require
from samplers.log_space import effective_size, log_mean
from samplers.resampling import SCHEMES, ancestors
from samplers.samples import END, LENGTH
from samplers.tape import Tape, seeded

Ints = NDArray[np.int64]

_NOTHING = Stretch(np.zeros(0, np.int64), 0.0, 0.0, LENGTH)


def particles(
    llm: Any,
    prompt: str | Sequence[int],
    *,
    n: int = 16,
    stride: int = 4,
    ess: float = 0.5,
    resampling: str = "systematic",
    max_tokens: int = 256,
    seed: int | None = None,
    **form: Any,
) -> Samples:
    """`n` particles of one prompt, as `Samples`; exp(log_z) is an unbiased estimate of the mass of the form.

    `form` is one of `schema`, `regex`, `lark`, `gbnf`, `choice` and `structural_tag`, and perhaps `options`;
    `max_tokens` does not count the end.
    """
    require(n > 0 and stride > 0, f"particles and stride must be positive, not {n} and {stride}")
    require(0.0 <= ess <= 1.0, f"the threshold ess lies between 0 and 1, not {ess}")
    require(resampling in SCHEMES, f"there is no resampling scheme {resampling!r}", f"use one of {', '.join(SCHEMES)}")
    ids, (own, given) = ids_of(llm, prompt), np.random.SeedSequence(seed).spawn(2)
    tape, seeds = seeded(np.random.default_rng(own)), np.random.default_rng(given)
    rows = [_NOTHING] * n
    for begin in range(0, max_tokens + 1, stride):
        running = [i for i, row in enumerate(rows) if row.finish != END]
        if not running:
            break
        length = min(stride, max_tokens + 1 - begin)
        drawn = seeds.integers(1 << 31, size=len(running)).tolist()
        prompts = [ids + rows[i].tokens.tolist() for i in running]
        begun = [len(rows[i].tokens) for i in running]
        for i, more in zip(running, stretches(llm, prompts, begun, length, drawn, form), strict=True):
            rows[i] = _longer(rows[i], more)
        if begin + length <= max_tokens:
            rows = _resampled(rows, ess, resampling, tape)
    return collected(rows, vocabulary_of(llm.llm_engine.model_config))


def _longer(row: Stretch, more: Stretch) -> Stretch:
    """
    >>> _longer(_NOTHING, replace(_NOTHING, tokens=np.array([3]), log_weight=-1.0)).tokens.tolist()
    [3]
    """
    tokens = np.concatenate([row.tokens, more.tokens])
    return Stretch(tokens, row.log_weight + more.log_weight, row.log_prob + more.log_prob, more.finish)


def _resampled(rows: list[Stretch], ess: float, scheme: str, tape: Tape) -> list[Stretch]:
    """The same rows, or a new population of equal weights; none while all have ended."""
    weights = np.array([row.log_weight for row in rows])
    size = effective_size(weights)
    if all(row.finish == END for row in rows) or not 0.0 < size < ess * len(rows):
        return rows
    level = log_mean(weights)
    return [replace(rows[i], log_weight=level) for i in ancestors(scheme, weights, len(rows), tape).tolist()]
