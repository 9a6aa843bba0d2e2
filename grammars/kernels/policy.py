"""How kernels are compiled: cached on disk, without the interpreter lock, never with numba's own threads.

`parallel=True` aborts a process that calls a kernel from several threads; recursion and `hash()` of nested tuples crash.
So kernels are flat loops, and threads belong to the caller.

A `kernel` is called from Python. A `part` is called by kernels alone: it needs no wrappers. Left to itself numba compiles a
part anew for every constant and every integer width among its arguments; here all integers are int64, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core import types

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile `function` on first use and keep the machine code on disk."""
    return _with_plain_integers(numba.njit(cache=True, nogil=True)(function))


def part(function: F) -> F:
    """Compile a function that only kernels call."""
    return _with_plain_integers(numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


def _with_plain_integers(dispatcher: Any) -> Any:
    """Let calls from other kernels see int64 wherever they pass an integer."""
    if not hasattr(dispatcher, "get_call_template"):
        return dispatcher  # compilation is switched off: a plain function
    resolve = dispatcher.get_call_template
    dispatcher.get_call_template = lambda args, kws: resolve(tuple(map(_plain, args)), kws)
    return dispatcher


def _plain(argument: Any) -> Any:
    argument = types.unliteral(argument)
    return types.int64 if isinstance(argument, types.Integer | types.Boolean) else argument
