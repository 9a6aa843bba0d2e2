"""The page is one file that asks for nothing but this server, and what it asks for is there."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient

from decoding.server.fields import CompletionRequest


def test_the_page_is_one_file(client: TestClient):
    answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:src|href)=|https?://|@import", answer.text)
    wanted = set(re.findall(r'\$\("(\w+)"\)', answer.text))
    assert wanted <= set(re.findall(r'id="(\w+)"', answer.text))


def test_every_kind_of_form_on_the_page_is_a_field(client: TestClient):
    kinds = re.findall(r'<option value="(\w+)"', client.get("/").text)
    assert len(kinds) == 5
    assert set(kinds) <= set(CompletionRequest.model_fields)


def test_everything_that_the_page_asks_for_exists(client: TestClient):
    paths = set(re.findall(r'(?:post|fetch)\("(/[^"]+)"', client.get("/").text))
    assert paths == {"/v1/completions", "/scansion/about", "/scansion/particles"}
    about = client.get("/scansion/about").json()
    assert {"SMC", "Masking", "CARS"} <= set(about["samplers"])


@pytest.mark.parametrize(
    "fields", [{"choice": [" yes", " no"]}, {"json_schema": '{"enum": [1, 2]}'}, {"regex": "[0-9]"}]
)
def test_the_particle_tree_is_drawn(client: TestClient, fields: dict[str, Any]):
    answer = client.post("/scansion/particles", json={"prompt": "Is water wet?\nAnswer:", "n": 8, **fields})
    assert answer.status_code == 200, answer.text
    assert ElementTree.fromstring(answer.json()["svg"]).tag.endswith("svg")
    assert answer.json()["log_z"] <= 0.1


def test_a_wrong_form_is_told_to_the_page(client: TestClient):
    answer = client.post("/scansion/particles", json={"prompt": "a", "regex": "("})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "regex"
