"""Training curves as pictures: one panel for each figure, and several runs in one chart.

>>> panels_picture("A run", {"reward": [0.0, 0.5, 1.0], "legal_mass": [0.2, 0.4, 0.9]}).height > 200
True
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from decoding.pictures import Drawing
from decoding.pictures.drawing import Curve, Shape, Text

COLOURS = ("accent", "third", "fourth", "second", "ink", "soft", "lost")
LEFT, WIDTH, HEIGHT, GAP = 70.0, 520.0, 90.0, 46.0


def panels_picture(title: str, figures: Mapping[str, Sequence[float]], steps: Sequence[int] | None = None) -> Drawing:
    """A panel for each figure that has at least one finite value; `steps` are what stands below."""
    shown = {name: values for name, values in figures.items() if any(map(math.isfinite, values))}
    drawing = Drawing(title, width=LEFT + WIDTH + 90, height=96 + len(shown) * (HEIGHT + GAP))
    drawing.headline(24)
    for number, (name, values) in enumerate(shown.items()):
        top = 90 + number * (HEIGHT + GAP)
        drawing.add_all(_panel(name, values, top, COLOURS[number % len(COLOURS)]))
    if steps:
        bottom = 90 + len(shown) * (HEIGHT + GAP) - GAP + 18
        drawing.add(Text(LEFT, bottom, f"step {steps[0]}", "soft", 11))
        drawing.add(Text(LEFT + WIDTH, bottom, f"step {steps[-1]}", "soft", 11, "end"))
    return drawing


def _panel(name: str, values: Sequence[float], top: float, role: str) -> Iterator[Shape]:
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known), max(known)
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    yield Text(LEFT, top - 9, name.replace("_", " "), "ink", 12.5, bold=True)
    for share, value in ((0.0, high), (1.0, low)):
        y = top + share * HEIGHT
        yield Curve([(LEFT, y), (LEFT + WIDTH, y)], "line", 1)
        yield Text(LEFT - 8, y + 4, f"{value:.3g}", "soft", 11, "end")
    yield from _line(values, low, high, top, HEIGHT, role)
    yield Text(LEFT + WIDTH + 8, top + HEIGHT * (high - known[-1]) / (high - low) + 4, f"{known[-1]:.3g}", role, 12)


def _line(values: Sequence[float], low: float, high: float, top: float, height: float, role: str) -> Iterator[Shape]:
    """The curve; gaps where a value is not finite."""
    piece: list[tuple[float, float]] = []
    for i, value in enumerate([*values, math.nan]):
        if math.isfinite(value):
            x = LEFT + WIDTH * i / max(len(values) - 1, 1)
            piece.append((x, top + height * (high - value) / (high - low)))
        elif piece:
            yield Curve(piece if len(piece) > 1 else piece * 2, role, 2)
            piece = []


def chart(title: str, subtitle: str, series: Mapping[str, Sequence[float]], decades: int = 0) -> Drawing:
    """Several curves over one axis of steps, named at their ends; with `decades`, values up to 1 on a log scale.

    >>> chart("Two", "curves", {"a": [1, 0.1], "b": [1, 0.01]}, decades=2).title
    'Two'
    """
    top, height = 96.0, 240.0
    drawing = Drawing(title, subtitle, width=LEFT + WIDTH + 300, height=top + height + 60)
    drawing.headline(24)
    levels = {name: [_level(value, decades) for value in values] for name, values in series.items()}
    known = [value for values in levels.values() for value in values if math.isfinite(value)]
    low, high = (-float(decades), 0.0) if decades else (min(known), max(known))
    for mark in range(decades + 1) if decades else (0, 1):
        y = top + height * mark / (decades or 1)
        label = f"{10.0**-mark:g}" if decades else f"{(high, low)[mark]:.3g}"
        drawing.add(Curve([(LEFT, y), (LEFT + WIDTH, y)], "line", 1), Text(LEFT - 8, y + 4, label, "soft", 11, "end"))
    drawing.add_all(_named(levels, series, low, high, top, height))
    steps = max(len(values) for values in series.values()) - 1
    drawing.add(Text(LEFT + WIDTH / 2, top + height + 28, f"{steps} steps", "soft", 12, "middle"))
    return drawing


def _level(value: float, decades: int) -> float:
    return value if not decades else max(math.log10(max(value, 1e-300)), -float(decades))


def _named(
    levels: Mapping[str, Sequence[float]],
    series: Mapping[str, Sequence[float]],
    low: float,
    high: float,
    top: float,
    height: float,
) -> Iterator[Shape]:
    """Curves and their names, from the highest end to the lowest, so that names stand in the order of the ends."""
    spread, last = (high - low) or 1.0, -math.inf
    roles = dict(zip(levels, COLOURS * len(levels), strict=False))
    for name in sorted(levels, key=lambda one: -levels[one][-1]):
        yield from _line(levels[name], low, low + spread, top, height, roles[name])
        y = max(top + height * (low + spread - levels[name][-1]) / spread + 4, last + 17)
        last = y
        yield Text(LEFT + WIDTH + 10, y, f"{name}  {series[name][-1]:.3g}", roles[name], 12)
