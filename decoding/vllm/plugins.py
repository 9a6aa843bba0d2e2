"""What vLLM calls when it starts, in each of its processes (entry point of the group `vllm.general_plugins`).

Two things are done, both without effect on requests that do not ask for them (and a fault is mended, see `repairs`):

* Requests that this vLLM would not constrain are refused in the front end; see `decoding.vllm.asked.obstacle`.
* If the environment variable SCANSION_STRUCTURED_OUTPUTS names one of vLLM's structured-output backends, which are a
  fixed list, scansion takes the place of that one; see `decoding.vllm.backend`.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from multiprocessing import parent_process
from multiprocessing.connection import wait
from signal import SIGTERM
from threading import Thread
from threading import enumerate as enumerate_threads
from time import sleep
from typing import Any

from decoding.vllm.asked import obstacle, refuse
from decoding.vllm.interfaces import the_vllm
from decoding.vllm.repairs import mend_search_for_kernels
from grammars import RequestError

VARIABLE = "SCANSION_STRUCTURED_OUTPUTS"
OWN_SIGNALS = "SCANSION_OWN_SIGNALS"
"""Set, to its number, by a server that stops its engine itself, after what is under way: Ctrl-C must not reach the
engine before, and no engine must outlive a server that was killed."""
_GUARD = "scansion-parent"
_GRACE = 5.0  # seconds


def register() -> None:
    """Called by vLLM; may be called several times."""
    parent, server = parent_process(), os.environ.get(OWN_SIGNALS)
    if parent is not None and server not in (None, str(os.getpid())):
        os.setpgid(0, 0)
        _end_with(parent.sentinel)
    mend_search_for_kernels()
    _guard(import_module("vllm.v1.engine.input_processor").InputProcessor)
    slot = os.environ.get(VARIABLE)
    if slot:
        _install(slot)


def _end_with(parent: int) -> None:
    """Let this process end when its parent does, however that came about: a server that was killed cannot stop it."""
    if any(thread.name == _GUARD for thread in enumerate_threads()):
        return

    def waiting() -> None:
        wait([parent])
        os.kill(os.getpid(), SIGTERM)
        sleep(_GRACE)
        os._exit(1)

    Thread(target=waiting, name=_GUARD, daemon=True).start()


def use_for_structured_outputs(slot: str = "xgrammar") -> None:
    """Let scansion do the structured outputs of every vLLM that this process starts from now on, in place of the
    backend `slot`: "xgrammar", which vLLM takes by default, or "guidance".

    The same as SCANSION_STRUCTURED_OUTPUTS=xgrammar in the environment of `vllm serve`. Name the backend to vLLM, too
    (`structured_outputs_config={"backend": "xgrammar"}`): with "auto" it hands what scansion refuses to another one.
    """
    the_vllm()
    _install(slot)
    os.environ[VARIABLE] = slot  # for the processes that vLLM starts


def _install(slot: str) -> None:
    from decoding.vllm.backend import SLOTS, install

    if slot not in SLOTS:
        raise RequestError(f"{VARIABLE} names {slot!r}", hint=f"it may name {' or '.join(SLOTS)}")
    install(slot)


def _guard(front_end: Any) -> None:
    """Let the front end refuse wishes that the engine would not serve."""
    build: Callable[[Any], Callable[[Any], None]] | None
    build = getattr(front_end, "_build_logits_processors_params_validator", None)
    if build is None or hasattr(build, "__wrapped__"):
        return  # another version of vLLM, or done already

    @wraps(build)
    def building(self: Any) -> Callable[[Any], None]:
        config = self.vllm_config
        check = build(self)
        why = obstacle(config, is_second=bool(getattr(config, "use_v2_model_runner", False)))
        return check if why is None else _refusing(check, why)

    front_end._build_logits_processors_params_validator = building


def _refusing(check: Callable[[Any], None], why: str) -> Callable[[Any], None]:
    def checked(params: Any) -> None:
        refuse(params, why)
        check(params)

    return checked
