"""Assertions: what stands ahead of a position, and what stands behind it.

*Ahead.* `Look(B)` before the rest R of a text is an intersection of languages of rests: (B · anything) ∩ R.

*Behind.* Whether the text read so far ends with a match of B is known when the position is reached, if "anything, then
B" has been running beside the main expression from the start of the text. A SCOPE is such a group: a main expression
and, for every look-behind it still asks for, the residual of

    anything · B · MARK

where MARK stands for "this position". A look-behind holds where MARK is reached. If B contains assertions itself,
reaching MARK may depend on the text ahead; so the answer is not a truth value but a language of rests, the
*condition*: everything if MARK is reached without obligations, nothing if it is not reached, else the obligations
that are under way on the paths to it.

A scope begins where a text of its own begins: at the root, at either side of an intersection, in a complement.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from grammars.algebra.booleans import complement, intersection, union
from grammars.algebra.sequences import cat, hollow
from grammars.algebra.terms import (
    AND,
    CAT,
    LOOK,
    MARK,
    NOT,
    OR,
    PENDING,
    REPEAT,
    SCOPE,
    WITNESS,
    Conditions,
    Term,
    Terms,
)
from grammars.trampoline import run

EMPTY_CONDITIONS = Conditions({})


def look_ahead(terms: Terms, body: Term, negative: bool) -> Term:
    """The empty string before a match of `body`, or (negative) where none begins."""
    ahead = cat(terms, body, terms.everything)
    return _look(terms, complement(terms, ahead) if negative else ahead)


def look_behind(terms: Terms, body: Term, negative: bool) -> Term:
    """The empty string after a match of `body`, or (negative) where none ends."""
    if body is terms.nothing or (body.empty and body.blind):
        return terms.epsilon if (body is terms.nothing) == negative else terms.nothing
    running = cat(terms, terms.everything, cat(terms, body, terms.mark))
    key = ("behind", running)
    witness = terms.find(key)
    if witness is None:
        number = len(terms.behinds)
        terms.behinds.append(running)
        witness = terms.add(key, _witness(terms, number))
    return _look(terms, complement(terms, witness) if negative else witness)


def _witness(terms: Terms, number: int) -> Term:
    every = terms.everything
    return Term(
        WITNESS,
        low=number,
        first=every.first,
        empty=True,
        null=None,
        simple=False,
        sure=False,
        most=every.most,
        behinds=1 << number,
    )


def _look(terms: Terms, guard: Term) -> Term:
    if guard is terms.everything or guard is terms.nothing:
        return terms.epsilon if guard is terms.everything else guard
    key = (LOOK, guard)
    term = Term(
        LOOK, (guard,), empty=True, null=guard.null, blind=False, simple=False, sure=False, behinds=guard.behinds
    )
    return terms.find(key) or terms.add(key, term)


def closed(terms: Terms, term: Term) -> Term:
    """The term as a language of whole texts, whose assertions see nothing beyond it."""
    if term.blind:
        return term
    running: dict[int, Term] = {}
    wanted = term.behinds
    for number in range(len(terms.behinds) - 1, -1, -1):
        if wanted >> number & 1:
            running[number] = terms.behinds[number]
            wanted |= running[number].behinds
    return scope(terms, term, running)


def scope(terms: Terms, main: Term, running: Mapping[int, Term]) -> Term:
    """A main expression beside the look-behinds it may ask for; those it can't ask for any more are dropped."""
    if main.blind and not main.behinds:
        return main
    if not main.behinds:
        if main.kind == OR:
            return union(terms, [scope(terms, option, {}) for option in main.parts])
        if main.kind == PENDING and main.parts[1].blind:
            return intersection(terms, (_sealed(terms, main.parts[0]), main.parts[1]))
    kept = _kept(main, running)
    key = (SCOPE, main, *kept.items())
    known = terms.find(key)
    if known is not None:
        return known
    null = _accepts(terms, main, _conditions(terms, kept))
    options = main.parts if main.kind == OR else (main,)
    term = Term(
        SCOPE,
        (main, *kept.values()),
        numbers=tuple(kept),
        first=main.first,
        empty=null,
        null=null,
        simple=False,
        sure=null or any(option.blind and option.sure and not option.behinds for option in options),
        least=main.least,
        most=main.most,
    )
    return terms.add(key, term)


def _sealed(terms: Terms, obligation: Term) -> Term:
    """An obligation that leaves its scope: what it sees ends with it."""
    if obligation.kind == AND:
        return intersection(terms, [_sealed(terms, part) for part in obligation.parts])
    if obligation.kind == NOT:
        return complement(terms, closed(terms, obligation.parts[0]))
    return closed(terms, obligation)


def _kept(main: Term, running: Mapping[int, Term]) -> dict[int, Term]:
    """The look-behinds that can still be asked for; a body asks only for those numbered before it."""
    wanted = main.behinds
    kept: dict[int, Term] = {}
    for number in sorted(running, reverse=True):
        if wanted >> number & 1:
            kept[number] = running[number]
            wanted |= running[number].behinds
    return dict(sorted(kept.items()))


def conditions_of(terms: Terms, term: Term) -> Conditions:
    """The conditions of a scope's look-behinds at the position it stands for."""
    return _conditions(terms, dict(zip(term.numbers, term.parts[1:], strict=True)))


def _conditions(terms: Terms, running: Mapping[int, Term]) -> Conditions:
    if not running:
        return EMPTY_CONDITIONS
    holding: dict[int, Term] = {}
    for number, residual in running.items():
        holding[number] = _condition(terms, residual, holding)
    key = ("conditions", *holding.items())
    known = terms.conditions.get(key)
    if known is None:
        known = terms.conditions[key] = Conditions(holding)
    return known


def _condition(terms: Terms, running: Term, holding: Mapping[int, Term]) -> Term:
    """The rests of the text before which a running look-behind holds: the obligations on the empty paths to MARK."""
    paths: list[Term] = []
    seen: set[tuple[Term, Term, Term]] = set()
    stack: list[tuple[Term, Term, Term]] = [(terms.everything, running, terms.epsilon)]
    while stack:
        entry = stack.pop()
        duty, head, rest = entry
        if entry in seen or not head.empty or duty is terms.nothing:
            continue
        seen.add(entry)
        terms.tick()
        kind = head.kind
        if kind == MARK:
            paths.append(duty)
        elif kind == CAT:
            stack.append((duty, head.parts[0], cat(terms, head.parts[1], rest)))
        elif kind == OR:
            stack.extend([(duty, option, rest) for option in head.parts])
        elif kind == PENDING:
            stack.append((intersection(terms, (duty, head.parts[0])), head.parts[1], rest))
        elif kind == LOOK:
            met = _resolved(terms, head.parts[0], holding)
            stack.append((intersection(terms, (duty, met)), rest, terms.epsilon))
        elif kind == REPEAT and head.low:
            stack.append((duty, hollow(terms, head), rest))
        else:
            stack.append((duty, rest, terms.epsilon))
    return union(terms, paths)


def _resolved(terms: Terms, guard: Term, holding: Mapping[int, Term]) -> Term:
    """A guard with a bare look-behind replaced by its condition."""
    if guard.kind == WITNESS:
        return holding[guard.low]
    if guard.kind == NOT and guard.parts[0].kind == WITNESS:
        return complement(terms, holding[guard.parts[0].low])
    return guard


def _accepts(terms: Terms, term: Term, conditions: Conditions) -> bool:
    """Whether a main expression accepts when the text ends here."""
    if term.null is not None:
        return term.null
    return run(_accepting(terms, term, conditions, {}))


Truth = Generator[Any, Any, bool]


def _accepting(terms: Terms, term: Term, conditions: Conditions, known: dict[Term, bool]) -> Truth:
    if term.null is not None:
        return term.null
    result = known.get(term)
    if result is None:
        terms.tick()
        result = known[term] = yield _truth(terms, term, conditions, known)
    return result


def _truth(terms: Terms, term: Term, conditions: Conditions, known: dict[Term, bool]) -> Truth:
    if term.kind == WITNESS:
        return (yield _accepting(terms, conditions.holding(term.low), conditions, known))
    if term.kind == NOT:
        return not (yield _accepting(terms, term.parts[0], conditions, known))
    conjunction = term.kind in (CAT, AND, PENDING)
    for part in term.parts:  # LOOK and REPEAT have one
        if (yield _accepting(terms, part, conditions, known)) is not conjunction:
            return not conjunction
    return conjunction
