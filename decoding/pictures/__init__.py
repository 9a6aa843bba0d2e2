r"""Pictures: what a grammar allows, how particles move, and what a constraint does to a model's distribution.

    graph, trace, comparison ──▶ automaton, particles, mass, distributions ──▶ Drawing ──▶ svg | html | raster

`drawing` has the few shapes of which everything is made; `palette` the colours, for light and for dark paper; `svg`
needs nothing, `raster` needs matplotlib. `layered` lays out graphs, `curves` the panels along a text.

>>> from grammars import regex
>>> from decoding.pictures.automaton import automaton_picture
>>> from decoding.pictures.graph import graph_of
>>> from decoding.pictures.svg import svg
>>> svg(automaton_picture(graph_of(regex("(ab)+")), "One or more")).startswith("<svg")
True
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from decoding.pictures.drawing import Drawing
from decoding.pictures.html import html
from decoding.pictures.svg import svg

__all__ = ["Drawing", "html", "save", "svg"]


def save(drawing: Drawing, file: Path, figures: Sequence[Sequence[object]] = ()) -> None:
    """Write a drawing as what the name of the file says: `.svg`, `.html` or `.png`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> save(Drawing("Nothing", width=10, height=10), folder / "nothing.svg")
    >>> (folder / "nothing.svg").read_text("utf-8")[:4]
    '<svg'
    """
    if file.suffix == ".png":
        from decoding.pictures.raster import write_png

        write_png(drawing, str(file))
    else:
        file.write_text(html(drawing, figures) if file.suffix == ".html" else svg(drawing), "utf-8")
