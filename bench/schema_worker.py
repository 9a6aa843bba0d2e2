"""One engine in a process of its own: takes a schema with its instances, answers how it did.

Every engine is judged by its masks alone: an instance is accepted when each of its tokens is in the mask of its place,
and an end token in the last one.
"""

from __future__ import annotations

import gc
import resource
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from engines import Compiled, Engine, Unsupported, installed
from timing import Clock, processor_time
from vocabularies import Tokens, load


@dataclass
class Case:
    """A schema as text, and instances: whether each is valid, and its tokens."""

    name: str
    schema: str
    instances: list[tuple[bool, list[int]]]


@dataclass
class Outcome:
    """What one engine made of one case; times in nanoseconds, memory in bytes."""

    name: str
    error: str = ""
    compiled: bool = False
    first: int = 0  # schema text to first mask
    masks: list[int] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)
    accepted: list[tuple[bool, bool]] = field(default_factory=list)  # per instance: is valid, was accepted
    memory: int = 0  # the most the process ever held

    @property
    def is_right(self) -> bool:
        """Whether the schema was compiled and every instance judged rightly."""
        return not self.error and all(valid == accepted for valid, accepted in self.accepted)


def serve(name: str, vocabulary: Path | None, connection: Connection) -> None:
    """The process: an outcome for every case, until None comes. The first answer tells version and memory."""
    tokens = load(vocabulary)
    engines = installed([name], tokens)
    if not engines:
        connection.send(None)
        return
    clock = Clock()
    judged(engines[0], Case("warm-up", '{"type": "object"}', [(True, tokens.encode('{"a": [1, "b"]}'))]), tokens, clock)
    gc.collect()
    gc.freeze()  # what stays for ever need not be looked at again
    connection.send((engines[0].version, peak()))
    while (case := connection.recv()) is not None:
        connection.send(judged(engines[0], case, tokens, clock))


def judged(engine: Engine, case: Case, tokens: Tokens, clock: Clock) -> Outcome:
    """Compile a schema and follow its instances."""
    outcome = Outcome(case.name)
    try:
        compiled = _first_mask(engine, case.schema, outcome, clock)
        for valid, ids in case.instances:
            compiled.restart()
            outcome.accepted.append((valid, _accepts(compiled, ids, tokens.vocabulary.eos, outcome, clock)))
    except Exception as error:  # noqa: BLE001 an engine may fail in any way: that is a result, not the end
        outcome.error = f"{'' if isinstance(error, Unsupported) else type(error).__name__ + ': '}{error}"[:300]
    outcome.memory = peak()
    return outcome


def _first_mask(engine: Engine, schema: str, outcome: Outcome, clock: Clock) -> Compiled:
    began = processor_time()
    compiled = engine.compile_schema(schema)
    outcome.first = processor_time() - began
    outcome.first += clock.of(compiled.fill)
    outcome.compiled = True
    return compiled


def _accepts(compiled: Compiled, ids: list[int], eos: tuple[int, ...], outcome: Outcome, clock: Clock) -> bool:
    for token in ids:
        outcome.masks.append(clock.of(compiled.fill))
        if not _allows(compiled, token):
            return False
        outcome.commits.append(clock.of(compiled.commit, token))
    outcome.masks.append(clock.of(compiled.fill))
    return any(_allows(compiled, token) for token in eos)


def _allows(compiled: Compiled, token: int) -> bool:
    return bool(int(compiled.mask[0, token >> 5]) >> (token & 31) & 1)


def peak() -> int:
    """The most memory this process ever had in use."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
