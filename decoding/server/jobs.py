"""Jobs: a request on its way through the scheduler, as the event loop sees it.

The scheduler tells a job's events in its own thread; they cross over here. A job that nobody waits for any more, since
the client is gone, takes its runs out of the batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoding.server.closing import Closing
from decoding.server.faults import Fault, fault_of
from decoding.server.limits import ServerLimits
from decoding.server.models import Prompted
from decoding.server.order import Order
from decoding.server.runs import Done, Drawn, Event, Failed, Listener, Run, Work
from decoding.server.scheduler import Scheduler
from grammars import BudgetExhausted
from samplers.problem import Problem
from samplers.protocols import Constraint, Sampler
from samplers.samples import Samples

Ints = NDArray[np.int64]


class Job:
    """The runs of one order. Made in the event loop, begun in any thread."""

    def __init__(self, order: Order, scheduler: Scheduler, limits: ServerLimits):
        self.order = order
        self._scheduler, self._limits = scheduler, limits
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._mail: deque[tuple[int, Event]] = deque()
        self._is_called = False  # to fetch the mail
        self._runs: list[Work] = []
        self._is_gone = False

    def begin(self, constraint: Constraint, closing: Closing) -> None:
        """Hand everything to the scheduler. All texts share what is known of how they can be closed."""
        order = self.order
        budgets = [self._budget(prompt) for prompt in order.prompts]
        seeds = np.random.SeedSequence(order.seed).spawn(len(order.prompts) * order.n)
        for number, (prompt, budget) in enumerate(zip(order.prompts, budgets, strict=True)):
            problem = Problem(Prompted(self._scheduler.model, prompt), constraint, max_tokens=budget)
            if order.sampler is not None:
                self._runs.append(self._drawn(problem, prompt, order.sampler, seeds[number], number))
                continue
            rule = None if order.turn.is_free else closing
            for index in range(number * order.n, (number + 1) * order.n):
                self._runs.append(self._writing(problem, prompt, rule, seeds[index], index))
        self._scheduler.submit([run for run in self._runs if not run.cancelled])
        if self._is_gone:  # the client left meanwhile
            self.cancel()

    async def events(self) -> AsyncIterator[tuple[int, Event]]:
        """Everything that happens, with the number of the choice; ends with the last choice."""
        open_ = len(self._runs)
        try:
            while open_:
                number, event = await self._events.get()
                if isinstance(event, Failed):
                    raise self.fault(event.error) from event.error
                open_ -= isinstance(event, Done | Samples)
                yield number, event
        finally:
            self.cancel()

    def fault(self, error: BaseException) -> Fault:
        """What the client is told of an error."""
        is_short = isinstance(error, BudgetExhausted) and self.order.sampler is None
        return fault_of(error, "max_tokens" if is_short else self.order.turn.param)

    def cancel(self) -> None:
        """Stop whatever is still running."""
        self._is_gone = True
        self._scheduler.cancel(self._runs)

    def _budget(self, prompt: Ints) -> int:
        room = self._scheduler.model.context - len(prompt)
        wanted = self.order.max_tokens
        if room < (wanted or 1):
            raise Fault(
                f"the prompt has {len(prompt)} tokens, so {max(room, 0)} of {self._scheduler.model.context} are left",
                param=self.order.source if wanted is None or room < 1 else "max_tokens",
                code="context_length_exceeded",
            )
        return wanted or min(room, self._limits.default_tokens)

    def _drawn(self, problem: Problem, prompt: Ints, sampler: Sampler, seed: Any, number: int) -> Run:
        seeded = np.random.default_rng(seed)
        calls = self._limits.model_calls
        return Drawn(prompt, problem, sampler, self.order.n, seeded, self._listener(number), calls)

    def _writing(self, problem: Problem, prompt: Ints, closing: Closing | None, seed: Any, number: int) -> Work:
        return self._scheduler.writing(self.order, problem, prompt, closing, seed, self._listener(number))

    def _listener(self, number: int) -> Listener:
        def tell(event: Event) -> None:
            self._mail.append((number, event))
            if not self._is_called and not self._loop.is_closed():  # to wake a loop costs more than to tell
                self._is_called = True
                self._loop.call_soon_threadsafe(self._fetch)

        return tell

    def _fetch(self) -> None:
        self._is_called = False  # first: who tells something from now on calls again
        while self._mail:
            self._events.put_nowait(self._mail.popleft())


def chosen(samples: Samples, n: int, seed: int | None) -> Samples:
    """As many rows as were asked for: a population is larger than what is wanted of it, and is drawn from by weight."""
    return samples if len(samples) <= n else samples.resample(n, np.random.default_rng(seed))


def rows_told(samples: Samples) -> Sequence[dict[str, Any]]:
    """Every row of a population, as JSON. A weight of zero, whose logarithm JSON cannot write, is null."""
    return [
        {
            "text": row.text.decode("utf-8", "replace"),
            "finish": row.finish,
            "log_weight": finite(row.log_weight),
            "log_prob": finite(row.log_prob),
        }
        for row in samples
    ]


def finite(value: float) -> float | None:
    """A number that JSON can write.

    >>> finite(1.5), finite(float("-inf"))
    (1.5, None)
    """
    return float(value) if np.isfinite(value) else None
