"""A real vLLM on the processor, with the built-in model. Where vLLM is not installed, the modules here skip."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from engines import ASKED, SETTINGS, SMALL

from decoding.embedded import hf_directory
from decoding.embedded import load as built_in_model
from decoding.embedded.model import EmbeddedModel


def prepare() -> None:
    """vLLM reads its settings when it is imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


try:
    version("vllm")
except PackageNotFoundError:
    pass
else:
    prepare()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.vllm)


@pytest.fixture(scope="session")
def llm() -> Any:
    """In this process, started as the drivers want it."""
    from decoding.vllm import load

    return load(str(hf_directory()), **SMALL)


@pytest.fixture(scope="session")
def completed(llm: Any) -> Callable[..., list[Any]]:
    """Completions of ASKED, a request for each `extra_args`."""
    from vllm import SamplingParams

    def complete(*extra_args: Any, **options: Any) -> list[Any]:
        params = [SamplingParams(**{"max_tokens": 40, "extra_args": extra} | options) for extra in extra_args]
        return [output.outputs[0] for output in llm.generate([ASKED] * len(params), params, use_tqdm=False)]

    return complete


@pytest.fixture(scope="session")
def own_model() -> EmbeddedModel:
    """The same model, computed by this repository: what everything is compared with."""
    return built_in_model(ASKED)
