"""A fault of vLLM on the processor that would keep it from starting beside numba.

Without Triton, vLLM replaces kernels by compiled functions, and looks for every reference to them in the namespaces of
all modules that are loaded, at `vars(value).get("kernel")` of every value. llvmlite, which numba is built upon, has an
object that answers each attribute with a wrapped function, `__dict__` as well; that function has no `get`, and vLLM
stops with an AttributeError. While vLLM looks around, these functions get one that finds nothing.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any


def mend_search_for_kernels() -> None:
    """Let vLLM start on the processor after numba was imported; to be called before it starts."""
    try:
        searching: Any = import_module("vllm.triton_utils.dispatcher")
    except ImportError:
        return  # another version of vLLM, which does not search
    search: Callable[[Any], None] | None = getattr(searching, "_rebind_kernels", None)
    if search is not None and not hasattr(search, "__wrapped__"):
        searching._rebind_kernels = _tolerant(search)


def _tolerant(search: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(search)
    def searched(overrides: Any) -> None:
        wrapped: Any = getattr(sys.modules.get("llvmlite.binding.ffi"), "_lib_fn_wrapper", None)
        if wrapped is None or hasattr(wrapped, "get"):
            return search(overrides)
        wrapped.get = _nothing
        try:
            return search(overrides)
        finally:
            del wrapped.get

    return searched


def _nothing(self: object, name: str) -> None:
    """What is found under any name."""
