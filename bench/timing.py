"""Nanoseconds of single calls, as undisturbed as a busy machine allows.

A call of a microsecond is timed by the wall: the clock of the thread's processor time costs more than such a call. A
call that took longer than `LONG` may have lost the processor meanwhile, so its processor time counts if that is less.
What reading a clock costs is measured once and taken off. Every engine is timed by these same lines.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from time import perf_counter_ns, process_time_ns, thread_time_ns

from engines import Compiled

LONG = 20_000
_EMPTY_LOOPS = 2_001


@dataclass
class Times:
    """What one pass over one text took, position by position."""

    masks: list[int] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)


class Clock:
    """A clock that knows what reading it costs."""

    def __init__(self) -> None:
        self.wall, self.processor = _cost(perf_counter_ns), _cost(thread_time_ns)

    def elapsed(self, wall: int, processor: int) -> int:
        """The nanoseconds of a call from the differences of both clocks."""
        wall -= self.wall
        if wall > LONG:  # the processor clock was read outside the wall clock, and so holds both readings
            wall = min(wall, processor - self.processor - self.wall)
        return max(wall, 0)

    def follow(self, compiled: Compiled, tokens: list[int]) -> Times:
        """Fill a mask before every token and behind the last one; take every token."""
        times, fill, commit = Times(), compiled.fill, compiled.commit
        for token in tokens:
            times.masks.append(self.of(fill))
            times.commits.append(self.of(commit, token))
        times.masks.append(self.of(fill))
        return times

    def of(self, call: Callable[..., object], *arguments: int) -> int:
        """What one call takes."""
        if arguments:
            (argument,) = arguments
            used = thread_time_ns()
            began = perf_counter_ns()
            call(argument)
            ended = perf_counter_ns()
            return self.elapsed(ended - began, thread_time_ns() - used)
        used = thread_time_ns()
        began = perf_counter_ns()
        call()
        ended = perf_counter_ns()
        return self.elapsed(ended - began, thread_time_ns() - used)

    def questions(self, compiled: Compiled, tokens: list[int], others: list[int]) -> list[int]:
        """Ask at every position about the token that comes and about `others`; no mask is filled."""
        times: list[int] = []
        for token in tokens:
            times += [self.of(compiled.question(asked)) for asked in (token, *others)]
            compiled.commit(token)
        return times


@contextmanager
def no_collector() -> Iterator[None]:
    """Collect garbage now, and not inside."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def processor_time() -> int:
    """Processor time of all threads of this process, for work of milliseconds."""
    return process_time_ns()


def _cost(clock: Callable[[], int]) -> int:
    readings = [clock() for _ in range(_EMPTY_LOOPS)]
    return int(median(b - a for a, b in pairwise(readings)))
