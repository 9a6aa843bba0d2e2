"""Scheduling beside vLLM: texts are handed over, and vLLM puts them into its batch; samplers are stepped here."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoding.server.closing import Closing
from decoding.server.faults import Fault, stopping
from decoding.server.order import Order
from decoding.server.runs import Failed, Listener, Work
from decoding.server.scheduler import Scheduler
from decoding.server.turns import Turn
from decoding.server.vllm.writing import Remote
from decoding.vllm.wishes import TURN
from grammars import SerializationError, TokenAutomaton, UnsupportedFeature
from samplers.problem import Problem

Ints = NDArray[np.int64]
_LONG = 0.02  # seconds of a compilation
_MOST_PROGRAMS = 64  # that no request has taken along yet
_HOTTEST = 2.0  # of vLLM's SamplingParams


class VLLMScheduler(Scheduler):
    """A `Scheduler` for `VLLMServed`."""

    def __init__(self, *args: Any, **options: Any):
        self._remote: set[Remote] = set()
        self._programs = OrderedDict[str, bytes]()
        super().__init__(*args, **options)
        self._limits = asdict(self._grammars)
        self._served: Any = self.model

    @property
    def running(self) -> int:
        """How many texts and samplers are under way; vLLM may let some of the texts wait."""
        return super().running + len(self._remote)

    def automaton(self, turn: Turn) -> TokenAutomaton:
        """What a turn compiles to. The worker needs one, too: if it takes long, it begins at the same time, otherwise
        the program is sent with the first request."""
        begin, asking = time.perf_counter(), self._served.engine.begin(self._asked(turn))
        try:
            made = super().automaton(turn)
        finally:
            asking.cancel()
        if time.perf_counter() - begin < _LONG:
            self._keep(turn, made)
        return made

    def _keep(self, turn: Turn, made: TokenAutomaton) -> None:
        """Keep a program until a request takes it along; without one the worker compiles."""
        program = BytesIO()
        with suppress(SerializationError, UnsupportedFeature):
            made.save(program, report=False)
            self._programs[turn.text] = program.getvalue()
        while len(self._programs) > _MOST_PROGRAMS:
            self._programs.popitem(last=False)

    async def _asked(self, turn: Turn) -> None:
        await asyncio.sleep(_LONG)
        language = TURN, turn.text, json.dumps(self._limits, sort_keys=True)
        with suppress(Fault):  # without an engine the request itself is told so
            await self._served.engine.ask("scansion_prepare", language, list(self._served.vocabulary.eos))

    def writing(
        self, order: Order, problem: Problem, prompt: Ints, closing: Closing | None, seed: Any, tell: Listener
    ) -> Work:
        if order.watched and order.knobs.bias:
            raise Fault(
                "with vLLM the mass of the mask is not told where logit_bias changes it",
                param="logit_bias",
                code="conflicting_parameters",
                hint="leave watch or logit_bias away",
            )
        if order.knobs.temperature > _HOTTEST:
            raise Fault(f"vLLM's temperature is at most {_HOTTEST:g}", param="temperature")
        return Remote(self._served.engine, order, self._limits, problem, prompt, closing, seed, tell)

    def submit(self, runs: Sequence[Work], *, beside: int = 0) -> None:
        remote = [run for run in runs if isinstance(run, Remote)]
        stepped = [run for run in runs if not isinstance(run, Remote)]
        super().submit(stepped, beside=beside + len(remote))
        self._remote.update(remote)
        for run in remote:
            run.start(self._remote.discard, self._programs.pop(run.turn, b""))

    def cancel(self, runs: Sequence[Work]) -> None:
        super().cancel(runs)
        for run in runs:
            if isinstance(run, Remote):
                run.stop()
                self._remote.discard(run)  # it may never have begun

    def close(self, grace: float = 0.0) -> None:
        super().close(grace)
        for run in list(self._remote):
            run.stop()
            run.tell(Failed(stopping()))
