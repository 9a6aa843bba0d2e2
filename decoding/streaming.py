"""Text as it is made: pieces of characters, as soon as their tokens are drawn."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterator

import numpy as np

from samplers import Masking, Problem, Samples, steps


def streamed(problem: Problem, seed: int | None = None) -> Iterator[str]:
    """The pieces of one text by `Masking`. A character whose bytes are spread over tokens comes with the last of them.

    >>> from decoding.embedded import load
    >>> from grammars import literal
    >>> list(streamed(Problem(load("Hello"), literal("né"))))[-1][-1]
    'é'
    """
    decoder = getincrementaldecoder("utf-8")("replace")
    run = steps(problem, Masking(), 1, np.random.default_rng(seed))
    tokens, done = problem.constraint.vocabulary.tokens, 0
    while True:
        try:
            contexts = next(run).contexts
            row = contexts[0] if len(contexts) else ()
        except StopIteration as end:
            samples: Samples = end.value
            yield from _piece(decoder.decode(b"".join(tokens[t] for t in samples.tokens[0][done:]), final=True))
            return
        yield from _piece(decoder.decode(b"".join(tokens[t] for t in row[done:])))
        done = max(done, len(row))


def _piece(text: str) -> Iterator[str]:
    if text:
        yield text
