"""Numbers as Punycode writes them (RFC 3492): digits in base 36 with thresholds that tell where a number ends, adapted
to how large the numbers were before."""

from __future__ import annotations

from typing import Final

BASE: Final = 36
FIRST_BIAS: Final = 72
_LEAST, _MOST, _SKEW, _DAMP = 1, 26, 38, 700


def threshold(weight: int, bias: int) -> int:
    """Digits below it end the number; `weight` grows by 36 with each digit."""
    return min(max(weight - bias, _LEAST), _MOST)


def count_of_digits(number: int, bias: int, weight: int = BASE) -> int:
    """How many digits a number has.

    >>> count_of_digits(0, 72), count_of_digits(1, 72), count_of_digits(36, 72)
    (1, 2, 3)
    """
    digits = 1
    while number >= (least := threshold(weight, bias)):
        number = (number - least) // (BASE - least)
        weight += BASE
        digits += 1
    return digits


def adapted(number: int, length: int, first: bool) -> int:
    """The bias for the number after this one, in a text that is then so long."""
    number //= _DAMP if first else 2
    number += number // length
    bias = 0
    while number > (BASE - _LEAST) * _MOST // 2:
        number //= BASE - _LEAST
        bias += BASE
    return bias + BASE * number // (number + _SKEW)
