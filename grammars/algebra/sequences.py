"""Concatenation and counted repetition.

Counters stay numbers. Two facts keep them few: X{a,b}X{c,d} = X{a+c,b+d}, and a repeated body never matches the empty
string. The second needs the *solid* part of an expression, what is left of it without empty matches, and its *hollow*
part, the empty matches alone: X = hollow(X) ∪ solid(X). Without assertions hollow(X) is ε or ∅ and X{m,n} =
solid(X){0,n} if X may be empty. With them it is a formula of assertions, and a copy may be empty where they hold:

    X{m,n} = solid(X) X{m-1,n-1}  ∪  hollow(X) solid(X){0,n-1}        (m > 0)

because one empty copy allows any number of further ones at the same place.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from grammars.algebra.booleans import intersection, union
from grammars.algebra.terms import AND, CAT, EMPTY, ENDLESS, LOOK, NOT, OR, REPEAT, SCOPE, Term, Terms, capped
from grammars.trampoline import run

Growth = Generator[Any, Any, Term]


def cat(terms: Terms, head: Term, tail: Term) -> Term:
    """Concatenation, nested to the right."""
    if head is terms.nothing or tail is terms.nothing:
        return terms.nothing
    heads: list[Term] = []
    while head.kind == CAT:
        heads.append(head.parts[0])
        head = head.parts[1]
    terms.tick(len(heads) // 4)
    tail = _join(terms, head, tail)
    while heads:
        tail = _join(terms, heads.pop(), tail)
    return tail


def _join(terms: Terms, head: Term, tail: Term) -> Term:
    if tail.kind == EMPTY:
        return head
    if head.kind == EMPTY:
        return tail
    known = terms.find((CAT, head, tail))
    if known is not None:
        return known
    if tail is terms.everything and head.empty and head.blind:
        return tail
    if head.kind == REPEAT:
        following, rest = (tail.parts[0], tail.parts[1]) if tail.kind == CAT else (tail, terms.epsilon)
        if following.kind == REPEAT and following.parts[0] is head.parts[0]:
            low, high = capped(head.low + following.low), capped(head.high + following.high)
            return _join(terms, repeat(terms, head.parts[0], low, high), rest)
    return terms.pair(head, tail)


def repeat(terms: Terms, body: Term, low: int, high: int) -> Term:
    """Between `low` and `high` copies (`ENDLESS`: any number)."""
    if high == 0 or body.kind == EMPTY:
        return terms.epsilon
    if body is terms.nothing:
        return terms.nothing if low else terms.epsilon
    if body.empty and (body.blind or not low):
        body, low = solid(terms, body), 0
        if body is terms.nothing:
            return terms.epsilon
    if low <= 1 and high == ENDLESS and body.kind == OR:
        body = union(terms, [_endless_body(option) for option in body.parts])
    if low == high == 1:
        return body
    if body.kind == REPEAT and body.blind and _dense(body.low, body.high, low, high):
        low, high = capped(body.low * low), capped(body.high * high)
        body = body.parts[0]
    return terms.copies(body, low, high)


def _endless_body(term: Term) -> Term:
    """Inside an endless repetition another one adds nothing: (X+ | Y)* = (X | Y)*."""
    return term.parts[0] if term.kind == REPEAT and term.low == 1 and term.high == ENDLESS else term


def _dense(inner_low: int, inner_high: int, low: int, high: int) -> bool:
    """Whether X{a,b}{c,d} = X{ac,bd}: the intervals [ka, kb] for c <= k <= d leave no gap."""
    if low == high or (inner_high == ENDLESS and low > 0):
        return True
    if low == 0 and inner_low > 1:
        return False
    return (max(low, 1) + 1) * inner_low <= max(low, 1) * inner_high + 1


def solid(terms: Terms, term: Term) -> Term:
    """The matches that are not empty."""
    return run(_solid(terms, term))


def hollow(terms: Terms, term: Term) -> Term:
    """The empty matches: ε, ∅, or a formula of assertions."""
    return run(_hollow(terms, term))


def _solid(terms: Terms, term: Term) -> Growth:
    if not term.empty:
        return term
    key = ("solid", term)
    known = terms.memo.get(key)
    if known is None:
        terms.tick()
        known = terms.memo[key] = yield _solid_part(terms, term)
    return known


def _solid_part(terms: Terms, term: Term) -> Growth:
    if term.kind == CAT:
        head, tail = term.parts
        solid_head, solid_tail = (yield _solid(terms, head)), (yield _solid(terms, tail))
        begins_empty = cat(terms, (yield _hollow(terms, head)), solid_tail)
        return union(terms, (cat(terms, solid_head, tail), begins_empty))
    if term.kind == OR:
        options: list[Term] = []
        for option in term.parts:
            options.append((yield _solid(terms, option)))
        return union(terms, options)
    if term.kind == REPEAT:
        return (yield _solid_repeat(terms, term))
    if term.kind in (AND, NOT, SCOPE):
        return intersection(terms, (term, cat(terms, terms.any_byte, terms.everything)))
    return terms.nothing  # EMPTY, LOOK


def _solid_repeat(terms: Terms, term: Term) -> Growth:
    body = term.parts[0]
    if term.low == 0:
        return repeat(terms, body, 1, term.high)
    solid_body = yield _solid(terms, body)
    begins_solid = cat(terms, solid_body, repeat(terms, body, term.low - 1, less(term.high)))
    begins_empty = cat(terms, (yield _hollow(terms, body)), repeat(terms, solid_body, 1, less(term.high)))
    return union(terms, (begins_solid, begins_empty))


def _hollow(terms: Terms, term: Term) -> Growth:
    if term.kind == LOOK or not term.empty:
        return term if term.empty else terms.nothing
    if term.blind:
        return terms.epsilon
    key = ("hollow", term)
    known = terms.memo.get(key)
    if known is None:
        terms.tick()
        known = terms.memo[key] = yield _hollow_part(terms, term)
    return known


def _hollow_part(terms: Terms, term: Term) -> Growth:
    if term.kind == REPEAT:
        return terms.epsilon if term.low == 0 else (yield _hollow(terms, term.parts[0]))
    parts: list[Term] = []
    for part in term.parts:
        parts.append((yield _hollow(terms, part)))
    return cat(terms, parts[0], parts[1]) if term.kind == CAT else union(terms, parts)


def less(count: int) -> int:
    """One copy fewer."""
    return count if count == ENDLESS else count - 1
