"""`scansion serve`: the protocol of OpenAI, with every constraint enforced.

Exit codes: 0 stopped by a signal, after what was under way had its time; 2 the call is wrong or something is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from decoding.commands.forms import ModelOption
from decoding.terminal import messages

if TYPE_CHECKING:
    from decoding.server.models import ServedModel

HostOption = Annotated[str, typer.Option("--host", help="The address to listen at; 0.0.0.0 is every one.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen at.")]
BackendOption = Annotated[str, typer.Option("--backend", help="What runs the model: hf or vllm.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Where it runs, such as cuda or cpu.")]
DtypeOption = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option("--dtype", help="What it computes with; by default as it was saved, if that is quick."),
]
EngineOption = Annotated[
    list[str] | None,
    typer.Option("--engine", metavar="NAME=VALUE", help="With vllm: an option of its engine, repeatable."),
]
RunningOption = Annotated[int, typer.Option("--max-running", min=1, help="Texts that are written at the same time.")]
QueueOption = Annotated[int, typer.Option("--max-waiting", min=0, help="Texts that may wait; more are told to wait.")]
TokensOption = Annotated[int, typer.Option("--max-tokens", min=1, help="Most new tokens of a request.")]
GraceOption = Annotated[float, typer.Option("--grace", min=0, help="Seconds that answers may take when it stops.")]


def serve(
    model: ModelOption = None,
    backend: BackendOption = "hf",
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    engine: EngineOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    max_running: RunningOption = 64,
    max_waiting: QueueOption = 256,
    max_tokens: TokensOption = 4096,
    grace: GraceOption = 20.0,
) -> None:
    """Serve a model to any client of OpenAI's protocol; the built-in one if none is named.

    \b
    scansion serve
    scansion serve --model Qwen/Qwen2.5-0.5B-Instruct --device cuda --host 0.0.0.0
    scansion serve --model Qwen/Qwen2.5-7B-Instruct --backend vllm --engine tensor_parallel_size=2
    curl localhost:8000/v1/completions -d '{"prompt": "Call 555-0100. Phone: ", "regex": "[0-9]{3}-[0-9]{4}"}' \\
        -H 'content-type: application/json'
    """
    from decoding.server import serve as run
    from decoding.server.limits import ServerLimits

    if backend not in ("hf", "vllm"):
        raise typer.BadParameter(f"there is no backend {backend!r}, there are hf and vllm", param_hint="--backend")
    if engine and backend != "vllm":
        raise typer.BadParameter("these are options of vLLM: add --backend vllm", param_hint="--engine")
    if (device or dtype) and (backend == "vllm" or model is None):
        told = "these are for models of Hugging Face: name one by --model (vLLM takes --engine dtype=float32)"
        raise typer.BadParameter(told, param_hint="--device, --dtype")
    limits = ServerLimits(
        running=max_running,
        queue=max_waiting,
        max_tokens=max_tokens,
        default_tokens=min(max_tokens, ServerLimits().default_tokens),
        grace_seconds=grace,
    )
    if backend == "vllm":
        served = _in_vllm(model, {"max_num_seqs": max_running} | engine_options(engine or []))
    else:
        served = _served(model, device, dtype)
    run(served, limits, host=host, port=port)


def engine_options(given: list[str]) -> dict[str, Any]:
    """Options of vLLM's engine: JSON where it is JSON, and otherwise text.

    >>> engine_options(["tensor_parallel_size=2", "dtype=float32", "enforce_eager=true"])
    {'tensor_parallel_size': 2, 'dtype': 'float32', 'enforce_eager': True}
    """
    options: dict[str, Any] = {}
    for each in given:
        name, is_given, value = each.partition("=")
        if not is_given or not name.isidentifier():
            raise typer.BadParameter(f"{each!r} is no NAME=VALUE", param_hint="--engine")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _in_vllm(model: str | None, options: dict[str, Any]) -> ServedModel:
    from decoding.embedded import hf_directory
    from decoding.server.vllm.model import VLLMServed

    built_in = {"dtype": "float32", "block_size": 32} if model is None else {}
    name = model or str(hf_directory())
    return _loaded(name, lambda: VLLMServed(name, model or "built-in", **(built_in | options)))


def _served(model: str | None, device: str | None, dtype: str | None) -> ServedModel | None:
    if model is None:
        return None
    from grammars import BackendUnavailable

    try:
        from decoding.server.hugging_face import load_served
    except ImportError as error:
        raise BackendUnavailable(
            f"{model} is a model of Hugging Face, and {error.name} is missing", hint="pip install 'scansion[hf,serve]'"
        ) from error
    return _loaded(model, lambda: load_served(model, device, dtype))


def _loaded(name: str, load: Callable[[], ServedModel]) -> ServedModel:
    from grammars import BackendUnavailable

    with messages.status("loading the model"):
        try:
            return load()
        except (OSError, ValueError, RuntimeError) as error:
            raise BackendUnavailable(f"the model {name!r} cannot be loaded: {str(error).splitlines()[0]}") from error
