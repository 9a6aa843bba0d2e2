"""Models for training tests: the built-in one as transformers has it, in double precision where exactness is asked."""

from __future__ import annotations

import os
from typing import Any

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


@pytest.fixture(scope="session")
def torch() -> Any:
    """torch on one thread; the tests skip where it is absent."""
    found = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    found.set_num_threads(1)
    return found


@pytest.fixture
def engine(torch: Any) -> Any:
    """The built-in model inside transformers, float32; a fresh copy, since some tests train it."""
    from decoding.embedded import as_transformers
    from decoding.engine import Engine

    return Engine.load(*as_transformers())


@pytest.fixture
def exact_engine(torch: Any) -> Any:
    """The same in float64."""
    from decoding.embedded import as_transformers
    from decoding.engine import Engine

    model, tokenizer = as_transformers()
    return Engine.load(model.double(), tokenizer)


@pytest.fixture(scope="session")
def built_in() -> Any:
    """The built-in model without torch."""
    from decoding.engine import Engine

    return Engine.load()
