"""Bad input ends as its family says it must, within 256 MiB and the work that is committed, also on a small stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.case import attempt
from tests.bad_input.ratchet import entry, read_results, worsened
from tests.bad_input.table import CASES, OPEN_DEFECTS

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured as Linux tells it"),
    pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="the limits are meant for compiled kernels"),
]
Results = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def results(repository: Path) -> Results:
    """What came of every case, each in a process of its own."""
    command = [sys.executable, "-m", "tests.bad_input", "--json"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=3600)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(CASES), done.stderr[-2000:]
    by_name = {case.name: case for case in CASES}
    return {line["name"]: line | entry(by_name[line["name"]], line["outcome"], line["work"]) for line in lines}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case.name}")
def test_bad_input_ends_as_its_family_says(case: Any, results: Results) -> None:
    result = results[case.name]
    if result["outcome"] != case.outcome and case.name in OPEN_DEFECTS:
        pytest.xfail(OPEN_DEFECTS[case.name])
    assert result["outcome"] == case.outcome, result["detail"]


def test_nothing_became_worse_than_the_committed_results(results: Results) -> None:
    committed = read_results()
    if not committed:
        pytest.skip("no results are committed: python -m tests.bad_input --write")
    assert set(committed) == {case.name for case in CASES}, "renew results.json: python -m tests.bad_input --write"
    assert worsened(committed, results) == []


def test_names_of_cases_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_a_worse_outcome_is_noticed() -> None:
    committed = {"a": {"outcome": "LimitExceeded", "work": 10**7}}
    assert worsened(committed, {"a": {"outcome": "ok", "work": 10**9}}) == []
    assert worsened(committed, {"a": {"outcome": "killed by SIGSEGV", "work": 0}}) != []
    assert worsened(committed, {"a": {"outcome": "LimitExceeded", "work": 11 * 10**6}}) == []
    assert worsened(committed, {"a": {"outcome": "LimitExceeded", "work": 13 * 10**6}}) != []


def test_work_is_counted_not_timed() -> None:
    case = next(case for case in CASES if case.name == "(a|b)*a(a|b){20}")
    counted = {attempt(case).work for _ in range(3)}
    assert len(counted) == 1
    assert counted.pop() > 0
