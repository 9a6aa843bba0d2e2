"""Terms: hash-consed extended regular expressions over byte classes.

Equal terms are one object: comparing two is comparing addresses, and what is computed for a term is kept with it.
Every fact below is computed from the children when a term is made, so nothing ever walks a term.

| kind | language |
|---|---|
| NOTHING | ∅ |
| EMPTY | {ε} |
| SET | one byte out of `mask`, a set of byte classes |
| TEXT | a literal of at least two bytes |
| SWITCH | a byte of one of some disjoint sets, then what that set leads to (how UTF-8 is written) |
| CAT | `parts[0]` then `parts[1]`; the first is never itself a CAT |
| OR | union of `parts` |
| REPEAT | `low` to `high` copies of `parts[0]` |
| AND, NOT | intersection, complement |
| LOOK | the empty string where the rest of the text is in `parts[0]` |
| WITNESS | any rest of the text, if the text so far ends with a match of look-behind number `low`; else none |
| MARK | the end of a look-behind's body, see `scopes` |
| PENDING | the rests of the text in both `parts`: an assertion under way, beside what it stands before |
| SCOPE | a whole text: `parts[0]`, with the look-behinds it contains running beside it |

An assertion talks about the whole rest of a text, so a term with assertions can't be derived without knowing what
follows it; terms that can are called *blind*. Intersections, complements and scopes are always blind: they are
languages of whole texts, assertions inside see nothing beyond them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from grammars.errors import LimitExceeded
from grammars.limits import Budget

NOTHING, EMPTY, SET, TEXT, SWITCH, CAT, OR, REPEAT, AND, NOT, LOOK, WITNESS, MARK, PENDING, SCOPE = range(15)
ENDLESS: Final = 1 << 62  # no upper bound; large enough that sums and products are capped to it

Partition = tuple[int, ...]

_TICKS_PER_UNIT = 10  # a unit of work is about 30 µs, a tick about 3
_MOST_TERMS = 250_000  # some 170 MB: they are kept as long as the automaton
_SHORT_TEXT = 64  # literals up to this length are cut to be equal when their rests are; longer ones keep an offset
_SPINE = 8  # how far from the head of a concatenation a counter is still recognised


class Shape:
    """A concatenation with its first counter taken out: terms that differ in that counter only have the same shape."""

    __slots__ = ("body", "depth", "head", "inner", "tail")

    def __init__(self, body: Term, tail: Term, head: Term | None = None, inner: Shape | None = None):
        self.body, self.tail, self.head, self.inner = body, tail, head, inner
        self.depth: int = 0 if inner is None else inner.depth + 1


@dataclass(slots=True, eq=False)
class Term:
    """A language; compare with `is`. The comments say what holds of the fields."""

    kind: int
    parts: tuple[Term, ...] = ()
    low: int = 0
    high: int = 0
    mask: int = 0
    data: bytes = b""
    cases: tuple[tuple[int, Term], ...] = ()
    numbers: tuple[int, ...] = ()  # SCOPE: the look-behinds that parts[1:] follow

    first: int = 0  # classes a string may begin with (no string begins with another)
    empty: bool = False  # may match the empty string; exact for blind terms
    null: bool | None = False  # as a whole rest of a text: contains ε? None: depends on what was read before
    blind: bool = True
    simple: bool = True  # made of SET TEXT SWITCH CAT OR REPEAT only
    sure: bool = True  # known to contain a string
    least: int = 0  # lengths of strings, in bytes: lower and upper bound
    most: int = 0
    behinds: int = 0  # bit set of the look-behinds that this term asks for
    marked: bool = False  # contains MARK

    shape: Shape | None = None
    shape_low: int = 0
    shape_high: int = 0
    serial: int = 0
    memo: dict[object, Term] = field(default_factory=dict[object, "Term"])
    index: dict[int, tuple[Term, ...]] | None = None  # OR: options by first class
    partition: Partition = ()  # see `partitions`; found when it is needed


class Conditions:
    """For each look-behind that runs: the rests of the text before which it holds. Interned: compare with `is`."""

    __slots__ = ("_holding",)

    def __init__(self, holding: Mapping[int, Term]):
        self._holding = holding

    def holding(self, number: int) -> Term:
        """The condition of a look-behind."""
        return self._holding[number]


class Terms:
    """All terms of one automaton: makes them, and counts the work."""

    def __init__(self, classes: tuple[int, ...], budget: Budget):
        self.class_of = classes
        self.class_count = max(classes) + 1
        self._budget = budget
        self._credit = 0
        self._terms: dict[object, Term] = {}
        self._shapes: dict[object, Shape] = {}
        self.memo: dict[object, Term] = {}
        self.conditions: dict[object, Conditions] = {}
        self.partitions: dict[Partition, Partition] = {}
        self.behinds: list[Term] = []  # bodies of look-behinds as "anything, body, MARK"
        every = (1 << self.class_count) - 1
        self.nothing = self.add(("nothing",), Term(NOTHING, sure=False, least=ENDLESS))
        self.epsilon = self.add(("empty",), Term(EMPTY, empty=True, null=True))
        self.any_byte = self.set_of(every)
        self.everything = self.copies(self.any_byte, 0, ENDLESS)
        self.mark = self.add(
            ("mark",),
            Term(MARK, first=every, empty=True, blind=False, simple=False, sure=False, most=ENDLESS, marked=True),
        )

    def tick(self, ticks: int = 1) -> None:
        """Pay for work that is about to be done."""
        self._credit -= ticks
        if self._credit < 0:
            units = 1 + -self._credit // _TICKS_PER_UNIT
            self._budget.charge(units)
            self._credit += units * _TICKS_PER_UNIT

    def find(self, key: object) -> Term | None:
        """The term with this key, if it was made before."""
        return self._terms.get(key)

    def refill(self) -> None:
        """Have the whole budget again for the next step."""
        self._budget.refill()

    def add(self, key: object, term: Term) -> Term:
        """Keep a new term."""
        self.tick(2)
        if len(self._terms) >= _MOST_TERMS:
            raise LimitExceeded(
                f"a boolean part of the grammar has more than {_MOST_TERMS} different residuals",
                hint="make its look-arounds, intersections and differences, or the counters in them, smaller",
            )
        term.serial = len(self._terms)
        self._terms[key] = term
        return term

    def classes_of(self, mask: int) -> int:
        """A set of bytes as the set of their classes."""
        classes = 0
        while mask:
            classes |= 1 << self.class_of[(mask & -mask).bit_length() - 1]
            mask &= mask - 1
        return classes

    def set_of(self, mask: int) -> Term:
        """One byte out of a set of byte classes."""
        if not mask:
            return self.nothing
        key = (SET, mask)
        return self.find(key) or self.add(key, Term(SET, mask=mask, first=mask, least=1, most=1))

    def text(self, data: bytes, offset: int = 0) -> Term:
        """The literal `data[offset:]`."""
        length = len(data) - offset
        if length <= 1:
            return self.set_of(1 << self.class_of[data[offset]]) if length else self.epsilon
        if offset and length <= _SHORT_TEXT:
            data, offset = data[offset:], 0
        key = (TEXT, data, offset)
        first = 1 << self.class_of[data[offset]]
        return self.find(key) or self.add(
            key, Term(TEXT, low=offset, data=data, first=first, least=length, most=length)
        )

    def switch(self, cases: Iterable[tuple[int, Term]]) -> Term:
        """A byte out of one of some disjoint class sets, then the term of that set."""
        by_target: dict[Term, int] = {}
        for mask, target in cases:
            by_target[target] = by_target.get(target, 0) | mask
        if not by_target:
            return self.nothing
        if len(by_target) == 1 and self.epsilon in by_target:
            return self.set_of(by_target[self.epsilon])
        pairs = tuple(sorted(((mask, target) for target, mask in by_target.items()), key=lambda pair: pair[0]))
        key = (SWITCH, pairs)
        known = self.find(key)
        if known is not None:
            return known
        first = 0
        for mask, _ in pairs:
            first |= mask
        least = 1 + min(target.least for _, target in pairs)
        most = 1 + max(target.most for _, target in pairs)
        return self.add(key, Term(SWITCH, cases=pairs, first=first, least=least, most=most))

    def pair(self, head: Term, tail: Term) -> Term:
        """Concatenation as it stands, see `sequences.cat` for the laws."""
        key = (CAT, head, tail)
        known = self.find(key)
        if known is not None:
            return known
        null = False if head.null is False or tail.null is False else head.null and tail.null
        blind = head.blind and tail.blind
        term = Term(
            CAT,
            (head, tail),
            first=head.first | tail.first if head.empty else head.first,
            empty=head.empty and tail.empty,
            null=null,
            blind=blind,
            simple=head.simple and tail.simple,
            sure=null is True or (blind and head.sure and tail.sure),
            least=capped(head.least + tail.least),
            most=capped(head.most + tail.most),
            behinds=head.behinds | tail.behinds,
            marked=tail.marked,
        )
        self._give_shape(self.add(key, term))
        return term

    def copies(self, body: Term, low: int, high: int) -> Term:
        """Repetition as it stands, see `sequences.repeat` for the laws."""
        key = (REPEAT, body, low, high)
        known = self.find(key)
        if known is not None:
            return known
        null = True if low == 0 else body.null
        term = Term(
            REPEAT,
            (body,),
            low,
            high,
            first=body.first,
            empty=low == 0 or body.empty,
            null=null,
            blind=body.blind,
            simple=body.simple,
            sure=null is True or (body.blind and body.sure),
            least=capped(body.least * low),
            most=capped(body.most * high),
            behinds=body.behinds,
        )
        self._give_shape(self.add(key, term))
        return term

    # -- shapes: see booleans.merge_counters ----------------------------------------------------------------------

    def _give_shape(self, term: Term) -> None:
        """Set the shape of a REPEAT or CAT that was just made."""
        if term.kind == REPEAT:
            self._counter_shape(term, term, self.epsilon)
        elif term.parts[0].kind == REPEAT:
            self._counter_shape(term, term.parts[0], term.parts[1])
        elif (inner := term.parts[1].shape) is not None and inner.depth < _SPINE:
            self._outer_shape(term, inner)

    def _counter_shape(self, term: Term, counter: Term, tail: Term) -> None:
        key = (counter.parts[0], tail)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(counter.parts[0], tail)
        term.shape, term.shape_low, term.shape_high = shape, counter.low, counter.high

    def _outer_shape(self, term: Term, inner: Shape) -> None:
        head, tail = term.parts
        key = (head, inner)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(inner.body, inner.tail, head, inner)
        term.shape, term.shape_low, term.shape_high = shape, tail.shape_low, tail.shape_high


def capped(length: int) -> int:
    """A length or count, at most `ENDLESS`."""
    return length if length < ENDLESS else ENDLESS
