"""Bad input: every request gets an answer that says what is wrong, quickly, and the next one is served."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from decoding.server.app import create_app
from decoding.server.limits import ServerLimits
from decoding.server.models import BuiltIn

CHAT, TEXT, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
HELLO = [{"role": "user", "content": "a"}]

CASES: list[tuple[str, str, Any, int, str | None]] = [
    ("n too large", TEXT, {"prompt": "a", "n": 10**6}, 400, "n"),
    ("n zero", TEXT, {"prompt": "a", "n": 0}, 400, "n"),
    ("n a text", TEXT, {"prompt": "a", "n": "2"}, 400, "n"),
    ("n true", TEXT, {"prompt": "a", "n": True}, 400, "n"),
    ("prompts times n", TEXT, {"prompt": ["a"] * 9, "n": 2}, 400, "prompt"),
    ("max_tokens too large", TEXT, {"prompt": "a", "max_tokens": 10**12}, 400, "max_tokens"),
    ("max_tokens negative", TEXT, {"prompt": "a", "max_tokens": -1}, 400, "max_tokens"),
    ("beyond the context", TEXT, {"prompt": "a", "max_tokens": 1024}, 400, "max_tokens"),
    ("prompt beyond the context", CHAT, {"messages": [{"role": "user", "content": "a b " * 2000}]}, 400, "messages"),
    ("text beyond the context", TEXT, {"prompt": "a b " * 2000}, 400, "prompt"),
    ("input beyond the context", RESPONSES, {"input": "a b " * 2000}, 400, "input"),
    ("stop list", TEXT, {"prompt": "a", "stop": ["x"] * 100}, 400, "stop"),
    ("empty stop", TEXT, {"prompt": "a", "stop": ""}, 400, "stop"),
    ("temperature", TEXT, {"prompt": "a", "temperature": -1}, 400, "temperature"),
    ("top_p", TEXT, {"prompt": "a", "top_p": 0}, 400, "top_p"),
    ("no messages", CHAT, {"messages": []}, 400, "messages"),
    ("missing messages", CHAT, {}, 400, "messages"),
    ("unknown role", CHAT, {"messages": [{"role": "king", "content": "a"}]}, 400, "messages[0].role"),
    (
        "image",
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        400,
        "messages[0].content[0]",
    ),
    ("lone surrogate", TEXT, {"prompt": "\ud800"}, 400, "prompt"),
    ("lone surrogate in a message", CHAT, {"messages": [{"role": "user", "content": "\ud800"}]}, 400, "messages[0]"),
    ("lone surrogate in a choice", TEXT, {"prompt": "a", "choice": ["\ud800"]}, 400, "choice"),
    ("token ids out of range", TEXT, {"prompt": [10**9]}, 400, "prompt"),
    ("token ids beyond words", TEXT, {"prompt": [2**70]}, 400, "prompt"),
    ("negative token", TEXT, {"prompt": [-1]}, 400, "prompt"),
    ("unknown bias", TEXT, {"prompt": "a", "logit_bias": {"x": 1}}, 400, "logit_bias"),
    ("bias too large", TEXT, {"prompt": "a", "logit_bias": {"5": 1000}}, 400, "logit_bias.5"),
    ("echo", TEXT, {"prompt": "a", "echo": True}, 400, "echo"),
    ("best_of", TEXT, {"prompt": "a", "best_of": 5}, 400, "best_of"),
    ("suffix", TEXT, {"prompt": "a", "suffix": "b"}, 400, "suffix"),
    ("audio", CHAT, {"messages": HELLO, "modalities": ["audio"]}, 400, "modalities[0]"),
    ("logprobs", CHAT, {"messages": HELLO, "logprobs": True, "top_logprobs": 10**5}, 400, "top_logprobs"),
    ("tool type", CHAT, {"messages": HELLO, "tools": [{"type": "computer"}]}, 400, "tools[0].type"),
    ("tool name", CHAT, {"messages": HELLO, "tools": [{"type": "function", "function": {}}]}, 400, "tools[0].name"),
    ("tool choice", CHAT, {"messages": HELLO, "tool_choice": "sometimes"}, 400, "tool_choice"),
    ("required without tools", CHAT, {"messages": HELLO, "tool_choice": "required"}, 400, "tool_choice"),
    ("previous response", RESPONSES, {"input": "a", "previous_response_id": "x"}, 400, "previous_response_id"),
    ("background", RESPONSES, {"input": "a", "background": True}, 400, "background"),
    ("unknown item", RESPONSES, {"input": [{"type": "file"}]}, 400, "input[0]"),
    ("text field", RESPONSES, {"input": "a", "text": {"shape": 1}}, 400, "text.shape"),
    ("unknown model", TEXT, {"prompt": "a", "model": "x"}, 404, "model"),
    ("unknown sampler", TEXT, {"prompt": "a", "sampler": "magic"}, 400, "sampler"),
    ("sampler option", TEXT, {"prompt": "a", "sampler": "smc:m=3"}, 400, "sampler"),
    ("huge population", TEXT, {"prompt": "a", "sampler": "smc:n=100000000"}, 400, "sampler.n"),
    ("sampler and temperature", TEXT, {"prompt": "a", "sampler": "smc", "temperature": 0.5}, 400, "sampler"),
    ("nesting", TEXT, {"prompt": "a", "regex": "(" * 100_000 + ")" * 100_000}, 400, "regex"),
    ("source", TEXT, {"prompt": "a", "regex": "a" * (2 << 20)}, 400, "regex"),
    ("explosion", TEXT, {"prompt": "a", "regex": "((a{1000}){1000}|(a|b)*a(a|b){20}){4294967296}"}, 400, "regex"),
    ("no object", TEXT, [1, 2], 400, None),
]


@pytest.mark.parametrize(("path", "body", "status", "param"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_the_answer_says_what_is_wrong(client: TestClient, path: str, body: Any, status: int, param: str | None):
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text[:500]
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["message"]
    assert error["code"]
    assert error["type"] == ("not_found_error" if status == 404 else "invalid_request_error")


RAW = [b"", b"{", b"nul", b'{"prompt": "a"', b"\xff\xfe", b"[" * 100_000, b'{"prompt": 1' + b"0" * 6000 + b"}", b"NaN"]


@pytest.mark.parametrize("body", RAW, ids=[repr(body[:12]) for body in RAW])
def test_what_is_no_json_is_refused(client: TestClient, body: bytes):
    answer = client.post("/v1/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert client.get("/health").status_code == 200


TWICE = [b'{"prompt": "a", "prompt": "b"}', b'{"prompt": "a", "guided_json": {"type": "object", "type": "string"}}']


@pytest.mark.parametrize("body", TWICE, ids=["field", "schema"])
def test_what_is_said_twice_is_refused(client: TestClient, body: bytes):
    answer = client.post("/v1/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "duplicate_key"
    assert answer.json()["error"]["param"] in ("prompt", "type")


def test_a_body_is_bounded_whether_it_says_its_size_or_not(built_in: BuiltIn):
    with TestClient(create_app(built_in, ServerLimits(body_bytes=1000))) as client:
        whole = client.post("/v1/completions", json={"prompt": "a" * 2000})
        pieces = client.post("/v1/completions", content=(b"x" * 100 for _ in range(50)))
        for answer in (whole, pieces):
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "body_too_large"
        assert client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


def test_a_sampler_that_never_ends_is_stopped(built_in: BuiltIn):
    with TestClient(create_app(built_in, ServerLimits(model_calls=50))) as client:
        asked = {"prompt": "a", "sampler": "rejection", "regex": "[0-9]{12}[a-c]{7}"}
        answer = client.post("/v1/completions", json=asked)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "sampling.budget"


def test_other_paths_and_methods_are_refused_as_json(client: TestClient):
    assert client.get("/v1/nothing").json()["error"]["code"] == "http_error"
    assert client.get("/v1/completions").status_code == 405


def test_a_thousand_forms_leave_only_a_few_behind(client: TestClient):
    host = client.app.state.host  # type: ignore[attr-defined]
    for number in range(host.limits.kept_grammars + 20):
        assert client.post("/v1/completions", json={"prompt": "a", "choice": [f"x{number}"]}).status_code == 200
    assert len(host._compiled) == host.limits.kept_grammars
