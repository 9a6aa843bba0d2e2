"""Sets of objects: conjunctions of what keywords say, and their boolean combinations as unions of such conjunctions.

`properties` says what the value of a key must be, `patterns` what the values of all keys of a set must be:
`patternProperties`, `additionalProperties` (the keys that are neither declared nor matched) and `propertyNames` (no
key outside the set) are all of that kind. The complement of a conjunction is a union: a key is missing, or there is
one whose value fails (`some`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from grammars.schema.arrays import least
from grammars.schema.strings import has_unknown
from grammars.schema.terms import FALSE, TRUE, Term, conj, disj, neg


@dataclass(frozen=True, slots=True)
class Rule:
    """Values of the keys of a set of strings, in `patterns` of all of them, in `some` of at least one that is there."""

    keys: Term
    value: Term


@dataclass(frozen=True, slots=True)
class ObjectSet:
    """Objects as the keywords describe them; the order of `properties` and `required` is that of the schema."""

    properties: tuple[tuple[str, Term], ...] = ()
    patterns: tuple[Rule, ...] = ()
    required: tuple[str, ...] = ()
    low: int = 0
    high: int | None = None
    some: tuple[Rule, ...] = ()
    seen: Term = FALSE


ANY_OBJECT = ObjectSet()


def normal(objects: ObjectSet) -> ObjectSet | None:
    """The same set in a plainer form; None if it is plainly empty."""
    if objects.required and any(value == FALSE for name, value in objects.properties if name in objects.required):
        return None
    low = max(objects.low, len(objects.required))
    if objects.high is not None and low > objects.high:
        return None
    if any(FALSE in (rule.keys, rule.value) for rule in objects.some):
        return None
    if objects.low == low:
        return objects
    return replace(objects, low=low)


def meet(left: ObjectSet, right: ObjectSet) -> ObjectSet | None:
    """The objects of both."""
    properties = dict(left.properties)
    for name, value in right.properties:
        properties[name] = conj([properties[name], value]) if name in properties else value
    return normal(
        ObjectSet(
            tuple(properties.items()),
            tuple(dict.fromkeys(left.patterns + right.patterns)),
            tuple(dict.fromkeys(left.required + right.required)),
            max(left.low, right.low),
            least(left.high, right.high),
            tuple(dict.fromkeys(left.some + right.some)),
            disj([left.seen, right.seen]),
        )
    )


def outside(objects: ObjectSet) -> Iterator[ObjectSet]:
    """Sets whose union is all other objects. That a key is absent, or has a wrong value, is one set."""
    declared = {name for name, value in objects.properties if value != TRUE}
    for name in objects.required:
        if name not in declared:
            yield ObjectSet(((name, FALSE),))
    for name, value in objects.properties:
        if name in declared and name in objects.required:
            yield ObjectSet(((name, neg(value)),))
        elif name in declared:
            yield ObjectSet(((name, neg(value)),), required=(name,), low=1)
    for rule in objects.patterns:
        if rule.value != TRUE:
            yield ObjectSet(some=(Rule(rule.keys, neg(rule.value)),), low=1)
    for rule in objects.some:
        yield ObjectSet(patterns=(Rule(rule.keys, neg(rule.value)),))
    if objects.low > len(objects.required):
        yield ObjectSet(high=objects.low - 1)
    if objects.high is not None:
        yield ObjectSet(low=objects.high + 1)


def certain(objects: ObjectSet) -> ObjectSet:
    """The set without demands on keys that nobody can tell, as the caller wants it."""
    patterns = tuple(rule for rule in objects.patterns if not has_unknown(rule.keys))
    some = tuple(rule for rule in objects.some if not has_unknown(rule.keys))
    return replace(objects, patterns=patterns, some=some)
