r"""Muon: steepest descent for weight matrices, which needs about half the steps of Adam.

A gradient matrix G is dominated by few directions. Muon steps along the nearest orthogonal matrix U Vᵀ (of the
singular value decomposition G = U S Vᵀ), so that rare directions are learned as fast as frequent ones. Five
Newton-Schulz iterations

    X ← a X + (b A + c A²) X,   A = X Xᵀ,   (a, b, c) = (3.4445, -4.7750, 2.0315)

bring all singular values near 1 without a decomposition. Keller Jordan et al., "Muon: an optimizer for hidden layers
in neural networks" (2024). PyTorch has one since 2.9; it computes in bfloat16, which ordinary processors emulate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

A, B, C = 3.4445, -4.7750, 2.0315


class Muon:
    """Muon with Nesterov momentum over `matrices`; the step is `rate` times the orthogonal matrix."""

    def __init__(self, matrices: Iterable[Any], momentum: float = 0.95):
        import torch

        self.matrices = list(matrices)
        self.momentum = momentum
        self.averages = [torch.zeros_like(matrix) for matrix in self.matrices]

    def step(self, rate: float) -> None:
        for matrix, average in zip(self.matrices, self.averages, strict=True):
            average.mul_(self.momentum).add_(matrix.grad)
            direction = orthogonal(matrix.grad + self.momentum * average)
            taller = max(1.0, matrix.shape[0] / matrix.shape[1])
            matrix.data.add_(direction, alpha=-rate * taller**0.5)


def orthogonal(matrix: Any, iterations: int = 5) -> Any:
    """An orthogonal matrix near `matrix`: same singular vectors, singular values near 1."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(iterations):
        a = x @ x.T
        x = A * x + (B * a + C * a @ a) @ x
    return x if wide is matrix else x.T
