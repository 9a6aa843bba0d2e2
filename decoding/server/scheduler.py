"""The scheduler: one thread, one forward for everybody who is running, and whoever waits joins at the next token.

    while there is work:
        admit those who wait, as far as there is room
        rows = model(all sequences that running texts wait for)
        each run takes its rows and makes one step; what may take long is done aside, and joins again

A run that fails, whatever the reason, fails alone. If the model fails, everybody who is running is told so, and the
next ones find a scheduler that works. Whoever is cancelled is gone before the next forward.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from decoding.server.closing import Closing
from decoding.server.drawing import Drawing
from decoding.server.faults import Fault, overloaded, stopping
from decoding.server.models import ServedModel
from decoding.server.order import Order
from decoding.server.runs import Failed, Listener, Run, Work, Writing
from decoding.server.turns import Turn
from grammars import Limits, TokenAutomaton
from samplers.evaluation import checked_rows
from samplers.problem import Problem

_log = logging.getLogger(__name__)
Observer = Callable[[int, float], None]
Ints = NDArray[np.int64]


def _nothing(rows: int, seconds: float) -> None:
    pass


_NO_OTHERS = Limits()


class Scheduler:
    """Runs of one model. `observe` is told the rows and seconds of every step; `grammars` are the limits under which
    turns are compiled."""

    def __init__(
        self,
        model: ServedModel,
        most_running: int = 64,
        most_waiting: int = 256,
        observe: Observer = _nothing,
        grammars: Limits = _NO_OTHERS,
    ):
        self.model = model
        self._grammars = grammars
        self._most_running, self._most_waiting, self._observe = most_running, most_waiting, observe
        self._running: list[Run] = []
        self._waiting: deque[Run] = deque()
        self._changed = threading.Condition()
        self._closing = self._stopped = False
        self._aside = ThreadPoolExecutor(1, "scansion-aside")
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

    def writing(
        self, order: Order, problem: Problem, prompt: Ints, closing: Closing | None, seed: Any, tell: Listener
    ) -> Work:
        """One text of an order, ready to be submitted."""
        drawing, seeded, is_free = Drawing(order.knobs, closing), np.random.default_rng(seed), order.turn.is_free
        return Writing(prompt, problem, drawing, seeded, tell, stops=order.stops, open_ended=is_free, top=order.top)

    def automaton(self, turn: Turn) -> TokenAutomaton:
        """What a turn compiles to; in any thread."""
        return turn.grammar(self._grammars).compile(self.model.vocabulary, self._grammars)

    def submit(self, runs: Sequence[Work], *, beside: int = 0) -> None:
        """All of these runs, or none if they are too many; `beside` counts what is done elsewhere."""
        with self._changed:
            self._admit(len(runs) + beside)
            self._waiting.extend(cast("Sequence[Run]", runs))
            self._changed.notify()

    def cancel(self, runs: Sequence[Work]) -> None:
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
        while (self.running or self.waiting) and time.monotonic() < end:
            time.sleep(0.02)
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()
        self._aside.shutdown(wait=False, cancel_futures=True)
        for run in (*self._running, *self._waiting):
            run.tell(Failed(stopping()))

    def _admit(self, count: int) -> None:
        """Refuse what is too much."""
        if self._closing:
            raise stopping()
        under_way = self.running + self.waiting
        if under_way + count > self._most_running + self._most_waiting:
            raise overloaded(1 + max(0, under_way - self._most_running) // 32)

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
                if not all(run.is_aside for run in self._running):
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
            if run.is_slow:
                run.is_aside = True
                self._aside.submit(self._step_aside, run, own.copy())
            else:
                _step(run, own)

    def _step_aside(self, run: Run, rows: Any) -> None:
        _step(run, rows)
        with self._changed:
            run.is_aside = False
            self._changed.notify()


def _step(run: Run, rows: Any) -> None:
    try:
        run.take(rows)
    except Exception as error:  # noqa: BLE001 - a run that fails must not take the others with it
        _fail(run, error)


def _fail(run: Work, error: BaseException) -> None:
    if not run.cancelled:
        run.cancelled = True
        run.tell(Failed(error))
