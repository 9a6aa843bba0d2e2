"""Bounds hold, at every prefix and after every step; and the check would see it if one did not."""

from __future__ import annotations

import pytest

from samplers.trie import Trie
from tests.samplers.certificates import broken


def test_no_bound_is_ever_violated():
    checked = wrong = 0
    for count, violations in broken(12):
        checked, wrong = checked + count, wrong + len(violations)
    assert checked > 5_000
    assert wrong == 0


def test_a_bound_that_is_too_low_is_seen(monkeypatch: pytest.MonkeyPatch):
    right = Trie.back_up

    def greedy(self, nodes):
        right(self, nodes)
        self.nodes.log_total[: self.nodes.size] -= 0.7

    monkeypatch.setattr(Trie, "back_up", greedy)
    assert any(violations for _, violations in broken(5))
