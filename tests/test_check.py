"""`scansion check`: what is a file and what a text, what is reported of one grammar and of many, and the exit code."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import decoding.terminal
from grammars import json_schema
from tests.command import scansion

__all__ = ["scansion"]

TEXTS = {
    "--schema": '{"type": "integer"}',
    "--regex": "a|b",
    "--lark": 'start: "a" | "b"',
    "--gbnf": 'root ::= "a" | "b"',
}


# -- text or file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", TEXTS)
@pytest.mark.parametrize("place", ["argument", "file", "packed file"])
def test_every_kind_of_grammar_is_checked_as_text_and_from_a_file(scansion, tmp_path, option, place):
    source = TEXTS[option]
    if place == "file":
        (tmp_path / "grammar").write_text(source)
        source = f"@{tmp_path / 'grammar'}"
    if place == "packed file":
        (tmp_path / "grammar.gz").write_bytes(gzip.compress(source.encode()))
        source = f"@{tmp_path / 'grammar.gz'}"
    outcome = scansion("check", option, source)
    assert outcome.code == 0, outcome
    assert outcome.out.startswith("exact; read in ")
    assert "compiled in" in outcome.out


@pytest.mark.parametrize("option", ["--schema", "--lark", "--gbnf"])
def test_what_cannot_be_a_text_of_its_kind_is_a_file(scansion, tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    Path("grammar").write_text(TEXTS[option])
    assert scansion("check", option, "grammar").code == 0
    outcome = scansion("check", option, "absent")
    assert outcome.code == 2
    assert "absent cannot be read: No such file or directory\nhint: " in outcome.err


def test_which_files_exist_does_not_change_what_an_argument_means(scansion, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = scansion("mask", "--regex", "a", "--limit", "1")
    Path("a").write_text("b")
    after = scansion("mask", "--regex", "a", "--limit", "1")
    assert (after.code, after.out) == (before.code, before.out)
    assert "note: --regex takes 'a' as it is; the file of that name is @a" in after.err
    assert "b'b'" in scansion("mask", "--regex", "@a", "--limit", "1").out


@pytest.mark.parametrize(
    ("name", "text"), [("s.json", "--schema"), ("g.lark", "--lark"), ("g.gbnf", "--gbnf"), ("p.regex", "--regex")]
)
def test_the_name_of_a_source_tells_its_kind(scansion, tmp_path, name, text):
    (tmp_path / name).write_text(TEXTS[text])
    assert scansion("check", str(tmp_path / name)).code == 0


def test_a_source_may_be_a_schema_itself_or_standard_input(scansion, monkeypatch):
    assert "a counter" in scansion("check", '{"maxLength": 3}').out
    assert scansion("check", " true").code == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"minLength": 3}')))
    assert "# minLength: a counter" in scansion("check", "-").out


def test_a_file_with_a_byte_order_mark_is_read(scansion, tmp_path):
    (tmp_path / "s.json").write_bytes(b"\xef\xbb\xbf{}")
    assert scansion("check", str(tmp_path / "s.json")).code == 0


# -- one grammar ------------------------------------------------------------------------------------------------------

PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}, "required": ["name"]}


def test_what_is_enforced_is_told_line_by_line(scansion):
    outcome = scansion("check", json.dumps(PERSON))
    for note in json_schema(PERSON).notes:
        assert f"\n  {note}\n" in outcome.out
    for size in ("rules", "states", "byte_classes"):
        assert f"\n{size} " in outcome.out
    outcome = scansion("check", json.dumps(PERSON), "--limit", "1")
    assert "and 4 more: --limit shows them" in outcome.out


def test_json_tells_the_same(scansion):
    found = json.loads(scansion("check", json.dumps(PERSON), "--json").out)
    assert found["verdict"] == "exact"
    counter = {"location": "#/properties/name", "keyword": "maxLength", "means": "a counter", "enforced": True}
    assert counter in found["enforced"]
    assert len(found["enforced"]) == len(json_schema(PERSON).notes)
    assert found["sizes"]["rules"] > 1
    assert set(found["milliseconds"]) == {"read", "compile", "first mask"}


def test_what_is_refused_is_told_with_its_reason_and_exit_code_1(scansion):
    outcome = scansion("check", '{"allOf": [{"type": "null"}, {"type": "string"}]}')
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("refused: the language is empty")
    assert "hint: " in outcome.err
    outcome = scansion("check", "false", "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["error"]["code"] == "grammar.unsatisfiable"


def test_a_syntax_error_in_a_file_is_told_with_its_name_a_caret_and_exit_code_2(scansion, tmp_path):
    path = tmp_path / "person.json"
    path.write_text('{"type":\n  objekt}')
    outcome = scansion("check", str(path))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {path}: the schema is not JSON")
    assert "line 2, column 3" in outcome.err
    assert "\n    objekt}\n    ^" in outcome.err
    outcome = scansion("check", str(path), "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out)["error"] | {"message": ""} == {
        "code": "grammar.syntax",
        "message": "",
        "hint": None,
        "line": 2,
        "column": 3,
    }


def test_options_of_schemas_are_obeyed(scansion):
    schema = '{"const": ["é"]}'
    spellings = {option: scansion("mask", "[", "--schema", schema, "-o", option).out for option in OPTIONS}
    assert "1 of 257" in spellings["whitespace=compact"]
    assert "5 of 257" in spellings["escapes=minimal"]
    for wrong in ("max_whitespace=-1", "max_whitespace=many", "escapes=all"):
        assert scansion("check", "{}", "-o", wrong).code == 2


OPTIONS = ("whitespace=compact", "escapes=minimal")


# -- files of schemas -------------------------------------------------------------------------------------------------


def schemas(path: Path, *lines: Any) -> str:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text)
    return str(path)


INTEGER = {"name": "integer", "schema": {"type": "integer"}, "tests": [{"valid": True, "data": 3}]}


def test_a_file_of_schemas_is_a_table_with_a_summary(scansion, tmp_path):
    path = schemas(tmp_path / "all.jsonl", INTEGER, "", PERSON, True)
    outcome = scansion("check", path)
    assert outcome.code == 0
    rows = outcome.out.splitlines()
    assert rows[0].split()[:5] == ["schema", "verdict", "rules", "states", "classes"]
    assert [row.split()[0] for row in rows[1:4]] == ["integer", "line", "line"]
    assert "1/1" in rows[1]
    assert rows[4] == "3 schemas: 3 exact, 0 lenient, 0 refused"
    assert "1 of 1 instances judged rightly" in outcome.out
    assert "from a schema to its first mask, in ms: p50 " in outcome.out


def test_a_schema_that_is_refused_is_named_with_the_reason_and_the_rest_goes_on(scansion, tmp_path):
    path = schemas(tmp_path / "all.jsonl", False, "{", {"type": "no"}, {"pattern": "("}, INTEGER)
    outcome = scansion("check", path)
    assert outcome.code == 1
    assert "5 schemas: 1 exact, 0 lenient, 4 refused" in outcome.out
    assert "refused as grammar.syntax: 3" in outcome.out
    assert "refused as grammar.unsatisfiable: 1" in outcome.out
    line = next(line for line in outcome.out.splitlines() if line.startswith("line 2 "))
    assert "the schema is not JSON" in line


def test_instances_that_are_judged_wrongly_are_named(scansion, tmp_path):
    record = INTEGER | {
        "tests": [{"valid": True, "data": 3}, {"valid": False, "data": 4}, {"valid": False, "data": "é"}]
    }
    outcome = scansion("check", schemas(tmp_path / "all.ndjson", record))
    assert outcome.code == 1
    assert "misjudges instances 1" in outcome.out
    assert "2 of 3 instances judged rightly" in outcome.out


def test_only_problems_are_shown_if_asked(scansion, tmp_path):
    path = schemas(tmp_path / "all.jsonl", INTEGER, False)
    outcome = scansion("check", path, "--problems")
    assert "\ninteger" not in outcome.out
    assert "\nline 2" in outcome.out
    assert "2 schemas" in outcome.out
    fine = schemas(tmp_path / "fine.jsonl", INTEGER)
    assert scansion("check", fine, "--problems").out.startswith("1 schemas: 1 exact")


def test_the_json_of_a_file_has_every_schema_and_the_summary(scansion, tmp_path):
    path = tmp_path / "all.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, [INTEGER, False])).encode()))
    outcome = scansion("check", str(path), "--json")
    assert outcome.code == 1
    found = json.loads(outcome.out)
    assert [schema["verdict"] for schema in found["schemas"]] == ["exact", "refused"]
    assert (found["schemas"][0]["instances"], found["schemas"][0]["misjudged"]) == (1, [])
    assert found["summary"]["verdicts"] == {"exact": 1, "lenient": 0, "refused": 1}
    assert found["summary"]["refusals"] == {"grammar.unsatisfiable": 1}


def test_a_file_without_schemas_or_that_is_broken_is_an_error(scansion, tmp_path):
    outcome = scansion("check", schemas(tmp_path / "none.jsonl", ""))
    assert outcome.code == 2
    assert "has no schemas" in outcome.err
    (tmp_path / "all.jsonl.gz").write_bytes(b"\x1f\x8b broken")
    outcome = scansion("check", str(tmp_path / "all.jsonl.gz"))
    assert outcome.code == 2
    assert "all.jsonl.gz cannot be read" in outcome.err


def test_a_deeply_nested_line_is_refused_and_not_a_crash(scansion, tmp_path):
    path = schemas(tmp_path / "all.jsonl", '{"not": ' * 100_000 + "{}" + "}" * 100_000)
    outcome = scansion("check", path)
    assert outcome.code == 1
    assert "nests deeper than" in outcome.out


def test_a_bar_shows_how_far_a_long_file_is(scansion, tmp_path, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, _environ={})
    monkeypatch.setattr(decoding.terminal, "messages", terminal)
    assert scansion("check", schemas(tmp_path / "all.jsonl", INTEGER, INTEGER)).code == 0
    assert "checking" in screen.getvalue()
    assert "2/2" in screen.getvalue()
