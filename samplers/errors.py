"""Errors of this layer, beside `DeadEnd` and `BudgetExhausted` of `grammars.errors`.

>>> from grammars.errors import SamplingError
>>> issubclass(BrokenContract, SamplingError)
True
"""

from __future__ import annotations

from grammars.errors import SamplingError


class BrokenContract(SamplingError, TypeError):
    """A constraint, potential, model or sampler of the user that does not do what its protocol says."""

    code = "sampling.contract"


class InvalidOption(SamplingError, ValueError):
    """An option of a sampler, a constraint or a model that means nothing."""

    code = "sampling.option"


def require(holds: bool, message: str, hint: str | None = None) -> None:
    """Raise `InvalidOption` unless `holds`.

    >>> require(False, "n must not be negative, but is -1")
    Traceback (most recent call last):
    samplers.errors.InvalidOption: n must not be negative, but is -1
    """
    if not holds:
        raise InvalidOption(message, hint=hint)
