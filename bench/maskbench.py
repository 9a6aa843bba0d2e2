"""MaskBench: real JSON schemas with instances, scansion beside llguidance, xgrammar and outlines-core.

    python bench/maskbench.py [DATA.jsonl.gz] [--schemas 300] [--seed 0] [--engines scansion,llguidance] [--out FOLDER]

The data has one JSON object a line: `name`, `schema`, `tests: [{valid, data}]`. Each engine runs in a process of its
own; for every schema the engines take turns, each in another order, so that all meet the same disturbances. Instances
are written with `json.dumps(data, ensure_ascii=False)` and cut into tokens by the vocabulary's own merges. An instance
is accepted if every token is allowed and an end token after the last. The instances have their keys in any order; by
default scansion writes them in that of the schema. The engine `scansion-any-order` is scansion without that demand.

TBM is the time of one mask, TTFM the time from a schema's text to its first mask. Both count the processor's time
where other work disturbs the wall clock (see `timing.py`). Garbage is collected whenever Python wants to.

An engine that takes longer than `--limit` seconds for a schema, or dies, is started again, and the schema counts as
not compiled. Writes `maskbench.json` and `maskbench.png` to the folder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from schema_report import print_report, write_report
from schema_worker import Case, Outcome, serve
from vocabularies import Tokens, load

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "maskbench-dev.jsonl.gz"
ENGINES = "scansion,llguidance,xgrammar,outlines-core"
START = 300.0  # seconds an engine may take to come up


class Worker:
    """One engine in its process, started again when it hangs or dies."""

    def __init__(self, name: str, vocabulary: Path | None, limit: float):
        self.name, self._vocabulary, self._limit = name, vocabulary, limit
        self.version, self.memory_at_start = "", 0
        self.is_there = self._start()

    def _start(self) -> bool:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(self.name, self._vocabulary, theirs), daemon=True)
        self._process.start()
        theirs.close()
        answer = self._answer(START)
        if answer is not None:
            self.version, self.memory_at_start = answer
        return answer is not None

    def _answer(self, seconds: float) -> Any:
        """What the process sends, None if it died; raises `TimeoutError` if it sends nothing."""
        if not self._connection.poll(seconds):
            raise TimeoutError(f"{self.name} took longer than {seconds:g} s")
        try:
            return self._connection.recv()
        except EOFError:
            return None

    def judged(self, case: Case) -> Outcome:
        """The engine's outcome for a case."""
        self._connection.send(case)
        try:
            outcome = self._answer(self._limit)
        except TimeoutError as error:
            self.stop()
            self._start()
            return Outcome(case.name, str(error))
        if outcome is None:
            self._process.join()
            self._start()
            return Outcome(case.name, "its process died")
        return outcome

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def main() -> None:
    options = arguments()
    load_before = os.getloadavg()
    tokens = load(options.vocabulary)
    rows = chosen(options.data, options.schemas, options.seed)
    workers = [Worker(name, options.vocabulary, options.limit) for name in options.engines.split(",")]
    workers = [worker for worker in workers if worker.is_there]
    outcomes = measure(workers, rows, tokens, options.seed)
    machine = {
        "vocabulary": tokens.name,
        "tokens": tokens.vocabulary.size,
        "engines": {worker.name: worker.version for worker in workers},
        "memory_at_start": {worker.name: worker.memory_at_start for worker in workers},
        "schemas": len(rows),
        "seed": options.seed,
        "limit": options.limit,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load_average": [round(x, 1) for x in (load_before[0], os.getloadavg()[0])],
    }
    for worker in workers:
        worker.stop()
    print_report(outcomes, machine)
    write_report(outcomes, machine, options.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Real JSON schemas: what engines accept, and how fast they are.")
    parser.add_argument("data", nargs="?", type=Path, default=BESIDE, help="a .jsonl or .jsonl.gz file")
    parser.add_argument("--vocabulary", type=Path, help="an .npz file with a tokeniser; see vocabularies.py")
    parser.add_argument("--engines", default=ENGINES, help="names, separated by commas")
    parser.add_argument("--schemas", type=int, help="how many, picked at random; all if not said")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds an engine may take for one schema")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def chosen(path: Path, count: int | None, seed: int) -> list[dict[str, Any]]:
    """The schemas of a file, or a sample of them."""
    if not path.is_file():
        raise SystemExit(f"no schemas at {path}: name a file")
    opened: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return rows if count is None or count >= len(rows) else random.Random(seed).sample(rows, count)


def measure(workers: list[Worker], rows: list[dict[str, Any]], tokens: Tokens, seed: int) -> dict[str, list[Outcome]]:
    """Every schema with every engine."""
    outcomes: dict[str, list[Outcome]] = {worker.name: [] for worker in workers}
    turns = random.Random(seed)
    with bar() as progress:
        task = progress.add_task("schemas", total=len(rows))
        for case in cases(rows, tokens):
            for worker in turns.sample(workers, len(workers)):
                progress.update(task, description=f"{case.name[:50]} {worker.name}")
                outcomes[worker.name].append(worker.judged(case))
            progress.advance(task)
    return outcomes


def cases(rows: list[dict[str, Any]], tokens: Tokens) -> Iterator[Case]:
    """Schemas as text, instances as tokens."""
    for row in rows:
        instances = [
            (bool(test["valid"]), tokens.encode(json.dumps(test["data"], ensure_ascii=False))) for test in row["tests"]
        ]
        yield Case(row["name"], json.dumps(row["schema"], ensure_ascii=False), instances)


def bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


if __name__ == "__main__":
    main()
