"""Terms: boolean combinations of anything, as immutable values.

Schemas are boolean combinations of keywords, and what the keywords speak of (numbers, strings, keys, values) are
closed under union, intersection and complement. So one small algebra serves all: an atom is any value with a digest,
a term is built from atoms with `conj`, `disj` and `neg`, which apply the identities that cost nothing. Terms are
compared by digest, never walked; order is kept, because the order of properties follows it.

>>> a, b = atom("a", b"a"), atom("b", b"b")
>>> conj([a, neg(a)]) == FALSE, disj([a, FALSE]) == a, neg(neg(b)) == b
(True, True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, TypeVar

V = TypeVar("V")


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """An atom ("is"), or a combination of terms ("and", "or", "not")."""

    op: str
    parts: tuple[Term, ...]
    atom: Any
    key: bytes = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def digest(*parts: bytes) -> bytes:
    """A 128-bit digest of a list of byte strings."""
    framed = [b"%d:%b" % (len(part), part) for part in parts]
    return blake2b(b"".join(framed), digest_size=16).digest()


def _combination(op: str, parts: tuple[Term, ...]) -> Term:
    return Term(op, parts, None, digest(op.encode(), *(part.key for part in parts)))


TRUE: Final = _combination("and", ())
FALSE: Final = _combination("or", ())


def atom(value: Any, key: bytes) -> Term:
    """The term that holds where `value` does; `key` tells it from all other atoms."""
    return Term("is", (), value, digest(b"is", key))


def conj(terms: Iterable[Term]) -> Term:
    """All of the terms."""
    return _joined("and", terms, TRUE, FALSE)


def disj(terms: Iterable[Term]) -> Term:
    """Any of the terms."""
    return _joined("or", terms, FALSE, TRUE)


def neg(term: Term) -> Term:
    """Where the term does not hold: complements are moved down to the atoms."""
    known: dict[Term, Term] = {}
    stack = [term]
    while stack:
        top = stack[-1]
        waiting = [part for part in top.parts if top.op != "not" and part not in known]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        if top.op in ("and", "or"):
            known[top] = (disj if top.op == "and" else conj)(known[part] for part in top.parts)
        else:
            known[top] = top.parts[0] if top.op == "not" else _combination("not", (top,))
    return known[term]


def _joined(op: str, terms: Iterable[Term], unit: Term, zero: Term) -> Term:
    unique: dict[Term, None] = {}
    for term in terms:
        for part in term.parts if term.op == op else (term,):
            if part == zero:
                return zero
            unique[part] = None
    if len(unique) > 1 and any(part.op == "not" and part.parts[0] in unique for part in unique):
        return zero
    resolved = [_resolved(part, op, unique) for part in unique]
    if any(a is not b for a, b in zip(resolved, unique, strict=True)):
        return _joined(op, resolved, unit, zero)
    if not unique:
        return unit
    return next(iter(unique)) if len(unique) == 1 else _combination(op, tuple(unique))


def _resolved(part: Term, op: str, beside: dict[Term, None]) -> Term:
    """An alternative without the options that contradict what stands beside it."""
    dual = "or" if op == "and" else "and"
    if part.op != dual or not part.parts:
        return part
    kept = [option for option in part.parts if not _contradicted(option, beside)]
    if len(kept) == len(part.parts):
        return part
    if not kept:
        return FALSE if dual == "or" else TRUE
    return kept[0] if len(kept) == 1 else _combination(dual, tuple(kept))


def _contradicted(option: Term, beside: dict[Term, None]) -> bool:
    return (option.parts[0] if option.op == "not" else _combination("not", (option,))) in beside


def fold(
    term: Term,
    leaf: Callable[[Any], V],
    all_of: Callable[[list[V]], V],
    any_of: Callable[[list[V]], V],
    not_of: Callable[[V], V],
) -> V:
    """The value of a term from the values of its atoms, without recursion.

    >>> holds = {"a": True, "b": False}
    >>> fold(conj([atom("a", b"a"), neg(atom("b", b"b"))]), holds.get, all, any, lambda v: not v)
    True
    """
    known: dict[Term, V] = {}
    stack = [term]
    while stack:
        top = stack[-1]
        waiting = [part for part in top.parts if part not in known]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        values = [known[part] for part in top.parts]
        if top.op == "is":
            known[top] = leaf(top.atom)
        elif top.op == "not":
            known[top] = not_of(values[0])
        else:
            known[top] = all_of(values) if top.op == "and" else any_of(values)
    return known[term]


def atoms_of(term: Term) -> list[Any]:
    """The distinct atoms of a term, in order of appearance."""
    found: dict[bytes, Any] = {}
    stack = [term]
    while stack:
        top = stack.pop()
        if top.op == "is":
            found.setdefault(top.key, top.atom)
        stack.extend(reversed(top.parts))
    return list(found.values())


def finite(
    term: Term, listed: Callable[[Any], frozenset[Any] | None], holds: Callable[[Term, Any], bool]
) -> frozenset[Any] | None:
    """The values of a term if atoms that list theirs bound them, else None.

    `listed(atom)` is the atom's list, or None; `holds(term, value)` decides single values.
    """

    def all_of(bounds: list[frozenset[Any] | None]) -> frozenset[Any] | None:
        return min((bound for bound in bounds if bound is not None), key=len, default=None)

    def any_of(bounds: list[frozenset[Any] | None]) -> frozenset[Any] | None:
        known = [bound for bound in bounds if bound is not None]
        return frozenset[Any]().union(*known) if len(known) == len(bounds) else None

    candidates = fold(term, listed, all_of, any_of, lambda _: None)
    return None if candidates is None else frozenset(value for value in candidates if holds(term, value))
