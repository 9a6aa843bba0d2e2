"""`scansion serve` as a process, and the package without its extra."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_command_serves_and_stops_when_it_is_told_to():
    command = [sys.executable, "-c", "from decoding.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stderr is not None
        told = ""
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", told)):
            line = process.stderr.readline()
            assert line, told
            told += line
        assert httpx.get(f"http://127.0.0.1:{found[1]}/health").json()["status"] == "ok"
    finally:
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert "Finished server process" in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "prometheus_client"])
def test_without_its_extra_the_package_says_which_one_is_missing(missing: str):
    program = f"""
import sys
sys.modules[{missing!r}] = None
import decoding, decoding.server, decoding.cli
from grammars import BackendUnavailable
try:
    decoding.server.create_app()
except BackendUnavailable as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert missing in run.stdout
    assert "scansion[serve]" in run.stdout


def test_another_backend_is_refused():
    command = [sys.executable, "-c", "from decoding.cli import main; main()", "serve", "--backend", "magic"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "magic" in run.stderr
