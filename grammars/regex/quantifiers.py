"""Quantifiers: `* + ? {n} {n,} {n,m}`, and what repetition of repetition comes to.

Counts stay numbers: a repetition is never written out. `(x{3}){4}` is `x{12}` and `(x+)*` is `x*`, because a counter
inside a counter costs more than one.
"""

from __future__ import annotations

import re

from grammars.expression import EPSILON, Look, Node, Repeat, repeat
from grammars.limits import Limits
from grammars.regex.mode import Mode
from grammars.regex.source import Source

Bounds = tuple[int, int | None]

_SIMPLE: dict[str, Bounds] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_COUNTED = {
    False: re.compile(r"\{(?!\})([0-9]*)(,?)([0-9]*)\}"),  # Python: `{,n}` and `{,}` count too
    True: re.compile(r"\{([0-9]+)(,?)([0-9]*)\}"),
}


def read_bounds(source: Source, start: int, mode: Mode, limits: Limits) -> tuple[Bounds, int] | None:
    """The quantifier at `start` and where it ends; `None` if the brace there is an ordinary character."""
    character = source.text[start]
    if character != "{":
        return _SIMPLE[character], start + 1
    counted = _COUNTED[mode.ecma].match(source.text, start)
    if counted is None:
        return None
    low, comma, high = counted.groups()
    least = _count(low or "0", source, counted.span(), limits)
    most = least if not comma else _count(high, source, counted.span(), limits) if high else None
    if most is not None and most < least:
        raise source.error("the smallest count is above the largest", *counted.span(), hint="write {low,high}")
    return (least, most), counted.end()


def _count(digits: str, source: Source, span: tuple[int, int], limits: Limits) -> int:
    significant = digits.lstrip("0")
    if len(significant) > 20 or int(significant or "0") > limits.repeat:
        hint = "leave the upper bound out, or raise Limits(repeat=...)"
        raise source.limit(f"a count above Limits.repeat = {limits.repeat}", *span, hint=hint)
    return int(significant or "0")


def repeated(body: Node, bounds: Bounds, largest: int) -> Node:
    """Copies of `body`; a repetition of a repetition becomes one where no count is lost and none exceeds `largest`.

    >>> from grammars.expression import chars
    >>> repeated(repeat(chars([(48, 57)]), 3, 3), (4, 4), 100)
    Repeat(body=Chars(ranges=((48, 57),)), low=12, high=12)
    """
    low, high = bounds
    if isinstance(body, Look):  # a condition on a place: asking twice is asking once
        return EPSILON if low == 0 else body
    if high == 0 or not isinstance(body, Repeat) or not _contiguous(body, low, high):
        return repeat(body, low, high)
    least = body.low * low
    most = None if high is None or body.high is None else body.high * high
    return repeat(body, low, high) if max(least, most or 0) > largest else repeat(body.body, least, most)


def added_up(nodes: list[Node], largest: int) -> list[Node]:
    """Neighbouring repetitions of one body as one: X{a,b} X{c,d} = X{a+c,b+d}, if no count exceeds `largest`.

    >>> from grammars.expression import text
    >>> added_up([repeat(text("a"), 0, 1), repeat(text("a"), 2, None)], 100)
    [Repeat(body=Text(data=b'a'), low=2, high=None)]
    """
    kept: list[Node] = []
    for node in nodes:
        last = kept[-1] if kept else None
        if isinstance(last, Repeat) and isinstance(node, Repeat) and last.body == node.body:
            low = last.low + node.low
            high = None if last.high is None or node.high is None else last.high + node.high
            if max(low, high or 0) <= largest:
                kept[-1] = repeat(last.body, low, high)
                continue
        kept.append(node)
    return kept


def _contiguous(inner: Repeat, low: int, high: int | None) -> bool:
    """Whether k·low … k·high copies, over all k between the outer bounds, leave no gap between them."""
    if low == high:
        return True
    if inner.high is None:
        return low > 0 or inner.low <= 1
    return inner.low * (low + 1) <= inner.high * low + 1
