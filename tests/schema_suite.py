"""The official JSON Schema test suite, as questions to a grammar of texts.

The suite speaks of values, the grammar of texts. With `property_order="schema"` an object is written in the order of
its schema, so a value counts as accepted if one order of its keys is; it counts as rejected if all orders are (as
many as are tried).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, permutations, product
from pathlib import Path
from typing import Any

from grammars import GrammarError, UnsatisfiableGrammar, UnsupportedFeature
from grammars.schema import SchemaOptions, json_schema

REMOTE = "http://localhost:1234/"
DRAFTS = {"draft2020-12": "2020-12", "draft2019-09": "2019-09", "draft7": "7", "draft6": "6", "draft4": "4"}
MOST_ORDERS = 400


def remotes(suite: Path) -> dict[str, Any]:
    """The schemas that the suite expects to find on its server."""
    folder = suite / "remotes"
    return {
        REMOTE + path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in folder.rglob("*.json")
    }


def orders(value: Any) -> Iterator[Any]:
    """The value with the keys of its objects in every order."""
    if isinstance(value, list):
        yield from map(list, product(*(list(islice(orders(item), MOST_ORDERS)) for item in value)))
    elif isinstance(value, dict):
        for names in permutations(value):
            inner = [list(islice(orders(value[name]), MOST_ORDERS)) for name in names]
            for items in product(*inner):
                yield dict(zip(names, items, strict=True))
    else:
        yield value


def texts(value: Any) -> Iterator[bytes]:
    """Compact texts of a value."""
    for ordered in islice(orders(value), MOST_ORDERS):
        yield json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def outcomes(schema: Any, tests: list[Any], options: SchemaOptions) -> list[str]:
    """For each test of a group "agree", "refuse", "accepts invalid" or "rejects valid"."""
    try:
        grammar = json_schema(schema, options)
        grammar.matches(b"")
    except UnsatisfiableGrammar:
        grammar = None
    except UnsupportedFeature:
        return ["refuse"] * len(tests)
    found: list[str] = []
    for test in tests:
        accepted = grammar is not None and any(grammar.matches(text) for text in texts(test["data"]))
        wrong = "accepts invalid" if accepted else "rejects valid"
        found.append("agree" if accepted == test["valid"] else wrong)
    return found


def run_file(path: Path, options: SchemaOptions) -> Iterator[tuple[str, str, str]]:
    """Group, test and outcome for all tests of a file."""
    for group in json.loads(path.read_text()):
        try:
            found = outcomes(group["schema"], group["tests"], options)
        except GrammarError as error:
            found = [f"error {type(error).__name__}: {error.message}"] * len(group["tests"])
        for test, outcome in zip(group["tests"], found, strict=True):
            yield group["description"], test["description"], outcome
