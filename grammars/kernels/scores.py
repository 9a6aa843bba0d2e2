"""Masks on the scores of a model: forbidden tokens get minus infinity, in one pass over memory.

Scores are taken as the 32-bit integers of their bit patterns. Then a choice needs no branch,

    out = (score & keep) | (-inf & ~keep),    keep = 32 ones where the token is allowed, else 32 zeros,

the compiler makes vector instructions of it, and a pass takes as long as copying the row, whatever the mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grammars.kernels.arrays import Mask
from grammars.kernels.policy import kernel

Scores = Any  # float32, two dimensions, contiguous

_FORBIDDEN = np.array(-np.inf, np.float32).view(np.int32)[()]
_ONE = np.int32(1)


@kernel
def mask_scores(scores: Scores, masks: Mask, out: Scores) -> None:
    """`out`: the scores where a bit allows the token, minus infinity elsewhere and beyond the last bit."""
    width, whole = scores.shape[1], min(scores.shape[1] >> 5, masks.shape[1])
    for row in range(len(scores)):
        given, words, written = scores[row].view(np.int32), masks[row].view(np.int32), out[row].view(np.int32)
        for word in range(whole):
            bits, first = words[word], word << 5
            for lane in range(32):
                keep = np.int32(-((bits >> np.int32(lane)) & _ONE))
                written[first + lane] = (given[first + lane] & keep) | (_FORBIDDEN & ~keep)
        for token in range(whole << 5, width):
            bits = words[token >> 5] if token >> 5 < len(words) else np.int32(0)
            written[token] = given[token] if (bits >> np.int32(token & 31)) & _ONE else _FORBIDDEN
