"""Drawings: a few shapes with roles instead of colours, which `svg`, `raster` and `html` can all write.

A role ("ink", "accent", ...) is one colour on light paper and another on dark paper; see `palette`. Lengths are
pixels, y grows downwards. `tip` is what appears when somebody points at a shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

MONO_WIDTH = 0.602  # of a letter, in terms of the font size: the same in nearly all monospaced fonts
_SANS_WIDTH = 0.54  # on average
_TITLE, _SUBTITLE, _LONGEST_TITLE = 17.0, 12.5, 96

Point = tuple[float, float]


@dataclass(frozen=True)
class Text:
    """A line of text; `anchor` is "start", "middle" or "end", y is its baseline."""

    x: float
    y: float
    text: str
    role: str = "ink"
    size: float = 12
    anchor: str = "start"
    mono: bool = False
    bold: bool = False
    tip: str = ""


@dataclass(frozen=True)
class Box:
    """A rectangle, with round corners perhaps."""

    x: float
    y: float
    width: float
    height: float
    fill: str = "wash"
    stroke: str = ""
    radius: float = 0
    opacity: float = 1
    tip: str = ""


@dataclass(frozen=True)
class Disc:
    """A circle."""

    x: float
    y: float
    radius: float
    fill: str = "wash"
    stroke: str = "ink"
    width: float = 1.5
    tip: str = ""


@dataclass(frozen=True)
class Curve:
    """A line through points: straight pieces, or cubic ones if `smooth` (then points come as 1 + 3·k, the control
    points between). `arrow` puts a head at its end."""

    points: Sequence[Point]
    role: str = "ink"
    width: float = 1.5
    smooth: bool = False
    arrow: bool = False
    dashed: bool = False
    opacity: float = 1
    tip: str = ""


Shape = Text | Box | Disc | Curve


@dataclass
class Drawing:
    """Shapes on paper of a certain size, under a title that says what is to be seen."""

    title: str
    subtitle: str = ""
    width: float = 0
    height: float = 0
    shapes: list[Shape] = field(default_factory=list[Shape])

    def headline(self, left: float) -> None:
        """Write title and subtitle at the top, and make the paper wide enough for them.

        >>> drawing = Drawing("What masking writes")
        >>> drawing.headline(20)
        >>> drawing.width > 180, [shape.y for shape in drawing.shapes]
        (True, [34])
        """
        title = shortened(self.title, _LONGEST_TITLE)
        self.add(Text(left, 34, title, size=_TITLE, bold=True, tip=self.title if title != self.title else ""))
        if self.subtitle:
            self.add(Text(left, 55, self.subtitle, "soft", _SUBTITLE))
        widest = max(width_of(title, 1.08 * _TITLE), width_of(self.subtitle, _SUBTITLE))  # bold letters are wider
        self.width = max(self.width, left + widest + 24)

    def add(self, *shapes: Shape) -> None:
        """Put shapes on top of the others."""
        self.shapes.extend(shapes)

    def add_all(self, shapes: Iterable[Shape], dx: float = 0, dy: float = 0) -> None:
        """Put shapes on top, moved by so much.

        >>> drawing = Drawing("A square")
        >>> drawing.add_all([Box(0, 0, 1, 1)], dx=5)
        >>> drawing.shapes[0].x
        5
        """
        self.shapes.extend(moved(shape, dx, dy) for shape in shapes)


def moved(shape: Shape, dx: float, dy: float) -> Shape:
    """A shape somewhere else.

    >>> moved(Curve([(0, 0), (1, 1)]), 1, 0).points
    [(1, 0), (2, 1)]
    """
    if isinstance(shape, Curve):
        return replace(shape, points=[(x + dx, y + dy) for x, y in shape.points])
    return replace(shape, x=shape.x + dx, y=shape.y + dy)


def width_of(text: str, size: float = 12, mono: bool = False) -> float:
    """How wide a text will be, roughly.

    >>> width_of("abc", 10, mono=True)
    18.06
    """
    return round(len(text) * size * (MONO_WIDTH if mono else _SANS_WIDTH), 3)


def shortened(text: str, most: int) -> str:
    """A text of at most so many letters, an ellipsis in its middle if it was longer.

    >>> shortened("abcdefgh", 5)
    'abc…h'
    """
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def visible(text: bytes) -> str:
    """Bytes as people can read them: blanks and line ends have signs.

    >>> visible(b' a\\n'), visible(b'\\xc3')
    ('␣a⏎', '\\\\xc3')
    """
    letters = text.decode("utf-8", "backslashreplace")
    return "".join(_SIGNS.get(c, c) if c.isprintable() else _SIGNS.get(c, f"\\x{ord(c):02x}") for c in letters)


_SIGNS = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}
