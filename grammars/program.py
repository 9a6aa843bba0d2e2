"""The program: a language lowered to flat arrays, ready for the kernels.

A language is a recursive transition network over bytes. Its *states* hold one operation each:

| operation | a | b | meaning |
|---|---|---|---|
| `LEX` | row | next | read a lexeme that starts at byte row `a`, go on at `b` |
| `SPLIT` | from | to | go on at every state in `targets[a:b]` |
| `CALL` | rule | next | read a string of rule `a`, go on at `b` |
| `RETURN` | | | the rule is complete |
| `AGAIN` | | | one copy of a counted repetition is complete |
| `ACCEPT` | | | the text is complete |

A *row* is a state of a lexeme's byte automaton: `edges[row_edge[r]:row_edge[r+1]]` are its `(low byte, high byte,
target row)` in order. Row `FINAL` accepts and has no edges. Rows from `first_lazy` on belong to boolean lexemes,
whose rows are made when a kernel first asks for them.

A counted repetition X{low,high} is a rule of its own: its body starts at the rule's start and ends in `AGAIN`; the
count lives in the parser's context, so a bound of a million costs what a bound of two costs.

Rules are grouped into *components*: two rules share one when each can start with the other (left recursion).
Components are numbered so that calls at a rule's start lead to the same or a higher number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEX, SPLIT, CALL, RETURN, AGAIN, ACCEPT = range(6)

FINAL = 0  # the row that accepts and goes nowhere
ACCEPT_STATE = 0  # the state in which a complete text arrives
BOOT_STATE = 4  # reads BOOT_BYTE, then a text: the machine begins here
BOOT_BYTE = b"\0"
UNBOUNDED = -1

# Columns of `rules`
START, NULLABLE, COMPONENT, MEMBER, LOW, HIGH, SHORTEST = range(7)
RULE_WIDTH = 7
NOT_A_LOOP = -1  # in column LOW

# Cells of a packed program: where each array begins
(
    OPS,
    TARGETS,
    RULES,
    COMPONENTS,
    MEMBERS,
    CORNERS,
    ROW_EDGE,
    ROW_ACCEPTS,
    EDGES,
    BYTE_CLASS,
    CLASS_BYTE,
    ROWS,  # their number: rows from here on are lazy
    CLASSES,  # their number
    COUNTS,  # whether any rule is a counted repetition
) = range(14)
_HEADER = 16


class Program(NamedTuple):
    """Static arrays of one lowered language; see the module docstring. Never written to after lowering."""

    ops: NDArray[np.int64]  # (states, 3): kind, a, b
    targets: NDArray[np.int64]
    rules: NDArray[np.int64]  # (rules, 7): SHORTEST is a lower bound of the bytes of one copy, for repetitions
    components: NDArray[np.int64]  # (components + 1, 2): first member, first internal edge
    members: NDArray[np.int64]  # rules, grouped by component
    corners: NDArray[np.int64]  # (internal edges, 3): called member, state after, calling member
    row_edge: NDArray[np.int64]  # (rows + 1,)
    row_accepts: NDArray[np.int64]
    edges: NDArray[np.int64]  # (edges, 3): low byte, high byte, target row
    byte_class: NDArray[np.int64]  # (256,)
    class_byte: NDArray[np.int64]  # (classes,): a byte of each class

    def packed(self) -> NDArray[np.int64]:
        """All arrays in one, as the kernels read them: a header of offsets, then the arrays."""
        header = np.zeros(_HEADER, np.int64)
        header[: len(self)] = _HEADER + np.cumsum([0, *(array.size for array in self[:-1])])
        header[ROWS], header[CLASSES] = len(self.row_accepts), len(self.class_byte)
        header[COUNTS] = bool((self.rules[:, LOW] != NOT_A_LOOP).any())
        return np.concatenate([header, *(array.ravel() for array in self)])
