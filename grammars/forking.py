"""Locks that a fork does not leave locked for ever.

`os.fork` copies the memory of a process but only the thread that calls it. A lock that another thread held at that
moment stays locked in the child, and what it guards is half written. So whoever forks first takes every lock of this
package, which waits until no kernel is at work, and gives them back on both sides.
"""

from __future__ import annotations

import os
import threading
import time
import weakref

_PATIENCE = 30.0  # seconds: longer than any step that holds a lock; then the fork goes on without
_ATTEMPT = 0.01

_locks: dict[int, threading.Lock] = {}
_held: list[threading.Lock] = []


def lock_for(owner: object) -> threading.Lock:
    """A new lock that lives as long as its owner and is free in forked processes.

    >>> class Owner:
    ...     pass
    >>> owner = Owner()
    >>> with lock_for(owner):
    ...     pass
    """
    lock = _locks[id(owner)] = threading.Lock()
    weakref.finalize(owner, _locks.pop, id(owner), None).atexit = False
    return lock


def _take_all() -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _took_all() and time.monotonic() < deadline:
        pass


def _took_all() -> bool:
    """Take every lock, or none: a thread that holds one may be waiting for another."""
    for lock in list(_locks.values()):
        if not lock.acquire(timeout=_ATTEMPT):
            _release_all()
            return False
        _held.append(lock)
    return True


def _release_all() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_take_all, after_in_parent=_release_all, after_in_child=_release_all)
