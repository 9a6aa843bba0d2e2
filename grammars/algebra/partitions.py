"""Bytes that a term does not tell apart.

A term with assertions on Unicode words has a hundred byte classes, but what is left of it after a few bytes looks at
two or three sets of them: all others lead to the same residual. Which, can be read off the term without deriving it
(Owens, Reppy and Turon, Regular-expression derivatives re-examined, 2009): a set of bytes separates what is in it from
what is not; a union, an intersection, a concatenation whose head may be empty separate what one of their parts does.
So a residual is computed once for each *block* of such a partition.

A partition is a tuple with a number for each byte class, equal for those that are not told apart.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from grammars.algebra.terms import CAT, SET, SWITCH, TEXT, Partition, Term, Terms
from grammars.trampoline import run


def partition(terms: Terms, term: Term) -> Partition:
    """Classes with equal numbers have the same residual. The term is closed: a scope's look-behinds are parts of it."""
    return term.partition or run(_partition(terms, term))


def blocks(terms: Terms, term: Term) -> list[int]:
    """For each block of classes that a string may begin with, the first of them."""
    found: dict[int, int] = {}
    for number, block in enumerate(partition(terms, term)):
        if term.first >> number & 1:
            found.setdefault(block, number)
    return list(found.values())


def _partition(terms: Terms, term: Term) -> Generator[Any, Any, Partition]:
    if term.partition:
        return term.partition
    if term.kind == SET:
        result = _of_sets(terms, (term.mask,))
    elif term.kind == TEXT:
        result = _of_sets(terms, (term.first,))
    elif term.kind == SWITCH:
        result = _of_sets(terms, [mask for mask, _ in term.cases])
    else:
        found: dict[Partition, None] = {}
        for part in term.parts:
            found[part.partition or (yield _partition(terms, part))] = None
            if term.kind == CAT and not part.empty:
                break
        result = _common(terms, list(found))
    term.partition = result
    return result


def _of_sets(terms: Terms, masks: Iterable[int]) -> Partition:
    """What disjoint sets tell apart."""
    numbers = [0] * terms.class_count
    for block, mask in enumerate(masks, start=1):
        while mask:
            numbers[(mask & -mask).bit_length() - 1] = block
            mask &= mask - 1
    return _numbered(terms, numbers)


def _common(terms: Terms, partitions: list[Partition]) -> Partition:
    """What one of the partitions tells apart."""
    if not partitions:
        return _numbered(terms, [0] * terms.class_count)
    if len(partitions) == 1:
        return partitions[0]
    terms.tick(1 + len(partitions) // 4)
    return _numbered(terms, zip(*partitions, strict=True))


def _numbered(terms: Terms, values: Iterable[object]) -> Partition:
    """Blocks numbered in the order of their first classes; equal partitions are one object."""
    terms.tick()
    numbers: dict[object, int] = {}
    result = tuple([numbers.setdefault(value, len(numbers)) for value in values])
    return terms.partitions.setdefault(result, result)
