"""What the processor saw, kept in the worker until a driver fetches it.

For each generated token of a request that asks for it (`record=NAME`): log Z_t, the log of the mass that the model gave
to all allowed tokens, and log of the mass of all end tokens if the text could end there, else -inf. Their sum over
tokens is the weight that makes up for masking:

    log w(x) = Σ_t log Z_t,        E_q[w·f] = Z·E*[f].

vLLM's own log-probabilities (`logprobs=0`) are those of the model before the mask, which is the other half.

Workers have no way to send more than tokens, so a driver asks them: `WorkerExtension` gives each worker the method
`scansion_take`, called with `collective_rpc`. What nobody fetches is dropped, the oldest first.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from decoding.vllm.following import AUTOMATA
from decoding.vllm.tokens import ending, vocabulary_of
from grammars import ScansionError, Vocabulary

_MOST_RECORDS = 1 << 16
_MOST_BYTES = 1 << 30


@dataclass
class Record:
    """One request. A step that is computed again (after preemption, or chunk by chunk) replaces what was known.

    >>> record = Record()
    >>> for step, mass in [(0, -1.0), (0, -2.0), (1, -3.0)]:
    ...     record.put(step, mass, -math.inf)
    >>> record.log_mass
    [-2.0, -3.0]
    """

    log_mass: list[float] = field(default_factory=list[float])
    log_end: list[float] = field(default_factory=list[float])
    row: bytes = b""
    """The logits of the first token, float32."""
    failure: str = ""

    def put(self, step: int, log_mass: float, log_end: float) -> None:
        for numbers, value in ((self.log_mass, log_mass), (self.log_end, log_end)):
            del numbers[step:]
            numbers += [math.nan] * (step - len(numbers)) + [value]

    def plain(self) -> dict[str, Any]:
        """What travels between processes: nothing but numbers, text and bytes."""
        return {"log_mass": self.log_mass, "log_end": self.log_end, "row": self.row, "failure": self.failure}


class Records:
    """Records by name: at most so many, and so many bytes of logits.

    >>> records = Records(most=2)
    >>> for name in "abc":
    ...     records.of(name).put(0, -1.0, -2.0)
    >>> records.take(["a", "c"])
    {'c': {'log_mass': [-1.0], 'log_end': [-2.0], 'row': b'', 'failure': ''}}
    """

    def __init__(self, most: int = _MOST_RECORDS, most_bytes: int = _MOST_BYTES):
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._known: OrderedDict[str, Record] = OrderedDict()

    def of(self, name: str) -> Record:
        """The record of that name; begun if there is none."""
        record = self._known.get(name)
        if record is None:
            record = self._known[name] = Record()
            self._drop()
        return record

    def put_row(self, name: str, row: bytes) -> None:
        """Keep the logits of a request."""
        record = self.of(name)
        self._bytes += len(row) - len(record.row)
        record.row = row
        self._drop()

    def take(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """The records of those names, which are forgotten here."""
        found = {name: self._known.pop(name) for name in names if name in self._known}
        self._bytes -= sum(len(record.row) for record in found.values())
        return {name: record.plain() for name, record in found.items()}

    def peek(self, name: str, begin: int) -> list[float]:
        """The masses of a record from a step on; it is kept."""
        record = self._known.get(name)
        return record.log_mass[begin:] if record else []

    def _drop(self) -> None:
        while len(self._known) > 1 and (len(self._known) > self._most or self._bytes > self._most_bytes):
            self._bytes -= len(self._known.popitem(last=False)[1].row)


KEPT = Records()
"""Those of this process."""


class WorkerExtension:
    """`LLM(worker_extension_cls="decoding.vllm.records.WorkerExtension")`: workers that can be asked for records, and
    told of forms before the first request that has them."""

    vllm_config: Any

    def scansion_take(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """The records of those names."""
        return KEPT.take(names)

    def scansion_peek(self, name: str, begin: int) -> list[float]:
        """The masses recorded under a name, from a step on."""
        return KEPT.peek(name, begin)

    def scansion_prepare(self, language: tuple[str, str, str], stops: list[int]) -> None:
        """Begin to compile a form, for requests with these stop tokens."""
        vocabulary = ending(vocabulary_of(self.vllm_config.model_config), stops)
        kind, text, options = language
        Thread(target=_compile, args=((kind, text, options), vocabulary), daemon=True).start()


def _compile(language: tuple[str, str, str], vocabulary: Vocabulary) -> None:
    with suppress(ScansionError, ValueError):  # told to the request that has the form
        AUTOMATA.compiled(language, vocabulary)
