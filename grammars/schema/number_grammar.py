"""The grammars of sets of numbers.

A set (`number_sets`) becomes a grammar in one of five ways, the first that applies:

| the set | its grammar |
|---|---|
| all numbers | the grammar of RFC 8259 |
| finitely many values | their spellings |
| decided by the sign alone | a sign and digits, with exponents |
| multiples of a step of many digits | an automaton that is made as it is walked (`multiples`) |
| anything else | an automaton over digits (`digit_automaton`), exact for any boolean combination |

`1`, `1.0`, `1.00e0` and `1E-00` are one value. An exponent that is not zero moves the point by a number that is read
after the digits: with bounds other than zero no grammar can follow it, so there only zero exponents are admitted.
`-0` is zero.
"""

from __future__ import annotations

from decimal import Decimal

from grammars.determined import determined
from grammars.expression import EPSILON, NOTHING, Node, byte_set, choice, optional, repeat, sequence, text
from grammars.limits import Budget
from grammars.schema.digit_automaton import digit_lexeme
from grammars.schema.few_numbers import few_numbers
from grammars.schema.multiples import common_step, multiples
from grammars.schema.number_sets import INTEGER, WRITTEN_WHOLE, Among, Below, holds, values_of
from grammars.schema.terms import TRUE, Term, atoms_of, conj

_KEPT, _MOST_ROWS, _MANY_DIGITS = 1024, 100, 4
_KNOWN: dict[tuple[Term, bool], tuple[Node, int]] = {}
_DIGIT = byte_set(b"0123456789")
_DIGITS = repeat(_DIGIT, 1)
_NONZERO = byte_set(b"123456789")
_E = byte_set(b"eE")
_SIGN = optional(byte_set(b"+-"))
_ZERO_EXPONENT = sequence([_E, _SIGN, repeat(text("0"), 1)])
_EXPONENT = sequence([_E, _SIGN, _DIGITS])
_WHOLE_EXPONENT = choice([sequence([_E, optional(text("+")), _DIGITS]), _ZERO_EXPONENT])
_ZEROS = sequence([text("."), repeat(text("0"), 1)])
_FRACTION = sequence([text("."), _DIGITS])
_POSITIVE_FRACTION = sequence([text("."), repeat(text("0")), _NONZERO, repeat(_DIGIT)])
_POSITIVE_WHOLE = sequence([_NONZERO, repeat(_DIGIT)])


def number_grammar(term: Term, exponents: bool, budget: Budget) -> Node:
    """The spellings of the numbers of a set.

    >>> from grammars.grammar import Grammar
    >>> from grammars.schema.number_sets import below
    >>> Grammar(number_grammar(below(Decimal(5), False), True, Budget("compile_work", 1000))).matches(b"4.9e0")
    True
    """
    known = _KNOWN.get((term, exponents))
    if known is None:
        before = budget.left
        known = _new_grammar(term, exponents, budget), before - budget.left
        if len(_KNOWN) >= _KEPT:
            _KNOWN.clear()
        _KNOWN[term, exponents] = known
    else:
        budget.charge(known[1])  # whether a schema is over its limit must not depend on what came before it
    return known[0]


def _new_grammar(term: Term, exponents: bool, budget: Budget) -> Node:
    exponent = _EXPONENT if exponents else NOTHING
    if term == TRUE:
        magnitude = sequence([choice([text("0"), _POSITIVE_WHOLE]), optional(_FRACTION), _maybe(exponent)])
        return determined(sequence([optional(text("-")), magnitude]), _MOST_ROWS, budget)
    values = values_of(term)
    if values is None:
        values = few_numbers(term, budget)
    if values is not None:
        return choice(_spelled(value, exponents) for value in sorted(values))
    if _only_signs_matter(term):
        return determined(_by_sign(term, exponents), _MOST_ROWS, budget)
    step = common_step(term)
    if step is not None and step.adjusted() - int(step.as_tuple().exponent) >= _MANY_DIGITS:
        return multiples(step, exponents, WRITTEN_WHOLE in _conjuncts(term))
    return digit_lexeme(term, exponents, budget)


def _maybe(exponent: Node) -> Node:
    return EPSILON if exponent == NOTHING else optional(exponent)


def _spelled(value: Decimal, exponents: bool) -> Node:
    zero_exponent = optional(_ZERO_EXPONENT) if exponents else EPSILON
    digits = format(value.copy_abs(), "f")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    more = repeat(text("0")) if "." in digits else optional(_ZEROS)
    sign = optional(text("-")) if value == 0 else text("-" if value < 0 else "")
    return sequence([sign, text(digits), more, zero_exponent])


def _only_signs_matter(term: Term) -> bool:
    return all(
        (isinstance(part, Below) and part.bound == 0)
        or (isinstance(part, Among) and part.values == frozenset({Decimal(0)}))
        for part in atoms_of(_without_whole(term))
    )


def _without_whole(term: Term) -> Term:
    """The term without the demand for integers that stands at its top."""
    return conj(part for part in _conjuncts(term) if part not in (INTEGER, WRITTEN_WHOLE))


def _conjuncts(term: Term) -> tuple[Term, ...]:
    return term.parts if term.op == "and" else (term,)


def _by_sign(term: Term, exponents: bool) -> Node:
    zero, positive = _magnitudes(_conjuncts(term), exponents)
    options = [
        sequence([optional(text("-")), zero]) if holds(term, Decimal(0)) else NOTHING,
        positive if holds(term, Decimal(1)) else NOTHING,
        sequence([text("-"), positive]) if holds(term, Decimal(-1)) else NOTHING,
    ]
    return choice(option for option in options if option != NOTHING)


def _magnitudes(demands: tuple[Term, ...], exponents: bool) -> tuple[Node, Node]:
    """The spellings of zero and of the positive numbers that may be written."""
    if WRITTEN_WHOLE in demands:
        return text("0"), _POSITIVE_WHOLE
    exponent = _maybe(_EXPONENT if exponents else NOTHING)
    zero = sequence([text("0"), optional(_ZEROS), exponent])
    if INTEGER in demands:
        return zero, sequence([_POSITIVE_WHOLE, optional(_ZEROS), _maybe(_WHOLE_EXPONENT if exponents else NOTHING)])
    digits = choice([sequence([_POSITIVE_WHOLE, optional(_FRACTION)]), sequence([text("0"), _POSITIVE_FRACTION])])
    return zero, sequence([digits, exponent])
