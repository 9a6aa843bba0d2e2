"""What a logits processor adds to every step of Hugging Face's `generate`: scansion beside xgrammar and outlines.

    python bench/processors.py [VOCABULARY.npz] [--repetitions 30]

No model runs: random scores over the vocabulary, and the ids of a text of the language, grow step by step as `generate`
would show them. What is timed is the call of the processor alone, on one thread of the processor, in batches of 1 and 8
equal rows, over grammars that were compiled and seen before: a server's everyday.

All engines take every step one after the other, each time in another order, on scores of their own that were just
written, without the garbage collector. A step counts with its processor time where it took longer than 20 µs, so that
time in which other processes ran is not counted. Of each repetition, that is one text from its first to its last step,
comes the ratio of the two mean times; shown are the median of these ratios and their quartiles. A first repetition
warms up and is left out.

xgrammar's processor is the one it brings for `generate`, outlines' is the one that its `transformers` models use; both
write to the scores that they are given, which spares them half the memory and makes `output_logits` wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import numpy as np
import torch
from languages import BUILT_IN, LANGUAGES, Language
from rich.console import Console
from rich.table import Table
from timing import Clock, no_collector
from vocabularies import Tokens, load

from decoding.hf import ConstraintProcessor

CHOSEN = ("json", "e-mail", "url", "string ≤ 200", "date-time", "uuid")
PROMPT = [7] * 20
Maker = Callable[[], Any]
Times = list[dict[str, float]]  # per repetition, the mean of a step of each engine in µs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("vocabulary", nargs="?", type=Path)
    parser.add_argument("--repetitions", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokens = load(options.vocabulary)
    peers = [peer for peer in (Xgrammar, Outlines) if peer.is_there()]
    table = Table(title=f"µs a step, mean, {tokens.vocabulary.size:,} tokens; ratio: median [quartiles]")
    table.add_column("language")
    for column in ("rows", "scansion", *(header for peer in peers for header in (peer.name, "ratio"))):
        table.add_column(column, justify="right", no_wrap=True)
    made = [peer(tokens) for peer in peers]
    for language in LANGUAGES:
        if language.name not in CHOSEN:
            continue
        makers = {"scansion": scansion(language, tokens)}
        makers |= {peer.name: maker for peer in made if (maker := peer.maker(language)) is not None}
        for rows in (1, 8):
            times = measured(makers, tokens.encode(language.texts[0]), rows, tokens, options.repetitions)
            table.add_row(language.name, str(rows), *cells(times, [peer.name for peer in peers]))
    Console(width=140).print(table)


def cells(times: Times, peers: list[str]) -> list[str]:
    """Our mean time, then each peer's and the ratio to it."""
    out = [f"{median(each['scansion'] for each in times):.0f}"]
    for peer in peers:
        if peer not in times[0]:
            out += ["–", "–"]
            continue
        low, middle, high = quantiles((each["scansion"] / each[peer] for each in times), n=4)
        out += [f"{median(each[peer] for each in times):.0f}", f"{middle:.2f} [{low:.2f}–{high:.2f}]"]
    return out


def scansion(language: Language, tokens: Tokens) -> Maker:
    return partial(ConstraintProcessor, language.scansion().compile(tokens.vocabulary))


class Xgrammar:
    name = "xgrammar"

    def __init__(self, tokens: Tokens):
        import xgrammar

        vocabulary = tokens.vocabulary
        outside = {*vocabulary.special, *vocabulary.eos}
        words = [b"" if i in outside else token for i, token in enumerate(vocabulary.tokens)]  # b"": never text
        info = xgrammar.TokenizerInfo(words, vocab_size=vocabulary.size, stop_token_ids=list(vocabulary.eos))
        self._compiler = xgrammar.GrammarCompiler(info)

    @staticmethod
    def is_there() -> bool:
        return importable("xgrammar")

    def maker(self, language: Language) -> Maker | None:
        from xgrammar.contrib.hf import LogitsProcessor

        if language.own.get(self.name) == BUILT_IN:
            return partial(LogitsProcessor, self._compiler.compile_builtin_json_grammar())
        return partial(LogitsProcessor, self._compiler.compile_regex(language.regex or ""))


class Outlines:
    name = "outlines"

    def __init__(self, tokens: Tokens):
        import outlines_core

        vocabulary = tokens.vocabulary
        words: dict[bytes, list[int]] = {}
        for i, token in enumerate(vocabulary.tokens):
            if token and i not in vocabulary.special and i not in vocabulary.eos:
                words.setdefault(token, []).append(i)
        self._vocabulary = outlines_core.Vocabulary(vocabulary.eos[0], words)

    @staticmethod
    def is_there() -> bool:
        return importable("outlines")

    def maker(self, language: Language) -> Maker | None:
        """None for what is no regular expression."""
        from outlines.backends.outlines_core import OutlinesCoreLogitsProcessor
        from outlines_core import Index

        if language.regex is None:
            return None
        return partial(OutlinesCoreLogitsProcessor, Index(language.regex, self._vocabulary), "torch")


def importable(name: str) -> bool:
    """Whether a peer is installed; says so if not."""
    try:
        __import__(name)
    except ImportError as error:
        print(f"{name} is skipped: {error}")
        return False
    return True


def measured(makers: dict[str, Maker], ids: list[int], rows: int, tokens: Tokens, repetitions: int) -> Times:
    """The mean time of a step of every engine, repetition by repetition."""
    clock = Clock()
    scores = torch.from_numpy(np.random.default_rng(0).normal(size=(rows, tokens.vocabulary.size)).astype(np.float32))
    with no_collector():
        passes = [followed(makers, ids, scores, clock, turn) for turn in range(repetitions + 1)]
    return [{name: mean(taken) / 1000 for name, taken in times.items()} for times in passes[1:]]


def followed(
    makers: dict[str, Maker], ids: list[int], scores: torch.Tensor, clock: Clock, turn: int
) -> dict[str, list[int]]:
    """Nanoseconds of every call while a text grows behind a prompt."""
    processors = {name: make() for name, make in makers.items()}
    taken: dict[str, list[int]] = {name: [] for name in makers}
    names = list(makers)
    for step in range(len(ids) + 1):
        row = torch.tensor([PROMPT + ids[:step]]).repeat(len(scores), 1)
        first = (turn + step) % len(names)
        for name in names[first:] + names[:first]:
            given = scores.clone()
            taken[name].append(clock.of(partial(processors[name], row, given)))
    return taken


if __name__ == "__main__":
    main()
