"""Vocabularies from files.

The format is a NumPy archive (`.npz`), read without pickle: `data` holds the bytes of all tokens one after the other,
token i is `data[offsets[i]:offsets[i + 1]]`; `eos_ids` and `special_ids` (optional) are lists of token ids.
"""

from __future__ import annotations

import zipfile
import zlib
from itertools import pairwise
from os import PathLike
from typing import IO

import numpy as np
from numpy.typing import NDArray

from grammars import Vocabulary, VocabularyError

# What numpy and zipfile raise for files that are absent, foreign, truncated, corrupt, or claim absurd sizes.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, TypeError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_vocabulary(path: str | PathLike[str] | IO[bytes]) -> Vocabulary:
    """The vocabulary in the `.npz` file at `path`.

    >>> import io
    >>> file = io.BytesIO()
    >>> np.savez(file, data=np.frombuffer(b"abab$", np.uint8), offsets=[0, 1, 2, 4, 5], eos_ids=[3])
    >>> _ = file.seek(0)
    >>> read_vocabulary(file).tokens
    (b'a', b'b', b'ab', b'$')
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            data, offsets = archive["data"], archive["offsets"]
            eos = archive["eos_ids"]
            special = archive["special_ids"] if "special_ids" in archive else np.zeros(0, np.int64)
    except _UNREADABLE as error:
        raise VocabularyError(
            f"{path} cannot be read as a vocabulary: {error}",
            hint="an .npz archive with the arrays data, offsets, eos_ids and perhaps special_ids is wanted",
        ) from error
    return Vocabulary(_split(data, offsets), eos=eos.ravel().tolist(), special=special.ravel().tolist())


def single_bytes() -> Vocabulary:
    """The smallest vocabulary that can write every text: each byte a token, and id 256 to end.

    >>> single_bytes()
    Vocabulary(size=257, ...)
    """
    return Vocabulary([bytes([value]) for value in range(256)] + [b"<end>"], eos=[256])


def _split(data: NDArray[np.generic], offsets: NDArray[np.generic]) -> list[bytes]:
    shaped = data.ndim == offsets.ndim == 1 and data.dtype == np.uint8 and offsets.dtype.kind in "iu"
    bounds: list[int] = offsets.tolist() if shaped else [1]
    if not bounds or bounds[0] != 0 or bounds[-1] != len(data) or any(a > b for a, b in pairwise(bounds)):
        raise VocabularyError("offsets must rise from 0 to the number of bytes in data, which must be unsigned bytes")
    content = data.tobytes()
    return [content[begin:end] for begin, end in pairwise(bounds)]
