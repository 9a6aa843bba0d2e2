"""The picture of an automaton: from left to right what may be written, a double ring where the text may end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from decoding.pictures.drawing import Box, Curve, Disc, Drawing, Point, Shape, Text, shortened, width_of
from decoding.pictures.graph import Graph
from decoding.pictures.layered import Edge, Layout, layout

_RADIUS = 13.0
_ROW = 62.0
_MARGIN = 36.0
_HEAD = 84.0
_LONGEST = 30
_LANE = 26.0
_SIZE = 12.5


def automaton_picture(graph: Graph, title: str = "Automaton") -> Drawing:
    """Draw a graph.

    >>> automaton_picture(Graph({(0, 1): "a"}, accepting={1})).title
    'Automaton'
    """
    placed = layout(graph.nodes, graph.labels)
    at, right = _places(graph, placed)
    lowest = max(y for _, y in at.values()) + _RADIUS
    lanes = _lanes(placed, at)
    drawing = Drawing(
        title, _told(graph), max(right + _MARGIN, 640), lowest + _LANE * (max(lanes.values(), default=0)) + 44
    )
    drawing.headline(_MARGIN)
    drawing.add_all(_edges(graph, placed, at, lanes, lowest))
    drawing.add_all(_nodes(graph, at))
    return drawing


def _told(graph: Graph) -> str:
    nodes = len(graph.nodes)
    told = f"{nodes} state{'s' * (nodes != 1)}; the text may end in a double ring"
    return told + ("; grey: more states follow" if graph.open else "")


def _label(graph: Graph, edge: Edge) -> str:
    return shortened(graph.labels[edge], _LONGEST)


def _places(graph: Graph, placed: Layout) -> tuple[dict[int, Point], float]:
    """Where nodes and bends are, and how far it goes to the right."""
    last = max(placed.layer.values())
    gaps = [70.0] * (last + 1)
    for edge, way in placed.bends.items():
        column = placed.layer[way[0]]
        gaps[column] = max(gaps[column], width_of(_label(graph, edge), _SIZE, True) + 58)
    for node in graph.nodes:
        if (node, node) in graph.labels:  # its label stands above it
            column, half = placed.layer[node], width_of(_label(graph, (node, node)), _SIZE, True) / 2 + 24
            gaps[column] = max(gaps[column], half)
            if column:
                gaps[column - 1] = max(gaps[column - 1], half)
    columns = [_MARGIN + 40.0]
    for gap in gaps:
        columns.append(columns[-1] + gap)
    top = min(placed.height.values())
    head = _HEAD + _RADIUS + (34 if any(a == b for a, b in graph.labels) else 10)
    at = {node: (columns[placed.layer[node]], head + (h - top) * _ROW) for node, h in placed.height.items()}
    return at, columns[last] + _RADIUS + gaps[last] / 2


# -- nodes ------------------------------------------------------------------------------------------------------------


def _nodes(graph: Graph, at: dict[int, Point]) -> Iterator[Shape]:
    x, y = at[0]
    yield Curve([(x - 44, y), (x - _RADIUS - 2, y)], "accent", 2, arrow=True)
    for node in graph.nodes:
        x, y = at[node]
        if node in graph.open:
            yield Disc(x, y, _RADIUS, "paper", "lost", tip=f"state {node}: what follows is not shown")
            yield Text(x, y + 4, "…", "soft", 13, "middle")
            continue
        ends = node in graph.accepting
        yield Disc(x, y, _RADIUS, "wash", "third" if ends else "ink", tip=f"state {node}")
        if ends:
            yield Disc(x, y, _RADIUS - 4, "wash", "third", 1.2, tip=f"state {node}: the text may end here")
        yield Text(x, y + 4, str(node), "soft", 10.5, "middle")


# -- edges ------------------------------------------------------------------------------------------------------------


def _edges(
    graph: Graph, placed: Layout, at: dict[int, Point], lanes: dict[Edge, int], lowest: float
) -> Iterator[Shape]:
    for edge, way in placed.bends.items():
        yield from _forward(graph, edge, [at[node] for node in way])
    for edge in placed.backward:
        yield from _backward(graph, edge, at, lowest + _LANE * lanes[edge])
    for a, b in graph.labels:
        if a == b:
            yield from _loop(graph, a, at[a])


def _forward(graph: Graph, edge: Edge, points: list[Point]) -> Iterator[Shape]:
    """A curve through the bends, level at each of them."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    points = [(x0 + _RADIUS, y0), *points[1:-1], (x1 - _RADIUS - 2, y1)]
    curve = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        reach = min(0.5 * (x1 - x0), 90.0)
        curve += [(x0 + reach, y0), (x1 - reach, y1), (x1, y1)]
    yield Curve(curve, "soft", smooth=True, arrow=True)
    middle = (points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2
    yield from _labelled(graph, edge, middle)


def _backward(graph: Graph, edge: Edge, at: dict[int, Point], floor: float) -> Iterator[Shape]:
    """Down, below all nodes, and up again."""
    (x0, y0), (x1, y1) = at[edge[0]], at[edge[1]]
    x0, x1, y0, y1 = x0 - 4, x1 + 4, y0 + _RADIUS, y1 + _RADIUS + 2
    bend = min(30.0, (x0 - x1) / 2 if x0 > x1 else 30.0)
    down = [(x0, y0), (x0, floor), (x0, floor), (x0 - bend, floor)]
    along = [(x0 - bend, floor), (x1 + bend, floor), (x1 + bend, floor)]
    up = [(x1, floor), (x1, floor), (x1, y1)]
    yield Curve([*down, *along, *up], "soft", smooth=True, arrow=True)
    yield from _labelled(graph, edge, ((x0 + x1) / 2, floor))


def _loop(graph: Graph, node: int, at: Point) -> Iterator[Shape]:
    x, y = at[0], at[1] - _RADIUS
    yield Curve([(x - 7, y + 2), (x - 22, y - 27), (x + 22, y - 27), (x + 7, y)], "soft", smooth=True, arrow=True)
    yield from _labelled(graph, (node, node), (x, y - 26))


def _labelled(graph: Graph, edge: Edge, middle: Point) -> Iterator[Shape]:
    """The label, on a patch of paper."""
    text = _label(graph, edge)
    width, (x, y) = width_of(text, _SIZE, True), middle
    yield Box(x - width / 2 - 4, y - 9, width + 8, 18, "paper", radius=4, opacity=0.92)
    yield Text(x, y + 4, text, "accent", _SIZE, "middle", mono=True, tip=graph.labels[edge])


def _lanes(placed: Layout, at: dict[int, Point]) -> dict[Edge, int]:
    """For each backward edge how deep it runs, so that no two cover each other."""
    taken: list[list[tuple[float, float]]] = []
    lanes = dict[Edge, int]()
    for edge in sorted(placed.backward, key=lambda edge: at[edge[0]][0] - at[edge[1]][0]):
        low, high = at[edge[1]][0], at[edge[0]][0]
        depth = next((i for i, lane in enumerate(taken) if all(high < a or b < low for a, b in lane)), len(taken))
        if depth == len(taken):
            taken.append([])
        taken[depth].append((low, high))
        lanes[edge] = depth + 1
    return lanes
