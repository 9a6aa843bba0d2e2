"""PNG, by matplotlib: the same shapes as pixels, on light paper. The only part that needs an optional dependency."""

from __future__ import annotations

from functools import singledispatch
from typing import IO, Any

from decoding.pictures.drawing import Box, Curve, Disc, Drawing, Text
from decoding.pictures.palette import LIGHT
from grammars import BackendUnavailable

_POINTS = 0.72  # per pixel, at 100 pixels per inch
_HEAD = 8.0


def write_png(drawing: Drawing, file: str | IO[bytes], scale: float = 2) -> None:
    """Write the drawing to a file.

    >>> from io import BytesIO
    >>> file = BytesIO()
    >>> write_png(Drawing("Nothing", width=10, height=10), file)
    >>> file.getvalue()[:4]
    b'\\x89PNG'
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendUnavailable(
            "PNG pictures are drawn by matplotlib, which is not installed",
            hint="pip install 'scansion[draw]', or let the name of the file end in .svg or .html",
        ) from error
    figure = Figure(figsize=(drawing.width / 100, drawing.height / 100), dpi=100 * scale, facecolor=LIGHT["paper"])
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    axes.axis("off")
    for order, shape in enumerate(drawing.shapes):
        _put(shape, axes, order)
    figure.savefig(file, format="png")


@singledispatch
def _put(shape: object, axes: Any, order: int) -> None:
    raise TypeError(f"no shape: {shape!r}")


@_put.register
def _(shape: Text, axes: Any, order: int) -> None:
    places = {"start": "left", "middle": "center", "end": "right"}
    axes.text(
        shape.x,
        shape.y,
        shape.text.replace("$", r"\$"),
        color=LIGHT[shape.role],
        fontsize=shape.size * _POINTS,
        family="monospace" if shape.mono else "sans-serif",
        weight="bold" if shape.bold else "normal",
        ha=places[shape.anchor],
        va="baseline",
        zorder=order,
    )


@_put.register
def _(shape: Box, axes: Any, order: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    radius = min(shape.radius, shape.width / 2, shape.height / 2)
    style = f"round,pad=0,rounding_size={radius}" if radius > 0 else "square,pad=0"
    colours = {"facecolor": LIGHT[shape.fill] if shape.fill else "none", "alpha": shape.opacity}
    edge = LIGHT[shape.stroke] if shape.stroke else "none"
    place = (shape.x, shape.y), max(shape.width, 0), max(shape.height, 0)
    axes.add_patch(FancyBboxPatch(*place, boxstyle=style, edgecolor=edge, zorder=order, **colours))


@_put.register
def _(shape: Disc, axes: Any, order: int) -> None:
    from matplotlib.patches import Circle

    edge = LIGHT[shape.stroke] if shape.stroke else "none"
    face = LIGHT[shape.fill] if shape.fill else "none"
    width = shape.width * _POINTS
    axes.add_patch(Circle((shape.x, shape.y), shape.radius, fc=face, ec=edge, lw=width, zorder=order))


@_put.register
def _(shape: Curve, axes: Any, order: int) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    then = Path.CURVE4 if shape.smooth else Path.LINETO
    path = Path(list(shape.points), [Path.MOVETO] + [then] * (len(shape.points) - 1))
    look = {"ec": LIGHT[shape.role], "lw": shape.width * _POINTS, "alpha": shape.opacity}
    style = (0, (4, 4)) if shape.dashed else "-"
    axes.add_patch(PathPatch(path, fc="none", ls=style, capstyle="butt", zorder=order, **look))
    if shape.arrow:
        _put_head(shape, axes, order)


def _put_head(shape: Curve, axes: Any, order: int) -> None:
    """A triangle at the end of the line, in the direction in which it arrives."""
    from matplotlib.patches import Polygon

    (x0, y0), (x, y) = shape.points[-2], shape.points[-1]
    length = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5 or 1.0
    dx, dy = (x - x0) / length, (y - y0) / length
    back = (x - _HEAD * dx, y - _HEAD * dy)
    corners = [(x, y), (back[0] - 3.4 * dy, back[1] + 3.4 * dx), (back[0] + 3.4 * dy, back[1] - 3.4 * dx)]
    axes.add_patch(Polygon(corners, fc=LIGHT[shape.role], ec="none", zorder=order))
