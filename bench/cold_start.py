"""How long a fresh process needs to its first mask: with no compiled kernels at all, then with those on disk.

    python bench/cold_start.py [VOCABULARY.npz] [--repetitions 3]

Each run is a new interpreter. The first has an empty folder for numba's cache, the others find what the first one left.
Imports and reading the vocabulary's file are shown but belong to neither number: "after imports" is vocabulary tables,
compilation of a small grammar, and its first mask.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time

GRAMMAR = r"""
start: "[" [NUMBER ("," NUMBER)*] "]"
NUMBER: /-?[0-9]+(\.[0-9]+)?/
"""
GOALS = {"no compiled kernels": 5.0, "kernels on disk": 0.6}
STEPS = ("imports", "file", "vocabulary", "compile", "first mask", "second grammar")


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds from a fresh process to the first mask.")
    parser.add_argument("vocabulary", nargs="?", type=Path)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(inside(options.vocabulary)))
        return
    with tempfile.TemporaryDirectory() as cache:
        report("no compiled kernels", [outside(options.vocabulary, cache)])
        report("kernels on disk", [outside(options.vocabulary, cache) for _ in range(options.repetitions)])


def outside(vocabulary: Path | None, cache: str) -> dict[str, tuple[float, float]]:
    """Run a fresh process; its answer: what each step took by the wall, and of the processor."""
    command = [sys.executable, __file__, "--inside", *([str(vocabulary)] if vocabulary else [])]
    environment = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def inside(path: Path | None) -> dict[str, tuple[float, float]]:
    """In the fresh process: every step, its seconds by the wall and of the processor."""
    times = [now()]
    from grammars import lark, regex

    times.append(now())
    from vocabularies import load

    vocabulary = load(path).vocabulary
    times.append(now())
    _ = vocabulary.trie, vocabulary.rows, vocabulary.end_row, vocabulary.kind
    times.append(now())
    automaton = lark(GRAMMAR).compile(vocabulary)
    times.append(now())
    automaton.mask(automaton.start)
    times.append(now())
    other = regex('"[^"]{0,20}"').compile(vocabulary)
    other.mask(other.advance(other.start, vocabulary.tokens.index(b'"')))
    times.append(now())
    return dict(zip(STEPS, ((b[0] - a[0], b[1] - a[1]) for a, b in pairwise(times)), strict=True))


def now() -> tuple[float, float]:
    return perf_counter(), process_time()


def report(name: str, runs: list[dict[str, tuple[float, float]]]) -> None:
    """The fastest of the runs, for other work disturbs only upwards."""
    best = min(runs, key=after_imports)
    total, processor = after_imports(best), after_imports(best, which=1)
    steps = ", ".join(f"{step} {seconds:.2f}" for step, (seconds, _) in best.items())
    verdict = "reached" if total <= GOALS[name] else "missed"
    print(f"{name}: {total:.2f} s after imports, {processor:.2f} s of the processor (goal {GOALS[name]} s: {verdict})")
    print(f"  {steps}")


def after_imports(run: dict[str, tuple[float, float]], which: int = 0) -> float:
    return sum(run[step][which] for step in ("vocabulary", "compile", "first mask"))


if __name__ == "__main__":
    main()
