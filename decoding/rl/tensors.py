"""From rollouts to tensors: log-probabilities with a gradient, raw and masked, of texts that were written before.

One forward pass over prompt and text, padded on the right; masks are replayed from states and unpacked where they are
needed, each distinct one once. All end tokens are one, as everywhere: its log-probability is that of their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from decoding.hf.masks import forbidden
from decoding.rl.losses import TokenLogs
from decoding.rl.replay import MaskTable
from decoding.rl.rollouts import Rollout
from grammars import Vocabulary


class Logs(NamedTuple):
    """What losses need of some texts: (n, T) each."""

    policy: TokenLogs
    masked: TokenLogs
    forced: Tensor
    """Where one token alone was legal."""

    @property
    def log_mass(self) -> Tensor:
        """log Z_t."""
        return torch.where(self.policy.counted, self.policy.values - self.masked.values, 0.0)


class Texts(NamedTuple):
    """The tokens of some texts as a rectangle, and the masks that stood over them."""

    ids: Tensor
    counted: Tensor
    mask_ids: Tensor
    mask_rows: Any
    forced: Tensor

    @classmethod
    def of(cls, rows: Sequence[Rollout | None], device: torch.device | str = "cpu", width: int | None = None) -> Texts:
        """The rectangle of some rollouts, at least as wide as the longest; None is a row of nothing."""
        drawn = [row for row in rows if row is not None]
        walks = [row.walk() for row in drawn]
        table = MaskTable.of(walks, drawn[0].constraint.vocabulary.words if drawn else 1)
        shape = len(rows), max([width or 0, 1, *(len(row.ids) for row in drawn)])
        ids, mask_ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        counted, forced = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        places = [i for i, row in enumerate(rows) if row is not None]
        for number, (i, row, walk) in enumerate(zip(places, drawn, walks, strict=True)):
            n = len(row.ids)
            ids[i, :n], counted[i, :n], forced[i, :n] = row.ids, True, walk.forced
            mask_ids[i, :n] = table.ids[number, :n]
        parts = (torch.from_numpy(part).to(device) for part in (ids, counted, mask_ids, forced))
        ids_, counted_, mask_ids_, forced_ = parts
        return cls(ids_, counted_, mask_ids_, table.rows, forced_)


def logs_of(logits: Tensor, texts: Texts, vocabulary: Vocabulary) -> Logs:
    """Log-probabilities of the tokens of some texts under logits (n, T, at least V).

    >>> from grammars import regex
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> row = Rollout((), np.array([0, 2]), b"a", "end", *np.zeros((2, 2)), 0.0, regex("a|b").compile(v), 9)
    >>> logs_of(torch.zeros(1, 2, 3), Texts.of([row]), v).masked.values.exp().tolist()
    [[0.5, 1.0]]
    """
    logits = logits[..., : vocabulary.size]
    logits = logits if logits.dtype == torch.float64 else logits.float()
    total = torch.logsumexp(logits, dim=-1)
    closed = forbidden(texts.mask_rows, vocabulary.size, logits.device) if len(texts.mask_rows) else None
    allowed = total
    if closed is not None:
        open_logits = torch.where(closed[texts.mask_ids] & texts.counted[..., None], -torch.inf, logits)
        allowed = torch.logsumexp(open_logits, dim=-1)
    chosen = _chosen(logits, texts.ids, vocabulary)
    zero = torch.zeros_like(chosen)
    policy = TokenLogs(torch.where(texts.counted, chosen - total, zero), texts.counted)
    masked = TokenLogs(torch.where(texts.counted, chosen - allowed, zero), texts.counted, is_masked=True)
    return Logs(policy, masked, texts.forced)


def _chosen(logits: Tensor, ids: Tensor, vocabulary: Vocabulary) -> Tensor:
    """The logit of each token; that of an end is the sum over all end tokens."""
    chosen = logits.gather(-1, ids[..., None]).squeeze(-1)
    if len(vocabulary.eos) < 2:
        return chosen
    ends = torch.tensor(vocabulary.eos, device=logits.device)
    return torch.where(torch.isin(ids, ends), torch.logsumexp(logits[..., ends], dim=-1), chosen)


def forwarded(model: Any, rows: Sequence[Rollout], vocabulary: Vocabulary) -> Logs:
    """The logs of rollouts under a causal model of transformers, with its gradient."""
    texts = Texts.of(rows, next(model.parameters()).device)
    pairs = [(row.prompt, row.ids) for row in rows]
    return logs_of(answer_logits(model, pairs, texts.ids.shape[1]), texts, vocabulary)


def answer_logits(model: Any, pairs: Sequence[tuple[Sequence[int], Any]], width: int) -> Tensor:
    """The logits before each token of the answers, (n, width, V), in one pass over prompts and answers. Padding stands
    behind the texts, and no logits are made of what all prompts have in length."""
    device = next(model.parameters()).device
    begins = [len(prompt) for prompt, _ in pairs]
    total = max(begin + len(ids) for begin, (_, ids) in zip(begins, pairs, strict=True))
    ids, real = np.zeros((len(pairs), total), np.int64), np.zeros((len(pairs), total), np.int64)
    for i, (begin, (prompt, answer)) in enumerate(zip(begins, pairs, strict=True)):
        end = begin + len(answer)
        ids[i, :begin], ids[i, begin:end], real[i, :end] = prompt, answer, 1
    kept = total - min(begins) + 1
    given = {"input_ids": torch.from_numpy(ids).to(device), "attention_mask": torch.from_numpy(real).to(device)}
    logits = model(**given, logits_to_keep=kept).logits
    places = torch.tensor(begins, device=device)[:, None] - min(begins) + torch.arange(width, device=device)
    return logits[torch.arange(len(pairs), device=device)[:, None], places.clamp(max=kept - 1)]
