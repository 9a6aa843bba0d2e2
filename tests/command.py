"""Running the `scansion` command in this process, as a fixture."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from decoding.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def scansion(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Call it with the arguments of the command; it says how that ended."""
    for name, value in {"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["scansion", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return Outcome(int(end.value.code or 0), *capfd.readouterr())

    return run
