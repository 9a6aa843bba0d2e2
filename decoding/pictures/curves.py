"""Panels under a common axis of steps: how much mass the constraint leaves, and the effective sample size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from decoding.pictures.drawing import Box, Curve, Shape, Text
from decoding.pictures.trace import Step, Trace

PANEL = 74.0
GAP = 46.0


def panels(trace: Trace, columns: Sequence[float], top: float, left: float) -> Iterator[Shape]:
    """Both panels, the upper one beginning at `top`; `columns` are the middles of the steps.

    >>> from samplers.samples import Samples
    >>> import numpy as np
    >>> none = np.zeros(0)
    >>> empty = Trace(None, (), Samples((), (), (), none, none, none), 0.0)
    >>> [shape.text for shape in panels(empty, [], 0, 0) if isinstance(shape, Text)][0]
    'mass of the allowed tokens'
    """
    steps = trace.steps[: len(columns)]
    right = max((columns[-1] if columns else left) + 30, left + 300)
    yield from _frame("mass of the allowed tokens", "mean and range over the particles", ("0", "1"), top, left, right)
    yield from _masses(steps, columns, top)
    n = len(trace.samples)
    top += PANEL + GAP
    told = "below the dashed line the population is resampled" if trace.threshold else "never resampled"
    yield from _frame("effective sample size", told, ("0", str(n)), top, left, right)
    yield from _sizes(trace, steps, columns, top, left, right)


def _frame(title: str, told: str, ends: tuple[str, str], top: float, left: float, right: float) -> Iterator[Shape]:
    yield Text(left, top - 11, title, "ink", 12.5, bold=True)
    yield Text(left + 8 + 7.4 * len(title), top - 11, told, "soft", 11.5)
    for share, label in ((0.0, ends[1]), (1.0, ends[0])):
        y = top + share * PANEL
        yield Curve([(left, y), (right, y)], "line", 1)
        yield Text(left - 7, y + 4, label, "soft", 10.5, "end")


def _masses(steps: Sequence[Step], columns: Sequence[float], top: float) -> Iterator[Shape]:
    points = list[tuple[float, float]]()
    for number, (step, x) in enumerate(zip(steps, columns, strict=True), 1):
        mass = np.minimum(np.exp(step.log_mass), 1.0)
        if not len(mass):
            continue
        low, mean, high = (top + PANEL * (1 - float(m)) for m in (mass.min(), mass.mean(), mass.max()))
        yield Box(x - 5, high, 10, max(low - high, 1.5), "accent", radius=2, opacity=0.3, tip=_range(number, mass))
        points.append((x, mean))
    if len(points) > 1:
        yield Curve(points, "accent", 2)


def _range(number: int, mass: np.ndarray) -> str:
    return f"token {number}: {mass.mean():.3g} allowed on average, from {mass.min():.3g} to {mass.max():.3g}"


def _sizes(
    trace: Trace, steps: Sequence[Step], columns: Sequence[float], top: float, left: float, right: float
) -> Iterator[Shape]:
    n = max(len(trace.samples), 1)
    if trace.threshold:
        y = top + PANEL * (1 - trace.threshold / n)
        yield Curve([(left, y), (right, y)], "second", 1.2, dashed=True)
    for number, (step, x) in enumerate(zip(steps, columns, strict=True), 1):
        height = PANEL * step.ess / n
        told = f"token {number}: ESS {step.ess:.2f} of {n}{', then resampled' if step.resampled else ''}"
        role = "second" if step.resampled else "third"
        yield Box(x - 6, top + PANEL - height, 12, max(height, 1), role, radius=2, opacity=0.85, tip=told)
