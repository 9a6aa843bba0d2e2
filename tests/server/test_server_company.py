"""Many requests at once: no answer depends on the others, whoever leaves is gone, and too many are told so."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from server_asked import PERSON
from server_thread import served

from decoding.server.app import create_app
from decoding.server.closing import Closing
from decoding.server.drawing import Drawing
from decoding.server.limits import ServerLimits
from decoding.server.models import BuiltIn, Prompted
from decoding.server.runs import Done, Event, Failed, Piece, Writing
from decoding.server.scheduler import Scheduler
from decoding.server.steady import steady_model
from grammars import RequestError, json_schema, regex
from samplers import Problem


def asked(number: int) -> dict[str, Any]:
    """Requests of many kinds; each can be told from its answer."""
    prompt = f"Question: What is {number} + {number}?\nAnswer:"
    kinds: list[dict[str, Any]] = [
        {"regex": f"{number}:[a-z]{{3,12}}"},
        {"guided_json": {"const": number}},
        {"choice": [f"{number} yes", f"{number} no"]},
        {"structured_outputs": {"grammar": f'root ::= "{number} " [a-z]+'}},
    ]
    return {"prompt": prompt, "seed": number, "max_tokens": 12, "temperature": 1.2, **kinds[number % len(kinds)]}


def test_answers_are_not_mixed_up_and_are_those_of_a_request_alone(client: TestClient):
    requests = [asked(number) for number in range(24)]
    alone = [client.post("/v1/completions", json=request).json()["choices"] for request in requests]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda request: client.post("/v1/completions", json=request).json(), requests))
    assert [answer["choices"] for answer in together] == alone
    assert all(choices[0]["text"].startswith(str(number)) for number, choices in enumerate(alone))


def test_one_bad_request_among_good_ones_harms_nobody(client: TestClient):
    bad = [{"prompt": "a", "regex": "("}, {"prompt": "a", "n": 10**9}, {"prompt": 5}, {"prompt": "a", "guided_x": 1}]
    good = [asked(number) for number in range(12)]
    expected = [client.post("/v1/completions", json=request).json()["choices"] for request in good]
    mixed = [request for pair in zip(good, bad * 3, strict=True) for request in pair]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda request: client.post("/v1/completions", json=request), mixed))
    assert [answer.json()["choices"] for answer in answers[::2]] == expected
    assert all(answer.status_code == 400 for answer in answers[1::2])


def test_numbers_of_the_built_in_model_do_not_depend_on_the_batch():
    rng = np.random.default_rng(0)
    rows = [rng.integers(3, 2048, size=length) for length in (1, 5, 31, 32, 33, 64, 70)]
    alone = [steady_model().log_probs([row])[0] for row in rows]
    together, grown = steady_model(), steady_model()
    assert (together.log_probs(rows) == np.stack(alone)).all()
    for length in range(1, 71):
        last = grown.log_probs([row[:length] for row in rows if len(row) >= length])
    assert (last[-1] == alone[-1]).all()


# -- leaving ----------------------------------------------------------------------------------------------------------

LONG = {"prompt": "a", "regex": "[a-z ]{400}", "max_tokens": 500, "n": 4}


class Slow(BuiltIn):
    """The built-in model, taking its time."""

    def log_probs(self, sequences: Any) -> Any:
        time.sleep(0.05)
        return super().log_probs(sequences)


def idle(app: Any, seconds: float = 10.0) -> bool:
    """Whether the scheduler comes to rest."""
    end = time.monotonic() + seconds
    scheduler = app.state.host.scheduler
    while time.monotonic() < end:
        if not scheduler.running and not scheduler.waiting:
            return True
        time.sleep(0.02)
    return False


def test_a_client_that_gives_up_stops_its_work():
    app = create_app(Slow())
    with served(app) as address, httpx.Client(timeout=1) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{address}/v1/completions", json=LONG)
        assert idle(app, 5), "the work goes on"


def test_a_client_that_leaves_in_the_middle_stops_its_work_and_no_other():
    app, stays = create_app(Slow()), {**LONG, "regex": "[a-z ]{200}", "n": 1}
    with served(app) as address, httpx.Client(timeout=120) as client, ThreadPoolExecutor(1) as pool:
        with client.stream("POST", f"{address}/v1/completions", json={**LONG, "stream": True}) as answer:
            lines = answer.iter_lines()  # kept: an iterator that is dropped closes the connection
            next(lines)
            staying = pool.submit(client.post, f"{address}/v1/completions", json=stays)
            assert _soon(lambda: app.state.host.scheduler.running == 5)
        assert _soon(lambda: app.state.host.scheduler.running == 1, 5), "the work goes on"
        assert len(staying.result().json()["choices"][0]["text"]) == 200
        assert app.state.host.metrics.cancelled._value.get() == 1


def _soon(holds: Any, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return False


# -- overload and the end ---------------------------------------------------------------------------------------------


class Gated(BuiltIn):
    """The built-in model behind a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def log_probs(self, sequences: Any) -> Any:
        assert self.gate.wait(60)
        return super().log_probs(sequences)


def test_who_does_not_fit_into_the_queue_comes_back_later():
    model = Gated()
    app = create_app(model, ServerLimits(running=2, queue=2))
    with TestClient(app) as client, ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(client.post, "/v1/completions", json=asked(0)) for _ in range(4)]
        scheduler = app.state.host.scheduler
        assert _soon(lambda: scheduler.running + scheduler.waiting == 4)
        refused = client.post("/v1/completions", json=asked(0))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["code"] == "overloaded"
        model.gate.set()
        assert [answer.result().status_code for answer in waiting] == [200] * 4
        assert client.post("/v1/completions", json=asked(0)).status_code == 200


class Broken(BuiltIn):
    """A model that fails for a while."""

    failures = 1

    def log_probs(self, sequences: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the device is gone")
        return super().log_probs(sequences)


def test_a_model_that_fails_is_told_as_503_and_recovers():
    with TestClient(create_app(Broken())) as client:
        failed = client.post("/v1/completions", json=asked(0))
        assert failed.status_code == 503
        assert failed.json()["error"]["code"] == "engine_failed"
        assert "device" not in failed.text
        assert client.post("/v1/completions", json=asked(0)).status_code == 200


def written(model: BuiltIn, pattern: str, tell: Any) -> Writing:
    prompt = model.prompt("a")
    problem = Problem(Prompted(model, prompt), regex(pattern).compile(model.vocabulary), max_tokens=40)
    return Writing(prompt, problem, Drawing(), 0, tell)


def test_closing_lets_work_end_and_takes_no_more(built_in: BuiltIn):
    scheduler, events = Scheduler(built_in), list[Event]()
    scheduler.submit([written(built_in, "[a-z]{20}", events.append)])
    scheduler.close(grace=60)
    assert isinstance(events[-1], Done)
    assert len("".join(event.text for event in events if isinstance(event, Piece))) == 20
    with pytest.raises(RequestError, match="shutting down"):
        scheduler.submit([written(built_in, "a", events.append)])


def test_closing_without_grace_tells_those_who_wait(built_in: BuiltIn):
    model, events = Gated(), list[Event]()
    scheduler = Scheduler(model, most_running=1)
    scheduler.submit([written(model, "[a-z]{20}", events.append) for _ in range(3)])
    model.gate.set()
    scheduler.close()
    assert sum(isinstance(event, Failed | Done) for event in events) == 3


def test_a_run_that_fails_fails_alone(built_in: BuiltIn):
    class Failing(Drawing):
        def propose(self, front: Any, tape: Any) -> Any:
            raise KeyError("a bug")

    scheduler, failed, good = Scheduler(built_in), list[Event](), list[Event]()
    prompt = built_in.prompt("a")
    problem = Problem(Prompted(built_in, prompt), regex("[a-z]{5}").compile(built_in.vocabulary))
    scheduler.submit(
        [
            Writing(prompt, problem, Failing(), 0, failed.append),
            Writing(prompt, problem, Drawing(), 0, good.append),
        ]
    )
    scheduler.close(grace=60)
    assert isinstance(failed[-1], Failed)
    assert isinstance(good[-1], Done)


def test_a_step_that_takes_long_holds_up_nobody(built_in: BuiltIn):
    gate = threading.Event()

    class Searching(Writing):
        """Near its budget, and deep in thought about it."""

        @property
        def is_slow(self) -> bool:
            return True

        def take(self, log_probs: Any) -> None:
            assert gate.wait(60)
            super().take(log_probs)

    scheduler, slow, good = Scheduler(built_in), list[Event](), list[Event]()
    prompt = built_in.prompt("a")
    problem = Problem(Prompted(built_in, prompt), regex("[a-z]{5}").compile(built_in.vocabulary))
    scheduler.submit(
        [Searching(prompt, problem, Drawing(), 0, slow.append), Writing(prompt, problem, Drawing(), 0, good.append)]
    )
    assert _soon(lambda: bool(good) and isinstance(good[-1], Done))
    assert not slow
    gate.set()
    scheduler.close(grace=60)
    assert isinstance(slow[-1], Done)
    assert slow[:-1] == good[:-1], "the same seed, the same text"


def test_near_a_budget_the_search_is_done_aside(built_in: BuiltIn):
    automaton = json_schema(PERSON).compile(built_in.vocabulary)
    prompt = built_in.prompt("a")

    def is_slow(budget: int) -> bool:
        problem = Problem(Prompted(built_in, prompt), automaton, max_tokens=budget)
        return Writing(prompt, problem, Drawing(closing=Closing(automaton)), 0, lambda _: None).is_slow

    assert is_slow(14)
    assert not is_slow(200)


def test_metrics_count_what_happened(client: TestClient):
    client.post("/v1/completions", json=asked(1))
    client.post("/v1/completions", json={"prompt": "a", "regex": "("})
    text = client.get("/metrics").text
    assert 'scansion_requests_total{path="/v1/completions",status="200"}' in text
    assert 'scansion_requests_total{path="/v1/completions",status="400"}' in text
    assert "scansion_running 0.0" in text


def test_streams_of_many_clients_are_whole(address: str):
    async def one(client: httpx.AsyncClient, number: int) -> str:
        text = ""
        async with client.stream("POST", "/v1/completions", json={**asked(number), "stream": True}) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    text += "".join(choice["text"] for choice in json.loads(line[6:])["choices"])
        return text

    async def everybody() -> list[str]:
        async with httpx.AsyncClient(base_url=address, timeout=120) as client:
            return await asyncio.gather(*(one(client, number) for number in range(32)))

    texts = asyncio.run(everybody())
    assert all(text.startswith(str(number)) for number, text in enumerate(texts))
