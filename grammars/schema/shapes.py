"""Shapes: the normal form of a schema, a set of values for each JSON type.

Sets of numbers and strings are closed under boolean operations as they are (`terms`); sets of arrays and objects are
unions of conjunctions. What stands inside an array or object remains a term over sub-schemas, so a normal form is as
deep as the schema is
*at one place*, and recursion through references never unfolds. Products of unions are pruned where two constraints on
one required key, or on one item, exclude each other: that is what keeps `oneOf` with a discriminator as large as it
is written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from grammars.limits import Budget
from grammars.schema import arrays, objects
from grammars.schema.arrays import ANY_ARRAY, ArraySet
from grammars.schema.key_sets import Asked, Keys
from grammars.schema.objects import ANY_OBJECT, ObjectSet, Rule
from grammars.schema.strings import all_of
from grammars.schema.terms import FALSE, TRUE, Term, conj, disj, neg

_CONSTANTS = frozenset({"null", "true", "false"})
_NO_NAMES = frozenset[str]()

Task = Generator[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """The values of a schema, type by type."""

    constants: frozenset[str] = frozenset()
    number: Term = FALSE
    string: Term = FALSE
    arrays: tuple[ArraySet, ...] = ()
    objects: tuple[ObjectSet, ...] = ()


NO_VALUE = Shape()
ANY_VALUE = Shape(_CONSTANTS, TRUE, TRUE, (ANY_ARRAY,), (ANY_OBJECT,))


_PARTS_PER_CHARGE = 16


def _size(shape: Shape) -> int:
    """How many parts there are to be compared when the shape is joined with another."""
    return len(shape.number.parts) + len(shape.string.parts) + len(shape.arrays) + len(shape.objects)


def union(shapes: Iterable[Shape]) -> Shape:
    """The values of any of the shapes."""
    all_shapes = list(shapes)
    return Shape(
        frozenset[str]().union(*(shape.constants for shape in all_shapes)),
        disj(shape.number for shape in all_shapes),
        disj(shape.string for shape in all_shapes),
        _joined([part for shape in all_shapes for part in shape.arrays], ANY_ARRAY, lambda part: part.seen == 0),
        _joined([part for shape in all_shapes for part in shape.objects], ANY_OBJECT, lambda part: part.seen == FALSE),
    )


def _joined(parts: list[Any], whole: Any, plain: Callable[[Any], bool]) -> tuple[Any, ...]:
    if whole in parts and all(plain(part) for part in parts):
        return (whole,)
    return tuple(dict.fromkeys(parts))


class Algebra:
    """Intersection and complement of shapes; `is_empty` decides terms over sub-schemas, as a task of the trampoline."""

    def __init__(self, budget: Budget, keys: Keys, is_empty: Callable[[Term], Task]):
        self._budget = budget
        self._keys = keys
        self._is_empty = is_empty

    def both(self, left: Shape, right: Shape) -> Task:
        """The values of both shapes."""
        if left == ANY_VALUE or right == ANY_VALUE:
            return right if left == ANY_VALUE else left
        self._budget.charge(1 + sum(map(_size, (left, right))) // _PARTS_PER_CHARGE)
        return Shape(
            left.constants & right.constants,
            conj([left.number, right.number]),
            all_of([left.string, right.string]),
            (yield self._products(left.arrays, right.arrays, self._meet_arrays)),
            (yield self._products(left.objects, right.objects, self._meet_objects)),
        )

    def parted(self, shape: Shape, other: Shape) -> Task:
        """The shape in two: what may have values in common with another, and arrays and objects that have not."""
        near_arrays, near_objects = list[ArraySet](), list[ObjectSet]()
        for part in shape.arrays:
            if (yield self._products((part,), other.arrays, self._meet_arrays)):
                near_arrays.append(part)
        for part in shape.objects:
            if (yield self._products((part,), other.objects, self._meet_objects)):
                near_objects.append(part)
        near = replace(shape, arrays=tuple(near_arrays), objects=tuple(near_objects))
        far = Shape(
            arrays=tuple(part for part in shape.arrays if part not in near_arrays),
            objects=tuple(part for part in shape.objects if part not in near_objects),
        )
        return near, far

    def any_of(self, shapes: list[Shape]) -> Shape:
        """The values of any of the shapes."""
        self._budget.charge(1 + sum(map(_size, shapes)) // _PARTS_PER_CHARGE)
        return union(shapes)

    def outside(self, shape: Shape) -> Task:
        """All other values."""
        all_arrays: tuple[ArraySet, ...] = (ANY_ARRAY,)
        for part in shape.arrays:
            all_arrays = yield self._common(all_arrays, tuple(_outside_array(part)), self._meet_arrays)
        all_objects: tuple[ObjectSet, ...] = (ANY_OBJECT,)
        for _, beyond in (yield self._beyond_each(list(shape.objects), _NO_NAMES)):
            all_objects = yield self._common(all_objects, beyond, self._meet_objects)
        return Shape(_CONSTANTS - shape.constants, neg(shape.number), neg(shape.string), all_arrays, all_objects)

    def exactly_one(self, shapes: list[Shape], needed: frozenset[str]) -> Task:
        """The values of one of the shapes and of no other; of objects only those with the `needed` keys count."""
        found: list[Shape] = []
        for index, shape in enumerate(shapes):
            others = shapes[:index] + shapes[index + 1 :]
            found.append((yield self._minus(shape, others, needed)))
        return self.any_of(found)

    def _minus(self, shape: Shape, others: list[Shape], needed: frozenset[str]) -> Task:
        self._budget.charge(len(others) + sum(map(_size, others)) // _PARTS_PER_CHARGE)
        number = FALSE if shape.number == FALSE else conj([shape.number, *(neg(other.number) for other in others)])
        string = FALSE if shape.string == FALSE else all_of([shape.string, *(neg(other.string) for other in others)])
        rest_arrays: list[ArraySet] = []
        for part in shape.arrays:
            taken = [(a, tuple(_outside_array(a))) for other in others for a in other.arrays]
            rest_arrays.extend((yield self._remainder(part, taken, self._meet_arrays)))
        rest_objects: list[ObjectSet] = []
        if shape.objects:
            beyond = yield self._beyond_each([o for other in others for o in other.objects], needed)
            meet = partial(self._meet_objects, needed=needed)
            for part in shape.objects:
                rest_objects.extend((yield self._remainder(part, beyond, meet)))
        constants = shape.constants.difference(*(other.constants for other in others))
        return Shape(constants, number, string, tuple(rest_arrays), tuple(rest_objects))

    def _beyond_each(self, taken: list[ObjectSet], needed: frozenset[str]) -> Task:
        """Each set with the sets whose union is all other objects.

        Where a key tells the sets apart, all ways to fail but that by this key have the key right. So they share
        nothing with the other sets, and the ways to fail of all sets add up where they would multiply.
        """
        found: list[tuple[ObjectSet, tuple[ObjectSet, ...]]] = []
        asked = [self._keys.asked(part) for part in taken]
        for part, ours in zip(taken, asked, strict=True):
            beyond = tuple(_outside_object(part))
            certain = dict.fromkeys([*part.required, *sorted(needed)])
            name = (yield self._telling_key(certain, ours, asked)) if len(taken) > 1 else None
            if name is not None:
                right = ObjectSet(((name, ours(name)),), required=(name,), low=1)
                others = yield self._products(_not_about(name, beyond), (right,), self._meet_objects)
                beyond = (*_outside_object(right), *others)
            found.append((part, beyond))
        return found

    def _telling_key(self, names: Iterable[str], ours: Asked, asked: list[Asked]) -> Task:
        """One of the keys that are there in any case, if it has other values in another set."""
        for name in names:
            value = ours(name)
            for theirs in asked if value != TRUE else ():
                self._budget.charge()
                if theirs(name) != TRUE and (yield self._is_empty(conj([value, theirs(name)]))):
                    return name
        return None

    def _remainder(self, part: Any, taken: list[tuple[Any, tuple[Any, ...]]], meet: Callable[[Any, Any], Task]) -> Task:
        """What is left of a conjunction: those that share nothing with it take nothing away."""
        rest: tuple[Any, ...] = (part,)
        for other, beyond in taken:
            kept: list[Any] = []
            for piece in rest:
                self._budget.charge()
                if (yield meet(piece, other)) is None:
                    kept.append(piece)
                else:
                    kept.extend((yield self._within((piece,), beyond, meet)))
            rest = tuple(dict.fromkeys(kept))
        return rest

    def _common(self, left: tuple[Any, ...], right: tuple[Any, ...], meet: Callable[[Any, Any], Task]) -> Task:
        """The intersection of two unions without what they share: (C ∪ L) ∩ (C ∪ R) = C ∪ (L ∩ R). Alternatives that
        have a property in common fail in the same way; all products of the ways would be exponentially many."""
        shared = [part for part in left if part in set(right)]
        ours = tuple(part for part in left if part not in shared)
        theirs = tuple(part for part in right if part not in shared)
        products = yield self._within(ours, theirs, meet)
        return (*shared, *products)

    def _within(self, left: tuple[Any, ...], right: tuple[Any, ...], meet: Callable[[Any, Any], Task]) -> Task:
        """The intersection of two unions, the second of which says nothing of what was evaluated: what lies in one of
        its parts as a whole is kept once."""
        found: dict[Any, None] = {}
        for part in left:
            products = yield self._products((part,), right, meet)
            found.update(dict.fromkeys((part,) if part in products else products))
        return tuple(found)

    def _products(self, left: tuple[Any, ...], right: tuple[Any, ...], meet: Callable[[Any, Any], Task]) -> Task:
        found: dict[Any, None] = {}
        for a in left:
            for b in right:
                self._budget.charge()
                product = yield meet(a, b)
                if product is not None:
                    found[product] = None
        return tuple(found)

    def _meet_arrays(self, left: ArraySet, right: ArraySet) -> Task:
        product = arrays.meet(left, right)
        if product is None:
            return None
        for index in range(min(product.low, max(len(left.prefix), len(right.prefix)) + 1)):
            if TRUE not in (left.item(index), right.item(index)) and (yield self._is_empty(product.item(index))):
                return None
        return product

    def _meet_objects(self, left: ObjectSet, right: ObjectSet, needed: frozenset[str] = _NO_NAMES) -> Task:
        product = objects.meet(left, right)
        if product is None:
            return None
        asked_left, asked_right = self._keys.asked(left), self._keys.asked(right)
        for name in (*product.required, *sorted(needed.difference(product.required))):
            ours, theirs = asked_left(name), asked_right(name)
            if FALSE in (ours, theirs):
                return None
            if TRUE not in (ours, theirs) and (yield self._is_empty(conj([ours, theirs]))):
                return None
        if self._keys.are_none_left(product):
            return None
        for rule in product.some:
            if (yield self._is_nowhere(rule, product)):
                return None
        return product

    def _is_nowhere(self, rule: Rule, within: ObjectSet) -> Task:
        """Whether the keys of which one must have some value are few, and none of them can."""
        names, asked = self._keys.possible(rule.keys, within), self._keys.asked(within)
        for name in names or ():
            self._budget.charge()
            if not (yield self._is_empty(conj([rule.value, asked(name)]))):
                return False
        return names is not None


def _outside_array(part: ArraySet) -> Iterable[ArraySet]:
    return (found for found in map(arrays.normal, arrays.outside(part)) if found is not None)


def _not_about(name: str, sets: Iterable[ObjectSet]) -> tuple[ObjectSet, ...]:
    """The sets that say more than that a key is absent or has a value."""
    return tuple(found for found in sets if [key for key, _ in found.properties] != [name])


def _outside_object(part: ObjectSet) -> Iterable[ObjectSet]:
    return (found for found in map(objects.normal, objects.outside(part)) if found is not None)
