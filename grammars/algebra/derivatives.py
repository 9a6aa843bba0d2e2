"""The residual of a term by a byte.

To read a byte, a concatenation is opened from the left until its heads are single bytes, literals or whole-text
languages. What is opened on the way leaves alternatives behind, each with its own continuation (Antimirov's partial
derivatives, 1996), so a counter is decremented where it stands and never copied. An assertion on the way is collected
as a *guard*, a language in which the rest of the text must be; the residual of what follows is then intersected with
the guards' residuals:

    b⁻¹(Look(G) R) = b⁻¹G ∩ b⁻¹R
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, NamedTuple

from grammars.algebra.booleans import age, complement, intersection, options_for, pending, union
from grammars.algebra.scopes import EMPTY_CONDITIONS, conditions_of, scope
from grammars.algebra.sequences import cat, hollow, less, repeat, solid
from grammars.algebra.terms import (
    AND,
    CAT,
    EMPTY,
    LOOK,
    MARK,
    NOT,
    NOTHING,
    OR,
    PENDING,
    REPEAT,
    SCOPE,
    SET,
    SWITCH,
    TEXT,
    WITNESS,
    Conditions,
    Term,
    Terms,
)
from grammars.trampoline import run

Guards = frozenset[Term]
_NO_GUARDS: Guards = frozenset()
Growth = Generator[Any, Any, Term]


class Move(NamedTuple):
    """One way to read a byte: `whole` (if any) reads it, `rest` follows, and the rest must be in all `guards`."""

    guards: Guards
    whole: Term | None
    rest: Term


def derivative(terms: Terms, term: Term, byte_class: int) -> Term:
    """The residual of a closed term by a byte of the class."""
    if not term.first >> byte_class & 1:
        return terms.nothing
    known = term.memo.get(byte_class)
    if known is None:
        if term.simple:
            return _simple(terms, term, byte_class)
        if _is_flat(term):
            return _flat(terms, term, byte_class)
        known = run(_derivative(terms, term, byte_class, EMPTY_CONDITIONS))
    return known


def _is_flat(term: Term) -> bool:
    """Whether a term is an intersection of simple terms and complements of such, or one of these."""
    if term.kind == AND:
        return all(part.simple or (part.kind == NOT and part.parts[0].simple) for part in term.parts)
    return term.kind == NOT and term.parts[0].simple


def _flat(terms: Terms, term: Term, byte_class: int) -> Term:
    """The same as `_compound` where nothing nests deeper: a trampoline takes as long as the work."""
    terms.tick(2)
    residuals = [derivative(terms, part, byte_class) for part in term.parts]
    result = complement(terms, residuals[0]) if term.kind == NOT else intersection(terms, residuals)
    term.memo[byte_class] = result
    return result


def _simple(terms: Terms, term: Term, byte_class: int) -> Term:
    """Without assertions and whole-text languages the moves are the residual."""
    result = term.memo[byte_class] = union(terms, [move.rest for move in moves(terms, term, byte_class)])
    return result


def _derivative(terms: Terms, term: Term, byte_class: int, conditions: Conditions) -> Growth:
    if not term.first >> byte_class & 1:
        return terms.nothing
    key = (byte_class, conditions) if term.behinds else byte_class
    known = term.memo.get(key)
    if known is None:
        if term.simple:
            return _simple(terms, term, byte_class)
        known = term.memo[key] = yield _compound(terms, term, byte_class, conditions)
    return known


def _compound(terms: Terms, term: Term, byte_class: int, conditions: Conditions) -> Growth:
    terms.tick(2)
    if term.kind == AND:
        return intersection(terms, (yield _each(terms, term.parts, byte_class, conditions)))
    if term.kind == NOT:
        return complement(terms, (yield _derivative(terms, term.parts[0], byte_class, conditions)))
    if term.kind == SCOPE:
        return (yield _scope(terms, term, byte_class))
    if term.kind == WITNESS:
        return (yield _derivative(terms, conditions.holding(term.low), byte_class, conditions))
    if term.kind == PENDING:
        obligation = yield _derivative(terms, term.parts[0], byte_class, conditions)
        if obligation is terms.nothing:
            return obligation
        return pending(terms, (obligation,), (yield _derivative(terms, term.parts[1], byte_class, conditions)))
    return (yield _union_of_moves(terms, term, byte_class, conditions))


def _each(
    terms: Terms, parts: Iterable[Term], byte_class: int, conditions: Conditions
) -> Generator[Any, Any, list[Term]]:
    found: list[Term] = []
    for part in parts:
        found.append((yield _derivative(terms, part, byte_class, conditions)))
    return found


def _scope(terms: Terms, term: Term, byte_class: int) -> Growth:
    conditions = conditions_of(terms, term)
    main, *behinds = yield _each(terms, term.parts, byte_class, conditions)
    return scope(terms, main, dict(zip(term.numbers, behinds, strict=True)))


def _union_of_moves(terms: Terms, term: Term, byte_class: int, conditions: Conditions) -> Growth:
    options: list[Term] = []
    for guards, whole, rest in moves(terms, term, byte_class):
        if whole is not None:
            rest = cat(terms, (yield _derivative(terms, whole, byte_class, conditions)), rest)
        if guards and rest is not terms.nothing:
            rest = pending(terms, (yield _each(terms, sorted(guards, key=age), byte_class, conditions)), rest)
        options.append(rest)
    return union(terms, options)


def moves(terms: Terms, term: Term, byte_class: int) -> list[Move]:
    """All ways to read a byte of the class at the beginning of `term`."""
    found: list[Move] = []
    nothing_more = terms.epsilon
    seen: set[tuple[Guards, Term, Term]] = set()
    stack: list[tuple[Guards, Term, Term]] = [(_NO_GUARDS, term, nothing_more)]
    while stack:
        entry = stack.pop()
        guards, head, rest = entry
        reads = head.first >> byte_class & 1
        if entry in seen or not (reads or head.empty):
            continue
        seen.add(entry)
        terms.tick()
        kind = head.kind
        if kind == CAT:
            stack.append((guards, head.parts[0], cat(terms, head.parts[1], rest)))
        elif kind == OR:
            stack.extend([(guards, option, rest) for option in options_for(head, byte_class)])
        elif kind == REPEAT:
            stack.extend(_opened(terms, guards, head, rest))
        elif kind == EMPTY:
            stack.append((guards, rest, nothing_more))
        elif kind == LOOK:
            stack.append((guards.union(head.parts), rest, nothing_more))
        elif kind in (SET, TEXT, SWITCH):
            found.append(Move(guards, None, cat(terms, _after(terms, head, byte_class), rest)))
        elif kind not in (MARK, NOTHING):
            found.append(Move(guards, head, rest))
            if head.empty:
                stack.append((guards, rest, nothing_more))
    return found


def _after(terms: Terms, head: Term, byte_class: int) -> Term:
    """What is left of a SET, TEXT or SWITCH that begins with the class."""
    if head.kind == SET:
        return terms.epsilon
    if head.kind == TEXT:
        return terms.text(head.data, head.low + 1)
    return next(target for mask, target in head.cases if mask >> byte_class & 1)


def _opened(terms: Terms, guards: Guards, head: Term, rest: Term) -> list[tuple[Guards, Term, Term]]:
    """A repetition as its first copy and the others, or as what follows it."""
    body, low, high = head.parts[0], head.low, less(head.high)
    if low == 0:
        rest_after = cat(terms, repeat(terms, body, 0, high), rest)
        return [(guards, body, rest_after), (guards, terms.epsilon, rest)]
    if not body.empty:
        return [(guards, body, cat(terms, repeat(terms, body, low - 1, high), rest))]
    kernel = solid(terms, body)
    return [
        (guards, kernel, cat(terms, repeat(terms, body, low - 1, high), rest)),
        (guards, hollow(terms, body), cat(terms, repeat(terms, kernel, 0, high), rest)),
    ]
