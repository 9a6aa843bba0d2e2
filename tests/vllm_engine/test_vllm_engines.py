"""Whole engines, each in a process of its own: by entry point, as a backend, over HTTP, on two workers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import engines
import numpy as np
import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed", exc_type=ImportError)

from engines import SETTINGS

import grammars
from decoding.embedded import hf_directory
from decoding.embedded import load as built_in_model

PATIENCE = 240

pytestmark = pytest.mark.skipif(
    not entry_points(group="vllm.general_plugins", name="scansion"),
    reason="scansion is not installed here, so vLLM cannot find its entry points",
)


def run(name: str, **environment: str) -> dict[str, Any]:
    """What an engine of `engines` did."""
    command = [sys.executable, "-W", "ignore", engines.__file__, name]
    with TemporaryFile("w+") as out:
        with started(command, out, environment) as process:
            process.wait(PATIENCE)
        out.seek(0)
        said = out.read()
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said[-6000:]
    return json.loads(lines[-1].removeprefix("RESULT "))


@contextmanager
def started(command: list[str], out: IO[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, with all those that it starts: workers outlive an engine that fails."""
    process = subprocess.Popen(
        command,
        env=os.environ | SETTINGS | environment,
        stdout=out,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=engines.REPOSITORY,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_an_installed_processor_serves_a_vllm_that_was_told_nothing():
    texts = run("installed")["texts"]
    assert re.fullmatch("[0-9]{3}-[a-z]{2}", texts[0])
    assert texts[1] == texts[2]


def language(asked: dict[str, Any]) -> grammars.Grammar:
    ((kind, wanted),) = asked.items()
    if kind == "grammar":
        return grammars.gbnf(wanted) if "::=" in wanted else grammars.lark(wanted)
    makers = {
        "json": grammars.json_schema,
        "regex": grammars.regex,
        "choice": grammars.choice,
        "json_object": lambda _: grammars.json_schema({"type": "object"}),
        "structural_tag": grammars.structural_tag,
    }
    return makers[kind](wanted)


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return run("structured", SCANSION_STRUCTURED_OUTPUTS="xgrammar")


@pytest.fixture(scope="module")
def speculative() -> dict[str, Any]:
    return run("speculative", SCANSION_STRUCTURED_OUTPUTS="xgrammar")


class TestBackend:
    def test_structured_outputs_are_greedy_answers_under_the_masks(self, plain: dict[str, Any]):
        """Every text is the one that the model itself, masked by the automaton, likes best."""
        model = built_in_model(engines.PERSON)
        for asked, text in zip(engines.STRUCTURED, plain["texts"], strict=True):
            assert text == greedy(model, language(asked)), asked

    def test_what_cannot_be_enforced_is_refused(self, plain: dict[str, Any]):
        assert len(plain["refused"]) == len(engines.REFUSED)
        assert "unclosed group" in plain["refused"][0]
        assert "whitespace_pattern" in plain["refused"][-1]

    def test_the_processor_serves_its_own_requests_beside(self, plain: dict[str, Any]):
        assert plain["wish"] == "fine"

    def test_speculative_decoding_changes_nothing_but_the_speed(
        self, plain: dict[str, Any], speculative: dict[str, Any]
    ):
        assert speculative["texts"] == plain["texts"]
        assert speculative["mixed"] == plain["mixed"]
        assert speculative["accepted"] > 10
        assert plain["drafted"] == 0

    def test_under_speculation_wishes_are_refused_with_advice(self, speculative: dict[str, Any]):
        assert "SCANSION_STRUCTURED_OUTPUTS" in speculative["wish"]


def greedy(model: Any, grammar: grammars.Grammar, most: int = 60) -> str:
    automaton, tokens = grammar.compile(model.vocabulary), list[int]()
    state = automaton.start
    while len(tokens) < most:
        allowed = np.unpackbits(automaton.mask(state).view(np.uint8), bitorder="little")[: model.vocabulary.size]
        token = int(np.where(allowed, model.log_probs([tokens])[0], -np.inf).argmax())
        if token in model.vocabulary.eos:
            break
        tokens.append(token)
        state = automaton.advance(state, token)
    return model.decode(tokens)


def test_two_tensor_parallel_workers_mask_alike():
    made = run("tensor_parallel", VLLM_ENABLE_V1_MULTIPROCESSING="1")
    texts = made["texts"] + made["swarm"]
    assert texts
    assert all(re.fullmatch("[0-9]{2}|[a-z]{3}", text) for text in texts), texts
    model, automaton = built_in_model(engines.PERSON), None
    automaton = grammars.regex("[0-9]{2}|[a-z]{3}").compile(model.vocabulary)
    for tokens, log_weight in zip(made["tokens"], made["log_weights"], strict=True):
        state, total = automaton.start, 0.0
        own = model.log_probs([tokens[:i] for i in range(len(tokens) + 1)])
        for step, log_probs in enumerate(own):
            allowed = np.unpackbits(automaton.mask(state).view(np.uint8), bitorder="little")[: len(log_probs)]
            total += np.log(np.exp(log_probs)[allowed.astype(bool)].sum())
            state = automaton.advance(state, tokens[step]) if step < len(tokens) else state
        assert log_weight == pytest.approx(total, abs=1e-3)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`vllm serve`, told nothing about scansion but where its backend goes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = "import sys; from vllm.entrypoints.cli.main import main; sys.argv[0] = 'vllm'; sys.exit(main())"
    options = ["--dtype", "float32", "--enforce-eager", "--block-size", "32", "--max-model-len", "512"]
    options += ["--served-model-name", "built-in", "--host", "127.0.0.1", "--port", str(port)]
    options += ["--structured-outputs-config.backend", "xgrammar"]
    command = [sys.executable, "-W", "ignore", "-c", script, "serve", str(hf_directory()), *options]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    with log.open("w") as out, started(command, out, {"SCANSION_STRUCTURED_OUTPUTS": "xgrammar"}) as server:
        wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"


def wait(server: subprocess.Popen[bytes], health: str, log: Path) -> None:
    """Until the server answers."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()[-4000:]
        try:
            urllib.request.urlopen(health, timeout=2)
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(log.read_text()[-4000:])


class TestServer:
    def post(self, url: str, **fields: Any) -> tuple[int, Any]:
        body = json.dumps({"model": "built-in", "prompt": engines.PERSON, "max_tokens": 60} | fields).encode()
        request = urllib.request.Request(f"{url}/completions", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def test_a_schema_travels_as_text(self, url: str):
        wish = json.dumps({"schema": engines.SCHEMA})
        status, answer = self.post(url, vllm_xargs={"scansion": wish})
        assert status == 200, answer
        assert set(json.loads(answer["choices"][0]["text"])) == {"name", "age"}

    def test_a_bad_grammar_is_answered_with_400(self, url: str):
        status, answer = self.post(url, vllm_xargs={"scansion": '{"regex": "(a"}'})
        assert status == 400
        assert "unclosed group" in json.dumps(answer)

    def test_structured_outputs_of_unchanged_clients_are_made_by_scansion(self, url: str):
        """Not one of vLLM's backends knows a multiple of 7 that begins with 5."""
        schema = {"type": "integer", "multipleOf": 7, "minimum": 50, "maximum": 59}
        status, answer = self.post(url, structured_outputs={"json": schema})
        assert status == 200, answer
        assert json.loads(answer["choices"][0]["text"]) == 56
        assert self.post(url, structured_outputs={"regex": "(a"})[0] == 400
