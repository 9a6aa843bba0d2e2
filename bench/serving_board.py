"""Servers side by side under the same load: this one, on both backends, and `vllm serve` with its own masks.

    python bench/serving_board.py --ours PYTHON --vllm PYTHON [--seconds 8] [--rounds 3] [--model FOLDER]

`--ours` and `--vllm` are interpreters that have scansion with a server, and vLLM; they may be the same. All servers run
the same model (the built-in one, as a folder) with the same options. Each is measured in turn at 1, 16 and 64 clients,
round after round, while the others are stopped (SIGSTOP: an idle vLLM spins). The table has the median of the rounds:
what came in a window of so many seconds, behind a lead of three. With `own` every request has a schema that no
server has seen, with `one` all have the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import gettempdir
from typing import Any

import numpy as np
from serving import Tally, load

REPOSITORY = Path(__file__).absolute().parents[1]
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
ENGINE = {
    "dtype": "float32",
    "enforce_eager": True,
    "block_size": 32,
    "max_model_len": 1024,
    "max_num_seqs": 64,
}
ONE_PROCESS = {"distributed_executor_backend": "vllm.v1.executor.uniproc_executor.UniProcExecutor"}
_LEAD = 3.0  # seconds: what was stopped is back in the caches, and the rush of the first requests over
_SCANSION = "from decoding.cli import main; main()"
_VLLM = "import sys; from vllm.entrypoints.cli.main import main; sys.argv[0] = 'vllm'; sys.exit(main())"


class Server:
    """One of them: a process group that can be stopped and let go on."""

    def __init__(self, name: str, command: list[str]):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.name = name
        self.log = Path(gettempdir()) / f"serving_{name.replace(' ', '_')}_{self.port}.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env=os.environ | ENVIRONMENT,
                cwd=REPOSITORY,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._groups: set[int] = set()

    def wait(self, seconds: float = 600) -> None:
        """Until it answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5)
                self._groups = self._all_groups()
                return
            time.sleep(0.5)
        raise SystemExit(f"{self.name} does not start: see {self.log}")

    def send(self, number: int) -> None:
        """A signal to everything that it started."""
        for group in self._groups or {self._process.pid}:
            with suppress(ProcessLookupError):
                os.killpg(group, number)

    def _all_groups(self) -> set[int]:
        import psutil

        family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        return {os.getpgid(each.pid) for each in family}


def servers(options: argparse.Namespace) -> list[Server]:
    """Started one after the other."""
    engine = ENGINE if options.worker_apart else ENGINE | ONE_PROCESS
    flags = [part for name, value in engine.items() for part in _flag(name, value)]
    of_engine = [part for name, value in engine.items() for part in ("--engine", f"{name}={json.dumps(value)}")]
    ours = [options.ours, "-W", "ignore", "-c", _SCANSION, "serve", "--model", options.model]
    theirs = [options.vllm, "-W", "ignore", "-c", _VLLM, "serve", options.model, *flags]
    if options.compact:
        theirs += ["--structured-outputs-config.disable_any_whitespace", "true"]
    commands = {
        "scansion vllm": [options.vllm, *ours[1:], "--backend", "vllm", *of_engine],
        "scansion hf": ours,
        "vllm xgrammar": [*theirs, "--structured-outputs-config.backend", "xgrammar"],
        "vllm guidance": [*theirs, "--structured-outputs-config.backend", "guidance"],
    }
    started: list[Server] = []
    try:
        for name in options.servers or commands:
            started.append(Server(name, commands[name]))
            started[-1].wait()
            asyncio.run(load(_asked(options, started[-1]), 4, 3.0))  # warm
            started[-1].send(signal.SIGSTOP)
            print(f"{name} is ready", file=sys.stderr)
    except BaseException:
        for server in started:
            server.send(signal.SIGKILL)
        raise
    return started


def _flag(name: str, value: Any) -> list[str]:
    option = "--" + name.replace("_", "-")
    return [option] if value is True else [option, str(value)]


def _asked(options: argparse.Namespace, server: Server, *, shared: bool = False) -> argparse.Namespace:
    address = f"http://127.0.0.1:{server.port}/v1"
    name = "structured_outputs" if options.compact else "response_format"
    fields = {"model": options.model, "field": name, "max_tokens": 128, "shared": shared, "compact": options.compact}
    return argparse.Namespace(address=address, **fields)


def figures(tally: Tally, seconds: float) -> list[float]:
    """Whole answers and tokens a second, p50 and p99 in milliseconds, and what was cut, wrong, failed."""
    p50, p99 = np.percentile(tally.seconds, [50, 99]) * 1000 if tally.seconds else (np.nan, np.nan)
    return [
        tally.whole / seconds,
        tally.tokens / seconds,
        float(p50),
        float(p99),
        tally.cut,
        tally.wrong,
        tally.failed,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=sys.executable)
    parser.add_argument("--vllm", default=sys.executable)
    parser.add_argument("--model", default=str(REPOSITORY / "decoding" / "embedded" / "files"))
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument(
        "--schemas", choices=("own", "one"), nargs="+", default=["own", "one"], help="one of each, or one"
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compact", action="store_true", help="no whitespace in the answers, from no server")
    parser.add_argument("--worker-apart", action="store_true", help="vLLM's worker in a process of its own")
    parser.add_argument("--servers", nargs="+", help="some of them, by name")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found: dict[tuple[str, int, str], list[list[float]]] = {}
    all_servers = servers(options)
    try:
        cells = list(product(options.schemas, options.clients)) * options.rounds
        for number, (schemas, clients) in enumerate(cells, 1):
            for server in all_servers:
                asked = _asked(options, server, shared=schemas == "one")
                server.send(signal.SIGCONT)
                tally = asyncio.run(load(asked, clients, options.seconds, lead=_LEAD, first=number * 100_000))
                server.send(signal.SIGSTOP)
                found.setdefault((schemas, clients, server.name), []).append(figures(tally, options.seconds))
    finally:  # what was measured is told to those, too, who end it early
        for server in all_servers:
            server.send(signal.SIGKILL)
        _print(found)


def _print(found: dict[tuple[str, int, str], list[list[float]]]) -> None:
    print("| schemas | clients | server | whole answers/s | tokens/s | p50 ms | p99 ms | cut off | wrong | failed |")
    print("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|")
    for (schemas, clients, name), rounds in found.items():
        rate, tokens, p50, p99 = (median(row[i] for row in rounds) for i in range(4))
        cut, wrong, failed = (sum(row[i] for row in rounds) for i in range(4, 7))
        times = f"{rate:.1f} | {tokens:.0f} | {p50:.0f} | {p99:.0f}"
        print(f"| {schemas} | {clients} | {name} | {times} | {cut} | {wrong} | {failed} |")


if __name__ == "__main__":
    main()
