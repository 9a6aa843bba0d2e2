"""The network of a saved program: its arrays, and what must hold of them before a kernel may read them.

Rows of byte automata are saved as counts of edges, not as offsets: offsets made from counts cannot be out of order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grammars.completion import Array, Network
from grammars.errors import LimitExceeded
from grammars.kernels.bodies import stray_state
from grammars.kernels.layout import FREE_COUNT, MAX_ROWS, NEXT_MASK
from grammars.limits import Limits
from grammars.program import (
    ACCEPT,
    ACCEPT_STATE,
    AGAIN,
    BOOT_BYTE,
    BOOT_STATE,
    CALL,
    FINAL,
    HIGH,
    LEX,
    LOW,
    NOT_A_LOOP,
    RETURN,
    RULE_WIDTH,
    SPLIT,
    START,
    UNBOUNDED,
    Program,
)
from grammars.serialization.sections import read_integers, require, require_range, write_integers

_COLUMNS = [START, LOW, HIGH]  # of a rule; the others follow
_FIRST = [[ACCEPT, 0, 0], [RETURN, 0, 0], [AGAIN, 0, 0], [CALL, 0, ACCEPT_STATE]]  # the states before BOOT_STATE
_BOOT_EDGES = [[BOOT_BYTE[0], BOOT_BYTE[0], FINAL]]
_HIGHEST_BOUND = FREE_COUNT - 1


def write_network(program: Program) -> list[bytes]:
    """The sections of a program: operations, targets, rules, rows and edges."""
    rows = np.stack([np.diff(program.row_edge), program.row_accepts], axis=1)
    rules = program.rules[:, _COLUMNS]
    return [write_integers(array) for array in (program.ops, program.targets, rules, rows, program.edges)]


def read_network(sections: Sequence[memoryview]) -> Network:
    """The network of these sections, its shapes right and its numbers unchecked."""
    columns = (3, 1, len(_COLUMNS), 2, 3)
    ops, targets, saved, rows, edges = map(read_integers, sections, columns)
    rules = np.zeros((len(saved), RULE_WIDTH), np.int64)
    rules[:, _COLUMNS] = saved
    row_edge = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows[:, 0])])
    return Network(ops, targets.ravel(), rules, row_edge, rows[:, 1].copy(), edges)


def is_same(network: Network, program: Program) -> bool:
    """Whether completion found nothing to cut off."""
    return np.array_equal(network.ops, program.ops) and np.array_equal(network.targets, program.targets)


# -- rows and edges ---------------------------------------------------------------------------------------------------


def check_lexemes(network: Network, limits: Limits) -> None:
    """Every edge is a range of bytes that leads to a row, and the edges of a row are in order."""
    edges, rows = network.edges, len(network.row_accepts)
    _require_limit(rows, min(limits.states, MAX_ROWS // 2), "rows")
    counts = np.diff(network.row_edge)
    require_range(counts, 0, 257, "number of edges")
    require(network.row_edge[-1] == len(edges), "its rows have more or fewer edges than there are")
    require(rows > FINAL and counts[FINAL] == 0, "its final row has edges or is missing")
    require_range(network.row_accepts, 0, 2, "acceptance")
    require(network.row_accepts[FINAL] == 1, "its final row does not accept")
    low, high = edges[:, 0], edges[:, 1]
    require_range(edges[:, :2], 0, 256, "byte")
    require((low <= high).all(), "an edge has no bytes")
    require_range(edges[:, 2], 0, rows, "target row")
    row = np.repeat(np.arange(rows), counts)
    require(((row[1:] != row[:-1]) | (low[1:] > high[:-1])).all(), "the edges of a row overlap or are out of order")


# -- states and rules -------------------------------------------------------------------------------------------------


def check_states(network: Network, lazy: int, limits: Limits) -> None:
    """Every operation refers to what exists; every rule is a body of its own with the right end."""
    ops, states = network.ops, len(network.ops)
    _require_limit(states, min(limits.states, NEXT_MASK) + BOOT_STATE, "states")
    require(states <= NEXT_MASK + 1, "it has more states than can be numbered")
    require(ops[:BOOT_STATE].tolist() == _FIRST, "it does not begin with the states of every program")
    kinds = ops[:, 0]
    is_reading, is_choosing, is_calling = kinds == LEX, kinds == SPLIT, kinds == CALL
    require((is_reading | is_choosing | is_calling)[BOOT_STATE:].all(), "a state has no known operation")
    reading, calling = ops[is_reading], ops[is_calling]
    require_range(reading[:, 1], 0, len(network.row_accepts) + lazy, "row")
    require_range(calling[:, 1], 0, len(network.rules), "rule")
    for following in (reading[:, 2], calling[:, 2], network.targets):
        require_range(following, 0, states, "state")
    _check_boot(network)
    _check_splits(ops[is_choosing], len(network.targets))
    _check_rules(network.rules, states, limits)
    stray = int(stray_state(ops, network.targets, network.rules))
    require(stray < 0, f"state {stray} is part of two rules or ends one in the wrong way")


def _check_boot(network: Network) -> None:
    kind, row, after = network.ops[BOOT_STATE].tolist() if len(network.ops) > BOOT_STATE else (-1, 0, 0)
    require(kind == LEX and row < len(network.row_accepts) and after == BOOT_STATE - 1, "it has no first state")
    edges = network.edges[network.row_edge[row] : network.row_edge[row + 1]]
    require(edges.tolist() == _BOOT_EDGES, "its first state reads something else than the first byte")


def _check_splits(splits: Array, targets: int) -> None:
    require_range(splits[:, 1:], 0, targets + 1, "position among the targets")
    lengths = splits[:, 2] - splits[:, 1]
    require((lengths >= 0).all(), "a choice ends before it begins")
    require(lengths.sum() <= targets, "choices share their targets")


def _check_rules(rules: Array, states: int, limits: Limits) -> None:
    _require_limit(len(rules), limits.states + 1, "rules")
    require(len(rules) > 0 and rules[0, LOW] == NOT_A_LOOP, "it has no start rule")
    require_range(rules[:, START], 0, states, "start of a rule")
    require_range(rules[:, LOW], NOT_A_LOOP, _HIGHEST_BOUND + 1, "lower bound")
    require_range(rules[:, HIGH], UNBOUNDED, _HIGHEST_BOUND + 1, "upper bound")
    loops = rules[rules[:, LOW] != NOT_A_LOOP]
    low, high = loops[:, LOW], loops[:, HIGH]
    require(((high == UNBOUNDED) | (high >= np.maximum(low, 1))).all(), "a repetition ends before it begins")
    _require_limit(int(np.maximum(low, high).max(initial=0)), limits.repeat, "repeat")


def _require_limit(number: int, limit: int, what: str) -> None:
    if number > limit:
        raise LimitExceeded(
            f"the saved program has {what} up to {number}, and the limits allow {limit}",
            hint="load it with the Limits that it was compiled with, if you trust its author",
        )
