"""Host names: labels with dots between them, 253 octets at most, RFC 1123 and, for what lies beyond ASCII, IDNA 2008.

Labels with hyphens at places three and four are Punycode in lower case, what the algorithm writes. A name with letters
written from right to left has only labels that keep the rules for such names (RFC 5893).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple

from grammars.expression import LAST_CODE_POINT
from grammars.schema.recognizers.characters import admitted, edges
from grammars.schema.recognizers.labels import BLOCK, Label, read
from grammars.schema.recognizers.punycode import Mood, Punycode

_MOST_OCTETS, _MOST_OF_LABEL = 253, 63
_UNCOUNTED, _NEVER = -(1 << 20), 1 << 40
_DOTS: Final = frozenset({0x2E, 0x3002, 0xFF0E, 0xFF61})
_PREFIX: Final = "xn--"
_LETTERS: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
_ENDINGS: Final = tuple(map(ord, "a0lαבب\u1820ぁァ一"))  # one of them follows where a label asks for company


_ASCII_EDGES: Final = tuple(map(ord, "\0-./0:A[a{"))
_PREFIX_EDGES: Final = tuple(sorted({*_ASCII_EDGES, *map(ord, "noxy")}))


class Host(NamedTuple):
    """A host name up to some place."""

    octets: int = 0  # of the labels before, and their dots; negative if they are not counted
    mood: Mood = Mood()
    label: Label | Punycode = Label()
    prefix: str = ""  # of `xn--`, if the label is nothing else


class HostName:
    """Reads host names, with `international` ones among them.

    >>> reader = HostName(international=True)
    >>> reader.matches("例え.テスト"), reader.matches("xn--r8jz45g.xn--zckzah"), reader.matches("a.-b")
    (True, True, False)
    """

    def __init__(self, international: bool):
        self.start = Host()
        self.name = "idn-hostname" if international else "hostname"
        self.foreign = frozenset(range(128 if international else 129)) - _LETTERS
        self.lengths: tuple[int, int | None] = (1, _MOST_OCTETS)
        self._international = international

    def step(self, state: Host, code: int) -> Host | None:
        """The state after a character."""
        if code >= 0x80 and not self._international:
            return None
        if code in _DOTS:
            return _next_label(state)
        if isinstance(state.label, Punycode):
            room = _room(state, len(_PREFIX) + state.label.length + 1)
            punycode = state.label.read(code, room, state.mood) if room >= 0 else None
            return None if punycode is None else state._replace(label=punycode)
        if state.prefix + chr(code) == _PREFIX:
            return state._replace(label=Punycode(), prefix="") if _room(state, len(_PREFIX)) else None
        return self._in_label(state, state.label, code)

    def _in_label(self, state: Host, before: Label, code: int) -> Host | None:
        prefix = state.prefix + chr(code)
        prefix = prefix if _PREFIX.startswith(prefix) and len(prefix) > before.length else ""
        label = read(before, code)
        if label is None:
            return None
        if not self._international:
            label = _ascii_only(label)
        return state._replace(label=label, prefix=prefix) if _can_end(label, _room(state, 0), state.mood) else None

    def accepts(self, state: Host) -> bool:
        """Whether the name is complete."""
        label = state.label.label() if isinstance(state.label, Punycode) else state.label
        return label is not None and _ends(label, state.mood)

    def edges(self, state: Host) -> Sequence[int]:
        """Where the tables of IDNA, or the letters of what is ASCII, have an edge."""
        if isinstance(state.label, Punycode):
            return range(0x81)
        return _edges() if self._international else _PREFIX_EDGES if _may_be_prefix(state) else _ASCII_EDGES

    def grain(self, state: Host) -> int:
        """What the tables do not tell apart is the same."""
        return LAST_CODE_POINT + 1

    def far(self, state: Host) -> tuple[Host, int]:
        """The same place where the length of the whole name decides nothing yet: as long as a label may be of any
        length."""
        if self._international or state.octets < 0:
            return state, _NEVER
        left = _MOST_OCTETS - _MOST_OF_LABEL - state.octets - _octets(state) - 1
        return state._replace(octets=_UNCOUNTED), left

    def matches(self, text: str) -> bool:
        """Whether the text is a host name."""
        state: Host | None = self.start
        for char in text:
            state = self.step(state, ord(char))
            if state is None:
                return False
        return self.accepts(state)


@cache
def _edges() -> tuple[int, ...]:
    blocks = (block for low, high in admitted() for block in range(low - low % BLOCK, high + 1, BLOCK))
    return tuple(sorted({*edges(), *blocks, *_DOTS, *(dot + 1 for dot in _DOTS)}))


def _may_be_prefix(state: Host) -> bool:
    return isinstance(state.label, Label) and len(state.prefix) == state.label.length


def _ascii_only(label: Label) -> Label:
    """The label without what only characters beyond ASCII would ask for."""
    return label._replace(ascii=label.length, upper=False, composes=False, before="")


def _room(state: Host, used: int) -> int:
    """How many octets there are for the rest of the label."""
    return min(_MOST_OF_LABEL, _MOST_OCTETS - state.octets) - used


def _octets(state: Host) -> int:
    """Octets of the label at hand."""
    return len(_PREFIX) + state.label.length if isinstance(state.label, Punycode) else state.label.octets


def _next_label(state: Host) -> Host | None:
    label = state.label.label() if isinstance(state.label, Punycode) else state.label
    if label is None or not _ends(label, state.mood):
        return None
    octets = state.octets + _octets(state) + 1 if state.octets >= 0 else _UNCOUNTED
    return Host(octets, state.mood.with_label(label)) if octets < _MOST_OCTETS else None


def _ends(label: Label, mood: Mood) -> bool:
    return label.is_complete() and mood.with_label(label).is_possible()


@lru_cache(maxsize=1 << 14)
def _can_end(label: Label, room: int, mood: Mood, more: int = 2) -> bool:
    """Whether the label can be finished within the room; at most two characters are missing."""
    if label.octets > room:
        return False
    if _ends(label, mood):
        return True
    longer = (read(label, code) for code in _ENDINGS) if more else ()
    return any(after is not None and _can_end(after, room, mood, more - 1) for after in longer)
