"""Sets of code points, and the alphabet of classes that a list of sets cannot tell apart."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import pairwise

from grammars.expression import LAST_CODE_POINT, SURROGATES, Chars, Node, Ranges, Text, chars
from grammars.regex import parse

ANY: Ranges = ((0, SURROGATES[0] - 1), (SURROGATES[1] + 1, LAST_CODE_POINT))


@lru_cache(maxsize=4096)
def ranges_of(fragment: str, flags: str) -> Ranges:
    r"""The code points that a class such as `[a-z\d]` matches.

    >>> ranges_of("[ab]", "")
    ((97, 98),)
    """
    node: Node = parse(fragment, flags=flags)
    if isinstance(node, Text):
        code = ord(node.data.decode())
        return ((code, code),)
    return node.ranges if isinstance(node, Chars) else ()


class Alphabet:
    """Code points by the sets that contain them: `members[c]` are the code points of class c.

    >>> alphabet = Alphabet([((97, 99),), ((99, 100),)])
    >>> [alphabet.classes(i) for i in (0, 1)]
    [(1, 2), (2, 3)]
    """

    def __init__(self, sets: list[Ranges]):
        events: dict[int, list[int]] = {0: [], SURROGATES[0]: [], SURROGATES[1] + 1: [], LAST_CODE_POINT + 1: []}
        for number, ranges in enumerate(sets):
            for low, high in ranges:
                events.setdefault(low, []).append(number)
                events.setdefault(high + 1, []).append(number)
        found: dict[frozenset[int], list[tuple[int, int]]] = {}
        inside: set[int] = set()
        places = sorted(events)
        for place, following in pairwise(places):
            inside.symmetric_difference_update(events[place])
            found.setdefault(frozenset(inside), []).append((place, following - 1))
        self.members: list[Node] = []
        self._classes: list[list[int]] = [[] for _ in sets]
        self._starts: list[tuple[int, int]] = []
        for signature, ranges in found.items():
            for number in signature:
                self._classes[number].append(len(self.members))
            self._starts += [(low, len(self.members)) for low, _ in ranges]
            self.members.append(chars(ranges))
        self._starts.sort()

    def letter(self, char: str) -> int:
        """The class of a character."""
        return self._starts[bisect_right(self._starts, (ord(char), len(self.members))) - 1][1]

    def classes(self, number: int) -> tuple[int, ...]:
        """The classes that make up a set."""
        return tuple(self._classes[number])
