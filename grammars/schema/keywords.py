"""From a sub-schema to its shape: what each keyword means.

A schema is the conjunction of its keywords. The plain ones say something about one type each and are collected into
one conjunction for that type; those that apply other schemas in place (`allOf`, `not`, `$ref`, ...) are boolean
operations on shapes. Schemas for values inside (`properties`, `items`, ...) stay terms, to be expanded when they are
reached.

Where a keyword asks what others evaluated (`unevaluatedProperties`), alternatives are made exclusive first, so that
in each it is known which schemas hold, and each conjunction carries what it has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from grammars.enforcement import Enforcement
from grammars.errors import GrammarSyntaxError, UnsupportedFeature
from grammars.limits import Limits
from grammars.regex import parse
from grammars.schema import number_sets as numbers
from grammars.schema import validation as read
from grammars.schema.arrays import ALL_ITEMS, ArraySet, Contains
from grammars.schema.arrays import meet as meet_arrays
from grammars.schema.arrays import normal as normal_arrays
from grammars.schema.documents import Documents, Place
from grammars.schema.formats import format_node, format_reader, narrowed
from grammars.schema.identity import Identities
from grammars.schema.json_types import is_array, is_object
from grammars.schema.notes import MEANS, is_keyword
from grammars.schema.objects import ObjectSet, Rule
from grammars.schema.objects import meet as meet_objects
from grammars.schema.objects import normal as normal_objects
from grammars.schema.options import SchemaOptions
from grammars.schema.shapes import ANY_VALUE, NO_VALUE, Algebra, Shape, Task
from grammars.schema.strings import has_unknown, length, listed, matching, recognized, relaxed, unknown
from grammars.schema.terms import FALSE, TRUE, Term, atom, conj, disj, neg
from grammars.schema.values import Constant, shape_of_values
from grammars.trampoline import Retreat

_UNEVALUATED = ("unevaluatedItems", "unevaluatedProperties")
_IN_PLACE = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf"})
_NO_NAMES = frozenset[str]()

Names = frozenset[str]


class SelfReference(Retreat):
    """A sub-schema whose meaning is part of itself, without a step into the value."""

    def __init__(self, location: str):
        super().__init__(location)
        self.location = location


class Keywords:
    """The meaning of sub-schemas under given options."""

    def __init__(self, documents: Documents, options: SchemaOptions, limits: Limits):
        self.algebra: Algebra
        self.notes: dict[tuple[str, str], Enforcement] = {}
        self._documents = documents
        self._options = options
        self._limits = limits
        self._identities = Identities()
        self._shapes: dict[tuple[bytes, bool, Names], Shape] = {}
        self._open: set[tuple[bytes, bool, Names]] = set()

    def term(self, place: Place) -> Term:
        """A sub-schema as a term, to be expanded later."""
        if isinstance(place.schema, bool):
            return TRUE if place.schema else FALSE
        if not is_object(place.schema):
            raise GrammarSyntaxError(f"{place.location} must be a schema, that is an object or a boolean")
        if not place.schema.keys() & _MEANINGFUL:
            return TRUE
        return atom(place, self._identities.of(place))

    def shape_of_atom(self, value: Any) -> Task:
        """The shape of an atom of a term: a sub-schema or a constant."""
        if isinstance(value, Constant):
            return shape_of_values([value.value])
        return (yield self.shape(value, False))

    def shape(self, place: Place, track: bool, needed: Names = _NO_NAMES) -> Task:
        """The shape of a sub-schema; with `track`, its alternatives know what they evaluated. It is right for objects
        with all `needed` keys: what stands beside the sub-schema demands them."""
        if isinstance(place.schema, bool):
            return ANY_VALUE if place.schema else NO_VALUE
        if not is_object(place.schema):
            raise GrammarSyntaxError(f"{place.location} must be a schema, that is an object or a boolean")
        if needed and _IN_PLACE.isdisjoint(place.schema):
            needed = _NO_NAMES
        key = (self._identities.of(place), track, needed)
        if key not in self._shapes:
            if key in self._open:
                raise SelfReference(place.location)
            self._open.add(key)
            try:
                self._shapes[key] = yield self._expanded(place, track, needed)
            finally:
                self._open.discard(key)
        return self._shapes[key]

    def _expanded(self, place: Place, track: bool, needed: Names) -> Task:
        if not place.resource.validating:
            place = replace(place, schema={k: v for k, v in place.schema.items() if k not in _VALIDATION})
        schema = place.schema
        if "$ref" in schema and place.draft <= 7:
            self._note(place, "$ref")
            return (yield self.shape(self._documents.follow(place, schema["$ref"]), track, needed))
        for keyword in schema:
            if keyword in MEANS and not is_keyword(keyword, place.draft, place.resource.loose):
                self._note(place, keyword, "no keyword of this draft", False)
            elif keyword in MEANS and keyword != "format":
                self._note(place, keyword)
        track = track or any(keyword in schema for keyword in _UNEVALUATED)
        shape = self._own(place)
        for apply in self._applicators(place, track):
            shape = yield apply(shape, needed | _required_by(shape))
        return self._unevaluated(place, shape) if place.draft >= 2019 else shape

    def _note(self, place: Place, keyword: str, means: str = "", enforced: bool = True) -> None:
        key = (place.location, keyword)
        self.notes.setdefault(key, Enforcement(*key, means or MEANS[keyword], enforced))

    def _dropped(self, place: Place, keyword: str, reason: str) -> None:
        """Note that a keyword is left out; that counts more than what was noted before."""
        key = (place.location, keyword)
        self.notes[key] = Enforcement(*key, f"not enforced, as the options say: {reason}", False)

    # -- keywords about one type ----------------------------------------------------------------------------------

    def _own(self, place: Place) -> Shape:
        types = read.types_of(place)
        constants = frozenset[str]()
        if "null" in types:
            constants |= {"null"}
        if "boolean" in types:
            constants |= {"true", "false"}
        array = normal_arrays(self._array(place)) if "array" in types else None
        objects = normal_objects(self._object(place)) if "object" in types else None
        return Shape(
            constants,
            self._number(place, types),
            self._string(place) if "string" in types else FALSE,
            () if array is None else (array,),
            () if objects is None else (objects,),
        )

    def _number(self, place: Place, types: frozenset[str]) -> Term:
        if not types & {"number", "integer"}:
            return FALSE
        schema, terms = place.schema, list[Term]()
        if "number" not in types:
            terms.append(numbers.WRITTEN_WHOLE if place.draft == 4 else numbers.INTEGER)
        flags = place.draft == 4 or place.resource.loose
        for keyword, strict, lower in (("minimum", "exclusiveMinimum", True), ("maximum", "exclusiveMaximum", False)):
            flag = flags and schema.get(strict) is True
            if keyword in schema:
                terms.append(_bound(read.number_of(place, keyword), lower, not flag))
            if strict in schema and not (flags and isinstance(schema[strict], bool)) and place.draft > 4:
                terms.append(_bound(read.number_of(place, strict), lower, False))
        if "multipleOf" in schema:
            step = read.number_of(place, "multipleOf")
            if step <= 0:
                raise read.wrong(place, "multipleOf", "greater than zero")
            terms.append(numbers.multiple_of(step))
        return conj(terms)

    def _string(self, place: Place) -> Term:
        terms: list[Term] = []
        low, high = read.count_of(place, "minLength", 0) or 0, read.count_of(place, "maxLength", None)
        if high is not None and high < low:
            return FALSE
        if low or high is not None:
            terms.append(length(low, high))
        if "pattern" in place.schema:
            terms.append(self._pattern(place, place.schema["pattern"]))
        if "format" in place.schema:
            terms.append(self._format(place, place.schema["format"]))
        return conj(terms)

    def _pattern(self, place: Place, pattern: Any) -> Term:
        if not isinstance(pattern, str):
            raise read.wrong(place, "pattern", "a string")
        try:
            return matching(parse(pattern, dialect="ecma", search=True, limits=self._limits))
        except UnsupportedFeature as error:
            if not self._options.lenient:
                raise UnsupportedFeature(f"pattern at {place.location}: {error.message}", span=error.span) from error
            keyword = "pattern" if place.schema.get("pattern") == pattern else "patternProperties"
            self._dropped(place, keyword, error.message)
            return unknown(pattern)
        except GrammarSyntaxError as error:
            raise GrammarSyntaxError(f"pattern at {place.location}: {error.message}", span=error.span) from error

    def _format(self, place: Place, name: Any) -> Term:
        if self._options.formats == "annotation" or not isinstance(name, str):
            self._note(place, "format", "an annotation, as the options say", False)
            return TRUE
        reader = format_reader(name, place.draft)
        if reader is not None:
            self._note(place, "format", narrowed(name))
            return recognized(reader)
        node = format_node(name)
        if node is None:
            self._note(place, "format", f"{name!r} is no format of the standard: an annotation", False)
            return TRUE
        self._note(place, "format")
        return matching(node)

    def _array(self, place: Place) -> ArraySet:
        schema, draft = place.schema, place.draft
        low, high = read.count_of(place, "minItems", 0) or 0, read.count_of(place, "maxItems", None)
        listed_items = is_array(schema.get("items")) and (draft < 2020 or place.resource.loose)
        before = "items" if listed_items else "prefixItems" if draft >= 2020 else None
        prefix: tuple[Term, ...] = ()
        if before and before in schema:
            prefix = tuple(self._inner(place, before, index) for index in range(len(read.list_of(place, before))))
        after = "additionalItems" if listed_items else "items"
        rest = self._inner(place, after) if after in schema else TRUE
        seen = ALL_ITEMS if after in schema else len(prefix)
        contains, matched = self._contains(place)
        unique = schema.get("uniqueItems") is True
        return ArraySet(prefix, rest, low, high, contains, unique, seen=seen, seen_matching=matched)

    def _contains(self, place: Place) -> tuple[tuple[Contains, ...], Term]:
        if "contains" not in place.schema or place.draft < 6:
            return (), FALSE
        term, low, high = self._inner(place, "contains"), 1, None
        if place.draft >= 2019:
            low, high = read.count_of(place, "minContains", 1) or 0, read.count_of(place, "maxContains", None)
        return (Contains(0, term, low, high),), term if place.draft >= 2020 else FALSE

    def _object(self, place: Place) -> ObjectSet:
        schema = place.schema
        declared = read.map_of(place, "properties")
        properties = tuple((name, self._inner(place, "properties", name)) for name in declared)
        patterns: list[Rule] = []
        covered = [listed(declared)]
        for pattern in read.map_of(place, "patternProperties"):
            keys = self._pattern(place, pattern)
            patterns.append(Rule(keys, self._inner(place, "patternProperties", pattern)))
            covered.append(keys)
        seen = disj(covered)
        if "additionalProperties" in schema and has_unknown(seen):
            self._dropped(place, "additionalProperties", "a pattern beside it is not enforced")
        if "additionalProperties" in schema or (not self._options.additional_properties and "properties" in schema):
            value = self._inner(place, "additionalProperties") if "additionalProperties" in schema else FALSE
            patterns.append(Rule(neg(disj(covered)), value))
            seen = TRUE
        return ObjectSet(
            properties,
            tuple(rule for rule in patterns if rule.value != TRUE and rule.keys != FALSE),
            self._required(place),
            read.count_of(place, "minProperties", 0) or 0,
            read.count_of(place, "maxProperties", None),
            seen=seen,
        )

    def _required(self, place: Place) -> tuple[str, ...]:
        value = place.schema.get("required", [])
        if isinstance(value, bool) and (place.draft == 4 or place.resource.loose):
            return ()  # draft 3 marked the property itself; later drafts do not know that
        return read.names_of(place, "required", value)

    def _inner(self, place: Place, *steps: str | int) -> Term:
        return self.term(self._documents.child(place, *steps))

    # -- keywords that apply schemas in place ---------------------------------------------------------------------

    def _applicators(self, place: Place, track: bool) -> Iterator[Callable[[Shape, Names], Task]]:
        """What is applied in place: each takes a shape, and the keys that are there in any case, to a narrower one."""
        yield from map(self._beside, self._asserted(place, track))
        if "if" in place.schema and place.draft >= 7:
            yield partial(self._conditional, place, track)
        yield from (self._beside(_plainly(task)) for task in self._dependencies(place, track))

    def _beside(self, make: Callable[[Names], Task]) -> Callable[[Shape, Names], Task]:
        """What narrows a shape to what it has in common with another, which is told the keys that are there."""

        def narrow(shape: Shape, needed: Names) -> Task:
            return (yield self.algebra.both(shape, (yield make(needed))))

        return narrow

    def _asserted(self, place: Place, track: bool) -> Iterator[Callable[[Names], Task]]:
        """Shapes that the value must have in any case."""
        schema, draft = place.schema, place.draft
        if "enum" in schema:
            yield _plainly(self._values(read.list_of(place, "enum")))
        if "const" in schema and draft >= 6:
            yield _plainly(self._values([schema["const"]]))
        if "$ref" in schema:
            yield partial(self.shape, self._documents.follow(place, schema["$ref"]), track)
        if "$dynamicRef" in schema and draft >= 2020:
            yield partial(self.shape, self._documents.follow_dynamic(place, schema["$dynamicRef"]), track)
        if "$recursiveRef" in schema and draft == 2019:
            yield partial(self.shape, self._documents.follow_recursive(place, schema["$recursiveRef"]), track)
        for branch in self._branches(place, "allOf"):
            yield partial(self.shape, branch, track)
        if "anyOf" in schema:
            yield partial(self._any_of, self._branches(place, "anyOf"), track)
        if "oneOf" in schema:
            yield partial(self._one_of, self._branches(place, "oneOf"), track)
        if "not" in schema:
            yield _plainly(self._not(self._documents.child(place, "not")))
        if "propertyNames" in schema and draft >= 6:
            yield _plainly(self._property_names(self._documents.child(place, "propertyNames")))

    def _branches(self, place: Place, keyword: str) -> list[Place]:
        branches = [self._documents.child(place, keyword, index) for index in range(len(read.list_of(place, keyword)))]
        if keyword in place.schema and not branches:
            raise read.wrong(place, keyword, "a list that is not empty")
        return branches

    def _values(self, values: list[Any]) -> Task:
        yield from ()
        return shape_of_values(values)

    def _any_of(self, branches: list[Place], track: bool, needed: Names) -> Task:
        shapes: list[Shape] = []
        for branch in branches:
            shapes.append((yield self.shape(branch, track, needed)))
        return (yield self._each_known(shapes)) if track else self.algebra.any_of(shapes)

    def _each_known(self, shapes: list[Shape]) -> Task:
        """The union, as alternatives in each of which it is known which of the shapes hold."""
        some, none = NO_VALUE, ANY_VALUE
        for shape in shapes:
            beyond = yield self.algebra.outside(shape)
            with_it = yield self.algebra.both(self.algebra.any_of([some, none]), shape)
            without = yield self.algebra.both(some, beyond)
            none = yield self.algebra.both(none, beyond)
            some = self.algebra.any_of([with_it, without])
        return some

    def _one_of(self, branches: list[Place], track: bool, needed: Names) -> Task:
        shapes: list[Shape] = []
        for branch in branches:
            shapes.append((yield self.shape(branch, track, needed)))
        return (yield self.algebra.exactly_one(shapes, needed))

    def _not(self, place: Place) -> Task:
        return (yield self.algebra.outside((yield self.shape(place, False))))

    def _conditional(self, place: Place, track: bool, shape: Shape, _: Names) -> Task:
        """Of the parts of a shape that the condition excludes only `else` is asked: a chain of conditions that exclude
        each other leaves one part for each of them."""
        condition = yield self.shape(self._documents.child(place, "if"), track)
        near, far = yield self.algebra.parted(shape, condition)
        then, otherwise = ANY_VALUE, ANY_VALUE
        if "then" in place.schema:
            then = yield self.shape(self._documents.child(place, "then"), track)
        if "else" in place.schema:
            otherwise = yield self.shape(self._documents.child(place, "else"), track)
        inside = yield self.algebra.both(condition, then)
        beyond = yield self.algebra.both((yield self.algebra.outside(condition)), otherwise)
        decided = yield self.algebra.both(near, self.algebra.any_of([inside, beyond]))
        return self.algebra.any_of([decided, (yield self.algebra.both(far, otherwise))])

    def _property_names(self, place: Place) -> Task:
        names = yield self.shape(place, False)
        forbidden = Rule(neg(relaxed(names.string)), FALSE)
        rules = () if forbidden.keys == FALSE else (forbidden,)
        return replace(ANY_VALUE, objects=(ObjectSet(patterns=rules),))

    def _dependencies(self, place: Place, track: bool) -> Iterator[Task]:
        draft = place.draft
        for keyword in ("dependentSchemas", "dependentRequired", "dependencies"):
            known = draft <= 7 or place.resource.loose if keyword == "dependencies" else draft >= 2019
            if known and keyword in place.schema:
                for name, value in read.map_of(place, keyword).items():
                    if is_array(value):
                        yield self._dependent(name, _requiring(read.names_of(place, keyword, value)))
                    else:
                        inner = self.shape(self._documents.child(place, keyword, name), track)
                        yield self._dependent(name, inner)

    def _dependent(self, name: str, consequence: Task) -> Task:
        absent = replace(ANY_VALUE, objects=(ObjectSet(((name, FALSE),)),))
        present = Shape(objects=(ObjectSet(required=(name,), low=1),))
        return self.algebra.any_of([absent, (yield self.algebra.both(present, (yield consequence)))])

    # -- what is left over ----------------------------------------------------------------------------------------

    def _unevaluated(self, place: Place, shape: Shape) -> Shape:
        if "unevaluatedItems" in place.schema:
            rest = self._inner(place, "unevaluatedItems")
            arrays = (_rest_of_array(part, rest) for part in shape.arrays)
            shape = replace(shape, arrays=tuple(part for part in arrays if part is not None))
        if "unevaluatedProperties" in place.schema:
            rest = self._inner(place, "unevaluatedProperties")
            objects = (_rest_of_object(part, rest) for part in shape.objects)
            shape = replace(shape, objects=tuple(part for part in objects if part is not None))
        return shape


_MEANINGFUL = frozenset(MEANS)
_VALIDATION = frozenset(
    {
        *("type", "enum", "const", "required", "dependentRequired", "pattern", "minLength", "maxLength"),
        *("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"),
    }
)


def _plainly(task: Task) -> Callable[[Names], Task]:
    """A task that is the same whatever keys are there."""
    return lambda _: task


def _required_by(shape: Shape) -> Names:
    """The keys of all objects of a shape."""
    required = [frozenset(part.required) for part in shape.objects]
    return required[0].intersection(*required) if required else _NO_NAMES


def _bound(value: Decimal, lower: bool, included: bool) -> Term:
    """At least (at most) a bound, or beyond it if it is not included."""
    return neg(numbers.below(value, not included)) if lower else numbers.below(value, included)


def _requiring(names: tuple[str, ...]) -> Task:
    yield from ()
    return replace(ANY_VALUE, objects=(ObjectSet(required=names, low=len(names)),))


def _rest_of_array(part: ArraySet, rest: Term) -> ArraySet | None:
    if part.seen != ALL_ITEMS:
        evaluated = ArraySet((TRUE,) * part.seen, disj([rest, part.seen_matching]))
        met = meet_arrays(part, evaluated)
        return None if met is None else replace(met, seen=ALL_ITEMS)
    return part


def _rest_of_object(part: ObjectSet, rest: Term) -> ObjectSet | None:
    others = neg(part.seen)
    met = part
    if others != FALSE and rest != TRUE:
        met = meet_objects(part, ObjectSet(patterns=(Rule(others, rest),)))
    return None if met is None else replace(met, seen=TRUE)
