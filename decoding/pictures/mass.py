"""The picture of what a constraint takes away: along one text the mass of the allowed tokens, and the population's ESS.

Before every token of the text the model has its own opinion of what follows. The blue part of a column is the mass of
the tokens that the form allows there, the orange part is forbidden: what masking renormalises away without looking
further. The product of the blue parts is the weight of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from decoding.comparison import Comparison
from decoding.pictures.distributions import bars
from decoding.pictures.drawing import Box, Curve, Drawing, Shape, Text, shortened, visible, width_of
from decoding.pictures.trace import Trace
from samplers import Problem
from samplers.bits import flags_of

_LEFT = 60.0
_TOP = 100.0
_HEIGHT = 150.0
_SIZE = 12.0
_ESS = 70.0
_END = "■"


@dataclass(frozen=True)
class Place:
    """A place in a text: the token that stands there, the allowed mass before it, and its own probability."""

    token: str
    mass: float
    probability: float


def places(problem: Problem, tokens: Sequence[int]) -> list[Place]:
    """The places of a finished text, that of its end included.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb"))
    >>> [(place.token, place.mass, place.probability) for place in places(problem, [1, 1])]
    [('b', 0.75, 0.25), ('b', 0.25, 0.25), ('■', 0.25, 0.25)]
    """
    contexts = [np.array(tokens[:i], np.int64) for i in range(len(tokens) + 1)]
    log_probs = problem.model.log_probs(contexts)
    states = [problem.constraint.start]
    for token in tokens:
        states.append(int(problem.advanced(np.array(states[-1:]), np.array([token]))[0]))
    masks = problem.mask_rows(states)
    found = list[Place]()
    for i, (row, mask) in enumerate(zip(np.exp(log_probs), masks, strict=True)):
        mass = float(row[flags_of(mask, problem.vocabulary.size)].sum())
        is_end = i == len(tokens)
        p = float(row[list(problem.vocabulary.eos)].sum()) if is_end else float(row[tokens[i]])
        found.append(
            Place(_END if is_end else visible(problem.vocabulary.tokens[tokens[i]]), round(mass, 12), round(p, 12))
        )
    return found


def mass_picture(
    along: Sequence[Place], trace: Trace | None = None, comparison: Comparison | None = None, title: str = "Mass"
) -> Drawing:
    """Draw the places of a text; below it the ESS of a run and the distributions, if they are given.

    >>> mass_picture([Place("a", 0.5, 0.25)]).subtitle
    'the form allows 50% of the mass on the way through this text, all places multiplied'
    """
    product = float(np.prod([place.mass for place in along]))
    share = f"{product:.0%}" if product >= 0.01 else f"{product:.2g}"
    drawing = Drawing(title, f"the form allows {share} of the mass on the way through this text, all places multiplied")
    columns = _columns(along)
    right = columns[-1][0] + columns[-1][1]
    drawing.headline(_LEFT - 36)
    drawing.add_all(_legend())
    drawing.add_all(_axis(right))
    for place, column in zip(along, columns, strict=True):
        drawing.add_all(_column(place, *column))
    bottom = _TOP + _HEIGHT + 40
    if trace is not None:
        drawing.add_all(_sizes(trace, columns, bottom + 34, right))
        bottom += 34 + _ESS + 24
    width = right + 40
    if comparison is not None:
        shapes, height = bars(comparison, 8)
        drawing.add(Text(_LEFT - 36, bottom + 28, "Where it leads: the probability of each text", bold=True, size=13.5))
        drawing.add_all(shapes, dx=0, dy=bottom + 44)
        bottom, width = bottom + 44 + height, max(width, 760)
    drawing.width, drawing.height = max(drawing.width, width, 720), bottom + 20
    return drawing


def _columns(along: Sequence[Place]) -> list[tuple[float, float]]:
    columns, x = list[tuple[float, float]](), _LEFT
    for place in along:
        width = max(width_of(shortened(place.token, 14), _SIZE, True) + 10, 34)
        columns.append((x, width))
        x += width + 5
    return columns


def _legend() -> Iterator[Shape]:
    x = _LEFT
    for role, name in (("accent", "allowed"), ("second", "forbidden"), ("ink", "the token that was taken")):
        mark = Box(x, 72, 12, 12, role, radius=2) if role != "ink" else Curve([(x, 78), (x + 12, 78)], "ink", 2)
        yield mark
        yield Text(x + 17, 82.5, name, "soft", 11.5)
        x += 17 + width_of(name, 11.5) + 22


def _axis(right: float) -> Iterator[Shape]:
    for share in (0.0, 0.5, 1.0):
        y = _TOP + _HEIGHT * (1 - share)
        yield Curve([(_LEFT - 4, y), (right, y)], "line", 1)
        yield Text(_LEFT - 9, y + 4, f"{share:.0%}", "soft", 10.5, "end")


def _column(place: Place, x: float, width: float) -> Iterator[Shape]:
    mass, p = min(place.mass, 1.0), place.probability
    split, own = _TOP + _HEIGHT * (1 - mass), _TOP + _HEIGHT * (1 - min(p, 1.0))
    tip = f"{place.token}: {mass:.3g} of the mass is allowed; the model gives this token {p:.3g}"
    yield Box(x, _TOP, width, _HEIGHT * (1 - mass), "second", opacity=0.75, tip=tip)
    yield Box(x, split, width, _HEIGHT * mass, "accent", opacity=0.85, tip=tip)
    yield Curve([(x, own), (x + width, own)], "ink", 2)
    shown = shortened(place.token, 14)
    yield Text(x + width / 2, _TOP + _HEIGHT + 18, shown, "ink", _SIZE, "middle", mono=True, tip=tip)
    share = f"{mass:.0%}" if mass >= 0.01 else f"{mass:.0e}".replace("e-0", "e-")
    yield Text(x + width / 2, _TOP + _HEIGHT + 33, share, "soft", 9.5, "middle")


def _sizes(trace: Trace, columns: Sequence[tuple[float, float]], top: float, right: float) -> Iterator[Shape]:
    n = max(len(trace.samples), 1)
    yield Text(_LEFT - 36, top - 12, f"Effective sample size of {n} particles, token by token", "ink", 13.5, bold=True)
    for share, label in ((1.0, str(n)), (0.0, "0")):
        y = top + _ESS * (1 - share)
        yield Curve([(_LEFT - 4, y), (right, y)], "line", 1)
        yield Text(_LEFT - 9, y + 4, label, "soft", 10.5, "end")
    points = list[tuple[float, float]]()
    for step, (x, width) in zip(trace.steps, columns, strict=False):
        points.append((x + width / 2, top + _ESS * (1 - step.ess / n)))
        if step.resampled:
            yield Curve([(points[-1][0], top), (points[-1][0], top + _ESS)], "second", 1.2, dashed=True)
    yield Curve(points, "third", 2)
