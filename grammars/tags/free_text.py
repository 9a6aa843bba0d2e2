r"""Free text: what may stand between structured parts, as the complement of what must not occur in it.

Let W be the triggers. Free text is a string of the language `free` (any text in UTF-8 by default) without a trigger:

    without(free)    =  free \ Σ* W Σ*

Who reads a text from left to right knows that free text is over as soon as a trigger is complete. So what follows free
text f must be such that no trigger ends earlier than the reader is told. If f is followed by a marker m, whose
shortest prefix that contains a trigger is p, that means

    f · p  ∉  Σ* W Σ⁺

A trigger that ends inside of p but begins in f is w = s · p[:k], where s is an end of f. There are finitely many such s
(for usual triggers none: nothing that begins like one ends like one), and f must not end with any of them:

    before(free, m)  =  without(free) \ Σ* {s}

Both are regular, and deterministic automata of about as many states as the triggers have bytes. They are never built:
the algebra steps through them lazily, and masks are found by state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cached_property

from grammars.errors import LimitExceeded
from grammars.expression import ANY_BYTES, Node, both, choice, complement, sequence, text

_MOST_BYTES = 1 << 24  # of all ends of all words


class Words:
    """Words that must not occur in free text.

    >>> from grammars import Grammar
    >>> from grammars.expression import ANY_TEXT
    >>> calm = Grammar(Words([b"!", b"?"]).without(ANY_TEXT))
    >>> calm.matches("très bien".encode()), calm.matches(b"what?")
    (True, False)
    """

    def __init__(self, words: Iterable[bytes]):
        self._words = frozenset(words)
        if sum(len(word) ** 2 for word in self._words) > _MOST_BYTES:
            raise LimitExceeded("the triggers are too many or too long", hint=f"{len(self._words)} triggers were given")
        self._known: dict[tuple[Node, frozenset[bytes]], Node] = {}
        self._lengths = sorted({len(word) for word in self._words})

    def without(self, free: Node) -> Node:
        """The texts of `free` in which no word occurs."""
        return self._absent(free, ())

    def before(self, free: Node, marker: bytes) -> Node:
        """The texts of `free` before `marker`: a reader who waits for a word sees none until the marker brings it.

        >>> from grammars import Grammar
        >>> from grammars.expression import ANY_TEXT
        >>> text = Grammar(Words([b"aba"]).before(ANY_TEXT, b"aba"))
        >>> text.matches(b"xa"), text.matches(b"xab")  # after "xab" already the marker's first byte completes "aba"
        (True, False)
        """
        part = self.first_part(marker)
        return self._absent(free, {stem for k in range(1, len(part)) for stem in self._stems.get(part[:k], ())})

    def first_part(self, marker: bytes) -> bytes:
        """The shortest beginning of `marker` that contains a word; all of it if none does.

        >>> Words([b"<call", b"l="]).first_part(b"<call=f>")
        b'<call'
        """
        for end in range(1, len(marker)):
            if any(marker[end - length : end] in self._words for length in self._lengths if length <= end):
                return marker[:end]
        return marker

    @cached_property
    def _stems(self) -> dict[bytes, set[bytes]]:
        """For each end of a word: what stands before it in a word."""
        stems: dict[bytes, set[bytes]] = defaultdict(set)
        for word in self._words:
            for k in range(1, len(word)):
                stems[word[k:]].add(word[:k])
        return stems

    def _absent(self, free: Node, ends: Collection[bytes]) -> Node:
        if not self._words:
            return free
        key = free, frozenset(ends)
        if key not in self._known:  # thousands of markers stand behind the same free text
            at_the_end = sequence([ANY_BYTES, choice(map(text, sorted(ends)))])
            self._known[key] = both(free, complement(choice([self._inside, at_the_end]) if ends else self._inside))
        return self._known[key]

    @cached_property
    def _inside(self) -> Node:
        return sequence([ANY_BYTES, choice(map(text, sorted(self._words))), ANY_BYTES])
