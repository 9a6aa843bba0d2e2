"""Run the cases: `python -m tests.bad_input [--json | --write] [words in names]`.

Without an option a table for people, with processor time ("slow" where it is over the goal, which is no failure) and
millions of units of work; `--json` prints one result a line, for the tests; `--write` renews
`results.json`, and refuses if a case has become worse: what is worse needs a person who edits the file.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from tests.bad_input.isolation import Result, run_all, warm_up
from tests.bad_input.ratchet import RESULTS, entry, read_results, worsened
from tests.bad_input.table import CASES


def main(arguments: list[str]) -> int:
    words = [word for word in arguments if not word.startswith("--")]
    chosen = [case for case in CASES if not words or any(word in case.name for word in words)]
    expected = {case.name: case.outcome for case in chosen}
    warm_up()
    results: list[Result] = []
    for result in run_all(chosen):
        results.append(result)
        if "--json" in arguments:
            print(json.dumps(asdict(result)), flush=True)  # noqa: T201
        else:
            _show(result, expected[result.name])
    if "--write" in arguments:
        return _write({result.name: result for result in results})
    return int(any(result.outcome != expected[result.name] for result in results))


def _show(result: Result, expected: str) -> None:
    mark = " " if result.outcome == expected else "✗"
    pace = "slow" if result.is_slow else ""
    cost = f"{result.cpu:6.3f} s {pace:4s} {result.memory >> 20:4d} MiB {result.work / 1e6:8.3f}"
    print(f"{mark} {result.family:2d} {result.name:44.44s} {cost}  {result.outcome}", flush=True)  # noqa: T201
    if mark != " ":
        print(f"     expected {expected}; {result.detail}", flush=True)  # noqa: T201


def _write(results: dict[str, Result]) -> int:
    new = {case.name: entry(case, results[case.name].outcome, results[case.name].work) for case in CASES}
    worse = worsened(read_results(), new)
    if worse:
        print("worse than before, not written:", *worse, sep="\n  ")  # noqa: T201
        return 1
    lines = [f"  {json.dumps(name)}: {json.dumps(result)}" for name, result in new.items()]
    RESULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return 0


sys.exit(main(sys.argv[1:]))
