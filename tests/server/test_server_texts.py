"""What comes out: stops, budgets, thoughts, tools beside forms, and text that the budget never cuts in a form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from server_asked import ASK, PERSON

from decoding.server.reading import Stops, TurnReader


def chat(client: TestClient, **fields: Any) -> dict[str, Any]:
    given = {"messages": [{"role": "user", "content": ASK}], "seed": 0, **fields}
    answer = client.post("/v1/chat/completions", json=given)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


@pytest.mark.parametrize("tokens", [13, 14, 16, 20, 30])
def test_json_is_complete_however_few_tokens_there_are(complete: Callable[..., Any], tokens: int):
    for choice in complete(ASK + "\nJSON:", n=4, max_tokens=tokens, guided_json=PERSON, temperature=1.5)["choices"]:
        assert set(json.loads(choice["text"])) == {"name", "age"}
        assert choice["finish_reason"] == "stop"


def test_free_text_is_cut_at_its_budget(complete: Callable[..., Any]):
    answer = complete("Once upon a time", max_tokens=5)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5


def test_text_ends_before_a_stop(complete: Callable[..., Any]):
    whole = complete(regex="one two three four", max_tokens=60)["choices"][0]
    assert whole["text"] == "one two three four"
    stopped = complete(regex="one two three four", max_tokens=60, stop=["xyz", "three"])["choices"][0]
    assert stopped["text"] == "one two "
    assert stopped["finish_reason"] == "stop"


def test_a_stop_that_does_not_come_is_not_lost():
    stops = Stops(["three!"])
    pieces = [stops.read(piece)[0] for piece in ("one th", "re", "e? no")]
    assert "".join(pieces) + stops.rest() == "one three? no"


def test_temperature_zero_repeats_itself_whatever_the_seed(complete: Callable[..., Any]):
    texts = {complete(max_tokens=12, temperature=0, seed=seed)["choices"][0]["text"] for seed in range(4)}
    assert len(texts) == 1


def test_a_bias_forbids_a_token(client: TestClient, complete: Callable[..., Any]):
    first = complete(max_tokens=1, temperature=0, choice=["a", "b"])["choices"][0]["text"]
    token = client.app.state.host.model.prompt(first)[-1]  # type: ignore[attr-defined]
    other = complete(max_tokens=1, temperature=0, choice=["a", "b"], logit_bias={str(token): -100})
    assert other["choices"][0]["text"] != first


def test_a_thought_is_free_and_the_answer_is_not(client: TestClient):
    choice = chat(client, reasoning=True, regex="[0-9]{2}", max_tokens=60)
    assert re.fullmatch("[0-9]{2}", choice["message"]["content"])
    assert choice["message"]["reasoning_content"]
    assert "</think>" not in choice["message"]["reasoning_content"]


def test_with_tools_and_a_form_an_answer_is_one_of_both(client: TestClient):
    tool = {"type": "function", "function": {"name": "now"}}
    for seed in range(6):
        fields: dict[str, Any] = {"tools": [tool], "choice": ["yes", "no"], "max_tokens": 40, "seed": seed}
        message = chat(client, temperature=2.0, **fields)["message"]
        assert message.get("tool_calls") or message["content"] in ("yes", "no")
    assert "tool_calls" not in chat(client, tools=[tool], tool_choice="none", max_tokens=12)["message"]


def test_text_may_stand_before_calls(client: TestClient):
    tool = {"type": "function", "function": {"name": "now"}}
    choice = chat(client, tools=[tool], max_tokens=60)
    assert "<tool_call>" not in (choice["message"]["content"] or "")


def test_a_watched_stream_tells_the_mask_of_every_token(client: TestClient):
    given = {"prompt": "a", "regex": "[0-9]{3}", "stream": True, "watch": True, "seed": 0, "max_tokens": 8}
    lines = client.post("/v1/completions", json=given).text.split("\n\n")
    assert lines[-2] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    tokens = [t for chunk in chunks for c in chunk["choices"] for t in c.get("scansion", {}).get("tokens", [])]
    assert "".join(token["text"] for token in tokens) == "".join(c["choices"][0]["text"] for c in chunks)
    assert all(token["allowed"] == 10 and token["log_mass"] < 0 for token in tokens)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_turn_is_read_alike_in_pieces_of_any_size(size: int):
    turn = (
        " <think>a < b</think>So: <tool_ <tool_call>\n"
        '{"name": "f", "arguments": {"x": {}}}\n</tool_call>\n<tool_call>\ng\nSELECT\n\n;\n</tool_call>'
    )
    headers = {'{"name": "f", "arguments": ': ("function", "f"), "g\n": ("custom", "g")}
    reader = TurnReader(" ", ("<think>", "</think>"), headers)
    parts = [part for at in range(0, len(turn), size) for part in reader.read(turn[at : at + size])] + reader.close()
    read: dict[tuple[str, int], str] = {}
    for part in parts:
        read[part.kind, part.call] = read.get((part.kind, part.call), "") + part.text
    assert read == {
        ("thought", 0): "a < b",
        ("text", 0): "So: <tool_ ",
        ("function", 0): "f",
        ("arguments", 0): '{"x": {}}',
        ("custom", 1): "g",
        ("arguments", 1): "SELECT\n\n;",
    }
