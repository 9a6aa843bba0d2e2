"""A policy so small that everything about it is known: the ground truth of the gradients.

Texts have at most `most` tokens; every prefix has logits of its own, so the policy can be any distribution at all. With
all texts at hand expectations are sums: an estimator is right if its expectation, the sum over all draws, is the
gradient of the objective.

>>> from grammars import Vocabulary, regex
>>> policy = Enumerable(Vocabulary([b"a", b"b", b"<end>"], eos=[2]), most=2, seed=0)
>>> len(policy.texts), round(policy.log_probs().exp().sum().item(), 12)
(7, 1.0)
>>> legal = policy.under(regex("ab?"))
>>> [bytes(b"ab"[t] for t in policy.texts[i]) for i in legal.rows.tolist()]
[b'a', b'ab']
>>> q = legal.logs().sums.exp()
>>> round(q.sum().item(), 12), bool(torch.isclose((q * legal.log_weights().exp()).sum(), legal.mass()))
(1.0, True)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from decoding.rl.losses import TokenLogs
from grammars import Grammar, Vocabulary
from samplers.bits import flags_of


class Enumerable(torch.nn.Module):
    """Logits for every prefix of at most `most` letters; float64. After `most` letters only the end follows."""

    def __init__(self, vocabulary: Vocabulary, most: int, seed: int = 0, spread: float = 1.0):
        super().__init__()
        (self.end,) = vocabulary.eos
        self.vocabulary, self.most = vocabulary, most
        self.letters = [token for token in range(vocabulary.size) if token != self.end]
        self.texts = [text for n in range(most + 1) for text in product(self.letters, repeat=n)]
        self.number = {text: i for i, text in enumerate(self.texts)}
        logits = np.random.default_rng(seed).normal(0.0, spread, (len(self.texts), vocabulary.size))
        full = [i for i, text in enumerate(self.texts) if len(text) == most]
        self.logits = torch.nn.Parameter(torch.from_numpy(logits))
        closed = torch.zeros(len(self.texts), vocabulary.size, dtype=torch.bool)
        closed[full] = True
        closed[:, self.end] = False
        self.register_buffer("closed", closed)
        self._paths()

    def _paths(self) -> None:
        """For each text the prefixes that it passes and the tokens that it takes there, the end included."""
        shape = (len(self.texts), self.most + 1)
        self.nodes, self.tokens = torch.zeros(shape, dtype=torch.long), torch.full(shape, self.end)
        self.counted = torch.zeros(shape, dtype=torch.bool)
        for i, text in enumerate(self.texts):
            n = len(text) + 1
            self.nodes[i, :n] = torch.tensor([self.number[text[:k]] for k in range(n)])
            self.tokens[i, :n] = torch.tensor([*text, self.end])
            self.counted[i, :n] = True

    def table(self) -> Tensor:
        """log P(token | prefix), a row for each prefix."""
        closed: Tensor = self.closed  # type: ignore[assignment]
        return torch.log_softmax(self.logits.masked_fill(closed, -torch.inf), dim=1)

    def log_probs(self) -> Tensor:
        """log π of every text."""
        return self.logs().sums

    def logs(self) -> TokenLogs:
        """log π of every token of every text."""
        values = self.table()[self.nodes, self.tokens]
        return TokenLogs(torch.where(self.counted, values, 0.0), self.counted)

    def under(self, grammar: Grammar) -> Legal:
        """The same policy under the masks of a language."""
        return Legal(self, grammar)


class Legal:
    """A policy under masks: its legal texts are `rows` of the policy's."""

    def __init__(self, policy: Enumerable, grammar: Grammar):
        self.policy = policy
        self.allowed = torch.zeros(policy.logits.shape, dtype=torch.bool)
        for node, mask in _masks(policy, grammar):
            self.allowed[node] = torch.from_numpy(mask)
        legal = self.allowed[policy.nodes, policy.tokens] | ~policy.counted
        self.rows = torch.nonzero(legal.all(dim=1)).squeeze(1)
        self.counted = policy.counted[self.rows]
        self.nodes, self.tokens = policy.nodes[self.rows], policy.tokens[self.rows]
        self.forced = self.counted & (self.allowed[self.nodes].sum(dim=2) == 1)
        self.lengths = (self.counted.sum(dim=1) - 1).double()

    def raw_logs(self) -> TokenLogs:
        """log π of the tokens of legal texts."""
        values = self.policy.table()[self.nodes, self.tokens]
        return TokenLogs(torch.where(self.counted, values, 0.0), self.counted)

    def log_masses(self) -> Tensor:
        """log Z_t of the positions of legal texts."""
        table = self.policy.table().masked_fill(~self.allowed, -torch.inf)
        some = self.allowed.any(dim=1)
        mass = torch.where(some, torch.logsumexp(torch.where(some[:, None], table, 0.0), dim=1), 0.0)
        return torch.where(self.counted, mass[self.nodes], 0.0)

    def logs(self) -> TokenLogs:
        """log q of the tokens of legal texts: of what is drawn under the masks."""
        return TokenLogs(self.raw_logs().values - self.log_masses(), self.counted, is_masked=True)

    def log_weights(self) -> Tensor:
        """log w = log π − log q of legal texts."""
        return self.log_masses().sum(dim=1)

    def mass(self) -> Tensor:
        """Z = π(L)."""
        return self.raw_logs().sums.exp().sum()


def _masks(policy: Enumerable, grammar: Grammar) -> Iterator[tuple[int, np.ndarray]]:
    """The mask of every viable prefix, as booleans; at full length only the end."""
    automaton = grammar.compile(policy.vocabulary)
    states: dict[tuple[int, ...], int] = {(): automaton.start}
    for node, text in enumerate(policy.texts):
        before = states.get(text[:-1]) if text else None
        if text and before is not None and (after := automaton.advance(before, text[-1])) >= 0:
            states[text] = after
        if text not in states:
            continue
        row = np.zeros((1, policy.vocabulary.words), np.uint32)
        automaton.fill_masks([states[text]], row)
        flags = flags_of(row[0], policy.vocabulary.size)
        yield node, flags & (np.arange(len(flags)) == policy.end) if len(text) == policy.most else flags
