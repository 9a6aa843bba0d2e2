"""Records written down: JSON in its common spacings, key: value lines, YAML, XML, CSV, Markdown tables and SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from xml.sax.saxutils import escape

from decoding.embedded.corpus.scenes import SCENES, Scene
from decoding.embedded.corpus.values import Data, Record, with_article

Row = dict[str, Data]


def data(record: Record, names: Sequence[str]) -> Row:
    """The chosen fields of a record, without the ways to say them."""
    return {name: record[name].data for name in names}


def some_fields(rng: Random, scene: Scene, low: int = 2, high: int = 6) -> list[str]:
    """A few field names of the scene, in its order or in none."""
    names = list(scene.fields)
    kept = rng.sample(names, min(len(names), rng.randint(low, high)))
    return kept if rng.random() < 0.3 else [name for name in names if name in kept]


def as_json(rng: Random, value: Data) -> str:
    """JSON as people and programs space it: mostly on one line with spaces."""
    kind = rng.random()
    if kind < 0.7:
        return json.dumps(value, ensure_ascii=False)
    if kind < 0.85:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value, ensure_ascii=False, indent=2)


def shown(value: Data) -> str:
    """A value where no quotes are wanted."""
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def key_values(row: Row) -> str:
    return "\n".join(f"{name}: {shown(value)}" for name, value in row.items())


def settings(row: Row) -> str:
    return "\n".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in row.items())


def xml(row: Row, tag: str) -> str:
    inside = "".join(f"<{name}>{escape(shown(value))}</{name}>" for name, value in row.items())
    return f"<{tag}>{inside}</{tag}>"


def csv(rows: Sequence[Row]) -> str:
    lines = [",".join(rows[0])] + [",".join(shown(value).replace(",", ";") for value in row.values()) for row in rows]
    return "\n".join(lines)


def markdown(rows: Sequence[Row]) -> str:
    head = [list(rows[0]), ["---"] * len(rows[0])]
    return "\n".join(f"| {' | '.join(line)} |" for line in head + [[shown(v) for v in row.values()] for row in rows])


def quoted(value: Data) -> str:
    """A value as SQL writes it."""
    if isinstance(value, bool):
        return str(value).upper()
    return str(value) if isinstance(value, int | float) else "'" + shown(value).replace("'", "''") + "'"


def insertion(row: Row, table: str) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(quoted, row.values()))});"


def selection(rng: Random, scene: Scene, record: Record) -> tuple[str, str]:
    """A question about a table, and the query that answers it."""
    wanted, key = rng.sample(list(scene.fields), 2)
    value, table = record[key].data, scene.plural
    if isinstance(value, int | float) and not isinstance(value, bool):
        word, sign = rng.choice((("above", ">"), ("below", "<"), ("equal to", "=")))
        condition = f"{key} {word} {value}", f"{key} {sign} {value}"
    else:
        condition = f"{key} {shown(value)}", f"{key} = {quoted(value)}"
    return rng.choice(
        (
            (f"How many {table} have {condition[0]}?", f"SELECT COUNT(*) FROM {table} WHERE {condition[1]};"),
            (
                f"List the {wanted} of all {table} with {condition[0]}.",
                f"SELECT {wanted} FROM {table} WHERE {condition[1]};",
            ),
            (f"Show all {table} with {condition[0]}.", f"SELECT * FROM {table} WHERE {condition[1]};"),
            (f"Show all {table} sorted by {key}.", f"SELECT * FROM {table} ORDER BY {key};"),
            (
                f"Which {table} come last by {key}?",
                f"SELECT * FROM {table} ORDER BY {key} DESC LIMIT {rng.randint(1, 10)};",
            ),
            (f"How many {table} are there for each {key}?", f"SELECT {key}, COUNT(*) FROM {table} GROUP BY {key};"),
            (f"Delete the {table} with {condition[0]}.", f"DELETE FROM {table} WHERE {condition[1]};"),
            (
                f"Set {key} of the {table} with {wanted} {shown(record[wanted].data)} to {shown(value)}.",
                f"UPDATE {table} SET {key} = {quoted(value)} WHERE {wanted} = {quoted(record[wanted].data)};",
            ),
        )
    )


def schema_of(row: Row) -> Row:
    """A JSON Schema that the row satisfies."""
    return {"type": "object", "properties": {name: type_of(value) for name, value in row.items()}, "required": [*row]}


def type_of(value: Data) -> Row:
    if isinstance(value, list):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": type_name(value)}


def type_name(value: Data) -> str:
    """The name that JSON Schema has for the type of a value.

    >>> type_name(True), type_name(3), type_name(3.5), type_name("3")
    ('boolean', 'integer', 'number', 'string')
    """
    names: tuple[tuple[type, str], ...] = ((bool, "boolean"), (int, "integer"), (float, "number"), (list, "array"))
    return next((name for kind, name in names if isinstance(value, kind)), "string")


def rows_of(rng: Random, scene: Scene, low: int, high: int) -> list[Row]:
    names = some_fields(rng, scene, 2, 4)
    return [data(scene.record(rng), names) for _ in range(rng.randint(low, high))]


def record_document(rng: Random) -> str:
    """One record, with or without a heading that says what follows."""
    scene = rng.choice(SCENES)
    row = data(scene.record(rng), some_fields(rng, scene))
    kind = rng.randrange(10)
    if kind < 5:
        head = rng.choice(
            ("", "", "JSON: ", f"{scene.kind}: ", f"A JSON record of {with_article(scene.kind)}:\n", f"{scene.kind} = ")
        )
        return head + as_json(rng, row)
    if kind == 5:
        return f"Schema: {as_json(rng, schema_of(row))}\nJSON: {as_json(rng, row)}"
    return (key_values(row), settings(row), xml(row, scene.kind), insertion(row, scene.plural))[kind - 6]


def rows_document(rng: Random) -> str:
    """Several records of one scene."""
    scene = rng.choice(SCENES)
    rows = rows_of(rng, scene, 2, 5)
    return rng.choice(
        (
            lambda: csv(rows),
            lambda: markdown(rows),
            lambda: as_json(rng, [*rows]),
            lambda: as_json(rng, {scene.plural: [*rows]}),
            lambda: "\n".join(as_json(rng, row) for row in rows),
            lambda: "\n".join(insertion(row, scene.plural) for row in rows),
        )
    )()


def query_document(rng: Random) -> str:
    """SQL after a question, or alone."""
    scene = rng.choice(SCENES)
    question, query = selection(rng, scene, scene.record(rng))
    table = f"Table {scene.plural}({', '.join(scene.fields)})\n" if rng.random() < 0.3 else ""
    return table + rng.choice(
        (
            f"Question: {question}\nSQL: {query}",
            f"-- {question}\n{query}",
            f"SQL: {query}",
            f"Write an SQL query: {question}\nSQL: {query}",
            f"User: {question} Answer in SQL.\nAssistant: {query}",
            query,
        )
    )
