"""Strongly connected components, callers before callees (Tarjan, 1972), without recursion."""

from __future__ import annotations

from collections.abc import Sequence


def components_of(successors: Sequence[Sequence[int]]) -> list[list[int]]:
    """The components of a graph, numbered so that every edge leads to the same or a later one.

    >>> components_of([[1], [2], [1]])
    [[0], [1, 2]]
    """
    index = [0] * len(successors)  # 0: not visited
    low = [0] * len(successors)
    on_stack = [False] * len(successors)
    stack: list[int] = []
    found: list[list[int]] = []
    counter = 0
    for root in range(len(successors)):
        if index[root]:
            continue
        work = [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                counter += 1
                index[node] = low[node] = counter
                stack.append(node)
                on_stack[node] = True
            else:
                low[node] = min(low[node], low[successors[node][position - 1]])
            for i in range(position, len(successors[node])):
                after = successors[node][i]
                if not index[after]:
                    work.append((node, i + 1))
                    work.append((after, 0))
                    break
                if on_stack[after]:
                    low[node] = min(low[node], index[after])
            else:
                if low[node] == index[node]:
                    found.append(_pop_component(stack, on_stack, node))
    found.reverse()
    return found


def _pop_component(stack: list[int], on_stack: list[bool], root: int) -> list[int]:
    component: list[int] = []
    while True:
        node = stack.pop()
        on_stack[node] = False
        component.append(node)
        if node == root:
            return sorted(component)
