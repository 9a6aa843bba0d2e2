"""The scheduler: one thread, one forward for everybody who is running, and whoever waits joins at the next token.

    while there is work:
        admit those who wait, as far as there is room
        rows = model(all sequences that running texts wait for)
        each run takes its rows and makes one step

A run that fails, whatever the reason, fails alone. If the model fails, everybody who is running is told so, and the
next ones find a scheduler that works. Whoever is cancelled is gone before the next forward.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from decoding.server.faults import Fault, overloaded, stopping
from decoding.server.models import ServedModel
from decoding.server.runs import Failed, Run
from samplers.evaluation import checked_rows

_log = logging.getLogger(__name__)
Observer = Callable[[int, float], None]


def _nothing(rows: int, seconds: float) -> None:
    pass


class Scheduler:
    """Runs of one model. `observe` is told the rows and seconds of every step."""

    def __init__(
        self, model: ServedModel, most_running: int = 64, most_waiting: int = 256, observe: Observer = _nothing
    ):
        self.model = model
        self._most_running, self._most_waiting, self._observe = most_running, most_waiting, observe
        self._running: list[Run] = []
        self._waiting: deque[Run] = deque()
        self._changed = threading.Condition()
        self._closing = self._stopped = False
        self._thread = threading.Thread(target=self._work, name="scansion-scheduler", daemon=True)
        self._thread.start()

    @property
    def running(self) -> int:
        """How many runs are in the batch."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def submit(self, runs: Sequence[Run]) -> None:
        """All of these runs, or none if they are too many."""
        with self._changed:
            if self._closing:
                raise stopping()
            under_way = len(self._running) + len(self._waiting)
            if under_way + len(runs) > self._most_running + self._most_waiting:
                raise overloaded(1 + len(self._waiting) // 32)
            self._waiting.extend(runs)
            self._changed.notify()

    def cancel(self, runs: Sequence[Run]) -> None:
        """Stop these runs; nothing more is told of them."""
        with self._changed:
            for run in runs:
                run.cancelled = True
            self._waiting = deque(run for run in self._waiting if not run.cancelled)
            self._changed.notify()

    def close(self, grace: float = 0.0) -> None:
        """Take nothing new, let what is under way end within `grace` seconds, and stop."""
        with self._changed:
            self._closing = True
        end = time.monotonic() + grace
        while (self._running or self._waiting) and time.monotonic() < end:
            time.sleep(0.02)
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()
        for run in (*self._running, *self._waiting):
            run.tell(Failed(stopping()))

    # -- the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while self._admitted():
            begin = time.perf_counter()
            rows = self._forwarded()
            if rows is not None:
                self._dealt(rows)
                self._observe(len(rows), time.perf_counter() - begin)

    def _admitted(self) -> bool:
        """Wait until there is something to do; whether to go on."""
        with self._changed:
            while True:
                self._running = [run for run in self._running if not run.cancelled]
                while self._waiting and len(self._running) < self._most_running:
                    self._running.append(self._waiting.popleft())
                if self._stopped:
                    return False
                if self._running:
                    return True
                self._changed.wait()

    def _forwarded(self) -> Any:
        """A row for every sequence that somebody waits for."""
        self._asked = [(run, list(run.sequences)) for run in self._running]
        sequences = [sequence for _, asked in self._asked for sequence in asked]
        if not sequences:
            return np.zeros((0, self.model.vocabulary.size))
        try:
            return checked_rows(cast("Any", self.model), self.model.log_probs(sequences), len(sequences))
        except Exception:  # noqa: BLE001 - whatever a model raises, the server lives on
            _log.exception("the model failed")
            failure = Fault("the model failed", code="engine_failed", status=503, retry_after=1)
            for run in self._running:
                _fail(run, failure)
            return None

    def _dealt(self, rows: Any) -> None:
        begin = 0
        for run, asked in self._asked:
            own, begin = rows[begin : begin + len(asked)], begin + len(asked)
            if run.cancelled or not asked:
                continue
            try:
                run.take(own)
            except Exception as error:  # noqa: BLE001 - a run that fails must not take the others with it
                _fail(run, error)


def _fail(run: Run, error: BaseException) -> None:
    if not run.cancelled:
        run.cancelled = True
        run.tell(Failed(error))
