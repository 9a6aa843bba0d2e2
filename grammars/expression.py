"""Expressions: the one tree that every front end writes and every back end reads.

A node denotes a set of byte strings. Nodes are immutable and carry a `key`, a 128-bit digest of their structure,
computed from the keys of their children when they are made. Equal keys mean equal structure, so trees are compared,
hashed and cached without ever walking them: a tree nested 100,000 deep is as safe as a flat one.

The functions in lower case build nodes and apply the cheap identities of regular algebra (flattening, units, merging of
neighbouring literals). They are the only way nodes should be made.

| node | strings |
|---|---|
| `Text(data)` | exactly these bytes |
| `Bytes(mask)` | one byte b with bit b of `mask` set |
| `Chars(ranges)` | one code point in the ranges, encoded in UTF-8 |
| `Sequence(parts)` | concatenation |
| `Choice(options)` | union; no options: the empty set |
| `Repeat(body, low, high)` | between `low` and `high` copies; `high is None`: any number |
| `Call(rule)` | the strings of a named rule (of the mapping that travels beside the tree) |
| `Both(left, right)` | intersection |
| `Not(body)` | every byte string but these |
| `Look(body, ahead, negative)` | the empty string where the text ahead starts (behind: ends) with the body, or not |
| `Named(name, body)` | the body; the name is kept for the caller |
| `Lexeme(name, automaton, expression)` | what the automaton reads, or the expression when it is asked for |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from grammars.limits import Budget

Ranges = tuple[tuple[int, int], ...]  # sorted, disjoint, inclusive code point ranges

SURROGATES = (0xD800, 0xDFFF)
LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Base of all expressions; equality and hash go by `key`."""

    key: bytes = field(init=False, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def children(self) -> tuple[Node, ...]:
        """The direct sub-expressions, left to right."""
        return ()

    def _seal(self, tag: bytes, *parts: bytes) -> None:
        """Set the key: a digest of parts of which at most one has a length that the kind of node does not tell."""
        key = blake2b(b"".join((tag, b":", *parts)), digest_size=16).digest()
        object.__setattr__(self, "key", key)


Rules = Mapping[str, Node]


@dataclass(frozen=True, slots=True, eq=False)
class Text(Node):
    data: bytes

    def __post_init__(self) -> None:
        self._seal(b"text", self.data)


@dataclass(frozen=True, slots=True, eq=False)
class Bytes(Node):
    mask: int

    def __post_init__(self) -> None:
        self._seal(b"bytes", self.mask.to_bytes(32, "little"))


@dataclass(frozen=True, slots=True, eq=False)
class Chars(Node):
    ranges: Ranges

    def __post_init__(self) -> None:
        self._seal(b"chars", repr(self.ranges).encode())


@dataclass(frozen=True, slots=True, eq=False)
class Sequence(Node):
    parts: tuple[Node, ...]

    def __post_init__(self) -> None:
        self._seal(b"sequence", *[part.key for part in self.parts])

    def children(self) -> tuple[Node, ...]:
        return self.parts


@dataclass(frozen=True, slots=True, eq=False)
class Choice(Node):
    options: tuple[Node, ...]

    def __post_init__(self) -> None:
        self._seal(b"choice", *[option.key for option in self.options])

    def children(self) -> tuple[Node, ...]:
        return self.options


@dataclass(frozen=True, slots=True, eq=False)
class Repeat(Node):
    body: Node
    low: int
    high: int | None

    def __post_init__(self) -> None:
        self._seal(b"repeat", self.body.key, repr((self.low, self.high)).encode())

    def children(self) -> tuple[Node, ...]:
        return (self.body,)


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    rule: str

    def __post_init__(self) -> None:
        self._seal(b"call", self.rule.encode())


@dataclass(frozen=True, slots=True, eq=False)
class Both(Node):
    left: Node
    right: Node

    def __post_init__(self) -> None:
        self._seal(b"both", self.left.key, self.right.key)

    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True, eq=False)
class Not(Node):
    body: Node

    def __post_init__(self) -> None:
        self._seal(b"not", self.body.key)

    def children(self) -> tuple[Node, ...]:
        return (self.body,)


@dataclass(frozen=True, slots=True, eq=False)
class Look(Node):
    body: Node
    ahead: bool
    negative: bool

    def __post_init__(self) -> None:
        self._seal(b"look", self.body.key, bytes([self.ahead, self.negative]))

    def children(self) -> tuple[Node, ...]:
        return (self.body,)


@dataclass(frozen=True, slots=True, eq=False)
class Named(Node):
    name: str
    body: Node

    def __post_init__(self) -> None:
        self._seal(b"named", self.name.encode(), self.body.key)

    def children(self) -> tuple[Node, ...]:
        return (self.body,)


class ByteAutomaton(NamedTuple):
    """A deterministic automaton over bytes; it starts in row 0, and from each row that can be reached it can accept."""

    row_edge: NDArray[np.int64]  # the edges of row r are `edges[row_edge[r] : row_edge[r + 1]]`
    row_accepts: NDArray[np.int64]
    edges: NDArray[np.int64]  # (edges, 3): low byte, high byte, target row; -1: accept, and nothing follows


class LazyAutomaton(Protocol):
    """What `Residuals` offers: a deterministic automaton whose states are numbered as they are reached."""

    @property
    def node(self) -> Node:
        """The language as an expression."""
        ...

    @property
    def start(self) -> int:
        """The first state; -1 if there are no strings."""
        ...

    @property
    def byte_classes(self) -> tuple[int, ...]:
        """256 numbers; bytes of one number lead to the same state everywhere."""
        ...

    is_quick: ClassVar[bool]
    """Whether steps cost so little that those nobody asked for may be made along with those asked for."""

    def step(self, state: int, byte: int) -> int:
        """The state after a byte, or -1."""
        ...

    def targets(self, state: int) -> list[int]:
        """What is known of a state: for each byte class the state it leads to, -1, or -2 if that is not known."""
        ...

    def accepts(self, state: int) -> bool:
        """Whether a string ends in a state."""
        ...

    def refill(self) -> None:
        """Have the whole budget again."""
        ...


@runtime_checkable
class CountingAutomaton(Protocol):
    """A lazy automaton whose states count something that decides nothing most of the time."""

    def far(self, state: int) -> tuple[int, int]:
        """A state in which the count decides nothing, and from how many bytes on strings can tell the two apart."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Lexeme(Node):
    """A leaf for lowering; whoever needs to look inside takes the expression, which nobody writes before.

    The automaton may also be one that is made as far as it is walked: a function that makes it, given a budget. The
    rules that come with the expression are named by their content. Lexemes of one name have one language.
    """

    name: bytes
    automaton: ByteAutomaton | Callable[[Budget], LazyAutomaton] = field(repr=False)
    expression: Callable[[], tuple[Node, Rules]] = field(repr=False)

    def __post_init__(self) -> None:
        self._seal(b"lexeme", self.name)


EPSILON = Text(b"")
NOTHING = Choice(())
ANY_CHAR = Chars(((0, SURROGATES[0] - 1), (SURROGATES[1] + 1, LAST_CODE_POINT)))
ANY_BYTE = Bytes((1 << 256) - 1)
ANY_TEXT = Repeat(ANY_CHAR, 0, None)
ANY_BYTES = Repeat(ANY_BYTE, 0, None)


def text(value: str | bytes) -> Node:
    """The literal `value`; a `str` stands for its UTF-8 bytes.

    >>> text("é").data
    b'\\xc3\\xa9'
    """
    return Text(value.encode() if isinstance(value, str) else value)


def chars(ranges: Iterable[tuple[int, int]]) -> Node:
    """One code point out of inclusive `ranges` in any order; surrogates, which UTF-8 cannot write, are left out.

    >>> chars([(98, 99), (97, 97)]).ranges
    ((97, 99),)
    """
    merged: list[tuple[int, int]] = []
    for low, high in sorted(_without_surrogates(ranges)):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    if not merged:
        return NOTHING
    if len(merged) == 1 and merged[0][0] == merged[0][1]:
        return Text(chr(merged[0][0]).encode())
    return Chars(tuple(merged))


def _without_surrogates(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for low, high in ranges:
        if low <= min(high, SURROGATES[0] - 1):
            yield low, min(high, SURROGATES[0] - 1)
        if max(low, SURROGATES[1] + 1) <= high:
            yield max(low, SURROGATES[1] + 1), high


def byte_set(values: Iterable[int]) -> Node:
    """One byte out of `values`."""
    mask = 0
    for value in values:
        mask |= 1 << value
    return Bytes(mask) if mask else NOTHING


def sequence(parts: Iterable[Node]) -> Node:
    """Concatenation: flattened, literals joined, ∅ if a part is ∅.

    >>> sequence([text("a"), EPSILON, text("b")]).data
    b'ab'
    """
    flat: list[Node] = []
    literals: list[Text] = []  # those at the end that are not joined yet
    for part in parts:
        for piece in part.parts if isinstance(part, Sequence) else (part,):
            if isinstance(piece, Text):
                if piece.data:
                    literals.append(piece)
                continue
            if isinstance(piece, Choice) and not piece.options:
                return NOTHING
            if literals:
                flat.append(_joined(literals))
                literals = []
            flat.append(piece)
    if literals:
        flat.append(_joined(literals))
    if not flat:
        return EPSILON
    return flat[0] if len(flat) == 1 else Sequence(tuple(flat))


def _joined(literals: list[Text]) -> Text:
    return literals[0] if len(literals) == 1 else Text(b"".join(literal.data for literal in literals))


def choice(options: Iterable[Node]) -> Node:
    """Union: flattened, duplicates removed, order kept.

    >>> len(choice([text("a"), text("b"), text("a")]).options)
    2
    """
    unique: dict[Node, None] = {}
    for option in options:
        for piece in option.options if isinstance(option, Choice) else (option,):
            unique[piece] = None
    return next(iter(unique)) if len(unique) == 1 else Choice(tuple(unique))


def repeat(body: Node, low: int = 0, high: int | None = None) -> Node:
    """Between `low` and `high` copies of `body` (`None`: no upper bound)."""
    if high is not None and high < low:
        return NOTHING
    if high == 0 or body == EPSILON:
        return EPSILON
    if body == NOTHING:
        return EPSILON if low == 0 else NOTHING
    if low == high == 1:
        return body
    if isinstance(body, Repeat) and body.low == 0 and body.high is None:
        return body
    return Repeat(body, low, high)


def optional(body: Node) -> Node:
    """The body or nothing."""
    return repeat(body, 0, 1)


def both(left: Node, right: Node) -> Node:
    """Intersection."""
    if left == right or right == ANY_BYTES:
        return left
    if NOTHING in (left, right):
        return NOTHING
    return right if left == ANY_BYTES else Both(left, right)


def complement(body: Node) -> Node:
    """Every byte string that `body` does not contain."""
    if isinstance(body, Not):
        return body.body
    return Not(body)


def subexpressions(*roots: Node) -> Iterator[Node]:
    """Every distinct node below (and including) `roots`, without recursion.

    >>> len(list(subexpressions(choice([text("a"), text("b")]))))
    3
    """
    seen: set[bytes] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.key not in seen:
            seen.add(node.key)
            yield node
            stack.extend(node.children())


def is_boolean(node: Node) -> bool:
    """Whether the node itself needs the algebra of automata: intersection, complement or an assertion."""
    return isinstance(node, Both | Not | Look)
