"""`scansion serve` as a process, and the package without its extra."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "terminated"])
def test_whatever_ends_it_the_model_is_given_back(number: signal.Signals):
    program = """
from decoding.server.app import serve
from decoding.server.models import BuiltIn

class Held(BuiltIn):
    def close(self):
        print("given back", flush=True)

try:
    serve(Held(), host="127.0.0.1", port=0)
except KeyboardInterrupt:
    pass
"""
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "Uvicorn running" not in (line := process.stderr.readline()):
            assert line
    finally:
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert said == "given back\n"
    assert process.returncode == 0


def refused(*options: str) -> str:
    command = [sys.executable, "-c", "from decoding.cli import main; main()", "serve", *options]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    return " ".join(run.stderr.replace("│", " ").split())


def test_another_backend_is_refused():
    assert "magic" in refused("--backend", "magic")


def test_options_of_vllm_are_not_passed_over():
    assert "add --backend vllm" in refused("--engine", "tensor_parallel_size=2")
    assert "--engine dtype=float32" in refused("--backend", "vllm", "--dtype", "float32")
    assert "models of Hugging Face" in refused("--device", "cpu")
    assert "is no NAME=VALUE" in refused("--backend", "vllm", "--engine", "fast")


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_its_backend_says_so():
    assert "vLLM is not installed" in refused("--backend", "vllm")
