"""Small regular expressions as lexemes: one deterministic automaton instead of a network of states.

Worth it for what many grammars contain, numbers for instance: the automaton is made once and kept.
"""

from __future__ import annotations

import numpy as np

from grammars.expression import ByteAutomaton, Lexeme, Node
from grammars.limits import Budget
from grammars.residuals import DEAD, Residuals

_DONE = -1


def determined(node: Node, most: int, budget: Budget) -> Node:
    """The expression, which has no calls, as a lexeme, or as it is if it needs more than `most` rows.

    >>> from grammars.expression import repeat, text
    >>> lexeme = determined(repeat(text("a"), 1, 2), 10, Budget("compile_work", 100))
    >>> lexeme.automaton.row_accepts.tolist()
    [0, 1, 1]
    """
    automaton = Residuals(node, budget)
    if automaton.start == DEAD:
        return node
    rows = _rows(automaton, most)
    return node if rows is None else Lexeme(node.key, _packed(automaton, rows), lambda: (node, {}))


def _rows(automaton: Residuals, most: int) -> list[list[int]] | None:
    """For each state where each byte leads, None if they are too many."""
    examples = [automaton.byte_classes.index(number) for number in range(max(automaton.byte_classes) + 1)]
    rows: list[list[int]] = []
    while len(rows) < len(automaton):
        if len(automaton) > most:
            return None
        state = len(rows)
        targets = [automaton.step(state, byte) for byte in examples]
        rows.append([targets[number] for number in automaton.byte_classes])
    return rows


def _packed(automaton: Residuals, rows: list[list[int]]) -> ByteAutomaton:
    ends = [automaton.accepts(state) and set(row) == {DEAD} for state, row in enumerate(rows)]
    edges: list[tuple[int, int, int]] = []
    row_edge = [0]
    for row in rows:
        for byte, state in enumerate(row):
            if state == DEAD:
                continue
            target = _DONE if ends[state] else state
            if len(edges) > row_edge[-1] and edges[-1][1:] == (byte - 1, target):
                edges[-1] = (edges[-1][0], byte, target)
            else:
                edges.append((byte, byte, target))
        row_edge.append(len(edges))
    accepts = [automaton.accepts(state) for state in range(len(rows))]
    return ByteAutomaton(
        np.array(row_edge, np.int64), np.array(accepts, np.int64), np.array(edges, np.int64).reshape(-1, 3)
    )
