"""The sample of MaskBench, schema by schema: what is refused, what is judged otherwise than labelled, and why.

    python tests/schema_sample.py [NAME ...]

judges the whole sample (minutes) and writes `maskbench_results.json`; with names only those, to the screen. Every
exception has a class with an explanation. The classes are checked, not asserted: `jsonschema` says whether a label
holds, and that an instance is refused for the order of its keys is shown by an order in which it is accepted, or by
the same schema with keys in any order.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
from rich.progress import track
from schema_suite import BYTES, Orders, written

from grammars import (
    Grammar,
    GrammarError,
    LimitExceeded,
    SchemaOptions,
    UnsatisfiableGrammar,
    UnsupportedFeature,
    json_schema,
)

SAMPLE = Path(__file__).parents[2] / "shared" / "data" / "maskbench-dev.jsonl.gz"
TABLE = Path(__file__).with_name("maskbench_results.json")

EXPLAINED = {
    "empty": "no value is valid under the schema, so there is nothing to write; jsonschema refuses every instance too",
    "limit": "LimitExceeded: alternatives whose ways to hold or fail multiply, or numbers modulo many steps at once",
    "unsupported": "UnsupportedFeature: back-references in a pattern are not regular",
    "syntax": "GrammarSyntaxError: the schema is not one",
    "label": "jsonschema, with its format checker, disagrees with the label as we do",
    "key order": 'keys are written in the order of the schema (property_order="schema", the default); the same value '
    "with its keys in another order is accepted",
    "unexplained": "judged otherwise than labelled, and than jsonschema does",
}


def rows(path: Path, step: int = 1) -> Iterator[Any]:
    """Every so many-th schema of a sample."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for number, line in enumerate(lines) if number % step == 0)


def exceptions(row: Any) -> dict[str, str]:
    """The class of every exception of a schema: by its name if it is refused, by name and number of an instance."""
    try:
        grammar = json_schema(row["schema"])
        grammar.matches(b"")
    except GrammarError as error:
        return {row["name"]: _refusal(error, row)}
    found: dict[str, str] = {}
    for number, test in enumerate(row["tests"]):
        if (reason := _judged(grammar, row["schema"], test)) is not None:
            found[f"{row['name']}/{number}"] = reason
    return found


def _refusal(error: GrammarError, row: Any) -> str:
    if isinstance(error, UnsatisfiableGrammar):
        valid = [test["valid"] or _arbiter(row["schema"], test["data"]) for test in row["tests"]]
        return "unexplained" if any(valid) else "empty"
    kinds = {LimitExceeded: "limit", UnsupportedFeature: "unsupported"}
    return next((name for kind, name in kinds.items() if isinstance(error, kind)), "syntax")


def _judged(grammar: Grammar, schema: Any, test: Any) -> str | None:
    """Why an instance is judged otherwise than labelled; None if it is not."""
    try:
        accepted = grammar.matches(json.dumps(test["data"], ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except LimitExceeded:
        return "limit"
    if accepted == test["valid"]:
        return None
    if _arbiter(schema, test["data"]) == accepted:
        return "label"
    return "key order" if test["valid"] and _has_an_order(schema, grammar, test["data"]) else "unexplained"


def _has_an_order(schema: Any, grammar: Grammar, value: Any) -> bool:
    """Whether the value is accepted with its keys in the order of the schema, or in any order at all."""
    if grammar.matches(written(arranged(value, list(_declarations(schema))))):
        return True
    try:
        return json_schema(schema, SchemaOptions(property_order="any")).matches(written(value))
    except GrammarError:
        return _is_found(Orders(grammar.compile(BYTES)), value)


def _is_found(orders: Orders, value: Any) -> bool:
    try:
        return orders.accept(value)
    except AssertionError:  # too many to try
        return False


def _declarations(schema: Any) -> Iterator[list[str]]:
    """The names that each part of a schema declares or requires, in their order."""
    if isinstance(schema, dict):
        names = [*schema.get("properties", {}), *schema.get("required", [])] if _is_object_schema(schema) else []
        yield list(dict.fromkeys(names))
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _declarations(inner)


def _is_object_schema(schema: dict[str, Any]) -> bool:
    return isinstance(schema.get("properties", {}), dict) and isinstance(schema.get("required", []), list)


def arranged(value: Any, declarations: list[list[str]]) -> Any:
    """The value with the keys of each object in the order of the declaration that knows most of them.

    >>> arranged({"b": [{"z": 1, "y": 2}], "c": 1, "a": 3}, [["a", "b"], ["y", "z"]])
    {'a': 3, 'b': [{'y': 2, 'z': 1}], 'c': 1}
    """
    if isinstance(value, list):
        return [arranged(item, declarations) for item in value]
    if not isinstance(value, dict):
        return value
    order = max(declarations, key=lambda names: len(value.keys() & set(names)), default=[])
    places = {name: place for place, name in enumerate(order)}
    names = sorted(value, key=lambda name: places.get(name, len(places)))
    return {name: arranged(value[name], declarations) for name in names}


def _arbiter(schema: Any, value: Any) -> bool | None:
    """What jsonschema says of a value; None if it cannot say anything."""
    judge = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        return judge(schema, format_checker=judge.FORMAT_CHECKER).is_valid(value)
    except Exception:  # noqa: BLE001 unresolvable references, patterns that Python does not know
        return None


def table(sample: Iterable[Any]) -> dict[str, Any]:
    """The whole table."""
    found: dict[str, str] = {}
    schemas, instances = 0, {True: 0, False: 0}
    for row in sample:
        schemas += 1
        for test in row["tests"]:
            instances[test["valid"]] += 1
        found |= exceptions(row)
    names = {reason: sorted(name for name, why in found.items() if why == reason) for reason in EXPLAINED}
    return {
        "schemas": schemas,
        "instances labelled valid": instances[True],
        "instances labelled invalid": instances[False],
        "exceptions": {reason: len(names[reason]) for reason in EXPLAINED if names[reason]},
        "explained": {reason: text for reason, text in EXPLAINED.items() if names[reason]},
        "names": {reason: names[reason] for reason in EXPLAINED if names[reason]},
    }


def main() -> None:
    if len(sys.argv) > 1:
        for row in rows(SAMPLE):
            if any(part in row["name"] for part in sys.argv[1:]):
                sys.stdout.write(f"{row['name']} {exceptions(row)}\n")
        return
    TABLE.write_text(json.dumps(table(track(list(rows(SAMPLE)))), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
