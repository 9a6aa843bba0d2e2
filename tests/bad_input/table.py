"""All cases, in the order of their families."""

from __future__ import annotations

from tests.bad_input import (
    blow_ups,
    emptiness,
    encodings,
    misuse,
    nesting,
    recursion,
    schemas,
    syntax,
    threads,
    vocabularies,
)
from tests.bad_input.case import Case

CASES: tuple[Case, ...] = (
    *syntax.CASES,
    *nesting.CASES,
    *blow_ups.CASES,
    *recursion.CASES,
    *emptiness.CASES,
    *schemas.CASES,
    *encodings.CASES,
    *vocabularies.CASES,
    *misuse.CASES,
    *threads.CASES,
)

# What is known not to end yet as it should, and how: these tests report it instead of failing.
OPEN_DEFECTS: dict[str, str] = {}
