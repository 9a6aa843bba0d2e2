"""Regular expressions: the syntax of Python's `re` and of ECMA-262, as expressions over UTF-8.

The pipeline, a file for each stage:

    text ── reader ──▶ items ── (escapes, classes, folding, properties, groups, quantifiers, assertions) ──▶ Node
         ── anchoring ──▶ Node for the whole text

A pattern denotes a set of texts: those it matches as a whole or, with `search=True`, those in which it is found. Which
of several matches a backtracking matcher would report makes no difference to that set, so lazy quantifiers are greedy
ones. Everything that is a matter of the surrounding text (`^ $ \\b`, look-ahead, look-behind of any width) becomes a
`Look`, unless it is decided on the spot. What is not regular, or not by these rules (back-references, conditional and
atomic groups, possessive quantifiers), is refused: `UnsupportedFeature`.
"""

from __future__ import annotations

from grammars.errors import LimitExceeded
from grammars.expression import Node
from grammars.limits import Limits
from grammars.regex.anchoring import anchored
from grammars.regex.classes import line_ends
from grammars.regex.mode import initial_mode
from grammars.regex.reader import Reader

__all__ = ["parse"]

_DEFAULT_LIMITS = Limits()


def parse(
    pattern: str, *, flags: str = "", dialect: str = "python", search: bool = False, limits: Limits = _DEFAULT_LIMITS
) -> Node:
    r"""The language of a regular expression.

    `flags`: letters out of `imsxau` (in ECMA-262 `imsu`). `dialect`: `"python"` (the syntax of `re`, and `\p{...}`)
    or `"ecma"` (ECMA-262 with the flag u, as JSON Schema asks for). `search`: all texts in which the pattern is found,
    instead of those it matches as a whole.

    >>> parse("ab*").parts
    (Text(data=b'a'), Repeat(body=Text(data=b'b'), low=0, high=None))
    >>> parse("^ab$", dialect="ecma", search=True)
    Text(data=b'ab')
    """
    mode = initial_mode(dialect, flags)
    if 4 * len(pattern) > limits.source_bytes:
        _check_size(pattern, limits)
    reader = Reader(pattern, mode, limits)
    parts = reader.read()
    return anchored(parts, search, reader.assertions, line_ends(mode))


def _check_size(pattern: str, limits: Limits) -> None:
    size = len(pattern.encode("utf-8", "surrogatepass"))
    if size > limits.source_bytes:
        raise LimitExceeded(
            f"the pattern has {size} bytes, more than Limits.source_bytes = {limits.source_bytes}",
            hint="raise Limits(source_bytes=...) if you trust its author",
        )
