"""Dispatch: free text until a trigger, then a structured part, then free text again.

With F for free text and T for the structured parts, the language is

    F (T F)*

where F is as `free_text` says. Parts whose begin overlaps with a trigger need a free text of their own in front of them
(`Words.before`); then the language is (F₁ T₁ | F₂ T₂ | …)* F. The first form is kept where it serves: in it, a text
that is still free is in one state of one automaton, so one cached row is its mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from grammars.expression import EPSILON, NOTHING, Node, choice, repeat, sequence, text
from grammars.tags.free_text import Words

First = Literal["optional", "required", "at once"]
Then = Literal["more", "text", "nothing"]


@dataclass(frozen=True, slots=True)
class Part:
    """A structured part: its first bytes, and all of it as an expression."""

    begin: bytes
    node: Node


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What decides between free text and parts.

    `first`: whether there must be a part, and whether free text may stand before it. `then`: what may follow it: more
    parts and text, text only, or nothing. `stops`: what follows the whole, one of these markers; free text ends at them
    too.
    """

    free: Node
    words: frozenset[bytes]
    parts: tuple[Part, ...]
    first: First = "optional"
    then: Then = "more"
    stops: tuple[bytes, ...] = ()

    def node(self) -> Node:
        """The language as an expression."""
        end = until(self.free, self.words, self.stops)
        groups = self._groups()
        if not groups:
            return end if self.first == "optional" else NOTHING
        if list(groups) == [end] and self.first != "at once":
            return self._with_one_free_text(end, choice(groups[end]))
        segment = choice(sequence([free, choice(nodes)]) for free, nodes in groups.items())
        tail = {"more": sequence([repeat(segment), end]), "text": end, "nothing": self._stop()}[self.then]
        if self.first == "optional":
            return tail if self.then == "more" else choice([sequence([segment, tail]), end])
        begin = segment if self.first == "required" else choice(part.node for part in self.parts)
        return sequence([begin, tail])

    def _with_one_free_text(self, free: Node, part: Node) -> Node:
        least = 0 if self.first == "optional" else 1
        if self.then == "nothing":
            return sequence([free, repeat(part, least, 1)])
        return sequence([free, repeat(sequence([part, free]), least, None if self.then == "more" else 1)])

    def _groups(self) -> dict[Node, list[Node]]:
        """The parts by the free text that may stand before them."""
        watched = Words(self.words.union(self.stops))
        groups: dict[Node, list[Node]] = {}
        for part in self.parts:
            groups.setdefault(watched.before(self.free, part.begin), []).append(part.node)
        return groups

    def _stop(self) -> Node:
        return choice(map(text, self.stops)) if self.stops else EPSILON


def until(free: Node, words: frozenset[bytes], stops: Sequence[bytes]) -> Node:
    """Free text without `words` up to and with the first of the markers `stops`; to the end if there are none.

    >>> from grammars import Grammar
    >>> from grammars.expression import ANY_TEXT
    >>> thought = Grammar(until(ANY_TEXT, frozenset(), [b"</think>"]))
    >>> thought.matches(b"hm</think>"), thought.matches(b"</think></think>")
    (True, False)
    """
    watched = Words(words.union(stops))
    if not stops:
        return watched.without(free)
    return choice(sequence([watched.before(free, stop), text(stop)]) for stop in stops)
