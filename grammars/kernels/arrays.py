"""The arrays that kernels work on, by what they hold.

To a type checker they are anything: it would take `store[i]` for an array, where a kernel has an integer.
"""

from __future__ import annotations

from typing import Any

Words = Any  # int64: packed programs, stores, and everything that is counted
Table = Any  # int32: large tables, of moves, trie nodes, token ids
Data = Any  # uint8: bytes
Mask = Any  # uint32: bits of tokens, 32 to a word
Paths = Any  # int64, two dimensions: what a walk carries along
