"""The server over vLLM: the law of what it writes, what it watches, what it gives up, and its engine killed.

Run by .ci/vllm, together with the tests of the other backend over the same endpoints.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed", exc_type=ImportError)

import httpx
from fastapi.testclient import TestClient
from server_asked import ASK, PERSON
from server_thread import served

from decoding.server.app import create_app
from decoding.server.closing import Closing
from decoding.server.limits import ServerLimits
from decoding.server.models import BuiltIn
from decoding.server.vllm import writing
from decoding.vllm.wishes import constrained
from grammars import TokenAutomaton, choice

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(os.environ.get("SCANSION_TEST_BACKEND") != "vllm", reason="another backend is tested"),
]

WORDS = ["yes", "yes!", "no", "nobody knows that", "9"]
BUDGET = 3


def law(model: BuiltIn, prompt: str, words: list[str], budget: int) -> dict[str, float]:
    """What is written within a budget, by summation over all ways to write it."""
    automaton = choice(words).compile(model.vocabulary)
    closing, found = Closing(automaton), Counter[str]()
    begin, ends = model.prompt(prompt), list(model.vocabulary.eos)

    def walk(tokens: list[int], state: int, p: float) -> None:
        text = b"".join(model.vocabulary.tokens[token] for token in tokens).decode()
        if len(tokens) == budget:
            found[text] += p
            return
        mask = closing.narrowed(state, budget - len(tokens))
        allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()
        probs = np.exp(model.log_probs([np.append(begin, tokens).astype(np.int64)])[0])
        total = probs[allowed].sum()
        for token in allowed:
            if token in ends:
                found[text] += p * probs[token] / total
            else:
                walk([*tokens, token], automaton.advance(state, token), p * probs[token] / total)

    walk([], automaton.start, 1.0)
    return dict(found)


@pytest.mark.parametrize("more", [{}, {"stop": ["never"]}, {"presence_penalty": 1e-9}], ids=["whole", "read", "narrow"])
def test_texts_have_the_law_of_what_can_be_finished(client: TestClient, built_in: BuiltIn, more: dict[str, Any]):
    """Whether misfits are found at the end, as they come, or masked from the start."""
    prompt, requests, n = "Question: Is it so?\nAnswer:", 40, 16
    expected = law(built_in, prompt, WORDS, BUDGET)
    assert sum(expected.values()) == pytest.approx(1.0, abs=1e-6)
    assert len(expected) > 2

    def texts(seed: int) -> list[str]:
        fields = {"prompt": prompt, "choice": WORDS, "max_tokens": BUDGET, "n": n, "seed": seed, **more}
        answer = client.post("/v1/completions", json=fields)
        assert answer.status_code == 200, answer.text
        assert all(each["finish_reason"] == "stop" for each in answer.json()["choices"])
        return [each["text"] for each in answer.json()["choices"]]

    with ThreadPoolExecutor(4) as pool:
        drawn = Counter(text for several in pool.map(texts, range(requests)) for text in several)
    assert set(drawn) <= set(expected)
    draws = requests * n
    for text, p in expected.items():
        deviation = abs(drawn[text] / draws - p) / np.sqrt(p * (1 - p) / draws + 1e-12)
        assert deviation < 6.0 or p * draws < 5, (text, p, drawn[text])


def test_what_is_watched_is_what_this_repository_computes(client: TestClient, built_in: BuiltIn):
    """Greedy answers are the same on both backends, and so is what was behind each token."""
    fields = {"prompt": ASK, "format": PERSON, "max_tokens": 60, "temperature": 0, "watch": True, "logprobs": 3}
    (answer,) = client.post("/v1/completions", json=fields).json()["choices"]
    with TestClient(create_app(built_in)) as other:
        (expected,) = other.post("/v1/completions", json=fields).json()["choices"]
    assert answer["text"] == expected["text"]
    for token, own in zip(answer["scansion"]["tokens"], expected["scansion"]["tokens"], strict=True):
        assert (token["text"], token["allowed"]) == (own["text"], own["allowed"])
        assert [token["log_prob"], token["log_mass"]] == pytest.approx([own["log_prob"], own["log_mass"]], abs=1e-3)
    for top, own in zip(answer["logprobs"]["top_logprobs"], expected["logprobs"]["top_logprobs"], strict=True):
        assert top == pytest.approx(own, abs=1e-3)
    streamed = client.post("/v1/completions", json={**fields, "stream": True}).text
    chunks = [json.loads(line[6:]) for line in streamed.split("\n\n") if line.startswith("data: {")]
    told = [token for chunk in chunks for token in chunk["choices"][0].get("scansion", {}).get("tokens", [])]
    assert [token["text"] for token in told] == [token["text"] for token in answer["scansion"]["tokens"]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"temperature": 3.0}, "temperature"), ({"watch": True, "logit_bias": {"5": 1}}, "logit_bias")],
)
def test_what_vllm_cannot_do_is_refused(client: TestClient, fields: dict[str, Any], param: str):
    answer = client.post("/v1/completions", json={"prompt": "a", "choice": ["b"], **fields})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_the_first_request_of_a_turn_takes_its_program_along(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, model: Any
):
    asked: list[dict[str, Any]] = []

    def heard(**wish: Any) -> dict[str, Any]:
        asked.append(wish)
        return constrained(**wish)

    monkeypatch.setattr(writing, "constrained", heard)
    number = {"type": "object", "properties": {"n": {"const": 71}}, "required": ["n"], "additionalProperties": False}
    spelled = {"type": "string", "pattern": "^[ab]*$", "not": {"pattern": "aa"}, "maxLength": 9}
    for schema in (number, spelled):
        for _ in range(2):
            fields = {"prompt": "a", "format": schema, "max_tokens": 60}
            (answer,) = client.post("/v1/completions", json=fields).json()["choices"]
            json.loads(answer["text"])
    sent = [wish.get("program", b"") for wish in asked]
    automaton = TokenAutomaton.load(BytesIO(sent[0]), model.vocabulary)
    state = automaton.start
    for byte in b'{"n":71}':
        state = automaton.advance(state, model.vocabulary.tokens.index(bytes([byte])))
    assert automaton.accepts(state)
    assert not any(sent[1:]), "it is sent once, and where there is none the worker compiles"


def test_the_worker_loads_the_program_instead_of_compiling(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, model: Any
):
    """It gets what no compiler makes of the turn: the rarer one of its two words alone."""
    chances = law(model, "a", ["loaded", "listed"], 20)
    rarer = min(chances, key=chances.__getitem__)
    program = BytesIO()
    choice([rarer]).compile(model.vocabulary).save(program)

    def exchanged(**wish: Any) -> dict[str, Any]:
        return constrained(**wish | {"program": program.getvalue()})

    monkeypatch.setattr(writing, "constrained", exchanged)
    for seed in range(20):  # by chance: at most once in 2^20
        fields = {"prompt": "a", "choice": ["loaded", "listed"], "seed": seed}
        (answer,) = client.post("/v1/completions", json=fields).json()["choices"]
        assert answer["text"] == rarer


def test_a_form_whose_masks_cost_too_much_fails_alone(model: Any):
    """The worker has the limits of the server; where it cannot go on, what it could not do is told."""
    narrow = replace(ServerLimits().grammars, mask_work=1000)
    with TestClient(create_app(model, ServerLimits(grammars=narrow))) as client:
        hard = {"prompt": "a", "regex": "x{3}(.*a.{18}|.*b.{18})", "max_tokens": 40, "seed": 1}
        answer = client.post("/v1/completions", json=hard)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "grammar.limit"
        assert client.post("/v1/completions", json={"prompt": "a", "choice": ["b"]}).json()["choices"][0]["text"] == "b"


def idle(app: Any, model: Any, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not app.state.host.scheduler.running and not model.engine.llm.output_processor.has_unfinished_requests():
            return True
        time.sleep(0.02)
    return False


LONG = {"prompt": "a", "regex": "[a-z ]{400}", "max_tokens": 500, "n": 4}


def test_who_leaves_is_aborted_in_the_engine(model: Any):
    app = create_app(model)
    with served(app) as address, httpx.Client(timeout=60) as client:
        with client.stream("POST", f"{address}/v1/completions", json={**LONG, "stream": True}) as answer:
            lines = answer.iter_lines()  # kept: an iterator that is dropped closes the connection
            next(lines)
            assert app.state.host.scheduler.running == 4
        assert idle(app, model), "the work goes on"
        assert client.get(f"{address}/metrics").text.count("vllm:") > 10


def test_who_does_not_fit_comes_back_later(model: Any):
    with TestClient(create_app(model, ServerLimits(running=2, queue=1))) as client:
        refused = client.post("/v1/completions", json=LONG)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert client.post("/v1/completions", json={"prompt": "a", "choice": ["b"], "n": 3}).status_code == 200


def test_a_killed_engine_is_told_as_503_and_another_one_begins(model: Any):
    ask = {"prompt": ASK, "format": PERSON, "max_tokens": 60, "seed": 2}
    app = create_app(model)
    with served(app) as address, httpx.Client(base_url=address, timeout=120) as client:
        before = client.post("/v1/completions", json=ask).json()["choices"]
        with client.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as answer:
            lines = answer.iter_lines()
            next(lines)
            for process in model.engine.llm.engine_core.resources.engine_manager.processes:
                os.kill(process.pid, signal.SIGKILL)
            told = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert told[-1]["error"]["code"] == "engine_failed"
        seen = client.get("/health")
        assert seen.status_code == 503
        assert seen.json()["status"] == "restarting"
        refused = client.post("/v1/completions", json=ask)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        end = time.monotonic() + 240
        while client.get("/health").status_code != 200:
            assert time.monotonic() < end, "the engine does not come back"
            time.sleep(0.5)
        assert client.post("/v1/completions", json=ask).json()["choices"] == before
        sampled = client.post("/v1/completions", json={"prompt": "a", "choice": ["b", "c"], "sampler": "smc:n=4"})
        assert sampled.status_code == 200
        assert idle(app, model)


HELD = """
import multiprocessing, os, time
from decoding.vllm.plugins import OWN_SIGNALS, register

def engine(ready):
    register()
    ready.set()
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    os.environ[OWN_SIGNALS] = str(os.getpid())
    process = context.Process(target=engine, args=(ready,))
    process.start()
    ready.wait()
    print(process.pid, flush=True)
    process.join()
"""


def test_a_killed_server_takes_its_engine_along(tmp_path: Path):
    program = tmp_path / "held.py"
    program.write_text(HELD)
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        engine = int(server.stdout.readline())
        assert is_running(engine)
        server.kill()
    end = time.monotonic() + 60
    while is_running(engine):
        assert time.monotonic() < end, "the engine lives on"
        time.sleep(0.1)


LAUNCHED = """
import multiprocessing, os, threading
from decoding.vllm.plugins import OWN_SIGNALS, register

def server():
    os.environ[OWN_SIGNALS] = str(os.getpid())
    register()
    print([thread.name for thread in threading.enumerate()], os.getpgid(0) == os.getpgid(os.getppid()))

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=server)
    process.start()
    process.join()
"""


def test_a_server_does_not_take_itself_for_its_engine(tmp_path: Path):
    """Though it may be the child of a launcher."""
    program = tmp_path / "launched.py"
    program.write_text(LAUNCHED)
    told = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True).stdout
    assert "scansion-parent" not in told
    assert told.split()[-1] == "True"


def is_running(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()  # an orphan may wait to be reaped
    except OSError:
        return False
