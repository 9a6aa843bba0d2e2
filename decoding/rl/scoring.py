r"""What training says about rollouts: the log-probabilities that ratios start from.

An engine writes token by token, with keys and values kept; training reads whole texts. In exact arithmetic both say the
same, in single precision logits differ in their last bits (ratios by 1e-5), between two engines by more (3e-3 between
vLLM and transformers, a tenth in half precision). Trainers that compare log-probabilities of one with those of the
other see ratios that are not 1 where nothing has moved. So what a rollout is compared with is recomputed once, by the
same pass that training takes:

    old = log π of `forwarded`,    ratio = exp(now − old) = 1 bit for bit as long as the weights are the same.

On a processor that holds however rows are grouped into batches of two or more. What is left is a difference between
the law that was drawn from and the law that training has, and its factor is known: the *drift* d = q_train(y)/q(y). The
weight of a draw y ~ q becomes π_train(y)/q(y), so that expectations are those of the training policy, exactly.

>>> from decoding.embedded import as_transformers
>>> from decoding.engine import Engine
>>> from decoding.rl.rollouts import collect
>>> from grammars import regex
>>> model, tokenizer = as_transformers()
>>> engine = Engine.load(model, tokenizer)
>>> drawn = collect(engine, ["2 + 2 ="], regex(" [0-9]{1,2}"), n=4, max_tokens=4, seed=0).rows
>>> rows = rescored(model, drawn, engine.vocabulary)
>>> now = forwarded(model, rows[:2], engine.vocabulary).masked.values.double().detach().numpy()
>>> [bool((now[i, : len(row.ids)] == row.log_masked).all()) for i, row in enumerate(rows[:2])]
[True, True]
>>> max(abs(row.drift) for row in rows) < 1e-3
True
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decoding.rl.rollouts import Rollout
from decoding.rl.tensors import forwarded
from grammars import Vocabulary

Floats = NDArray[np.float64]


def rescored(model: Any, rows: Sequence[Rollout], vocabulary: Vocabulary, at_once: int = 32) -> list[Rollout]:
    """The rollouts as `model` sees them, a causal model of transformers: log π, log Z_t, weight and drift are its own.

    The model is asked as it is, so put it into `.eval()` if it drops anything out. `at_once` texts share a pass.
    """
    with torch.no_grad():
        return [row for some in _batches(rows, at_once) for row in _rescored(model, some, vocabulary)]


def _batches(rows: Sequence[Rollout], at_once: int) -> Iterator[Sequence[Rollout]]:
    """Of nearly equal size, so that none is left with a single row, which other kernels compute."""
    parts = max(1, -(-len(rows) // max(at_once, 1)))
    ends = np.linspace(0, len(rows), parts + 1).astype(int).tolist()
    return (rows[begin:end] for begin, end in pairwise(ends) if end > begin)


def _rescored(model: Any, rows: Sequence[Rollout], vocabulary: Vocabulary) -> Iterator[Rollout]:
    logs = forwarded(model, rows, vocabulary)
    policy, masked = (part.values.double().cpu().numpy() for part in (logs.policy, logs.masked))
    for i, row in enumerate(rows):
        yield _as_seen(row, policy[i, : len(row.ids)], masked[i, : len(row.ids)])


def _as_seen(row: Rollout, log_policy: Floats, log_masked: Floats) -> Rollout:
    return replace(
        row,
        log_policy=log_policy,
        log_mass=log_policy - log_masked,
        log_weight=row.log_weight + float((log_policy - row.log_policy).sum()),
        drift=row.drift + float((log_masked - row.log_masked).sum()),
    )
