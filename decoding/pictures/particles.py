"""The picture of a particle run: a tree of texts, column by column the tokens, and below it mass and ESS.

A branch is as thick as many particles proposed it. Blue branches reach the end; grey ones were given up, at a
resampling or because nothing could follow. On the right the finished texts with their weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from decoding.pictures.curves import GAP, PANEL, panels
from decoding.pictures.drawing import Box, Curve, Drawing, Shape, Text, shortened, visible, width_of
from decoding.pictures.trace import END, Branch, Trace
from grammars import Vocabulary

_ROW = 22.0
_LEFT = 48.0
_HEAD = 96.0
_SIZE = 11.5
_SPACE = 26.0
_BAR = 90.0
_LONGEST_TOKEN = 16


@dataclass(frozen=True)
class _Placed:
    """A branch with its place, and that of the branch it grows from."""

    branch: Branch
    depth: int
    row: float
    parent: _Placed | None
    width: float


def particles_picture(trace: Trace, vocabulary: Vocabulary, title: str = "Particles", most_steps: int = 48) -> Drawing:
    """Draw a run, its first `most_steps` tokens.

    >>> from grammars import regex
    >>> from samplers import SMC, Problem
    >>> from samplers.models import Tabulated
    >>> from decoding.pictures.trace import traced
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> trace = traced(Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb")), SMC(), 6, seed=0)
    >>> particles_picture(trace, v).title
    'Particles'
    """
    placed = list(_placed(trace.root, vocabulary, most_steps))
    columns = _columns(placed)
    rows = max(p.row for p in placed) + 1
    middles = [x + w / 2 for x, w in columns[1:]]
    bottom = _HEAD + rows * _ROW
    leaves = [p for p in placed if p.branch.weight > 0 and p.branch.token == END and p.parent]
    texts = columns[-1][0] + columns[-1][1] + 24
    drawing = Drawing(title, _told(trace), max(texts + _BAR + 90, 720), bottom + 2 * (PANEL + GAP) + 34)
    drawing.headline(_LEFT - 24)
    drawing.add_all(_resamplings(trace, columns, bottom))
    drawing.add_all(shape for p in placed if p.parent for shape in _grown(p, columns))
    drawing.add_all(shape for p in placed for shape in _word(p, columns, vocabulary))
    drawing.add_all(shape for leaf in leaves for shape in _weight(leaf, texts, columns))
    drawing.add_all(panels(trace, middles, bottom + GAP, _LEFT))
    return drawing


def _told(trace: Trace) -> str:
    n, times = len(trace.samples), sum(step.resampled for step in trace.steps)
    ends = trace.samples.finish.count("end")
    often = {0: "never resampled", 1: "resampled once"}.get(times, f"resampled {times} times")
    return f"{n} particles, {often}; {ends} complete; log Z ≈ {trace.samples.log_z:.2f}. Grey branches were given up."


# -- places -----------------------------------------------------------------------------------------------------------


def _placed(root: Branch, vocabulary: Vocabulary, most: int) -> Iterator[_Placed]:
    """All branches, leaves in consecutive rows, the heaviest above."""
    stack: list[tuple[Branch, int, float, _Placed | None]] = [(root, 0, 0.0, None)]
    while stack:
        branch, depth, top, parent = stack.pop()
        children = _by_weight(branch) if depth < most else []
        placed = _Placed(branch, depth, top, parent, _width(branch, vocabulary, depth))
        yield placed
        for child in children:
            stack.append((child, depth + 1, top, placed))
            top += _rows(child, most - depth - 1)


def _by_weight(branch: Branch) -> list[Branch]:
    return sorted(branch.children.values(), key=lambda child: (-child.weight, -child.count))


def _rows(branch: Branch, depth: int) -> int:
    """How many rows a branch takes up when it is cut after so many steps."""
    open_, rows = [(branch, depth)], 0
    while open_:
        branch, left = open_.pop()
        rows += not branch.children or not left
        open_.extend((child, left - 1) for child in branch.children.values() if left)
    return rows


def _width(branch: Branch, vocabulary: Vocabulary, depth: int) -> float:
    return width_of(_shown(branch, vocabulary), _SIZE, True) + 10 if depth else 8.0


def _shown(branch: Branch, vocabulary: Vocabulary) -> str:
    return "■" if branch.token == END else shortened(visible(vocabulary.tokens[branch.token]), _LONGEST_TOKEN)


def _columns(placed: Sequence[_Placed]) -> list[tuple[float, float]]:
    """Left edge and width of each step."""
    widths = [0.0] * (max(p.depth for p in placed) + 1)
    for p in placed:
        widths[p.depth] = max(widths[p.depth], p.width)
    columns, x = list[tuple[float, float]](), _LEFT
    for width in widths:
        columns.append((x, width))
        x += width + _SPACE
    return columns


def _y(placed: _Placed) -> float:
    return _HEAD + (placed.row + 0.5) * _ROW


# -- shapes -----------------------------------------------------------------------------------------------------------


def _grown(p: _Placed, columns: Sequence[tuple[float, float]]) -> Iterator[Shape]:
    """The line from a branch to the one before it."""
    if p.parent is None:
        return
    x0, y0 = columns[p.parent.depth][0] + p.parent.width, _y(p.parent)
    x1, y1 = columns[p.depth][0], _y(p)
    wide = columns[p.parent.depth][0] + columns[p.parent.depth][1]  # straight up to the end of the column
    bend = (wide + x1) / 2
    points = [(x0, y0), (x0, y0), (wide, y0), (wide, y0), (bend, y0), (bend, y1), (x1, y1)]
    role = "accent" if p.branch.weight > 0 else "lost"
    yield Curve(points, role, 0.8 + 1.1 * math.sqrt(max(p.branch.count, 1)), smooth=True, opacity=0.55)


def _word(p: _Placed, columns: Sequence[tuple[float, float]], vocabulary: Vocabulary) -> Iterator[Shape]:
    """The token in its box."""
    x, y = columns[p.depth][0], _y(p)
    if p.parent is None:
        yield Box(x, y - 4, 8, 8, "accent", radius=4, tip=f"{p.branch.count} particles begin here")
        return
    lives = p.branch.weight > 0
    count = p.branch.count
    tip = f"proposed by {count} particle{'s' * (count != 1)}; {p.branch.weight:.1%} of the final weight"
    yield Box(x, y - 8.5, p.width, 17, "wash", "accent" if lives else "", radius=4, tip=tip)
    shown = _shown(p.branch, vocabulary)
    yield Text(x + p.width / 2, y + 4, shown, "ink" if lives else "soft", _SIZE, "middle", mono=True, tip=tip)


def _weight(p: _Placed, x: float, columns: Sequence[tuple[float, float]]) -> Iterator[Shape]:
    """The weight of a finished text, as a bar."""
    y, weight = _y(p), p.branch.weight
    yield Curve([(columns[p.depth][0] + p.width + 4, y), (x - 6, y)], "line", 1)
    yield Box(x, y - 6, _BAR * weight, 12, "accent", radius=2, tip=f"weight {weight:.4f}")
    yield Text(x + _BAR * weight + 6, y + 4, f"{weight:.1%}", "ink", 11)


def _resamplings(trace: Trace, columns: Sequence[tuple[float, float]], bottom: float) -> Iterator[Shape]:
    """A dashed line where the population was resampled."""
    for step, (x, width) in zip(trace.steps, columns[1:], strict=False):
        if step.resampled:
            at = x + width + _SPACE / 2
            yield Curve([(at, _HEAD - 14), (at, bottom)], "second", 1.2, dashed=True)
            yield Text(at, _HEAD - 19, "resampled", "second", 10, "middle")
