"""SVG: a drawing as text, readable in any browser, light or dark as the reader has it.

Colours stand twice: as attributes for programs that know nothing of styles, and as style rules that change with
`prefers-color-scheme`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from xml.sax.saxutils import escape, quoteattr

from decoding.pictures.drawing import Box, Curve, Disc, Drawing, Text
from decoding.pictures.palette import DARK, LIGHT, MONO, SANS


def svg(drawing: Drawing) -> str:
    """The drawing as a complete SVG document.

    >>> svg(Drawing("Nothing", width=10, height=10)).count("<title>")
    1
    """
    width, height = f"{drawing.width:.0f}", f"{drawing.height:.0f}"
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family={quoteattr(SANS)}>',
            f"<title>{escape(drawing.title)}</title>",
            f"<style>{_style()}</style>",
            f"<defs>{''.join(_arrow_head(role) for role in LIGHT)}</defs>",
            f'<rect width="100%" height="100%" {_paint("fill", "paper")}/>',
            *(_written(shape) for shape in drawing.shapes),
            "</svg>",
        ]
    )


def _style() -> str:
    rules = "".join(f".f-{r}{{fill:{c}}}.s-{r}{{stroke:{c}}}" for r, c in DARK.items())
    return f".m{{font-family:{MONO};white-space:pre}}@media(prefers-color-scheme:dark){{{rules}}}"


def _arrow_head(role: str) -> str:
    shape = f'<path d="M0,0.6 L8,4 L0,7.4 Z" {_paint("fill", role)}/>'
    box = 'viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse"'
    return f'<marker id="head-{role}" {box} orient="auto">{shape}</marker>'


def _paint(kind: str, *roles: str) -> str:
    """A colour as attribute and as class; `kind` is fill or stroke."""
    return f'{kind}="{LIGHT[roles[0]]}" class="{kind[0]}-{roles[0]}"'


def _both(fill: str, stroke: str) -> str:
    classes = " ".join(f"{kind}-{role}" for kind, role in (("f", fill), ("s", stroke)) if role)
    colours = f'fill="{LIGHT[fill] if fill else "none"}" stroke="{LIGHT[stroke] if stroke else "none"}"'
    return f'{colours} class="{classes}"'


def _closed(tag: str, attributes: str, tip: str) -> str:
    return f"<{tag} {attributes}><title>{escape(tip)}</title></{tag}>" if tip else f"<{tag} {attributes}/>"


@singledispatch
def _written(shape: object) -> str:
    raise TypeError(f"no shape: {shape!r}")


@_written.register
def _(shape: Text) -> str:
    where = f'x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size:g}" text-anchor="{shape.anchor}"'
    weight = ' font-weight="600"' if shape.bold else ""
    classes = f"f-{shape.role}{' m' if shape.mono else ''}"
    tip = f"<title>{escape(shape.tip)}</title>" if shape.tip else ""
    colour = f'fill="{LIGHT[shape.role]}" class="{classes}"'
    return f'<text {where}{weight} {colour} xml:space="preserve">{tip}{escape(_allowed(shape.text))}</text>'


@_written.register
def _(shape: Box) -> str:
    where = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{max(shape.width, 0):.1f}" height="{max(shape.height, 0):.1f}"'
    rest = f'rx="{shape.radius:g}"' + (f' opacity="{shape.opacity:g}"' if shape.opacity < 1 else "")
    return _closed("rect", f"{where} {rest} {_both(shape.fill, shape.stroke)}", shape.tip)


@_written.register
def _(shape: Disc) -> str:
    where = f'cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:g}" stroke-width="{shape.width:g}"'
    return _closed("circle", f"{where} {_both(shape.fill, shape.stroke)}", shape.tip)


@_written.register
def _(shape: Curve) -> str:
    line = f'd="{" ".join(_steps(shape))}" stroke-width="{shape.width:.2f}" stroke-linecap="round"'
    extra = ' stroke-dasharray="4 4"' if shape.dashed else ""
    extra += f' opacity="{shape.opacity:g}"' if shape.opacity < 1 else ""
    extra += f' marker-end="url(#head-{shape.role})"' if shape.arrow else ""
    return _closed("path", f"{line}{extra} {_both('', shape.role)}", shape.tip)


def _steps(shape: Curve) -> Iterator[str]:
    points = [f"{x:.1f},{y:.1f}" for x, y in shape.points]
    yield f"M{points[0]}"
    if shape.smooth:
        yield from (f"C{' '.join(points[i : i + 3])}" for i in range(1, len(points), 3))
    else:
        yield from (f"L{point}" for point in points[1:])


def _allowed(text: str) -> str:
    """The text without the characters that XML has no way to write."""
    return "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" and c < "\ufffe" else "\ufffd" for c in text)
