"""Masks side by side: scansion beside llguidance, and xgrammar where it is installed and can take the language.

    python bench/masks.py [VOCABULARY.npz] [--engines scansion,llguidance,xgrammar] [--repetitions 5] [--out FOLDER]

One process, one thread, kernels compiled, the garbage collector off; engines take turns at every text. For each
language (see `languages.py`) each repetition compiles anew, follows every text with the fresh automaton (cold), then
follows every text again a few times (warm). A position's time is the median over the repetitions; mean, p50, p99 and
max are over positions. "First" is source text to first mask. Before anything is timed all masks are compared
(`agreement.py`).

Writes `masks.json` and `masks.png` to the folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agreement import Agreement, compare
from engines import Compiled, Engine, installed
from languages import LANGUAGES, Language
from memory import growth
from report import print_report, write_report
from timing import Clock, no_collector, processor_time
from vocabularies import Tokens, load

OTHERS = 3  # tokens asked about at each position besides the one that comes
SLOW = 1_000_000_000  # an engine that needs this many ns to compile, or for a cold pass, gets one repetition


@dataclass
class Measured:
    """All times of one engine on one language, in nanoseconds; rows are repetitions, columns positions."""

    compile: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    cold: list[list[int]] = field(default_factory=list)
    warm: list[list[int]] = field(default_factory=list)
    commit_cold: list[list[int]] = field(default_factory=list)
    commit_warm: list[list[int]] = field(default_factory=list)
    allows_cold: list[list[int]] = field(default_factory=list)
    allows_warm: list[list[int]] = field(default_factory=list)
    memory: int = 0

    def is_slow(self) -> bool:
        """Whether it would take too long to repeat."""
        return bool(self.cold) and max(self.compile[0], sum(self.cold[0])) > SLOW


def main() -> None:
    options = arguments()
    load_before = os.getloadavg()
    tokens = load(options.vocabulary)
    engines = installed(options.engines.split(","), tokens)
    chosen = [language for language in LANGUAGES if options.only is None or language.name in options.only.split(",")]
    results: dict[str, dict[str, Measured]] = {}
    agreements: dict[str, Agreement] = {}
    warm_up(engines)
    for language in chosen:
        agreements[language.name] = agreement = compare(language, engines, tokens)
        agreement.compiled, names = {}, list(agreement.compiled)
        print(
            f"{language.name}: {', '.join(names)}; {sum(map(len, agreement.texts))} tokens",
            *agreement.remarks,
            sep="\n  ",
        )
        taking_part = [engine for engine in engines if engine.name in names]
        with no_collector():
            results[language.name] = measure(language, taking_part, agreement.texts, tokens, options)
    machine = {
        "vocabulary": tokens.name,
        "tokens": tokens.vocabulary.size,
        "engines": {engine.name: engine.version for engine in engines},
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load_average": [round(x, 1) for x in (load_before[0], os.getloadavg()[0])],
        "repetitions": options.repetitions,
    }
    print_report(results, agreements, machine)
    write_report(results, agreements, machine, options.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Masks of scansion beside those of other engines.")
    parser.add_argument("vocabulary", nargs="?", type=Path, help="an .npz file with a tokeniser; see vocabularies.py")
    parser.add_argument("--engines", default="scansion,llguidance,xgrammar")
    parser.add_argument("--only", help="names of languages, separated by commas")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--passes", type=int, default=3, help="warm passes over each text in each repetition")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def warm_up(engines: list[Engine]) -> None:
    """Compile kernels and build what belongs to the vocabulary, before anything is timed."""
    clock = Clock()
    for language in LANGUAGES[:1] + LANGUAGES[5:6]:
        for engine in engines:
            if engine.name not in language.unsupported:
                clock.follow(engine.compile(language), [])


def measure(
    language: Language, engines: list[Engine], texts: list[list[int]], tokens: Tokens, options: argparse.Namespace
) -> dict[str, Measured]:
    """Time all engines on one language."""
    measured = {engine.name: Measured() for engine in engines}
    others = random.Random(0).sample(range(tokens.vocabulary.size), OTHERS)
    for engine in engines:
        measured[engine.name].memory = growth(lambda engine=engine: followed(engine.compile(language), texts))
    clock = Clock()
    for repetition in range(options.repetitions):
        turns = [engine for engine in turned(engines, repetition) if not measured[engine.name].is_slow()]
        compiled = {engine.name: fresh(engine, language, measured[engine.name]) for engine in turns}
        masks(clock, compiled, texts, measured, options.passes)
        del compiled
        asked = {engine.name: engine.compile(language) for engine in turns}
        questions(clock, asked, texts, others, measured)
        del asked
    return measured


def fresh(engine: Engine, language: Language, measured: Measured) -> Compiled:
    """Compile, and note how long it took."""
    began = processor_time()
    compiled = engine.compile(language)
    measured.compile.append(processor_time() - began)
    return compiled


def masks(
    clock: Clock, compiled: dict[str, Compiled], texts: list[list[int]], measured: dict[str, Measured], passes: int
) -> None:
    """A cold pass over all texts, then warm ones; the engines take turns at every text."""
    for text in texts:
        for name, engine in compiled.items():
            engine.restart()
            times = clock.follow(engine, text)
            m = measured[name]
            if text is texts[0]:
                m.first.append(m.compile[-1] + times.masks[0])
            _extend(m.cold, times.masks, text is texts[0])
            _extend(m.commit_cold, times.commits, text is texts[0])
    for number in range(passes):
        again = {name: engine for name, engine in compiled.items() if number == 0 or not measured[name].is_slow()}
        for text in texts:
            for name, engine in again.items():
                engine.restart()
                times = clock.follow(engine, text)
                _extend(measured[name].warm, times.masks, text is texts[0])
                _extend(measured[name].commit_warm, times.commits, text is texts[0])


def questions(
    clock: Clock,
    compiled: dict[str, Compiled],
    texts: list[list[int]],
    others: list[int],
    measured: dict[str, Measured],
) -> None:
    """Ask about single tokens, with an automaton that never filled a mask; then ask the same again."""
    for pick in (lambda m: m.allows_cold, lambda m: m.allows_warm):
        for text in texts:
            for name, engine in compiled.items():
                engine.restart()
                _extend(pick(measured[name]), clock.questions(engine, text, others), text is texts[0])


def followed(compiled: Compiled, texts: list[list[int]]) -> Compiled:
    """All masks of all texts once: what a process holds after serving them."""
    for text in texts:
        compiled.restart()
        for token in text:
            compiled.fill()
            compiled.commit(token)
        compiled.fill()
    return compiled


def turned(engines: list[Engine], by: int) -> Iterator[Engine]:
    """The engines in another order at every repetition."""
    return (engines[(i + by) % len(engines)] for i in range(len(engines)))


def _extend(rows: list[list[int]], times: list[int], new_row: bool) -> None:
    if new_row:
        rows.append([])
    rows[-1].extend(times)


if __name__ == "__main__":
    main()
