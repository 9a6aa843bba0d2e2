"""Marks: bytes that occur in no UTF-8 text, as rules of a grammar.

    array  = "[" OPEN item END ("," item END)* CLOSE "]"
    object = "{" OPEN_KEYS ROOM* REQUIRE* BEGIN key END FOUND? ":" value (BEGIN "," key ...)* CLOSE "}"

A mark that may be refused stands before the byte that it decides about, so that a token never ends between the two.

OPEN_UNIQUE says that fresh values never run out, whatever was used (`richness`): an item can then always be finished
unless it already equals, or can only become, a used one. OPEN_REPEATED opens an array in which some value must occur
twice, and says that it always can. The tight ones do not say so, and the future is searched.

Where properties may stand in any order, one ROOM for each says how many keys there are (none: endlessly many), one
REQUIRE for each that must be there how many are missing, and FOUND that one of these was read.
"""

from __future__ import annotations

from typing import Final

from grammars.expression import EPSILON, Call, Node, Rules, Text

OPEN_UNIQUE, OPEN_REPEATED, OPEN_KEYS = range(0xF7, 0xFA)
OPEN_TIGHT, OPEN_TIGHT_REPEATED, OPEN_TIGHT_KEYS = range(0xFA, 0xFD)
BEGIN, END, CLOSE = range(0xFD, 0x100)
ROOM, REQUIRE, FOUND = 0xF5, 0xF6, 0xC1
ALL: Final = (FOUND, ROOM, REQUIRE, *range(OPEN_UNIQUE, 0x100))
BITS: Final = sum(1 << byte for byte in ALL)
OPENING: Final = frozenset(range(OPEN_UNIQUE, BEGIN))
REPEATED: Final = frozenset({OPEN_REPEATED, OPEN_TIGHT_REPEATED})
KEYS: Final = frozenset({OPEN_KEYS, OPEN_TIGHT_KEYS})
TIGHT: Final = frozenset({OPEN_TIGHT, OPEN_TIGHT_REPEATED, OPEN_TIGHT_KEYS})
_PREFIX = "mark "


def mark(byte: int) -> Node:
    """A mark: the call of its rule.

    >>> mark(END).rule
    'mark 254'
    """
    return Call(f"{_PREFIX}{byte}")


def mark_rules() -> dict[str, Node]:
    """The rules of all marks."""
    return {f"{_PREFIX}{byte}": Text(bytes([byte])) for byte in ALL}


def is_mark_rule(name: str) -> bool:
    """Whether a rule, whose name may have been made unique to its grammar, is that of a mark."""
    return name.rpartition(":")[2].startswith(_PREFIX)


_TIGHTER: Final = {OPEN_UNIQUE: OPEN_TIGHT, OPEN_REPEATED: OPEN_TIGHT_REPEATED, OPEN_KEYS: OPEN_TIGHT_KEYS}


def tight(rules: Rules) -> dict[str, Node]:
    """The rules with marks that promise nothing: for a grammar of which only a part of the texts is wanted.

    >>> tight({"a:mark 247": Text(b"\\xf7")})["a:mark 247"].data
    b'\\xfa'
    """
    tighter: dict[Node, Node] = {Text(bytes([byte])): Text(bytes([other])) for byte, other in _TIGHTER.items()}
    return {name: tighter.get(body, body) if is_mark_rule(name) else body for name, body in rules.items()}


def erased(rules: Rules) -> dict[str, Node]:
    """The rules without marks: what a text looks like if nothing is remembered."""
    return {name: EPSILON if is_mark_rule(name) else body for name, body in rules.items()}
