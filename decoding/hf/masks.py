"""Mask rows on scores: bits of 32-bit words to minus infinity where they are 0.

A row of a large vocabulary is 16 KB of bits. On the processor they are applied where they lie, in one pass; to another
device the words travel and are unpacked there. Logits beyond the vocabulary, which models have for alignment, are
always masked. Scores are never changed in place: `generate` may be asked to return the raw ones as well.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from grammars.kernels.scores import mask_scores


def masked(scores: torch.Tensor, masks: NDArray[np.uint32]) -> torch.Tensor:
    """A copy of the scores (n, logits) with minus infinity where the masks (n, words) do not allow a token.

    >>> masked(torch.zeros(1, 3), np.array([[0b101]], np.uint32)).tolist()
    [[0.0, -inf, 0.0]]
    """
    if scores.device.type == "cpu" and scores.dtype == torch.float32:
        out = torch.empty_like(scores, memory_format=torch.contiguous_format)
        mask_scores(scores.detach().contiguous().numpy(), masks, out.numpy())
        return out
    return scores.masked_fill(forbidden(masks, scores.shape[-1], scores.device), -torch.inf)


def forbidden(masks: NDArray[np.uint32], width: int, device: torch.device) -> torch.Tensor:
    """Which of `width` logits no mask bit allows, as a boolean tensor on the device."""
    if device.type == "cpu":
        bits = np.unpackbits(masks.view(np.uint8), axis=1, count=width, bitorder="little")  # zeros beyond the last bit
        return torch.from_numpy(np.bitwise_xor(bits, 1, out=bits).view(np.bool_))
    words = torch.from_numpy(masks.view(np.int32)).to(device, non_blocking=True)
    bits = (words.unsqueeze(-1) >> torch.arange(32, device=device, dtype=torch.int32)) & 1
    out = torch.ones(len(masks), width, dtype=torch.bool, device=device)
    flat = bits.reshape(len(masks), -1)[:, :width]
    out[:, : flat.shape[1]] = flat == 0
    return out
