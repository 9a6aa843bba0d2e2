r"""A transformer of the Llama architecture, forward only, in numpy.

    x ← E[token]
    in each layer:  x ← x + O · attention(norm(x)),   x ← x + D · (silu(G · norm(x)) ∘ (U · norm(x)))
    log P(next) = log_softmax(E · norm(x))

`norm` divides by the root mean square (RMSNorm); positions enter by rotating queries and keys (RoPE); several query
heads share one pair of key and value heads; E is embedding and output at once.

**A forest instead of sequences.** Positions are nodes: a node is one token after everything on the path to its root.
Keys and values are kept per node in a `Store`; a node attends to the nodes of its path. So one piece of code reads
prompts, extends a hundred sequences at once and serves sequences that share a beginning, which exists once.
Nodes of any depth go through the layers together, as long as ancestors do not come after descendants.

Touvron et al., "LLaMA: Open and Efficient Foundation Language Models" (2023); Su et al., "RoFormer" (2021).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decoding.embedded.weights import read_weights

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """The numbers of `config.json` that the forward pass needs."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    shared_heads: int  # pairs of key and value heads
    head: int
    epsilon: float
    theta: float


@dataclass(frozen=True)
class Layer:
    """The matrices of one layer, as numpy multiplies them: inputs by outputs."""

    attention_norm: Floats
    queries_keys_values: Floats
    output: Floats
    feed_norm: Floats
    gate_and_up: Floats
    down: Floats


class Store:
    """Keys, values and final states of nodes, with room for `capacity` of them."""

    def __init__(self, shape: Shape, capacity: int):
        room = (shape.layers, shape.shared_heads, capacity, shape.head)
        self.keys: Floats = np.zeros(room, np.float32)
        self.values: Floats = np.zeros(room, np.float32)
        self.final: Floats = np.zeros((capacity, shape.hidden), np.float32)

    @property
    def capacity(self) -> int:
        return len(self.final)

    def grow(self, capacity: int) -> None:
        """Make room for more nodes; what is there stays."""
        more = capacity - self.capacity
        self.keys = np.pad(self.keys, ((0, 0), (0, 0), (0, more), (0, 0)))
        self.values = np.pad(self.values, ((0, 0), (0, 0), (0, more), (0, 0)))
        self.final = np.pad(self.final, ((0, more), (0, 0)))


@dataclass(frozen=True)
class Llama:
    """The weights. Immutable, shared by everybody."""

    shape: Shape
    embedding: Floats
    layers: tuple[Layer, ...]
    final_norm: Floats

    def forward(self, tokens: Ints, paths: Ints, lengths: Ints, store: Store) -> None:
        """Compute nodes. Node i stands at the end of `paths[i, :lengths[i]]` and writes `tokens[i]`."""
        nodes = paths[np.arange(len(paths)), lengths - 1]
        turn = self._turn(lengths - 1)
        hidden_from = np.where(np.arange(paths.shape[1]) < lengths[:, None], np.float32(0), np.float32(-np.inf))
        x = self.embedding[tokens]
        for number, layer in enumerate(self.layers):
            q, k, v = self._split(self._norm(x, layer.attention_norm) @ layer.queries_keys_values)
            store.keys[number][:, nodes] = rotated(k, turn)
            store.values[number][:, nodes] = v
            keys, values = store.keys[number][:, paths], store.values[number][:, paths]
            x += self._attend(rotated(q, turn), keys, values, hidden_from) @ layer.output
            gate, up = np.split(self._norm(x, layer.feed_norm) @ layer.gate_and_up, 2, axis=1)
            x += (silu(gate) * up) @ layer.down
        store.final[nodes] = self._norm(x, self.final_norm)

    def log_probs(self, final: Floats) -> NDArray[np.float64]:
        """Log-probabilities of the next token, normalised in double precision."""
        logits = (final @ self.embedding.T).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits

    def _norm(self, x: Floats, weight: Floats) -> Floats:
        return x * (weight / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + np.float32(self.shape.epsilon)))

    def _split(self, joined: Floats) -> tuple[Floats, Floats, Floats]:
        """Queries, keys and values by head: (heads, nodes, size of a head)."""
        shape = self.shape
        by_head = joined.reshape(len(joined), -1, shape.head).transpose(1, 0, 2)
        q, k, v = np.split(by_head, [shape.heads, shape.heads + shape.shared_heads])
        return q, k, v

    def _turn(self, positions: Ints) -> tuple[Floats, Floats]:
        """Cosine and sine of the angles by which the pairs of a head are turned at each position."""
        half = np.arange(0, self.shape.head, 2, dtype=np.float64) / self.shape.head
        angles = positions[:, None] / self.shape.theta**half
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def _attend(self, q: Floats, keys: Floats, values: Floats, hidden_from: Floats) -> Floats:
        """Mix the values of each node's path; keys and values: (shared heads, nodes, path, size of a head)."""
        shared, nodes, _, size = keys.shape
        grouped = q.reshape(shared, -1, nodes, size).transpose(0, 2, 1, 3)
        scores = grouped @ keys.transpose(0, 1, 3, 2) * np.float32(size**-0.5) + hidden_from[:, None, :]
        scores = np.exp(scores - scores.max(axis=3, keepdims=True))
        scores /= scores.sum(axis=3, keepdims=True)
        return (scores @ values).transpose(1, 0, 2, 3).reshape(nodes, -1)


def rotated(heads: Floats, turn: tuple[Floats, Floats]) -> Floats:
    """Each pair (i, i + half) of every head turned by the angle of its position."""
    cosine, sine = turn
    half = heads.shape[2] // 2
    left, right = heads[:, :, :half], heads[:, :, half:]
    turned = np.empty_like(heads)
    turned[:, :, :half] = left * cosine - right * sine
    turned[:, :, half:] = right * cosine + left * sine
    return turned


def silu(x: Floats) -> Floats:
    """x / (1 + exp(-x)), by tanh, which does not overflow."""
    return x * (np.tanh(x * np.float32(0.5)) + 1) * np.float32(0.5)


def read_llama(folder: Path) -> Llama:
    """The model in a folder of Hugging Face: `config.json` and `model.safetensors`."""
    shape = read_shape(folder / "config.json")
    weights = read_weights(folder / "model.safetensors")
    layers = tuple(_layer(weights, f"model.layers.{number}.") for number in range(shape.layers))
    return Llama(shape, weights["model.embed_tokens.weight"], layers, weights["model.norm.weight"])


def read_shape(path: Path) -> Shape:
    config = json.loads(path.read_text("utf-8"))
    return Shape(
        vocabulary=config["vocab_size"],
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        shared_heads=config["num_key_value_heads"],
        head=config["head_dim"],
        epsilon=config["rms_norm_eps"],
        theta=config["rope_theta"],
    )


def _layer(weights: dict[str, Floats], prefix: str) -> Layer:
    def joined(block: str, *names: str) -> Floats:
        return np.concatenate([weights[f"{prefix}{block}.{name}_proj.weight"].T for name in names], axis=1)

    return Layer(
        weights[f"{prefix}input_layernorm.weight"],
        joined("self_attn", "q", "k", "v"),
        joined("self_attn", "o"),
        weights[f"{prefix}post_attention_layernorm.weight"],
        joined("mlp", "gate", "up"),
        joined("mlp", "down"),
    )
