"""The official JSON Schema test suite, as questions to a grammar of texts.

The suite speaks of values, the grammar of texts. With `property_order="schema"` an object is written in the order of
its schema, so a value counts as accepted if one order of its keys is. The search for that order follows the automaton
of the grammar: an order is given up where no text goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grammars import (
    DEAD,
    GrammarError,
    LimitExceeded,
    TokenAutomaton,
    UnsatisfiableGrammar,
    UnsupportedFeature,
    Vocabulary,
)
from grammars.schema import SchemaOptions, json_schema

REMOTE = "http://localhost:1234/"
DRAFTS = {"draft2020-12": "2020-12", "draft2019-09": "2019-09", "draft7": "7", "draft6": "6", "draft4": "4"}
BYTES = Vocabulary([bytes([b]) for b in range(256)] + [b"<end>"], eos=[256])
MOST_WAYS = 2_000


def remotes(suite: Path) -> dict[str, Any]:
    """The schemas that the suite expects to find on its server."""
    folder = suite / "remotes"
    files = folder.rglob("*.json")
    return {REMOTE + path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in files}


def written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


class Orders:
    """Whether a value is accepted with its keys in some order."""

    def __init__(self, automaton: TokenAutomaton):
        self._automaton = automaton

    def accept(self, value: Any) -> bool:
        given = self._read(self._automaton.start, written(value))
        if given != DEAD and self._automaton.accepts(given):
            return True
        return any(self._automaton.accepts(state) for state in self._ends(self._automaton.start, value))

    def _read(self, state: int, text: bytes) -> int:
        for byte in text:
            if state == DEAD:
                return DEAD
            state = self._automaton.advance(state, byte)
        return state

    def _ends(self, state: int, value: Any) -> set[int]:
        """The states after the value, written in every order that stays alive."""
        if isinstance(value, list):
            states = {self._read(state, b"[")} - {DEAD}
            for index, item in enumerate(value):
                after_comma = {self._read(s, b"," if index else b"") for s in states} - {DEAD}
                states = {end for s in after_comma for end in self._ends(s, item)}
            return {self._read(s, b"]") for s in states} - {DEAD}
        if isinstance(value, dict):
            return self._object_ends(state, value)
        return {self._read(state, written(value))} - {DEAD}

    def _object_ends(self, state: int, value: dict[str, Any]) -> set[int]:
        names = list(value)
        ways = {(s, 0) for s in {self._read(state, b"{")} - {DEAD}}
        for count in range(len(names)):
            longer: set[tuple[int, int]] = set()
            for s, used in ways:
                for index, name in enumerate(names):
                    if not used >> index & 1:
                        key = self._read(s, (b"," if count else b"") + written(name) + b":")
                        ends = self._ends(key, value[name]) if key != DEAD else set[int]()
                        longer.update((end, used | 1 << index) for end in ends)
            if len(longer) > MOST_WAYS:
                raise AssertionError("too many orders to try")
            ways = longer
        return {self._read(s, b"}") for s, _ in ways} - {DEAD}


def outcomes(schema: Any, tests: list[Any], options: SchemaOptions) -> list[str]:
    """For each test of a group "agree", "refuse", "accepts invalid" or "rejects valid"."""
    try:
        orders = Orders(json_schema(schema, options).compile(BYTES))
    except UnsatisfiableGrammar:
        orders = None
    except (UnsupportedFeature, LimitExceeded):
        return ["refuse"] * len(tests)
    found: list[str] = []
    for test in tests:
        accepted = orders is not None and orders.accept(test["data"])
        wrong = "accepts invalid" if accepted else "rejects valid"
        found.append("agree" if accepted == test["valid"] else wrong)
    return found


def run_file(path: Path, options: SchemaOptions) -> Iterator[tuple[str, str]]:
    """The name and the outcome of every test of a file."""
    for group in json.loads(path.read_text()):
        try:
            found = outcomes(group["schema"], group["tests"], options)
        except GrammarError as error:
            found = [f"{type(error).__name__}: {error.message}"] * len(group["tests"])
        for test, outcome in zip(group["tests"], found, strict=True):
            yield f"{path.stem}: {group['description']}: {test['description']}", outcome


def run_folder(suite: Path, draft: str, folder: str = "") -> tuple[Counter[str], list[str]]:
    """How many tests of a folder have which outcome, and the names of those that are wrong."""
    formats = "assertion" if folder else "annotation"
    options = SchemaOptions(draft=DRAFTS[draft], registry=remotes(suite), formats=formats)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for path in sorted((suite / "tests" / draft / folder).glob("*.json")):
        for name, outcome in run_file(path, options):
            counts[outcome if outcome in ("agree", "refuse") else "wrong"] += 1
            if outcome not in ("agree", "refuse"):
                wrong.append(f"{name}: {outcome}")
    return counts, wrong
