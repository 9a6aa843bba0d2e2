r"""The text that the built-in model is trained on, written by the functions of this package.

A document is one record, task, conversation, letter or program; `documents(seed)` never ends and is the same for the
same seed on every machine. Nothing is read from anywhere, so the model carries nobody's data and no licence but ours.

The shares follow what scansion is used for: structured answers to short prompts. Reading tasks copy names out of a
sentence into a record. They are frequent, because copying is what a small model learns last.

>>> from itertools import islice
>>> next(documents(seed=1)) == next(documents(seed=1))
True
>>> len(set(islice(documents(seed=1), 100))) > 90
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from decoding.embedded.corpus import chat, extraction, layouts, prose, reasoning

SHARES: tuple[tuple[Callable[[Random], str], int], ...] = (
    (extraction.extraction_document, 34),
    (extraction.question_document, 10),
    (extraction.fields_document, 3),
    (layouts.record_document, 9),
    (layouts.rows_document, 3),
    (layouts.query_document, 6),
    (chat.conversation_document, 8),
    (chat.tool_document, 6),
    (chat.mood_document, 3),
    (chat.fact_document, 3),
    (reasoning.exact_document, 7),
    (reasoning.sums_document, 3),
    (reasoning.dates_document, 2),
    (prose.story_document, 4),
    (prose.letter_document, 3),
    (prose.list_document, 2),
    (prose.code_document, 4),
    (prose.token_document, 3),
)


def documents(seed: int) -> Iterator[str]:
    """Documents without end, the same for the same seed."""
    rng = Random(seed)
    writers = [writer for writer, _ in SHARES]
    weights = [weight for _, weight in SHARES]
    while True:
        yield rng.choices(writers, weights)[0](rng)
