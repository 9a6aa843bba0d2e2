"""All regular expressions up to a size, as re2's exhaustive tests have them: every way to apply every operator."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

ATOMS = ("a", "b", ".", "^", "$", r"\b", "()")
POSTFIX = ("{}*", "{}+", "{}?", "{}{{1,2}}", "{}{{2}}", "{}*?")
AROUND = ("(?={})", "(?!{})", "(?:{})*", "(?<={})", "(?<!{})")
UNREPEATABLE = {"^", "$", r"\b"}


@cache
def patterns(size: int) -> tuple[str, ...]:
    """Patterns made of exactly `size` atoms and operators."""
    return tuple(dict.fromkeys(_patterns(size)))


def _patterns(size: int) -> Iterator[str]:
    if size == 1:
        yield from ATOMS
        return
    for body in patterns(size - 1):
        if body not in UNREPEATABLE:
            yield from (form.format(_grouped(body)) for form in POSTFIX)
        yield from (form.format(body) for form in AROUND)
    for left_size in range(1, size - 1):
        for left, right in product(patterns(left_size), patterns(size - 1 - left_size)):
            yield f"(?:{left}|{right})"
            yield left + right


def _grouped(body: str) -> str:
    return body if len(body) == 1 or body == "()" else f"(?:{body})"


def texts(alphabet: str, most: int) -> list[str]:
    """All texts of up to `most` characters, shortest first."""
    return ["".join(letters) for length in range(most + 1) for letters in product(alphabet, repeat=length)]
