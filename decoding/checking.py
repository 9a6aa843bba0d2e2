"""Checking: whether a grammar can be enforced, how, how large that is, and how long it takes.

The work is done here and shown elsewhere (`decoding.commands.check`). A file of schemas has one JSON value a line: a
schema, or a record with the key `schema`, which is no keyword of schemas. A record may have a `name`, and `tests`:
instances with the verdict they should get, `[{"valid": true, "data": ...}]`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grammars import Grammar, GrammarError, Limits, SchemaOptions, Vocabulary, json_schema
from grammars.schema import Enforcement
from grammars.schema.json_types import is_array, is_object
from grammars.schema.reading import read_json

_SIZES = ("rules", "states", "rows", "byte_classes", "configurations", "cache_bytes")


@dataclass(slots=True)
class Checked:
    """What was found out about one grammar."""

    name: str
    error: GrammarError | None = None
    report: list[Any] = field(default_factory=list[Any])
    stats: dict[str, int] = field(default_factory=dict[str, int])
    milliseconds: dict[str, float] = field(default_factory=dict[str, float])
    instances: int = 0
    misjudged: list[int] = field(default_factory=list[int])  # instances that are judged otherwise than the record says

    @property
    def verdict(self) -> str:
        """ "exact"; "lenient" if something is not enforced; "refused"."""
        if self.error is not None:
            return "refused"
        return "lenient" if self.not_enforced() else "exact"

    @property
    def is_fine(self) -> bool:
        """Whether it can be used as it is, and judges the instances rightly."""
        return self.error is None and not self.misjudged

    def not_enforced(self) -> list[str]:
        """The lines of the report that are no constraints."""
        return [str(note) for note in self.report if isinstance(note, Enforcement) and not note.enforced]

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        result: dict[str, Any] = {"name": self.name, "verdict": self.verdict}
        if self.error is not None:
            return result | {"error": _error_as_json(self.error)}
        result |= {"enforced": [_note_as_json(note) for note in self.report], "not_enforced": self.not_enforced()}
        result |= {"sizes": {name: self.stats[name] for name in _SIZES}}
        result |= {"milliseconds": {name: round(value, 3) for name, value in self.milliseconds.items()}}
        if self.instances:
            result |= {"instances": self.instances, "misjudged": self.misjudged}
        return result


def _error_as_json(error: GrammarError) -> dict[str, Any]:
    result: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if error.span is not None:
        result |= {"line": error.span.line, "column": error.span.column}
    return result


def _note_as_json(note: Any) -> Any:
    if not isinstance(note, Enforcement):
        return str(note)
    return {"location": note.location, "keyword": note.keyword, "means": note.means, "enforced": note.enforced}


def check(name: str, build: Callable[[], Grammar], vocabulary: Vocabulary, tests: Iterable[Any] = ()) -> Checked:
    """Build, compile, compute the first mask, and judge the instances.

    >>> from decoding.vocabularies import single_bytes
    >>> tests = [{"valid": True, "data": 3}, {"valid": True, "data": "x"}]
    >>> found = check("a number", lambda: json_schema({"type": "number"}), single_bytes(), tests)
    >>> found.verdict, found.instances, found.misjudged
    ('exact', 2, [1])
    """
    checked = Checked(name)
    try:
        grammar = _timed(checked, "read", build)
        automaton = _timed(checked, "compile", lambda: grammar.compile(vocabulary))
        _timed(checked, "first mask", lambda: automaton.mask(automaton.start))
        checked.report, checked.stats = automaton.report(), automaton.stats()
        for number, test in enumerate(tests):
            checked.instances += 1
            if grammar.matches(_written(test["data"])) != bool(test["valid"]):
                checked.misjudged.append(number)
    except GrammarError as error:
        checked.error = error
    return checked


def _timed(checked: Checked, step: str, work: Callable[[], Any]) -> Any:
    begin = time.perf_counter()
    try:
        return work()
    finally:
        checked.milliseconds[step] = 1000 * (time.perf_counter() - begin)


def _written(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")


def check_line(line: str, number: int, vocabulary: Vocabulary, options: SchemaOptions) -> Checked:
    """Check the schema of one line of a file.

    >>> from decoding.vocabularies import single_bytes
    >>> check_line('{"name": "n", "schema": {"type": "null"}}', 1, single_bytes(), SchemaOptions()).name
    'n'
    """
    name, tests = f"line {number}", list[Any]()
    try:
        schema = read_json(line, Limits())
    except GrammarError as error:
        return Checked(name, error)
    if is_object(schema) and "schema" in schema:
        name = str(schema.get("name", name))
        tests = _tests(json.loads(line).get("tests"))
        schema = schema["schema"]
    return check(name, lambda: json_schema(schema, options), vocabulary, tests)


def _tests(value: Any) -> list[Any]:
    return [test for test in value if is_object(test) and {"valid", "data"} <= set(test)] if is_array(value) else []


@dataclass(frozen=True, slots=True)
class Summary:
    """What was found out about many grammars."""

    verdicts: dict[str, int]
    refusals: dict[str, int]  # by the code of the error
    instances: int
    misjudged: int
    milliseconds: dict[str, float]  # from the schema to the first mask: percentiles over those not refused

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "schemas": sum(self.verdicts.values()),
            "verdicts": self.verdicts,
            "refusals": self.refusals,
            "instances": self.instances,
            "misjudged": self.misjudged,
            "milliseconds": {name: round(value, 3) for name, value in self.milliseconds.items()},
        }


def summarise(found: Sequence[Checked]) -> Summary:
    """The summary of some findings.

    >>> summarise([Checked("a"), Checked("b", GrammarError("no"))]).verdicts
    {'exact': 1, 'lenient': 0, 'refused': 1}
    """
    verdicts = Counter(checked.verdict for checked in found)
    times = [sum(checked.milliseconds.values()) for checked in found if checked.error is None]
    percentiles = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return Summary(
        {name: verdicts[name] for name in ("exact", "lenient", "refused")},
        dict(Counter(checked.error.code for checked in found if checked.error is not None).most_common()),
        sum(checked.instances for checked in found),
        sum(len(checked.misjudged) for checked in found),
        {name: float(np.percentile(times, share)) for name, share in percentiles.items()} if times else {},
    )
