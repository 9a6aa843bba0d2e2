"""A served built-in model, in the process and behind a socket, and the client that everybody uses.

With SCANSION_TEST_BACKEND=vllm in the environment the same model is served by vLLM, and the same tests hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from server_thread import served

from decoding.server.app import create_app
from decoding.server.models import BuiltIn, ServedModel


@pytest.fixture(scope="session")
def built_in() -> BuiltIn:
    return BuiltIn()


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest) -> Iterator[ServedModel]:
    """The built-in model by the backend that is tested."""
    if os.environ.get("SCANSION_TEST_BACKEND") != "vllm":
        yield request.getfixturevalue("built_in")
        return
    from decoding.embedded import hf_directory
    from decoding.server.vllm.model import VLLMServed

    options = {"dtype": "float32", "enforce_eager": True, "block_size": 32, "max_num_seqs": 64}
    with closing(VLLMServed(str(hf_directory()), "built-in", **options)) as model:
        yield model


@pytest.fixture(scope="session")
def app(model: ServedModel) -> FastAPI:
    return create_app(model)


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def complete(client: TestClient) -> Callable[..., Any]:
    """A text completion, which must succeed."""

    def complete(prompt: str = "Question: What is 2 + 2?\nAnswer:", **fields: Any) -> Any:
        answer = client.post("/v1/completions", json={"prompt": prompt, "seed": 0, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return complete


@pytest.fixture(scope="session")
def address(model: ServedModel) -> Iterator[str]:
    with served(create_app(model)) as address:
        yield address


@pytest.fixture(scope="session")
def openai(address: str) -> Any:
    """The client of OpenAI, pointed at the server and otherwise as it is."""
    package = pytest.importorskip("openai")
    return package.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
