"""Bars: with which probability each text is written, by masking and by samplers that keep the model's law.

The truth is the pale bar behind each group, so that what sticks out or falls short can be seen at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from decoding.comparison import Comparison
from decoding.pictures.drawing import Box, Curve, Drawing, Shape, Text, shortened, visible, width_of

_ROLES = ("second", "accent", "third", "fourth")
_LEFT = 24.0
_WIDTH = 440.0
_THICK = 11.0
_PAD = 7.0
_GAP = 12.0
_SIZE = 12.0
_LONGEST = 34
_HEAD = 78.0


def distributions_picture(comparison: Comparison, title: str = "Distributions", most: int = 9) -> Drawing:
    """Draw the likeliest texts of a comparison.

    >>> both = Comparison({"truth": {"a": 0.9, "b": 0.1}, "masking": {"a": 0.5, "b": 0.5}}, 0.0, {})
    >>> distributions_picture(both).subtitle
    'masking is wrong in 40 of 100 answers'
    """
    drawing = Drawing(title, told(comparison))
    drawing.headline(_LEFT)
    shapes, bottom = bars(comparison, most)
    drawing.add_all(shapes, dy=_HEAD)
    drawing.width = max(drawing.width, _LEFT + _label_width(comparison.texts(most)) + _WIDTH + 90, 720)
    drawing.height = _HEAD + bottom + 24
    return drawing


def told(comparison: Comparison) -> str:
    """How wrong each law is, in words.

    >>> told(Comparison({"truth": {"a": 1.0}, "masking": {"b": 1.0}}, 0.0, {}))
    'masking is wrong in 100 of 100 answers'
    """
    names = list(comparison.laws)[1:]
    first, *others = [f"{100 * comparison.distance(name):.0f}" for name in names]
    beside = "".join(f", {name} in {share}" for name, share in zip(names[1:], others, strict=True))
    return f"{names[0]} is wrong in {first} of 100 answers{beside}"


def bars(comparison: Comparison, most: int) -> tuple[list[Shape], float]:
    """The legend and the bars, from height 0 on, and how far down they go.

    >>> shapes, bottom = bars(Comparison({"truth": {"a": 1.0}, "masking": {"b": 1.0}}, 0.0, {}), 5)
    >>> sum(isinstance(shape, Text) and shape.text in "ab" for shape in shapes)
    2
    """
    texts, names = comparison.texts(most), list(comparison.laws)
    x = _LEFT + _label_width(texts) + 14
    shapes, y = list(_legend(names, x)), 40.0
    height = _THICK * (len(names) - 1) + _PAD * 2
    shapes += _scale(x, 26, 40 + len(texts) * (height + _GAP))
    for text in texts:
        shapes += _group(comparison, text, names, x, y, height)
        y += height + _GAP
    return shapes, y


def _label_width(texts: Sequence[str]) -> float:
    return max(width_of(_label(text), _SIZE, True) for text in texts)


def _label(text: str) -> str:
    return shortened(visible(text.encode("utf-8", "surrogatepass")), _LONGEST) or "(nothing)"


def _legend(names: Sequence[str], x: float) -> Iterator[Shape]:
    for name, role in zip(names, ("lost", *_ROLES), strict=False):
        yield Box(x, 0, 12, 12, role, radius=2, opacity=0.6 if role == "lost" else 1)
        shown = "truth: the model, conditioned on the form" if role == "lost" else name
        yield Text(x + 17, 10.5, shown, "ink", _SIZE)
        x += 17 + width_of(shown, _SIZE) + 18


def _scale(x: float, top: float, bottom: float) -> Iterator[Shape]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = x + share * _WIDTH
        yield Curve([(at, top + 8), (at, bottom)], "line", 1)
        yield Text(at, top + 3, f"{share:.0%}", "soft", 10, "middle")
    yield Text(x + _WIDTH + 24, top + 3, "truth", "soft", 10)


def _group(
    comparison: Comparison, text: str, names: Sequence[str], x: float, y: float, height: float
) -> Iterator[Shape]:
    label = _label(text)
    truth = comparison.laws[names[0]].get(text, 0.0)
    yield Text(x - 12, y + height / 2 + 4, label, "ink", _SIZE, "end", mono=True, tip=text)
    yield Box(x, y, max(truth * _WIDTH, 2), height, "lost", radius=3, opacity=0.6, tip=f"truth: {truth:.4f}")
    for i, (name, role) in enumerate(zip(names[1:], _ROLES, strict=False)):
        p, top = comparison.laws[name].get(text, 0.0), y + _PAD + i * _THICK
        yield Box(x, top, max(p * _WIDTH, 1), _THICK - 2, role, radius=2, tip=f"{name}: {p:.4f}")
        yield Text(x + max(p * _WIDTH, 1) + 5, top + 8, f"{p:.1%}", role, 9.5)
    yield Text(x + _WIDTH + 24, y + height / 2 + 4, f"{truth:.1%}", "soft", 11, tip="the truth")
