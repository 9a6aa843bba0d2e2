"""`scansion serve`: the protocol of OpenAI, with every constraint enforced.

Exit codes: 0 stopped by a signal, after what was under way had its time; 2 the call is wrong or something is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from decoding.commands.forms import ModelOption
from decoding.terminal import messages

if TYPE_CHECKING:
    from decoding.server.models import ServedModel

HostOption = Annotated[str, typer.Option("--host", help="The address to listen at; 0.0.0.0 is every one.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen at.")]
BackendOption = Annotated[str, typer.Option("--backend", help="What runs a model of Hugging Face: hf.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Where it runs, such as cuda or cpu.")]
RunningOption = Annotated[int, typer.Option("--max-running", min=1, help="Texts that are written at the same time.")]
QueueOption = Annotated[int, typer.Option("--max-waiting", min=0, help="Texts that may wait; more are told to wait.")]
TokensOption = Annotated[int, typer.Option("--max-tokens", min=1, help="Most new tokens of a request.")]
GraceOption = Annotated[float, typer.Option("--grace", min=0, help="Seconds that answers may take when it stops.")]


def serve(
    model: ModelOption = None,
    backend: BackendOption = "hf",
    device: DeviceOption = None,
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
    curl localhost:8000/v1/completions -d '{"prompt": "Call 555-0100. Phone: ", "regex": "[0-9]{3}-[0-9]{4}"}' \\
        -H 'content-type: application/json'
    """
    from decoding.server import serve as run
    from decoding.server.limits import ServerLimits

    if backend != "hf":
        raise typer.BadParameter(
            f"there is no backend {backend!r}: vLLM has a server of its own, for which this package has plugins "
            "(python -c 'import decoding.vllm; help(decoding.vllm)')",
            param_hint="--backend",
        )
    limits = ServerLimits(
        running=max_running,
        queue=max_waiting,
        max_tokens=max_tokens,
        default_tokens=min(max_tokens, ServerLimits().default_tokens),
        grace_seconds=grace,
    )
    run(_served(model, device), limits, host=host, port=port)


def _served(model: str | None, device: str | None) -> ServedModel | None:
    if model is None:
        return None
    from grammars import BackendUnavailable

    try:
        from decoding.server.hugging_face import load_served
    except ImportError as error:
        raise BackendUnavailable(
            f"{model} is a model of Hugging Face, and {error.name} is missing", hint="pip install 'scansion[hf,serve]'"
        ) from error
    with messages.status("loading the model"):
        try:
            return load_served(model, device)
        except (OSError, ValueError) as error:
            raise BackendUnavailable(f"the model {model!r} cannot be loaded: {str(error).splitlines()[0]}") from error
