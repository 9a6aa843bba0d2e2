"""Load on a server: throughput and latency at 1, 16 and 64 clients, and that every answer is its own.

    scansion serve &
    python bench/serving.py http://127.0.0.1:8000/v1 --seconds 20
    python bench/serving.py http://127.0.0.1:8000/v1 --soak 600 --process PID

Any server of OpenAI's protocol can be measured; `bench/serving_board.py` puts `vllm serve` with xgrammar and llguidance
beside this one. Every request asks for an object with a number of its own, by `const`, so a mixed-up answer is seen;
those that were cut off in the middle are counted apart. The soak mixes in bad requests and clients that leave in the
middle, and tells the memory of the server along its way.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np


@dataclass
class Tally:
    """What came back between two moments, and what went wrong at any time."""

    begin: float
    end: float
    seconds: list[float] = field(default_factory=list)
    whole: int = 0
    tokens: int = 0
    refused: int = 0
    left: int = 0
    cut: int = 0
    wrong: int = 0
    failed: int = 0


def asked(number: int, options: argparse.Namespace) -> dict[str, Any]:
    """A request whose answer shows which one it was, unless all share one schema."""
    name = options.field
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "boolean"} if options.shared else {"const": number},
            "name": {"type": "string", "maxLength": 24},
        },
        "required": ["id", "name"],
        "additionalProperties": False,
    }
    form: dict[str, Any] = schema
    if name == "structured_outputs":
        form = {"json": schema, "disable_any_whitespace": options.compact}
    if name == "response_format":
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    prompt = f"Extract the record {number}: Ada Lovelace, the mathematician."
    messages = [{"role": "user", "content": prompt}]
    return {
        "model": options.model,
        "messages": messages,
        "seed": number,
        "max_tokens": options.max_tokens,
        name: form,
    }


async def ask(client: httpx.AsyncClient, number: int, options: argparse.Namespace, tally: Tally) -> None:
    """One good request."""
    begin = time.perf_counter()
    try:
        answer = await client.post("/chat/completions", json=asked(number, options))
    except httpx.TransportError:
        tally.failed += 1
        return
    if answer.status_code == 429:
        tally.refused += 1
        await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
        return
    if answer.status_code != 200:
        tally.failed += 1
        return
    body, is_in_time = answer.json(), tally.begin <= time.monotonic() < tally.end
    if is_in_time:
        tally.seconds.append(time.perf_counter() - begin)
        tally.tokens += body["usage"]["completion_tokens"]
    try:
        found = json.loads(body["choices"][0]["message"]["content"])["id"]
    except (ValueError, KeyError):
        is_cut = body["choices"][0]["finish_reason"] == "length"
        tally.cut += is_cut
        tally.wrong += not is_cut
        return
    is_right = isinstance(found, bool) if options.shared else found == number
    tally.wrong += not is_right
    tally.whole += is_right and is_in_time


async def misbehave(client: httpx.AsyncClient, number: int, options: argparse.Namespace, tally: Tally) -> None:
    """A bad request, or a client that leaves after the first piece."""
    body = asked(number, options)
    if number % 2:
        answer = await client.post("/chat/completions", json={**body, "max_tokens": -1})
        tally.failed += answer.status_code != 400
        return
    async with client.stream("POST", "/chat/completions", json={**body, "stream": True}) as answer:
        async for _ in answer.aiter_lines():
            tally.left += 1
            return


async def load(
    options: argparse.Namespace,
    clients: int,
    seconds: float,
    *,
    lead: float = 0.0,
    first: int = 0,
    unruly: bool = False,
) -> Tally:
    """So many clients, each asking again as soon as it has its answer, with numbers from `first` on. What comes in the
    `lead` does not count."""
    begin, numbers = time.monotonic() + lead, itertools.count(first)
    tally, trust = Tally(begin, begin + seconds), ssl.create_default_context()

    async def one() -> None:
        # A client of its own: in a pool that many share, some requests wait seconds for a connection.
        async with httpx.AsyncClient(base_url=options.address, timeout=120, verify=trust) as client:
            while time.monotonic() < tally.end:
                number = next(numbers)
                work = misbehave if unruly and number % 5 == 0 else ask
                await work(client, number, options, tally)

    await asyncio.gather(*(one() for _ in range(clients)))
    return tally


def told(clients: int, seconds: float, tally: Tally) -> str:
    """A line of the table."""
    p50, p99 = np.percentile(tally.seconds, [50, 99]) if tally.seconds else (np.nan, np.nan)
    rates = f"{tally.whole / seconds:8.1f} {tally.tokens / seconds:9.0f}"
    times = f"{1000 * p50:8.0f} {1000 * p99:8.0f}"
    return f"{clients:7} {rates} {times} {tally.wrong:6} {tally.cut:4} {tally.failed:6} {tally.refused:7}"


async def soak(options: argparse.Namespace) -> tuple[Tally, list[float]]:
    """Mixed requests for a while, and the memory of the server at its begin and after each tenth."""
    memory = [resident(options.process)]

    async def watch() -> None:
        for _ in range(10):
            await asyncio.sleep(options.soak / 10)
            memory.append(resident(options.process))

    tally, _ = await asyncio.gather(load(options, 16, options.soak, unruly=True), watch())
    return tally, memory


def resident(process: int | None) -> float:
    """Megabytes of a process and its children."""
    if process is None:
        return float("nan")
    import psutil

    server = psutil.Process(process)
    return sum(each.memory_info().rss for each in (server, *server.children(recursive=True))) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="built-in")
    parser.add_argument("--field", default="response_format", help="response_format, structured_outputs, guided_json")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--shared", action="store_true", help="one schema for all requests")
    parser.add_argument("--compact", action="store_true", help="no whitespace, with --field structured_outputs")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--soak", type=float, default=0.0, help="so many seconds of mixed requests instead")
    parser.add_argument("--process", type=int, help="of the server, whose memory is watched")
    options = parser.parse_args()
    if options.compact and options.field != "structured_outputs":
        parser.error("--compact is a part of structured_outputs: say --field structured_outputs")
    asyncio.run(load(options, 2, 2.0))  # warm
    print("clients    req/s     tok/s  p50 ms   p99 ms  wrong  cut failed refused")
    if not options.soak:
        for clients in options.clients:
            print(told(clients, options.seconds, asyncio.run(load(options, clients, options.seconds))))
        return
    tally, memory = asyncio.run(soak(options))
    print(told(16, options.soak, tally))
    print(f"{tally.left} left in the middle")
    print("MB at each tenth:", *(f"{megabytes:.0f}" for megabytes in memory))


if __name__ == "__main__":
    main()
