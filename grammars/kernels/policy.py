"""How kernels are compiled: cached on disk, without the interpreter lock, never with numba's own threads.

`parallel=True` aborts a process that calls a kernel from several threads; recursion and `hash()` of nested tuples
crash. So kernels are flat loops, and threads belong to the caller.

Numba keeps machine code until the file of a kernel changes, though a kernel also contains the constants and parts
that it takes from other files. So the stamp by which cached code is recognised is a digest of all sources that
kernels are made of, and of the file that the kernel itself stands in.

A `kernel` is called from Python. A `part` is called by kernels alone: it needs no wrappers. Left to itself numba
compiles a part anew for every constant and every integer width among its arguments; here all integers are int64,
once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import types

F = TypeVar("F", bound=Callable[..., Any])

_compile: Any = numba.njit
_types: Any = types


def kernel(function: F) -> F:
    """Compile `function` on first use and keep the machine code on disk."""
    try:
        compiled = _compile(cache=True, nogil=True)(function)
    except RuntimeError:  # nowhere to keep machine code: a read-only installation without a home
        compiled = _compile(nogil=True)(function)
    return _with_plain_integers(_stamped(compiled, Path(function.__code__.co_filename)))


def part(function: F) -> F:
    """Compile a function that only kernels call."""
    return _with_plain_integers(_compile(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


def _stamped(dispatcher: Any, file: Path) -> Any:
    """Let cached machine code be valid for exactly these sources."""
    cache_file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if cache_file is not None:
        cache_file._source_stamp = _sources_digest(file)
    return dispatcher


@cache
def _sources_digest(file: Path) -> str:
    here = Path(__file__).resolve().parent
    digest = blake2b(digest_size=16)
    for source in sorted({here.parent / "program.py", file.resolve(), *here.glob("*.py")}):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _with_plain_integers(dispatcher: Any) -> Any:
    """Let calls from other kernels see int64 wherever they pass an integer."""
    if not hasattr(dispatcher, "get_call_template"):
        return dispatcher  # compilation is switched off: a plain function
    resolve = dispatcher.get_call_template

    def resolve_plain(args: tuple[Any, ...], kws: Any) -> Any:
        return resolve(tuple(_plain(argument) for argument in args), kws)

    dispatcher.get_call_template = resolve_plain
    return dispatcher


def _plain(argument: Any) -> Any:
    argument = _types.unliteral(argument)
    return types.int64 if isinstance(argument, types.Integer | types.Boolean) else argument
