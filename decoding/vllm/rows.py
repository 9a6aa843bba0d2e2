"""Rows of logits: what is kept of them, and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import torch

from decoding.hf.masks import forbidden, masked
from decoding.vllm.following import Mask
from decoding.vllm.records import KEPT
from decoding.vllm.wishes import Wish
from grammars import Vocabulary


@dataclass(frozen=True, eq=False)
class Row:
    """A row of logits that belongs to a request with a wish.

    `step` counts the tokens before it that were generated; `mask` is None where everything may follow.
    """

    number: int
    step: int
    wish: Wish
    mask: Mask | None
    vocabulary: Vocabulary
    failure: str


def mask_rows(rows: Sequence[Row], logits: torch.Tensor) -> torch.Tensor:
    """Minus infinity for what must not follow, in place.

    >>> from decoding.vllm.wishes import read
    >>> vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> row = Row(1, 0, read({"regex": "b"}), np.array([0b010], np.uint32), vocabulary, "")
    >>> mask_rows([row], torch.zeros(2, 3)).tolist()
    [[0.0, 0.0, 0.0], [-inf, 0.0, -inf]]
    """
    bound = [(row.number, row.mask) for row in rows if row.mask is not None]
    if not bound:
        return logits
    bound.sort(key=itemgetter(0))
    masks = np.stack([mask for _, mask in bound])
    if len(bound) == len(logits):
        return logits.masked_fill_(forbidden(masks, logits.shape[1], logits.device), -torch.inf)
    index = torch.tensor([number for number, _ in bound], device=logits.device)
    logits[index] = masked(logits[index], masks)
    return logits


def keep(rows: Sequence[Row], logits: torch.Tensor) -> None:
    """Put the allowed mass of the rows that are recorded into their records, and logits where they are wanted.

    >>> from decoding.vllm.wishes import read
    >>> vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> wish = read({"regex": "b?", "record": "example"})
    >>> keep([Row(0, 0, wish, np.array([0b110], np.uint32), vocabulary, "")], torch.tensor([[0.5, 0.25, 0.25]]).log())
    >>> kept = KEPT.take(["example"])["example"]
    >>> np.exp(kept["log_mass"] + kept["log_end"]).round(6).tolist()
    [0.5, 0.25]
    """
    recorded = [row for row in rows if row.wish.record]
    if not recorded:
        return
    chosen = logits[torch.tensor([row.number for row in recorded], device=logits.device)]
    masses = _log_masses(recorded, chosen)
    for i, row in enumerate(recorded):
        record = KEPT.of(str(row.wish.record))
        record.put(row.step, *masses[i])
        record.failure = row.failure
        if row.wish.rows and row.step == 0:
            KEPT.put_row(str(row.wish.record), chosen[i].float().cpu().numpy().tobytes())


def _log_masses(rows: Sequence[Row], logits: torch.Tensor) -> list[list[float]]:
    """For each row the log of the mass of what may follow, and of the ends among it."""
    logits = logits.double()
    masks = np.stack([np.full(row.vocabulary.words, _ALL) if row.mask is None else row.mask for row in rows])
    ends = masks & np.stack([row.vocabulary.end_row for row in rows])
    total = torch.logsumexp(logits, dim=1)
    parts = [_log_mass(logits, which) - total for which in (masks, ends)]
    return torch.stack(parts, dim=1).tolist()


_ALL = np.uint32(0xFFFFFFFF)


def _log_mass(logits: torch.Tensor, masks: Mask) -> torch.Tensor:
    return torch.logsumexp(logits.masked_fill(forbidden(masks, logits.shape[1], logits.device), -torch.inf), dim=1)
