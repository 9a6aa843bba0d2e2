"""The host: one model with its scheduler, its limits and the grammars that were compiled for it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from decoding.server.closing import Closing
from decoding.server.faults import fault_of
from decoding.server.jobs import Job
from decoding.server.limits import ServerLimits
from decoding.server.metrics import Metrics
from decoding.server.models import ServedModel
from decoding.server.order import Order
from decoding.server.scheduler import Scheduler
from decoding.server.turns import Turn
from grammars import GrammarError, ScansionError, TokenAutomaton

T = TypeVar("T")


@dataclass
class Compiled:
    """A turn as an automaton, and what was found out about its completions."""

    automaton: TokenAutomaton
    closing: Closing


@dataclass
class Host:
    """What all requests share."""

    model: ServedModel
    limits: ServerLimits = field(default_factory=ServerLimits)

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        schedule: type[Scheduler] = getattr(self.model, "scheduler", Scheduler)
        self.scheduler = schedule(
            self.model, self.limits.running, self.limits.queue, self.metrics.observe_step, self.limits.grammars
        )
        self._compiled: OrderedDict[str, Compiled] = OrderedDict()
        self._lock = Lock()
        self._turnstile: asyncio.Semaphore | None = None

    async def job(self, order: Order) -> Job:
        """The order, compiled and handed to the scheduler."""
        job = Job(order, self.scheduler, self.limits)
        try:
            await self._in_thread(order.turn, lambda compiled: self._begin(job, compiled))
        except ScansionError as error:
            raise job.fault(error) from error
        except BaseException:  # the client has left
            job.cancel()
            raise
        return job

    async def automaton(self, turn: Turn) -> TokenAutomaton:
        """What a turn compiles to."""
        return await self._in_thread(turn, lambda compiled: compiled.automaton)

    async def _in_thread(self, turn: Turn, work: Callable[[Compiled], T]) -> T:
        """What is done with a turn when it is compiled, in a thread; a few turns are compiled at a time."""
        with self._lock:
            found = self._compiled.get(turn.key)
            if found is not None:
                self._compiled.move_to_end(turn.key)
        if found is not None:
            return await asyncio.to_thread(work, found)
        if self._turnstile is None:
            self._turnstile = asyncio.Semaphore(self.limits.compilations)
        async with self._turnstile:
            return await asyncio.to_thread(lambda: work(self._compile(turn)))

    def _begin(self, job: Job, compiled: Compiled) -> None:
        """Begin with what others found out, and leave to others what this one had to find out first."""
        closing = compiled.closing.fork()
        try:
            job.begin(compiled.automaton, closing)
        finally:
            compiled.closing = closing

    def _compile(self, turn: Turn) -> Compiled:
        begin = time.perf_counter()
        try:
            made = self.scheduler.automaton(turn)
        except GrammarError as error:
            raise fault_of(error, turn.param) from error
        finally:
            self.metrics.compile_seconds.observe(time.perf_counter() - begin)
        with self._lock:
            kept = self._compiled.setdefault(turn.key, Compiled(made, Closing(made)))
            while len(self._compiled) > self.limits.kept_grammars:
                self._compiled.popitem(last=False)
        return kept
