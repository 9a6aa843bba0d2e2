"""What a logits processor adds to every step of Hugging Face's `generate`: scansion beside xgrammar and outlines.

    python bench/processors.py [VOCABULARY.npz] [--repetitions 5]

No model runs: random scores over the vocabulary, and the ids of a text of the language, grow step by step as `generate`
would show them. What is timed is the call of the processor alone, on the processor, in batches of 1 and 8 equal rows.
Engines take turns; a step's time is the median over the repetitions, each with a new processor over a grammar that was
compiled before and seen before ("warm", a server's everyday), without the garbage collector.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from languages import LANGUAGES, Language
from rich.console import Console
from rich.table import Table
from timing import no_collector
from vocabularies import Tokens, load

from decoding.hf import ConstraintProcessor

CHOSEN = ("json", "e-mail", "string ≤ 200", "date-time")
Maker = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("vocabulary", nargs="?", type=Path)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    tokens = load(options.vocabulary)
    table = Table(title=f"µs a step, {tokens.vocabulary.size:,} tokens: p50 / mean")
    for column in ("language", "rows", "scansion", "xgrammar", "ratio of means"):
        table.add_column(column, justify="left" if column == "language" else "right")
    for language in LANGUAGES:
        if language.name not in CHOSEN:
            continue
        makers = {"scansion": scansion(language, tokens), "xgrammar": xgrammar(language, tokens)}
        for rows in (1, 8):
            steps = measured(
                makers, tokens.encode(language.texts[0]), rows, tokens.vocabulary.size, options.repetitions
            )
            cells = [f"{median(times):.0f} / {mean(times):.0f}" for times in steps.values()]
            ratio = mean(steps["scansion"]) / mean(steps["xgrammar"])
            table.add_row(language.name, str(rows), *cells, f"{ratio:.2f}")
    Console().print(table)


def scansion(language: Language, tokens: Tokens) -> Maker:
    automaton = language.scansion().compile(tokens.vocabulary)
    return lambda: ConstraintProcessor(automaton)


def xgrammar(language: Language, tokens: Tokens) -> Maker:
    import xgrammar as xgr
    from xgrammar.contrib.hf import LogitsProcessor

    info = xgr.TokenizerInfo(
        list(tokens.vocabulary.tokens), vocab_type=xgr.VocabType.RAW, stop_token_ids=list(tokens.vocabulary.eos)
    )
    compiler = xgr.GrammarCompiler(info)
    is_json = language.name == "json"
    compiled = compiler.compile_builtin_json_grammar() if is_json else compiler.compile_regex(language.regex or "")
    return lambda: LogitsProcessor(compiled)


def measured(
    makers: dict[str, Maker], ids: list[int], rows: int, width: int, repetitions: int
) -> dict[str, list[float]]:
    """Microseconds of each step, the median over repetitions."""
    torch.manual_seed(0)
    scores = torch.randn(rows, width)
    times: dict[str, list[list[int]]] = {name: [] for name in makers}
    with no_collector():
        for _ in range(repetitions + 1):  # the first warms up
            for name, make in makers.items():
                times[name].append(followed(make(), ids, rows, scores))
    return {name: (np.median(runs[1:], axis=0) / 1000).tolist() for name, runs in times.items()}


def followed(process: Any, ids: list[int], rows: int, scores: torch.Tensor) -> list[int]:
    """Nanoseconds of every call while a text grows behind a prompt of 20 tokens."""
    prompt = [7] * 20
    taken: list[int] = []
    for step in range(len(ids) + 1):
        row = torch.tensor([prompt + ids[:step]]).repeat(rows, 1)
        given = scores.clone()
        begin = time.perf_counter_ns()
        process(row, given)
        taken.append(time.perf_counter_ns() - begin)
    return taken


if __name__ == "__main__":
    main()
