"""What keeps parameters as they should be: a step whose gradient is not finite, or nothing at all, is not taken."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def drop_broken_gradients(parameters: Iterable[torch.nn.Parameter]) -> bool:
    """Whether all gradients are finite; if not, all of them are dropped, so that the optimiser moves nothing.

    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([1.0, torch.nan])
    >>> drop_broken_gradients([weight]), weight.grad
    (False, None)
    """
    learned = [p for p in parameters if p.grad is not None]
    if all(bool(torch.isfinite(p.grad).all()) for p in learned if p.grad is not None):
        return True
    for p in learned:
        p.grad = None
    return False


def drop_empty_gradients(parameters: Iterable[torch.nn.Parameter]) -> bool:
    """Whether there is any gradient at all; if not, an optimiser with a memory would still move, so zeros are dropped.

    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.zeros(2)
    >>> drop_empty_gradients([weight]), weight.grad
    (False, None)
    """
    learned = [p for p in parameters if p.grad is not None]
    if any(bool(p.grad.any()) for p in learned if p.grad is not None):
        return True
    for p in learned:
        p.grad = None
    return False
