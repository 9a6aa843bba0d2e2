"""From an automaton to an expression, by eliminating its states one by one (Brzozowski and McCluskey, 1963)."""

from __future__ import annotations

from collections.abc import Iterable

from grammars.expression import EPSILON, NOTHING, Node, choice, repeat, sequence
from grammars.limits import Budget

_PARTS_PER_STEP = 16

Edges = list[dict[int, Node]]  # edges[s][t]: what leads from state s to state t


def expression_of(edges: Edges, accepting: Iterable[int], budget: Budget) -> Node:
    """The language of an automaton that starts in state 0.

    >>> from grammars.expression import text
    >>> expression_of([{1: text("a")}, {}], [1], Budget("compile_work", 10))
    Text(data=b'a')
    """
    end = len(edges)
    forward = [*map(dict, edges), {}]
    for state in accepting:
        forward[state][end] = EPSILON
    backward: list[set[int]] = [set() for _ in forward]
    for state, row in enumerate(forward):
        for target in row:
            backward[target].add(state)
    left = set(range(1, end))
    while left:
        state = min(left, key=lambda s: (len(forward[s]) * len(backward[s]), s))
        left.remove(state)
        _eliminate(state, forward, backward, budget)
    loop = forward[0].pop(0, NOTHING)
    return sequence([repeat(loop), forward[0].get(end, NOTHING)])


def _eliminate(state: int, forward: Edges, backward: list[set[int]], budget: Budget) -> None:
    loop = repeat(forward[state].pop(state, NOTHING))
    backward[state].discard(state)
    for source in sorted(backward[state]):
        before = forward[source].pop(state)
        for target, after in forward[state].items():
            way = sequence([before, loop, after])
            known = forward[source].get(target)
            budget.charge(1 + (_size(known) + _size(way)) // _PARTS_PER_STEP)
            forward[source][target] = way if known is None else choice([known, way])
            backward[target].add(source)
    for target in forward[state]:
        backward[target].discard(state)
    forward[state] = {}


def _size(node: Node | None) -> int:
    return len(node.children()) if node is not None else 0
