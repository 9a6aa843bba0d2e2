"""The short unbiasedness board; `make board` runs the long one."""

from __future__ import annotations

import numpy as np
import pytest

from samplers import Masking
from tests.samplers import board as boards


@pytest.fixture(scope="module")
def board() -> list[boards.Cell]:
    return boards.board(1, 30)


def test_no_cell_is_far_from_the_truth(board: list[boards.Cell]):
    worst = max(board, key=lambda cell: abs(cell.z))
    assert abs(worst.z) < 4.5, worst


def test_errors_are_as_large_as_they_should_be(board: list[boards.Cell]):
    z = np.array([cell.z for cell in board if not cell.certain])
    assert len(z) > 200
    assert 0.7 < np.mean(z**2) < 1.4


def test_the_board_sees_a_bias_of_masking(monkeypatch: pytest.MonkeyPatch):
    """Masking without its weights, in the world where that matters most."""

    class Unweighted(Masking):
        def finish(self, problem, state):
            samples = super().finish(problem, state)
            return samples.take(np.arange(len(samples)), np.where(samples.finished, samples.log_z, -np.inf))

    monkeypatch.setitem(boards.BOARD, "Unweighted", Unweighted)
    found = [
        cell.z
        for number, stage in enumerate(boards.stages(6))
        if stage.name != "128k"
        for cell in boards.cells("Unweighted", stage, boards.RUNS, number)
    ]
    assert max(map(abs, found)) > 6
