"""The committed results: outcomes and counted work, never times. They may only improve.

Work is counted by `meter`, the same on every machine. A case may become a quarter dearer, or by as much as is done in
about 3 ms, before it counts as worse: a change of the kernels or of a law of the algebra moves the work of many cases
by a few per cent in both directions, and what the ratchet is for is the change that doubles it. Whoever makes a case
cheaper renews the file, so that the quarter does not add up. Cases with threads or interrupts have no work of their
own: how much is done twice there depends on who comes first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bad_input.case import Case

RESULTS = Path(__file__).with_name("results.json")
THREADS_FAMILY = 14
_SLACK = 0.25
_SMALL = 100_000


def entry(case: Case, outcome: str, work: int) -> dict[str, Any]:
    """What is committed about a case."""
    return {"outcome": outcome, "work": 0 if case.family == THREADS_FAMILY else work}


def read_results() -> dict[str, dict[str, Any]]:
    """The committed table: by the name of the case, its outcome and its work."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def worsened(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is worse now: an outcome that was "ok" and is not, an error that changed, or much more work for the same.

    >>> old = {"a": {"outcome": "ok", "work": 10**6}}
    >>> worsened(old, {"a": {"outcome": "ok", "work": 10**6 + 10**5}})
    []
    >>> worsened(old, {"a": {"outcome": "ok", "work": 2 * 10**6}})
    ['a: 2000000 units of work instead of 1000000']
    """
    worse: list[str] = []
    for name in before.keys() & now.keys():
        old, new = before[name], now[name]
        if new["outcome"] not in ("ok", old["outcome"]):
            worse.append(f"{name}: {new['outcome']} instead of {old['outcome']}")
        elif new["outcome"] == old["outcome"] and new["work"] > old["work"] * (1 + _SLACK) + _SMALL:
            worse.append(f"{name}: {new['work']} units of work instead of {old['work']}")
    return sorted(worse)
