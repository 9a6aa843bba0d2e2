"""How much resident memory a piece of work needs: done in a forked child, whose heap was trimmed first.

In one long process memory that earlier work gave back is used again, so growth would look like nothing. The child is a
copy with every import, kernel and vocabulary in place.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable


def growth(work: Callable[[], object]) -> int:
    """Bytes by which resident memory has grown when `work` is done and its result still held; -1 if it failed."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _measured(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return int(answer or b"-1")


def _measured(work: Callable[[], object], writing: int) -> None:
    """In the child: do the work, send the number, and leave without any cleaning up."""
    try:
        before = _resident()
        held = work()
        grown = _resident() - before
        del held
        os.write(writing, str(max(grown, 0)).encode())
    finally:
        os._exit(0)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
