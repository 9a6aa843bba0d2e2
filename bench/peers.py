"""genlm-control beside us: its environment, made on first use, and its process.

It brings its own versions of what we use too, so it has an environment of its own in `bench/results/peers`, with the
torch that is installed here if there is one, and is spoken to by lines of JSON. Where it cannot be installed, scripts
say so and go on without it.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PEER = "genlm-control"
VERSION = "0.4.1"
HERE = Path(__file__).resolve().parent
FOLDER = HERE / "results" / "peers" / f"genlm-{VERSION}"
START = 300.0


class Absent(Exception):
    """The peer is not there; the message says why."""


class Genlm:
    """The process; `ask` sends a job and waits for its answer."""

    def __init__(self, python: Path):
        quiet = {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        self._process = subprocess.Popen(
            [python, HERE / "genlm_worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | quiet,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)
        self._lines.put("")

    def ask(self, job: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer to a job; raises `Absent` if there is none."""
        pipe = self._process.stdin
        if pipe is None or self._process.poll() is not None:
            raise Absent(f"{PEER} does not run")
        pipe.write(json.dumps(job) + "\n")
        pipe.flush()
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.stop()
            raise Absent(f"{PEER} took longer than {seconds:.0f} s") from None
        answer = json.loads(line) if line else {"error": "its process died"}
        if "error" in answer:
            raise Absent(f"{PEER}: {answer['error']}")
        return answer

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def genlm(python: Path | None, say: Any) -> Genlm | None:
    """The peer's process, its environment made if need be; None, with a message, where it cannot be had."""
    try:
        return Genlm(python or _installed(say))
    except Absent as reason:
        say(f"without {PEER}: {reason}")
        return None


def _installed(say: Any) -> Path:
    python, done = FOLDER / "bin" / "python", FOLDER / "installed"
    if done.exists():
        return python
    say(f"installing {PEER} {VERSION} into {FOLDER} (once, some minutes)")
    for command in (
        [sys.executable, "-m", "venv", FOLDER],
        [python, "-m", "pip", "install", "--quiet", f"{PEER}=={VERSION}", *_torch()],
    ):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise Absent(f"it could not be installed: {run.stderr.strip().splitlines()[-1:] or command}")
    done.touch()
    return python


def _torch() -> list[str]:
    """The same torch for both sides; whichever the peer asks for where there is none here."""
    try:
        return [f"torch=={version('torch').partition('+')[0]}"]
    except PackageNotFoundError:
        return []
