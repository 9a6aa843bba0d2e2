"""Every case in its own process, under hard limits.

A parent imports scansion, loads the kernels and compiles a few small grammars; for each case it forks a child, which
therefore starts with everything loaded and pays for the case alone. The child limits its own processor time and
address space, tries the case, tries it again in a thread with a small stack, and reports through a pipe.

Memory decides, time does not: processor time is shown to people, and `Result.is_slow` says what is over the goal, but
it depends on the machine and its neighbours. What is counted instead is work (see `meter`). A case that hangs is
killed long after any machine would have finished it.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

from grammars import Limits, TokenAutomaton, gbnf, lark, regex
from tests.bad_input.case import Attempt, Case, attempt
from tests.bad_input.vocabulary import VOCABULARY

CPU_SECONDS = 2.0  # the goal, for people
SYNTAX_SECONDS = 0.05  # the goal for a syntax error
MEMORY = 256 << 20
STACK = 256 << 10
SYNTAX_FAMILY = 1
_HANGING = 20  # seconds of processor time after which the system kills
_STUCK = 300  # seconds of wall time after which a child that uses none of its processor time is killed


@dataclass(frozen=True)
class Result:
    """What came of a case and what it cost."""

    name: str
    family: int
    outcome: str
    detail: str
    cpu: float
    memory: int
    work: int

    @property
    def is_slow(self) -> bool:
        """Whether the case took longer than it should on the machine of a developer."""
        at_once = self.family == SYNTAX_FAMILY and self.outcome != "ok"
        return self.cpu > (SYNTAX_SECONDS if at_once else CPU_SECONDS)


def warm_up() -> None:
    """Load every kernel and every lazily imported table that a case may need."""
    grammars = [
        regex(r"[a-z]{2,500}(?!xx)\p{L}*|\d+\b", flags="i"),
        lark('start: "(" start ")" | start "+" start | A ~ 2..3\nA: /[^"]+/\n%import common.WS\n%ignore WS'),
        gbnf('root ::= "[" root* "]" | [^\\n]{2,40} | root "x"'),
        regex(".*a.{40}") & regex(".*b.*"),
    ]
    for grammar in grammars:
        grammar.matches(b"(ab)")
        _exercise(grammar.compile(VOCABULARY))
    _exercise(regex(r"(a|b)*a(a|b){9}").compile(VOCABULARY, Limits(cache_bytes=1)))
    VOCABULARY.fingerprint  # noqa: B018 - computed once, kept


def _exercise(automaton: TokenAutomaton) -> None:
    matcher = automaton.matcher()
    for token in b"abbabaabab" * 20:
        automaton.mask(matcher.state)
        if not matcher.accept_token(token):
            break
    automaton.forced(automaton.start)


def run_all(cases: Iterable[Case], jobs: int = 2) -> Iterator[Result]:
    """The results of all cases, in the order in which they end."""
    gc.collect()
    gc.freeze()
    running: dict[int, tuple[Case, int, float]] = {}
    waiting = deque(cases)
    while waiting or running:
        while len(running) < jobs and waiting:
            case = waiting.popleft()
            pipe, child = _start(case)
            running[pipe] = (case, child, time.monotonic() + _STUCK)
        ready, _, _ = select.select(list(running), [], [], 1.0)
        for pipe in [pipe for pipe in running if pipe in ready or time.monotonic() > running[pipe][2]]:
            case, child, _ = running.pop(pipe)
            yield _finish(case, child, pipe, pipe in ready)


def _start(case: Case) -> tuple[int, int]:
    """Fork a child for a case: where it will report, and its number."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # what the case itself forks ends with it
        os.close(reading)
        try:
            report = json.dumps(_child(case)).encode()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(report)
        finally:
            os._exit(0)
    os.close(writing)
    return reading, child


def _finish(case: Case, child: int, pipe: int, is_ready: bool) -> Result:
    if not is_ready:
        os.killpg(child, signal.SIGKILL)
    with os.fdopen(pipe, "rb") as file:
        report = file.read()
    _, status, usage = os.wait4(child, 0)
    if not report:
        how = f"killed by {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else "no report"
        cpu = usage.ru_utime + usage.ru_stime
        return Result(case.name, case.family, how if is_ready else "stuck", "", cpu, 0, 0)
    return Result(case.name, case.family, **json.loads(report))


# -- in the child -----------------------------------------------------------------------------------------------------


def _child(case: Case) -> dict[str, object]:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    space = _status("VmSize") + case.address_space
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    before = _status("VmRSS")
    first = _bounded(case)
    # a case that leaves an automaton behind would pay for the second one too
    gc.collect()
    second = first if case.alone else _on_small_stack(case)
    memory = max(0, _status("VmHWM") - before)
    verdict, on_thread = _verdict(case, first, memory), _verdict(case, second, memory)
    if verdict.outcome == case.outcome != on_thread.outcome:
        verdict = replace(on_thread, outcome=f"on a small stack: {on_thread.outcome}")
    fields = asdict(verdict) | {"memory": memory}
    del fields["has_span"]
    return fields


def _verdict(case: Case, tried: Attempt, memory: int) -> Attempt:
    """What was tried, judged by its memory and by the form of its error."""
    if memory > MEMORY:
        return replace(tried, outcome=f"{tried.outcome}, but too large")
    if case.span and tried.outcome != "ok" and not tried.has_span:
        return replace(tried, outcome=f"{tried.outcome}, but without a span")
    return tried


def _bounded(case: Case) -> Attempt:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + _HANGING
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
    return attempt(case)


def _on_small_stack(case: Case) -> Attempt:
    tried: list[Attempt] = []
    threading.stack_size(STACK)
    thread = threading.Thread(target=lambda: tried.append(_bounded(case)))
    thread.start()
    thread.join()
    return tried[0]


def _status(field: str) -> int:
    """A line of /proc/self/status in bytes."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) << 10
    return 0
