"""HTML: one file with the picture, what it shows, and the figures behind it as a table. It loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from decoding.pictures.drawing import Drawing
from decoding.pictures.palette import DARK, LIGHT, MONO, SANS
from decoding.pictures.svg import svg

Table = Sequence[Sequence[object]]


def html(drawing: Drawing, figures: Table = ()) -> str:
    """A page that can be sent by e-mail.

    >>> page = html(Drawing("Nothing", width=10, height=10), [["text", "P"], ["a", 0.5]])
    >>> "http" in page.replace("http://www.w3.org/2000/svg", ""), page.count("<tr>")
    (False, 2)
    """
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(drawing.title)}</title>
<style>
:root {{ {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
body {{ margin: 2rem auto; max-width: 76rem; padding: 0 1rem; font: 16px/1.5 {SANS} }}
body {{ background: var(--paper); color: var(--ink) }}
figure {{ margin: 0; overflow-x: auto }}
svg {{ display: block }}
table {{ border-collapse: collapse; margin-top: 2rem; font-size: 14px }}
th {{ color: var(--soft); font-weight: 500; text-align: left }}
td, th {{ padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line) }}
td {{ font-family: {MONO}; white-space: pre }}
footer {{ color: var(--soft); margin-top: 2rem; font-size: 13px }}
</style>
<figure>
{svg(drawing)}
</figure>
{_table(figures)}
<footer>drawn by scansion</footer>
</html>
"""


def _variables(colours: Mapping[str, str]) -> str:
    return "; ".join(f"--{role}: {colour}" for role, colour in colours.items())


def _table(rows: Table) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(_shown(cell))}</th>" for cell in rows[0])
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(_shown(cell))}</td>' for cell in row)}</tr>" for row in rows[1:])
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"


def _shown(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
