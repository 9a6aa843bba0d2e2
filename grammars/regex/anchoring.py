r"""Anchoring: the text before and after a pattern, and the anchors that limit it.

A search puts any text before and after the pattern: Σ* P Σ*. An anchor at the edge of P says what that text may be,
and is then spent: `^abc` is `abc Σ*`, and no assertion is left for the automaton to carry. In a full match the
surrounding text is empty and every anchor at an edge is true. The possible surroundings form a chain,

    EMPTY ⊂ FINAL (nothing or one \n) ⊂ LINE (nothing, or whole lines) ⊂ ANY,

an anchor intersects the surroundings with a member of that chain, and intersection in a chain is the minimum.
Alternatives have surroundings of their own: `^a|b$` is `a Σ* | Σ* b`. What stands deeper than an edge stays an
assertion.

The edge of a pattern may be nested as deep as the pattern: the walk is a trampolined one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from grammars.expression import (
    ANY_TEXT,
    EPSILON,
    NOTHING,
    Bytes,
    Chars,
    Choice,
    Look,
    Named,
    Node,
    Ranges,
    Repeat,
    Sequence,
    Text,
    chars,
    choice,
    optional,
    repeat,
    sequence,
    text,
)
from grammars.regex import assertions
from grammars.regex.rangesets import overlap
from grammars.trampoline import Walk, run

EMPTY, FINAL, LINE, ANY = range(4)

_BEFORE: dict[Node, int] = {
    assertions.TEXT_START: EMPTY,
    assertions.PYTHON_LINE_START: LINE,
    assertions.ECMA_LINE_START: LINE,
}
_AFTER: dict[Node, int] = {
    assertions.TEXT_END: EMPTY,
    assertions.PYTHON_DOLLAR: FINAL,
    assertions.PYTHON_LINE_END: LINE,
    assertions.ECMA_LINE_END: LINE,
}


class _Result(NamedTuple):
    """A node rid of the anchors at its edge, and its surroundings; `None`: they differ and are part of the node."""

    around: int | None
    node: Node


def anchored(parts: list[Node], search: bool, assertions: int, line_ends: Ranges) -> Node:
    """The pattern made of `parts` within the text around it: any text in a search, none otherwise.

    `assertions`: how many of them the pattern holds. Mostly all are anchors that stand openly at its edges; only if
    there are more does the walk into its edges begin.
    """
    around = ANY if search else EMPTY
    first, last = 0, len(parts)
    before = after = around
    while first < last and parts[first] in _BEFORE:
        before = min(before, _BEFORE[parts[first]])
        first += 1
    while first < last and parts[last - 1] in _AFTER:
        after = min(after, _AFTER[parts[last - 1]])
        last -= 1
    leading, trailing = _Edge(True, line_ends), _Edge(False, line_ends)
    if first + len(parts) - last == assertions:
        return sequence(trailing.surrounded(leading.surrounded(parts[first:last], before), after))
    node = sequence(parts)
    for edge in (leading, trailing):
        node = edge.closed(run(edge.walk(node, around)))
    return node


@dataclass(frozen=True, slots=True)
class _Edge:
    """The beginning of a pattern (`leading`) or its end."""

    leading: bool
    line_ends: Ranges

    def closed(self, result: _Result) -> Node:
        """The node with the text around it."""
        around, node = result
        if around is None or around == EMPTY:
            return node
        return sequence(self.surrounded(list(node.parts) if isinstance(node, Sequence) else [node], around))

    def surrounded(self, parts: list[Node], around: int) -> list[Node]:
        """The parts of a sequence, in order, with the text around them at this edge."""
        if around == EMPTY:
            return parts
        outside = self._shortening(parts) if around == ANY else self._outside(around)
        return [outside, *parts] if self.leading else [*parts, outside]

    def _outside(self, around: int) -> Node:
        if around == FINAL:
            return optional(text("\n"))
        lines = [ANY_TEXT, chars(self.line_ends)]
        return optional(sequence(lines if self.leading else lines[::-1]))

    def _shortening(self, parts: list[Node]) -> Node:
        """Any text; beside it the smallest number of copies is enough, to which `parts` is cut: Σ* x{2,5} = Σ* x{2}."""
        place = 0 if self.leading else -1
        edge = parts[place] if parts else EPSILON
        if edge == ANY_TEXT:
            return EPSILON
        if isinstance(edge, Repeat) and isinstance(edge.body, Chars | Bytes | Text):
            parts[place] = repeat(edge.body, edge.low, edge.low)
            if edge.low == 0:
                del parts[place]
        return ANY_TEXT

    def _parts(self, node: Node) -> list[Node]:
        """The parts of a sequence, from the edge inwards."""
        parts = list(node.parts) if isinstance(node, Sequence) else [node]
        return parts if self.leading else parts[::-1]

    def _sequence(self, parts: list[Node]) -> Node:
        return sequence(parts if self.leading else parts[::-1])

    def walk(self, node: Node, around: int) -> Walk[_Result]:
        """Take the anchors at the edge of `node` away."""
        if isinstance(node, Look):
            return _Result(*self._anchor(node, around))
        if isinstance(node, Sequence):
            return (yield self._inward(node, around))
        if isinstance(node, Choice):
            return (yield self._alternatives(node.options, around))
        if isinstance(node, Named):
            inner = yield self.walk(node.body, around)
            if inner.around is None:  # text around the pattern must stay out of the named group
                return _Result(around, node)
            return _Result(inner.around, Named(node.name, inner.node))
        if isinstance(node, Repeat) and (node.low, node.high) == (0, 1):
            inner = yield self.walk(node.body, around)
            return _Result(around, node) if inner.node == node.body else self._merged([inner, _Result(around, EPSILON)])
        return _Result(around, node)

    def _anchor(self, look: Look, around: int) -> tuple[int, Node]:
        """What an assertion at the edge makes of the text around, and what is left of it."""
        anchor = (_BEFORE if self.leading else _AFTER).get(look)
        if anchor is not None:
            return min(around, anchor), EPSILON
        if look.ahead != self.leading and self._out_of_sight(look.body, around):
            return around, EPSILON if look.negative else NOTHING
        return around, look

    def _out_of_sight(self, body: Node, around: int) -> bool:
        """Whether no text that may stand around has a match of `body` next to the edge: a cheap sufficient test."""
        if around == EMPTY:
            return isinstance(body, Chars | Bytes) or (isinstance(body, Text) and body.data != b"")
        return around < ANY and isinstance(body, Chars) and not overlap(body.ranges, self.line_ends)

    def _inward(self, node: Sequence, around: int) -> Walk[_Result]:
        """Spend the assertions at the edge of a sequence, then go into the first part that is none."""
        parts = self._parts(node)
        kept: list[Node] = []
        place = 0
        while place < len(parts) and isinstance(look := parts[place], Look):
            around, rest = self._anchor(look, around)  # assertions of one place hold in any order
            kept += [] if rest == EPSILON else [rest]
            place += 1
        if place == len(parts):
            return _Result(around, self._sequence(kept))
        inner = yield self.walk(parts[place], around)
        if place == 0 and inner.node is parts[0] and inner.around == around:
            return _Result(around, node)
        if inner.around is None and kept:  # the text around must stay outside of what was kept
            return _Result(around, self._sequence([*kept, *parts[place:]]))
        return _Result(inner.around, self._sequence([*kept, inner.node, *parts[place + 1 :]]))

    def _alternatives(self, options: tuple[Node, ...], around: int) -> Walk[_Result]:
        results: list[_Result] = []
        for option in options:
            results.append((yield self.walk(option, around)))
        return self._merged(results) if results else _Result(around, NOTHING)

    def _merged(self, results: list[_Result]) -> _Result:
        """Alternatives with equal surroundings share them."""
        grouped: dict[int | None, list[Node]] = {}
        for around, node in results:
            grouped.setdefault(around, []).append(node)
        if len(grouped) == 1:
            around = next(iter(grouped))
            return _Result(around, choice(grouped[around]))
        return _Result(None, choice([self.closed(_Result(around, choice(nodes))) for around, nodes in grouped.items()]))
