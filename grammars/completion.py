"""Completion: what follows from a network, and need not be written down with it.

The front half of lowering decides which states there are. From them follows which of them can finish, which rules may
be empty, how left recursion groups the rules, and which bytes nothing tells apart. Both the compiler and the reader of
saved programs end here, so a saved file cannot claim a fact that its network does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grammars.components import components_of
from grammars.errors import UnsatisfiableGrammar
from grammars.kernels.analysis import corner_calls, prune, solve
from grammars.kernels.lengths import shortest_copies, shortest_lexemes
from grammars.lexemes import byte_classes
from grammars.program import COMPONENT, LOW, MEMBER, NOT_A_LOOP, SHORTEST, START, Program

Array = NDArray[np.int64]


class Network(NamedTuple):
    """The part of a `Program` that the rest follows from."""

    ops: Array
    targets: Array
    rules: Array  # only the columns START, LOW and HIGH matter
    row_edge: Array
    row_accepts: Array
    edges: Array


def completed(network: Network, partitions: Sequence[tuple[int, ...]]) -> Program:
    """The program of a network; `partitions` are the byte classes of its lazy lexemes.

    What can never finish is cut off. Raises `UnsatisfiableGrammar` if nothing is left.
    """
    ops, targets, rules = network.ops.copy(), network.targets.copy(), network.rules.copy()
    productive, nullable = np.zeros(len(ops), np.int64), np.zeros(len(ops), np.int64)
    solve(ops, targets, rules, productive, nullable)
    if not productive[rules[0, START]]:
        raise UnsatisfiableGrammar(
            "the language is empty: no string satisfies the grammar",
            hint="look for a rule that can never end, contradictory intersections or an empty character class",
        )
    prune(ops, targets, rules, productive)
    _let_empty_copies_count(rules, nullable)
    components, members, corners = _group(ops, targets, rules)
    rules[:, SHORTEST] = 1
    if (rules[:, LOW] != NOT_A_LOOP).any():
        rules[:, SHORTEST] = shortest_copies(ops, targets, rules, shortest_lexemes(*network[3:]))
    byte_class, class_byte = byte_classes(network.edges, list(partitions))
    lexemes = (network.row_edge, network.row_accepts, network.edges, byte_class, class_byte)
    return Program(ops, targets, rules, components, members, corners, *lexemes)


def _let_empty_copies_count(rules: Array, nullable: Array) -> None:
    """A body that may be empty reaches any lower bound for free: X{3,5} is X{0,5} then."""
    loops = (rules[:, LOW] != NOT_A_LOOP) & (nullable[rules[:, START]] != 0)
    rules[loops, LOW] = 0


def _group(ops: Array, targets: Array, rules: Array) -> tuple[Array, Array, Array]:
    """Group rules into components of mutual left recursion; fills COMPONENT and MEMBER of `rules`."""
    calls: list[tuple[int, int, int]] = corner_calls(ops, targets, rules).tolist()
    callees: list[set[int]] = [set() for _ in rules]
    for rule, callee, _ in calls:
        callees[rule].add(callee)
    groups = components_of([sorted(found) for found in callees])
    component, member = [0] * len(rules), [0] * len(rules)
    for number, group in enumerate(groups):
        for place, rule in enumerate(group):
            component[rule], member[rule] = number, place
    rules[:, COMPONENT], rules[:, MEMBER] = component, member
    inner = [call for call in calls if component[call[0]] == component[call[1]]]
    inner.sort(key=lambda call: (component[call[0]], member[call[0]]))
    corners = [(member[callee], state, member[rule]) for rule, callee, state in inner]
    sizes, edges = [0, *map(len, groups)], [0] * (len(groups) + 1)
    for rule, _, _ in inner:
        edges[component[rule] + 1] += 1
    bounds = np.array([sizes, edges], np.int64).cumsum(axis=1).T.copy()
    members = [rule for group in groups for rule in group]
    return bounds, np.array(members, np.int64), np.array(corners, np.int64).reshape(-1, 3)
