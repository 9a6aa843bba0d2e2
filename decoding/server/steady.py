"""The built-in transformer, computed so that nobody's numbers depend on who else is in the batch.

Sums of floating-point numbers depend on their order, and a matrix product of eight rows adds up in another order than
one of nine. So the same prompt with the same seed could be continued differently, once in a million tokens, depending
on who else is served. Here every shape that reaches a product is a function of the row alone:

* dense layers go in tiles of `TILE` rows, the last one filled up with zeros, so each product has the same shape;
* a node attends to its own path, padded to a multiple of `SPAN`, together with the nodes of the same padded length.

What a position computes is then a function of the tokens on its path, bit for bit, whether it was forwarded alone or
with a hundred others, in one piece with its prompt or later.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from decoding.embedded import EmbeddedModel, load
from decoding.embedded.llama import Floats, Ints, Llama, Store, rotated, silu
from decoding.embedded.prefixes import Prefixes

TILE = 8
SPAN = 32


def steady_model(kept_prefixes: int = 1 << 16) -> EmbeddedModel:
    """The built-in model with an empty prompt and steady numbers.

    >>> model = steady_model()
    >>> alone = model.log_probs([[300]])[0]
    >>> among_others = model.log_probs([[5, 6, 7], [300], [9]])[1]
    >>> bool((alone == among_others).all())
    True
    """
    model = load()
    llama = SteadyLlama(**{field.name: getattr(model._llama, field.name) for field in fields(Llama)})
    return EmbeddedModel(model.vocabulary, model.prompt, model._tokenizer, llama, Prefixes(llama, kept_prefixes))


@dataclass(frozen=True)
class SteadyLlama(Llama):
    """A `Llama` whose rows do not know of each other."""

    def forward(self, tokens: Ints, paths: Ints, lengths: Ints, store: Store) -> None:
        """Compute nodes; see `Llama.forward`."""
        nodes = paths[np.arange(len(paths)), lengths - 1]
        turn = self._turn(lengths - 1)
        groups = _by_span(paths, lengths)
        x = self.embedding[tokens]
        for number, layer in enumerate(self.layers):
            q, k, v = self._split(tiled(self._norm(x, layer.attention_norm), layer.queries_keys_values))
            store.keys[number][:, nodes] = rotated(k, turn)
            store.values[number][:, nodes] = v
            x += tiled(self._mixed(rotated(q, turn), number, groups, store), layer.output)
            gate, up = np.split(tiled(self._norm(x, layer.feed_norm), layer.gate_and_up), 2, axis=1)
            x += tiled(silu(gate) * up, layer.down)
        store.final[nodes] = self._norm(x, self.final_norm)

    def log_probs(self, final: Floats) -> NDArray[np.float64]:
        """Log-probabilities of the next token, normalised in double precision."""
        logits = tiled(final, self.embedding.T).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits

    def _mixed(self, q: Floats, number: int, groups: list[_Group], store: Store) -> Floats:
        """The values that each node attends to."""
        out = np.empty((q.shape[1], q.shape[0] * q.shape[2]), np.float32)
        for rows, paths, hidden_from in groups:
            keys, values = store.keys[number][:, paths], store.values[number][:, paths]
            out[rows] = self._attend(np.ascontiguousarray(q[:, rows]), keys, values, hidden_from)
        return out


_Group = tuple[Ints, Ints, Floats]


def _by_span(paths: Ints, lengths: Ints) -> list[_Group]:
    """The nodes by padded length: their rows, their paths so padded, and what is hidden from each."""
    spans = -(-lengths // SPAN) * SPAN
    groups: list[_Group] = []
    for span in np.unique(spans).tolist():
        rows = np.flatnonzero(spans == span)
        padded = np.zeros((len(rows), span), np.int64)
        width = min(span, paths.shape[1])
        padded[:, :width] = paths[rows, :width]
        hidden_from = np.where(np.arange(span) < lengths[rows, None], np.float32(0), np.float32(-np.inf))
        groups.append((rows, padded, hidden_from))
    return groups


def tiled(x: Floats, matrix: Floats) -> Floats:
    """`x @ matrix`, tile by tile.

    >>> eye = np.eye(3, dtype=np.float32)
    >>> bool((tiled(np.ones((9, 3), np.float32), eye) == 1).all())
    True
    """
    out = np.empty((len(x), matrix.shape[1]), np.float32)
    for begin in range(0, len(x), TILE):
        rows = np.zeros((TILE, x.shape[1]), np.float32)
        rows[: len(x) - begin] = x[begin : begin + TILE]
        out[begin : begin + TILE] = (rows @ matrix)[: len(x) - begin]
    return out
