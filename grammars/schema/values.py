"""Constants: the shape of one JSON value, for `const` and `enum`, in all its spellings and, if it is an object, in
any order."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from decimal import Decimal
from typing import Any

from grammars.schema.arrays import ArraySet
from grammars.schema.json_types import is_array, is_object
from grammars.schema.number_sets import among, plain, values_of
from grammars.schema.objects import ObjectSet, Rule
from grammars.schema.shapes import Shape
from grammars.schema.strings import Strings, listed
from grammars.schema.terms import FALSE, Term, atom, digest, neg
from grammars.trampoline import run


class Constant:
    """A value inside an array or object that is a constant; its shape is made when it is needed."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value


def shape_of_values(values: Iterable[Any]) -> Shape:
    """The shape of a list of values."""
    constants: set[str] = set()
    numbers: set[Decimal] = set()
    strings: set[str] = set()
    arrays: list[ArraySet] = []
    objects: list[ObjectSet] = []
    for value in values:
        if value is None or isinstance(value, bool):
            constants.add({None: "null", True: "true", False: "false"}[value])
        elif isinstance(value, Decimal):
            numbers.add(value)
        elif isinstance(value, str):
            strings.add(value)
        elif is_array(value):
            items = tuple(_term(item) for item in value)
            arrays.append(ArraySet(items, FALSE, len(items), len(items)))
        else:
            objects.append(_object_set(value))
    number = among(frozenset(numbers)) if numbers else FALSE
    distinct_arrays, distinct_objects = tuple(dict.fromkeys(arrays)), tuple(dict.fromkeys(objects))
    return Shape(frozenset(constants), number, listed(strings), distinct_arrays, distinct_objects)


def _object_set(value: dict[str, Any]) -> ObjectSet:
    others = Rule(neg(listed(value)), FALSE)
    properties = tuple((name, _term(item)) for name, item in value.items())
    return ObjectSet(properties, (others,), tuple(value), len(value), len(value))


def _term(value: Any) -> Term:
    return atom(Constant(value), digest(b"constant", run(_digest(value))))


def _digest(value: Any) -> Generator[Any, Any, bytes]:
    """Equal values have equal digests: 1 is 1.0, and objects do not depend on the order of their keys."""
    if isinstance(value, Decimal):
        return digest(b"number", plain(value))
    if isinstance(value, str):
        return digest(b"string", value.encode("utf-8", "surrogatepass"))
    if is_array(value):
        parts: list[bytes] = []
        for item in value:
            parts.append((yield _digest(item)))
        return digest(b"array", *parts)
    if is_object(value):
        pairs: list[bytes] = []
        for name in value:
            pairs.extend((name.encode("utf-8", "surrogatepass"), (yield _digest(value[name]))))
        return digest(b"object", *pairs)
    return digest(b"constant", repr(value).encode())


_CONSTANTS = {"null": None, "true": True, "false": False}


def single_values(shape: Shape, strings: Strings, most: int) -> list[Term] | None:
    """The values of a shape without arrays and objects, a term for each; None if no list bounds them or they are too
    many."""
    numbers = frozenset[Decimal]() if shape.number == FALSE else values_of(shape.number)
    words = frozenset[str]() if shape.string == FALSE else strings.values_of(shape.string)
    if numbers is None or words is None or len(shape.constants) + len(numbers) + len(words) > most:
        return None
    found: list[Any] = [_CONSTANTS[name] for name in sorted(shape.constants)]
    return [_term(value) for value in [*found, *sorted(numbers), *sorted(words)]]
