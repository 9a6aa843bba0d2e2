"""The expressions behind lazy rows, as a flat table.

A node is one record, `(kind, number of children, number of bytes, low, high)`. Children stand before their parents, so
the table is read in one pass, whatever its nesting, and cannot contain a cycle. Shared expressions are one record. The
numbers of the children and the bytes follow in sections of their own, in the order of the records: there are no
offsets to check.

| kind | bytes | low, high |
|---|---|---|
| TEXT | the literal | |
| BYTES | the set, 256 bits | |
| CHARS | pairs of code points, 32 bits each | |
| REPEAT | | bounds; -1: no upper bound |
| LOOK | | ahead, negative |
| NAMED | the name in UTF-8 | |
| SEQUENCE, CHOICE, BOTH, NOT | | |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from grammars import expression as ex
from grammars.errors import LimitExceeded, SerializationError
from grammars.expression import LAST_CODE_POINT, SURROGATES, Node
from grammars.limits import Limits
from grammars.serialization.sections import read_integers, require, require_range, write_integers

TEXT, BYTES, CHARS, SEQUENCE, CHOICE, REPEAT, BOTH, NOT, LOOK, NAMED = range(10)
_CLASSES = (ex.Text, ex.Bytes, ex.Chars, ex.Sequence, ex.Choice, ex.Repeat, ex.Both, ex.Not, ex.Look, ex.Named)
_KINDS: dict[type[Node], int] = {cls: kind for kind, cls in enumerate(_CLASSES)}
_CHILDREN = {TEXT: 0, BYTES: 0, CHARS: 0, REPEAT: 1, BOTH: 2, NOT: 1, LOOK: 1, NAMED: 1}
_WITH_DATA = (TEXT, BYTES, CHARS, NAMED)
_RECORD = "<i8"
_UNBOUNDED = -1
_HIGHEST = 1 << 62

Record = tuple[int, int, int, int, int]


# -- writing ----------------------------------------------------------------------------------------------------------


def write_nodes(roots: Sequence[Node]) -> list[bytes]:
    """The sections of some expressions: records, children, bytes, and the numbers of the expressions themselves."""
    order = _children_first(roots)
    numbers = {node: number for number, node in enumerate(order)}
    data = [_data(node) for node in order]
    records = [_record(node, len(piece)) for node, piece in zip(order, data, strict=True)]
    children = [numbers[child] for node in order for child in node.children()]
    if any(abs(number) > _HIGHEST for record in records for number in record):
        raise SerializationError("a repetition has bounds that are too large to be saved")
    own = write_integers([numbers[root] for root in roots])
    return [write_integers(records, _RECORD), write_integers(children), b"".join(data), own]


def _children_first(roots: Iterable[Node]) -> list[Node]:
    """All distinct nodes, each behind its children."""
    order: dict[Node, None] = {}
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if node in order:
            continue
        if ready:
            order[node] = None
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children()))
    return list(order)


def _record(node: Node, extent: int) -> Record:
    kind = _KINDS.get(type(node))
    if kind is None:
        raise SerializationError(
            f"{type(node).__name__} cannot be saved inside a regular expression",
            hint="a schema in which a text has a pattern and a length, or must not match one, is saved as the schema",
        )
    low = high = 0
    if isinstance(node, ex.Repeat):
        low, high = node.low, _UNBOUNDED if node.high is None else node.high
    elif isinstance(node, ex.Look):
        low, high = int(node.ahead), int(node.negative)
    return kind, len(node.children()), extent, low, high


def _data(node: Node) -> bytes:
    if isinstance(node, ex.Text):
        return node.data
    if isinstance(node, ex.Bytes):
        return node.mask.to_bytes(32, "little")
    if isinstance(node, ex.Chars):
        return write_integers(node.ranges)
    return node.name.encode() if isinstance(node, ex.Named) else b""


# -- reading ----------------------------------------------------------------------------------------------------------


def read_nodes(sections: Sequence[memoryview], limits: Limits) -> list[Node]:
    """The expressions of these sections."""
    table, links, data = read_integers(sections[0], 5, _RECORD), read_integers(sections[1], 1).ravel(), sections[2]
    own = read_integers(sections[3], 1).ravel()
    if len(table) > limits.states or len(data) > limits.source_bytes:
        raise LimitExceeded(
            f"the saved program has {len(table)} expressions with {len(data)} bytes, and the limits allow "
            f"{limits.states} with {limits.source_bytes}",
            hint="load it with the Limits that it was compiled with, if you trust its author",
        )
    counts, extents = table[:, 1], table[:, 2]
    require_range(table[:, 0], TEXT, NAMED + 1, "kind of expression")
    require_range(counts, 0, len(links) + 1, "number of sub-expressions")
    require_range(extents, 0, len(data) + 1, "length of an expression")
    require(counts.sum() == len(links), "its expressions have more or fewer parts than there are")
    require(extents.sum() == len(data), "its expressions have more or fewer bytes than there are")
    require_range(links, 0, len(table), "sub-expression")
    require((links < np.repeat(np.arange(len(table)), counts)).all(), "an expression is part of itself")
    require_range(own, 0, len(table), "expression")
    require(len(np.unique(own)) == len(own), "two lexemes are the same expression")
    nodes = _made(table.tolist(), links.tolist(), data)
    return [nodes[number] for number in own.tolist()]


def _made(records: Iterable[Record], links: Sequence[int], data: memoryview) -> list[Node]:
    nodes: list[Node] = []
    link = at = 0
    for kind, count, extent, low, high in records:
        require(_CHILDREN.get(kind, count) == count, "an expression has the wrong number of parts")
        parts = tuple(nodes[child] for child in links[link : link + count])
        piece = bytes(data[at : at + extent])
        link, at = link + count, at + extent
        require(not piece or kind in _WITH_DATA, "an expression has bytes that mean nothing")
        nodes.append(_node(kind, parts, low, high, piece) if parts else _leaf(kind, piece))
    return nodes


def _leaf(kind: int, data: bytes) -> Node:
    if kind == TEXT:
        return ex.Text(data)
    if kind == BYTES:
        require(len(data) == 32, "a set of bytes has not 256 bits")
        return ex.Bytes(int.from_bytes(data, "little"))
    if kind == CHARS:
        return _chars(memoryview(data))
    return ex.Sequence(()) if kind == SEQUENCE else ex.Choice(())


def _chars(data: memoryview) -> Node:
    pairs = [(low, high) for low, high in read_integers(data, 2).tolist()]
    require(all(0 <= low <= high <= LAST_CODE_POINT for low, high in pairs), "a range of characters is none")
    require(all(before[1] < after[0] for before, after in pairwise(pairs)), "ranges of characters are out of order")
    first, last = SURROGATES
    require(all(high < first or low > last for low, high in pairs), "a set of characters contains surrogates")
    return ex.Chars(tuple(pairs))


def _node(kind: int, parts: tuple[Node, ...], low: int, high: int, data: bytes) -> Node:
    if kind == SEQUENCE:
        return ex.Sequence(parts)
    if kind == CHOICE:
        return ex.Choice(parts)
    if kind == REPEAT:
        require(
            0 <= low <= (_HIGHEST if high == _UNBOUNDED else high) <= _HIGHEST, "a repetition ends before it begins"
        )
        return ex.Repeat(parts[0], low, None if high == _UNBOUNDED else high)
    if kind == BOTH:
        return ex.Both(parts[0], parts[1])
    if kind == NOT:
        return ex.Not(parts[0])
    if kind == NAMED:
        return ex.Named(_name(data), parts[0])
    require(low in (0, 1) and high in (0, 1), "an assertion is neither ahead nor behind")
    return ex.Look(parts[0], bool(low), bool(high))


def _name(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SerializationError("the name of an expression is no UTF-8") from None
