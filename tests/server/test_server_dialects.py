"""Every constraint, by every name that clients have for it; and nothing that cannot be enforced is let through."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from server_asked import ASK, PERSON

NUMBER = {"type": "integer", "minimum": 10, "maximum": 99}
SUM = "[0-9] [+] [0-9]"
LARK = 'start: DIGIT " + " DIGIT\nDIGIT: /[0-9]/'
GBNF = 'root ::= [0-9] " + " [0-9]'
TAGS = {
    "type": "structural_tag",
    "triggers": ["<n>"],
    "structures": [{"begin": "<n>", "schema": NUMBER, "end": "</n>"}],
}
TAGGED = {
    "type": "structural_tag",
    "format": {"type": "tag", "begin": "<n>", "content": {"type": "json_schema", "json_schema": NUMBER}, "end": "</n>"},
}


def is_number(text: str) -> bool:
    return 10 <= json.loads(text) <= 99


def is_sum(text: str) -> bool:
    return re.fullmatch(SUM, text) is not None


def is_object(text: str) -> bool:
    return isinstance(json.loads(text), dict)


def is_colour(text: str) -> bool:
    return text in ("red", "green")


def is_tagged(text: str) -> bool:
    return all(map(is_number, re.findall("<n>(.*?)</n>", text)))


DIALECTS: list[tuple[str, dict[str, Any], Callable[[str], bool]]] = [
    ("openai json_object", {"response_format": {"type": "json_object"}}, is_object),
    (
        "openai json_schema",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": NUMBER}}},
        is_number,
    ),
    ("llama.cpp response_format", {"response_format": {"type": "json_object", "schema": NUMBER}}, is_number),
    ("vllm response_format", {"response_format": TAGGED}, is_tagged),
    ("fireworks grammar", {"response_format": {"type": "grammar", "grammar": GBNF}}, is_sum),
    ("vllm json", {"structured_outputs": {"json": NUMBER}}, is_number),
    ("vllm json as text", {"structured_outputs": {"json": json.dumps(NUMBER)}}, is_number),
    ("vllm regex", {"structured_outputs": {"regex": SUM}}, is_sum),
    ("vllm choice", {"structured_outputs": {"choice": ["red", "green"]}}, is_colour),
    ("vllm grammar", {"structured_outputs": {"grammar": GBNF}}, is_sum),
    ("vllm grammar in Lark", {"structured_outputs": {"grammar": LARK}}, is_sum),
    ("vllm json_object", {"structured_outputs": {"json_object": True}}, is_object),
    ("vllm structural_tag", {"structured_outputs": {"structural_tag": json.dumps(TAGGED)}}, is_tagged),
    ("guided_json", {"guided_json": NUMBER}, is_number),
    ("guided_regex", {"guided_regex": SUM}, is_sum),
    ("guided_choice", {"guided_choice": ["red", "green"]}, is_colour),
    ("guided_grammar", {"guided_grammar": GBNF}, is_sum),
    ("guided_json_object", {"guided_json_object": True}, is_object),
    ("guided_structural_tag", {"guided_structural_tag": TAGS}, is_tagged),
    ("sglang regex", {"regex": SUM}, is_sum),
    ("sglang ebnf", {"ebnf": GBNF}, is_sum),
    ("sglang json_schema", {"json_schema": json.dumps(NUMBER)}, is_number),
    ("llama.cpp grammar", {"grammar": GBNF}, is_sum),
    ("llama.cpp json_schema", {"json_schema": NUMBER}, is_number),
    ("ollama json", {"format": "json"}, is_object),
    ("ollama schema", {"format": NUMBER}, is_number),
    ("lark", {"lark": LARK}, is_sum),
    ("choice", {"choice": ["red", "green"]}, is_colour),
]


@pytest.mark.parametrize(("fields", "holds"), [row[1:] for row in DIALECTS], ids=[row[0] for row in DIALECTS])
def test_every_dialect_is_enforced(complete: Callable[..., Any], fields: dict[str, Any], holds: Callable[[str], bool]):
    for choice in complete(max_tokens=24, n=4, temperature=2.0, **fields)["choices"]:
        assert choice["finish_reason"] == "stop"
        assert holds(choice["text"]), choice["text"]


def test_the_whitespace_of_json_can_be_narrowed(complete: Callable[..., Any]):
    for fields in (
        {"structured_outputs": {"json": PERSON, "disable_any_whitespace": True}},
        {"structured_outputs": {"json": PERSON, "whitespace_pattern": ""}},
        {"guided_json": PERSON, "guided_whitespace_pattern": ""},
    ):
        text = complete(ASK, max_tokens=60, **fields)["choices"][0]["text"]
        assert json.loads(text)
        assert not re.search(r"\s", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)), "whitespace outside of strings"


UNKNOWN = ["guided_jsonn", "regexp", "json_mode", "guidance", "response_fmt", "gbnf_grammar", "logits_processors"]


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/v1/responses"])
def test_a_field_that_nobody_knows_is_refused(client: TestClient, path: str, name: str):
    asked = {"prompt": "a"} if "chat" not in path else {"messages": [{"role": "user", "content": "a"}]}
    answer = client.post(path, json=({"input": "a"} if "responses" in path else asked) | {name: {}})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name
    assert answer.json()["error"]["code"] == "unknown_parameter"


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"regex": "(a"}, "regex", "grammar.syntax"),
    ({"regex": r"(a)\1"}, "regex", "grammar.unsupported"),
    ({"guided_json": {"type": "integer", "minimum": 3, "maximum": 2}}, "guided_json", "grammar.unsatisfiable"),
    ({"guided_json": {"type": "strin"}}, "guided_json", "grammar.syntax"),
    ({"format": "yaml"}, "format", "grammar.syntax"),
    ({"ebnf": "root ::= missing"}, "ebnf", "grammar.syntax"),
    ({"lark": "start: ("}, "lark", "grammar.syntax"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    ({"response_format": {"type": "text", "schema": {}}}, "response_format.schema", "unknown_parameter"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        "response_format.json_schema.schema",
        "missing_required_parameter",
    ),
    ({"structured_outputs": {"regex": "a", "json": {}}}, "structured_outputs", "invalid_value"),
    ({"structured_outputs": {"regexp": "a"}}, "structured_outputs.regexp", "unknown_parameter"),
    ({"structured_outputs": {}}, "structured_outputs", "invalid_value"),
    ({"regex": "a", "ebnf": 'root ::= "a"'}, "ebnf", "conflicting_constraints"),
    ({"regex": 7}, "regex", "invalid_value"),
    ({"guided_choice": []}, "guided_choice", "invalid_value"),
    ({"structural_tag": {"type": "structural_tag", "format": {"type": "token"}}}, "structural_tag", "grammar"),
    ({"regex": "a{30}", "max_tokens": 2}, "max_tokens", "sampling.budget"),
]


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED, ids=[json.dumps(row[0])[:60] for row in REFUSED])
def test_what_cannot_be_enforced_is_refused(client: TestClient, fields: dict[str, Any], param: str, code: str):
    answer = client.post("/v1/completions", json={"prompt": "a", **fields})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["code"].startswith(code)
    assert error["message"]
