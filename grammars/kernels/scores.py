"""Masks on the scores of a model: forbidden tokens get minus infinity, in one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from grammars.kernels.arrays import Mask
from grammars.kernels.policy import kernel

Scores = Any  # float32, two dimensions

_FORBIDDEN = np.float32(-np.inf)


@kernel
def mask_scores(scores: Scores, masks: Mask, out: Scores) -> None:
    """`out`: the scores where a bit allows the token, minus infinity elsewhere and beyond the last bit."""
    width = scores.shape[1]
    for row in range(len(scores)):
        for word in range((width + 31) >> 5):
            bits = int(masks[row, word]) if word < masks.shape[1] else 0
            first = word << 5
            last = min(first + 32, width)
            if bits == 0xFFFFFFFF:
                for token in range(first, last):
                    out[row, token] = scores[row, token]
            elif bits == 0:
                for token in range(first, last):
                    out[row, token] = _FORBIDDEN
            else:
                for token in range(first, last):
                    out[row, token] = scores[row, token] if (bits >> (token - first)) & 1 else _FORBIDDEN
