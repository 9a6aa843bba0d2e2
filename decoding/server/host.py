"""The host: one model with its scheduler, its limits and the grammars that were compiled for it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from decoding.server.faults import fault_of
from decoding.server.jobs import Job, Order
from decoding.server.limits import ServerLimits
from decoding.server.metrics import Metrics
from decoding.server.models import ServedModel
from decoding.server.scheduler import Scheduler
from decoding.server.turns import Turn
from grammars import GrammarError, ScansionError, TokenAutomaton


@dataclass
class Host:
    """What all requests share."""

    model: ServedModel
    limits: ServerLimits = field(default_factory=ServerLimits)

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.scheduler = Scheduler(self.model, self.limits.running, self.limits.queue, self.metrics.observe_step)
        self._compiled: OrderedDict[str, TokenAutomaton] = OrderedDict()
        self._lock = Lock()
        self._turnstile: asyncio.Semaphore | None = None

    async def job(self, order: Order) -> Job:
        """The order, compiled and handed to the scheduler."""
        job = Job(order, self.scheduler, self.limits)
        automaton = await self.automaton(order.turn)
        try:
            await asyncio.to_thread(job.begin, automaton)
        except ScansionError as error:
            raise job.fault(error) from error
        except BaseException:  # the client has left
            job.cancel()
            raise
        return job

    async def automaton(self, turn: Turn) -> TokenAutomaton:
        """What a turn compiles to; a few are compiled at a time, in threads of their own."""
        with self._lock:
            found = self._compiled.get(turn.key)
            if found is not None:
                self._compiled.move_to_end(turn.key)
                return found
        if self._turnstile is None:
            self._turnstile = asyncio.Semaphore(self.limits.compilations)
        async with self._turnstile:
            return await asyncio.to_thread(self._compile, turn)

    def _compile(self, turn: Turn) -> TokenAutomaton:
        begin = time.perf_counter()
        try:
            made = turn.grammar(self.limits.grammars).compile(self.model.vocabulary, self.limits.grammars)
        except GrammarError as error:
            raise fault_of(error, turn.param) from error
        finally:
            self.metrics.compile_seconds.observe(time.perf_counter() - begin)
        with self._lock:
            made = self._compiled.setdefault(turn.key, made)
            while len(self._compiled) > self.limits.kept_grammars:
                self._compiled.popitem(last=False)
        return made
