"""Layered layout: where the nodes of a directed graph go, so that most edges run from left to right.

After Sugiyama, Tagawa and Toda (1981), in four steps: edges that close a cycle are set aside; a node's layer is the
longest path to it; an edge over several layers gets a bend in each; bends and nodes of a layer are put into the order
of the mean of their neighbours, sweep after sweep, and the order with the fewest crossings stays. The heights then
solve, layer by layer, a least-squares problem: as close to the neighbours' mean as the distances allow, which is
isotonic regression (pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Edge = tuple[int, int]
_SWEEPS = 12


@dataclass
class Layout:
    """Where things are, in layers from 0 and heights in units of the distance between neighbours."""

    layer: dict[int, int]
    height: dict[int, float]
    bends: dict[Edge, list[int]] = field(default_factory=dict[Edge, list[int]])
    """Per forward edge its nodes from source to target; those that are no nodes of the graph are bends."""
    backward: list[Edge] = field(default_factory=list[Edge])
    """Edges that run against the layers."""


def layout(nodes: Sequence[int], edges: Iterable[Edge]) -> Layout:
    """Place some nodes, the first of them leftmost.

    >>> placed = layout([0, 1, 2], [(0, 1), (1, 2), (2, 0), (0, 2)])
    >>> placed.layer[1], placed.layer[2], placed.backward, len(placed.bends[0, 2])
    (1, 2, [(2, 0)], 3)
    """
    proper = [(a, b) for a, b in edges if a != b]
    backward = _closing(nodes, proper)
    forward = [edge for edge in proper if edge not in backward]
    layer = _layers(nodes, forward)
    bends = _bent(forward, layer)
    rows = _ordered(layer, bends)
    return Layout(layer, _heights(rows, bends), bends, sorted(backward))


def _closing(nodes: Sequence[int], edges: Sequence[Edge]) -> set[Edge]:
    """The edges that lead back to where a depth-first walk is."""
    after: dict[int, list[int]] = {node: [] for node in nodes}
    for a, b in edges:
        after[a].append(b)
    done, active, closing = set[int](), set[int](), set[Edge]()
    for root in nodes:
        stack = [(root, iter(after[root]))] if root not in done else []
        active.update(node for node, _ in stack)
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                active.discard(node)
                done.add(node)
            elif following in active:
                closing.add((node, following))
            elif following not in done:
                active.add(following)
                stack.append((following, iter(after[following])))
    return closing


def _layers(nodes: Sequence[int], edges: Sequence[Edge]) -> dict[int, int]:
    """The length of the longest path to each node."""
    after: dict[int, list[int]] = {node: [] for node in nodes}
    missing = dict.fromkeys(nodes, 0)
    for a, b in edges:
        after[a].append(b)
        missing[b] += 1
    layer = dict.fromkeys(nodes, 0)
    ready = [node for node in nodes if not missing[node]]
    for node in ready:
        for following in after[node]:
            layer[following] = max(layer[following], layer[node] + 1)
            missing[following] -= 1
            if not missing[following]:
                ready.append(following)
    return layer


def _bent(edges: Sequence[Edge], layer: dict[int, int]) -> dict[Edge, list[int]]:
    """The way of each edge through the layers; bends are new nodes, and get a layer."""
    new, ways = max(layer, default=0) + 1, dict[Edge, list[int]]()
    for a, b in edges:
        between = range(layer[a] + 1, layer[b])
        ways[a, b] = [a, *range(new, new + len(between)), b]
        layer.update(zip(range(new, new + len(between)), between, strict=True))
        new += len(between)
    return ways


Neighbours = dict[int, list[int]]


def _sides(bends: dict[Edge, list[int]]) -> tuple[Neighbours, Neighbours]:
    """Of every node and bend its neighbours to the left, and those to the right."""
    left, right = Neighbours(), Neighbours()
    for way in bends.values():
        for a, b in pairwise(way):
            right.setdefault(a, []).append(b)
            left.setdefault(b, []).append(a)
    return left, right


def _ordered(layer: dict[int, int], bends: dict[Edge, list[int]]) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for node in layer:
        rows[layer[node]].append(node)
    left, right = _sides(bends)
    best, fewest = [list(row) for row in rows], _crossings(rows, right)
    for sweep in range(_SWEEPS):
        sides, order = (left, rows[1:]) if sweep % 2 == 0 else (right, rows[-2::-1])
        for row in order:
            _sort_by_neighbours(row, rows, sides)
        crossings = _crossings(rows, right)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _sort_by_neighbours(row: list[int], rows: list[list[int]], sides: Neighbours) -> None:
    place = {node: i for other in rows for i, node in enumerate(other)}
    own = {node: i for i, node in enumerate(row)}

    def wish(node: int) -> float:
        near = sides.get(node)
        return sum(place[n] for n in near) / len(near) if near else own[node]

    row.sort(key=wish)


def _crossings(rows: list[list[int]], right: Neighbours) -> int:
    count = 0
    for row, following in pairwise(rows):
        place = {node: i for i, node in enumerate(following)}
        ends = [place[b] for a in row for b in sorted(right.get(a, []), key=place.__getitem__)]
        count += sum(x > y for i, x in enumerate(ends) for y in ends[i + 1 :])
    return count


def _heights(rows: list[list[int]], bends: dict[Edge, list[int]]) -> dict[int, float]:
    left, right = _sides(bends)
    height = {node: i - (len(row) - 1) / 2 for row in rows for i, node in enumerate(row)}
    for sweep in range(_SWEEPS):
        order, sides = (rows, left) if sweep % 2 == 0 else (rows[::-1], right)
        for row in order:
            wishes = [_mean([height[n] for n in sides.get(node, [])] or [height[node]]) for node in row]
            height.update(zip(row, spread(wishes), strict=True))
    return height


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def spread(wishes: Sequence[float]) -> list[float]:
    """The heights closest to the wishes, in least squares, with distances of at least 1 in the given order.

    >>> spread([0.0, 0.0, 5.0])
    [-0.5, 0.5, 5.0]
    """
    blocks: list[tuple[float, int]] = []  # mean of wish - index, and size
    for i, wish in enumerate(wishes):
        mean, size = wish - i, 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    levels = [mean for mean, size in blocks for _ in range(size)]
    return [level + i for i, level in enumerate(levels)]
