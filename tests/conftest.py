"""What tests share: the data that may lie beside the repository, real vocabularies, and the names of markers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from grammars import Vocabulary

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

# The same examples in every run and on every machine; a slow machine is not a failure.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "jitless: also run with NUMBA_DISABLE_JIT=1, so it must be small")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of test data beside the repository; tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the test data that may lie beside the repository is absent")
    return SHARED_DATA


@cache
def real_vocabulary(name: str) -> Vocabulary:
    """The vocabulary `name` of the shared data: "gpt2", "qwen" or "tekken"; skips the test where it is absent."""
    from decoding.vocabularies import read_vocabulary

    path = SHARED_DATA / "vocab" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"the vocabulary {name} is absent")
    return read_vocabulary(path)


@pytest.fixture(scope="session", params=["gpt2", "qwen", "tekken"])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    """Each of the real vocabularies in turn."""
    return real_vocabulary(request.param)


@pytest.fixture(scope="session")
def gpt2() -> Vocabulary:
    """GPT-2's vocabulary: 50,257 tokens."""
    return real_vocabulary("gpt2")
