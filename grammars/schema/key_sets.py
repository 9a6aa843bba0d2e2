"""What a set of objects says of single keys.

`properties` speaks of keys by name, `patterns` of sets of keys. Whether a key that must be there can have a value at
all takes both, and so does the question where a member that must exist somewhere could be: that is how alternatives
that exclude each other are told apart early, before their differences multiply.
"""

from __future__ import annotations

from collections.abc import Callable

from grammars.schema.objects import ObjectSet
from grammars.schema.strings import Strings
from grammars.schema.terms import FALSE, TRUE, Term, conj, neg

Asked = Callable[[str], Term]  # what the value of a key must be


class Keys:
    """Answers about keys, remembered."""

    def __init__(self, strings: Strings):
        self._strings = strings
        self._holding: dict[tuple[Term, str], bool] = {}
        self._listed: dict[Term, list[str] | None] = {}

    def asked(self, objects: ObjectSet) -> Asked:
        """What a set says of the values of keys."""
        declared = dict(objects.properties)

        def of_key(name: str) -> Term:
            values = [rule.value for rule in objects.patterns if self._holds(rule.keys, name)]
            return conj([declared.get(name, TRUE), *values]) if values else declared.get(name, TRUE)

        return of_key

    def possible(self, keys: Term, objects: ObjectSet) -> list[str] | None:
        """The keys of a set that may be there, if they can be listed, else None."""
        left = conj([keys, *_not_forbidden(objects)])
        if left not in self._listed:
            values = self._strings.values_of(left)
            self._listed[left] = None if values is None else sorted(values)
        return self._listed[left]

    def are_none_left(self, objects: ObjectSet) -> bool:
        """Whether members must be there and every key is forbidden."""
        allowed = _not_forbidden(objects)
        return objects.low > len(objects.required) and len(allowed) > 1 and self._strings.is_empty(conj(allowed))

    def _holds(self, keys: Term, name: str) -> bool:
        known = self._holding.get((keys, name))
        if known is None:
            known = self._holding[keys, name] = self._strings.holds(keys, name)
        return known


def _not_forbidden(objects: ObjectSet) -> list[Term]:
    return [neg(rule.keys) for rule in objects.patterns if rule.value == FALSE]
