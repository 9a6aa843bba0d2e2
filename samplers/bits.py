"""Bit masks over tokens: bit t % 32 of word t // 32 stands for token t, the layout that vLLM and llguidance share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint32]
Ints = NDArray[np.int64]


def tokens_of(mask: Mask, size: int) -> Ints:
    """The tokens of one mask row, ascending.

    >>> tokens_of(mask_of([0, 33], 40), 40).tolist()
    [0, 33]
    """
    return np.flatnonzero(flags_of(mask, size))


def flags_of(masks: Mask, size: int) -> NDArray[np.bool_]:
    """One boolean per token, for a row or for rows.

    >>> flags_of(mask_of([1], 3), 3).tolist()
    [False, True, False]
    """
    little = np.ascontiguousarray(masks.astype("<u4", copy=False)).view(np.uint8)
    return np.unpackbits(little, axis=-1, count=size, bitorder="little").astype(np.bool_)


def mask_of(tokens: Iterable[int], size: int) -> Mask:
    """The mask of some tokens of a vocabulary of `size`.

    >>> mask_of([0, 33], 40).tolist()
    [1, 2]
    """
    flags = np.zeros(-(-size // 32) * 32, np.bool_)
    flags[np.fromiter(tokens, np.int64)] = True
    return mask_of_flags(flags)


def mask_of_flags(flags: NDArray[np.bool_]) -> Mask:
    """The mask rows of booleans, one per token.

    >>> mask_of_flags(np.array([True, False, True])).tolist()
    [5]
    """
    words = -(-flags.shape[-1] // 32)
    out = np.zeros((*flags.shape[:-1], words * 4), np.uint8)
    packed = np.packbits(flags, axis=-1, bitorder="little")
    out[..., : packed.shape[-1]] = packed
    return out.view("<u4").astype(np.uint32, copy=False)


def has(mask: Mask, token: int) -> bool:
    """Whether a mask row holds `token`.

    >>> has(mask_of([4], 8), 4), has(mask_of([4], 8), 5)
    (True, False)
    """
    return bool(int(mask[token >> 5]) >> (token & 31) & 1)
