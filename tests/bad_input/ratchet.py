"""The committed results: outcomes and counted work, never times. They may only improve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")


def read_results() -> dict[str, dict[str, Any]]:
    """The committed table: by the name of the case, its outcome and its work."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def worsened(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is worse now: an outcome that was "ok" and is not, an error that changed, or more work for the same.

    >>> worsened({"a": {"outcome": "ok", "work": 5}}, {"a": {"outcome": "ok", "work": 6}})
    ['a: 6 units of work instead of 5']
    """
    worse: list[str] = []
    for name in before.keys() & now.keys():
        old, new = before[name], now[name]
        if new["outcome"] not in ("ok", old["outcome"]):
            worse.append(f"{name}: {new['outcome']} instead of {old['outcome']}")
        elif new["outcome"] == old["outcome"] and new["work"] > old["work"]:
            worse.append(f"{name}: {new['work']} units of work instead of {old['work']}")
    return sorted(worse)
