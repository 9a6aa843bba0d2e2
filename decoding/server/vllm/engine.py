"""vLLM's asynchronous engine in a thread with an event loop of its own, started anew whenever it dies.

The model runs in a process of its own, which the system may kill. Requests under way are then answered with 503, those
that come meanwhile too, and a watchman starts another engine: at once, and if that fails, after ever longer pauses.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from itertools import count
from typing import Any, TypeVar

from decoding.server.faults import Fault
from decoding.vllm.asked import obstacle
from decoding.vllm.interfaces import refusals, the_vllm
from decoding.vllm.models import EXTENSION, PROCESSOR
from decoding.vllm.plugins import OWN_SIGNALS, register
from grammars import BackendUnavailable

_log = logging.getLogger(__name__)
_GLANCE = 0.25  # seconds between two looks at the engine
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)

T = TypeVar("T")


def engine_down() -> Fault:
    """What is told while there is no engine."""
    return Fault("the engine failed and is being restarted", code="engine_failed", status=503, retry_after=5)


class Engine:
    """An engine for a model, with options of vLLM's `AsyncEngineArgs`."""

    def __init__(self, model: str, options: Mapping[str, Any]):
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")  # this process has threads
        os.environ[OWN_SIGNALS] = str(os.getpid())
        the_vllm()
        register()
        self._model, self._options = model, _prepared(options)
        self._names = count()
        # The loop of vLLM's own server: to wake it from other threads costs less.
        self._loop: asyncio.AbstractEventLoop = import_module("uvloop").new_event_loop()
        self._llm: Any = self._started()
        threading.Thread(target=self._loop.run_forever, name="scansion-vllm", daemon=True).start()
        self._watch = self.begin(self._watched())

    @property
    def llm(self) -> Any:
        """The AsyncLLM; a `Fault` while there is none."""
        llm = self._llm
        if llm is None or llm.errored:
            raise engine_down()
        return llm

    @property
    def is_up(self) -> bool:
        """Whether requests are served."""
        llm = self._llm
        return llm is not None and not llm.errored

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Let the engine's thread do something."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def outputs(self, tokens: Sequence[int], params: Any) -> AsyncGenerator[Any, None]:
        """What the one completion of a prompt gains, or is; to be closed by whoever does not read to its end."""
        dead = import_module("vllm.v1.engine.exceptions")
        try:
            prompt = {"prompt_token_ids": list(tokens)}
            async for output in self.llm.generate(prompt, params, f"scansion-{next(self._names)}"):
                yield output.outputs[0]
        except refusals() as error:
            raise Fault(f"vLLM refuses the request: {error}") from error
        except (dead.EngineDeadError, dead.EngineGenerateError) as error:
            raise engine_down() from error

    async def ask(self, method: str, *args: Any) -> list[Any]:
        """What the workers answer."""
        dead = import_module("vllm.v1.engine.exceptions")
        try:
            return await self.llm.collective_rpc(method, args=args)
        except dead.EngineDeadError as error:
            raise engine_down() from error

    def close(self) -> None:
        """Stop the engine and its process."""
        self._watch.cancel()
        llm, self._llm = self._llm, None
        if llm is not None:
            llm.shutdown()
        with suppress(TimeoutError):
            self.begin(_ended()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _started(self) -> Any:
        engine = import_module("vllm.v1.engine.async_llm").AsyncLLM
        arguments = import_module("vllm.engine.arg_utils").AsyncEngineArgs
        try:
            llm = engine.from_engine_args(arguments(model=self._model, **self._options))
        except TypeError as error:  # an option that vLLM does not know
            raise BackendUnavailable(f"vLLM cannot be started so: {error}") from error
        is_second = bool(getattr(llm.vllm_config, "use_v2_model_runner", False))
        why = obstacle(llm.vllm_config, is_second=is_second)
        if why is not None:
            llm.shutdown()
            raise BackendUnavailable("this vLLM would not constrain requests", hint=why)
        return llm

    # -- the watchman ---------------------------------------------------------------------------------------------

    async def _watched(self) -> None:
        while True:
            await asyncio.sleep(_GLANCE)
            if not self.is_up:
                await self._restarted()

    async def _restarted(self) -> None:
        _log.error("vLLM's engine died; another one is started")
        dead, self._llm = self._llm, None
        if dead is not None:
            with suppress(Exception):  # it is dead already
                await asyncio.to_thread(dead.shutdown)
        pauses = iter(_PAUSES)
        while self._llm is None:
            try:
                self._llm = await asyncio.to_thread(self._started)
            except Exception:  # noqa: BLE001 - whatever it is, the next try may succeed
                _log.exception("vLLM's engine could not be started")
                await asyncio.sleep(next(pauses, _PAUSES[-1]))
        _log.warning("vLLM's engine is up again")


async def _ended() -> None:
    """Nothing else is under way in this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _prepared(options: Mapping[str, Any]) -> dict[str, Any]:
    """With the processor, the way to what it records, and prefixes kept."""
    processors = [*options.get("logits_processors", ()), PROCESSOR]
    ours = {"worker_extension_cls": EXTENSION, "enable_prefix_caching": True}
    return ours | dict(options) | {"logits_processors": processors}
