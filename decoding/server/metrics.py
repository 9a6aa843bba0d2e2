"""Figures of a server in the format of Prometheus, for `/metrics`."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from decoding.server.scheduler import Scheduler

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of one application; a registry of its own, so that several may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by path and status.", ["path", "status"])
        self.tokens = self._counter("tokens", "Tokens read and written.", ["kind"])
        self.cancelled = self._counter("cancelled", "Requests whose client left before the end.")
        self.seconds = self._histogram("request_seconds", "From the request to the end of its answer.", ["path"])
        self.compile_seconds = self._histogram("compile_seconds", "From a turn to its automaton.")
        self.step_seconds = self._histogram("step_seconds", "One forward and what follows from it.")
        self.rows = self._counter("rows", "Rows that were forwarded; by steps, this is the size of the batch.")
        self._running = self._gauge("running", "Texts in the batch.")
        self._waiting = self._gauge("waiting", "Texts that wait for room in the batch.")

    def observe_step(self, rows: int, seconds: float) -> None:
        """One step of the scheduler."""
        self.rows.inc(rows)
        self.step_seconds.observe(seconds)

    def observe_request(self, path: str, status: int, begin: float) -> None:
        """One request, begun at `begin` of `time.perf_counter`."""
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(time.perf_counter() - begin)

    def text(self, scheduler: Scheduler) -> bytes:
        """All figures."""
        self._running.set(scheduler.running)
        self._waiting.set(scheduler.waiting)
        return generate_latest(self.registry)

    def _counter(self, name: str, told: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"scansion_{name}", told, labels or [], registry=self.registry)

    def _gauge(self, name: str, told: str) -> Gauge:
        return Gauge(f"scansion_{name}", told, registry=self.registry)

    def _histogram(self, name: str, told: str, labels: list[str] | None = None) -> Histogram:
        return Histogram(f"scansion_{name}", told, labels or [], registry=self.registry, buckets=_SECONDS)
