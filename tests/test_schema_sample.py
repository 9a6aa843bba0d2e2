"""Real schemas: nothing is refused, and no instance judged otherwise than labelled, but what the table explains."""

from __future__ import annotations

import json
from pathlib import Path

from schema_sample import TABLE, exceptions, rows

RESULTS = json.loads(TABLE.read_text("utf-8"))
STEP = 70


def test_every_exception_of_the_table_is_explained() -> None:
    names = RESULTS["names"]
    assert "unexplained" not in names
    assert set(names) == set(RESULTS["explained"])
    assert {reason: len(found) for reason, found in names.items()} == RESULTS["exceptions"]


def test_at_least_99_of_100_schemas_are_compiled() -> None:
    refused = [name for found in RESULTS["names"].values() for name in found if "/" not in name]
    assert len(refused) <= RESULTS["schemas"] / 100


def test_no_invalid_instance_is_accepted_and_valid_ones_are_refused_for_the_order_of_keys_only() -> None:
    judged = {reason for reason, found in RESULTS["names"].items() if any("/" in name for name in found)}
    assert judged <= {"key order"}


def test_real_schemas_have_no_exceptions_but_those_of_the_table(shared_data: Path) -> None:
    known = {name: reason for reason, names in RESULTS["names"].items() for name in names}
    for row in rows(shared_data / "maskbench-dev.jsonl.gz", STEP):
        found = exceptions(row)
        assert found.items() <= known.items(), row["name"]
