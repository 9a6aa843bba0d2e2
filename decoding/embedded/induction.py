r"""Initial weights that can already copy.

What a small model learns last is to repeat what stands in its context: after "Vexo" write what followed "Vexo"
before. Two attention heads in successive layers do that (Olsson et al., "In-context Learning and Induction Heads",
2022), neither of which is of any use without the other, so gradients find them by chance and late: with random
initial weights nothing was copied after two million tokens. Here they are built in by hand and training goes on from
there.

The coordinates of the residual stream are divided: token codes, one coordinate that is the same for all tokens, and
64 that are empty at first.

* The first layer has a head that looks at the previous token. Its queries and keys read the constant alone, so its
  scores depend on distance alone, by the rotation of pair i by θ_i per position: Σ_i cos(θ_i (distance - 1)), the
  largest at distance 1. It writes a projection P of that token's code into the empty coordinates.
* The second layer has a head that compares P of its own token with what the first head wrote, and so finds the
  places *after* earlier occurrences of its own token. It compares in the slowly rotating pairs, which hardly know
  distance. The code of the token that stands there is what it writes: the guess for the next one.
"""

from __future__ import annotations

from typing import Any

CONSTANT = 4.0
CODE = 0.5  # root mean square of the token codes
NEARNESS = 0.8  # gain of the scores by distance
LIKENESS = 1.6  # gain of the scores by content
WRITTEN = 0.7  # gain of what the first head reads and writes, each
CERTAINTY = 0.08  # of the final norm: with large codes logits would be too sure
COPIED = 0.8  # the same of the second
SLOW = 0.5  # the share of pairs, the slowest, in which content is compared


def build_in(model: Any) -> None:
    """Change the initial weights of a Llama of at least two layers: give it the two heads."""
    import torch

    weights, config = model.model, model.config
    size, codes = config.head_dim, config.hidden_size - config.head_dim - 1
    with torch.no_grad():
        _divide(weights.embed_tokens.weight, codes)
        projection = _orthonormal_rows(size, codes)
        _look_back(weights.layers[0].self_attn, projection, config)
        _look_alike(weights.layers[1].self_attn, projection, config)
        weights.norm.weight.fill_(CERTAINTY)


def _divide(embedding: Any, codes: int) -> None:
    """Codes of equal length: so the constant is the same for all tokens after normalisation, too."""
    import torch

    embedding[:, :codes] = CODE * codes**0.5 * torch.nn.functional.normalize(torch.randn(len(embedding), codes))
    embedding[:, codes] = CONSTANT
    embedding[:, codes + 1 :] = 0.0


def _orthonormal_rows(rows: int, columns: int) -> Any:
    """A random projection; fewer columns than rows leave the rest of the rows zero."""
    import torch

    kept = min(rows, columns)
    projection = torch.zeros(rows, columns)
    projection[:kept] = torch.linalg.qr(torch.randn(columns, kept)).Q.T
    return projection


def _look_back(attention: Any, projection: Any, config: Any) -> None:
    """Head 0: the code of the previous token, into the coordinates after the constant."""
    import torch

    size, codes = projection.shape
    half = size // 2
    angles = 10000.0 ** (-torch.arange(half) / half)
    head = slice(0, size)
    for matrix in (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight):
        matrix[head] = 0.0
    attention.q_proj.weight[:half, codes] = NEARNESS * torch.cos(angles)
    attention.q_proj.weight[half:size, codes] = -NEARNESS * torch.sin(angles)
    attention.k_proj.weight[:half, codes] = NEARNESS
    attention.v_proj.weight[head, :codes] = WRITTEN * projection
    attention.o_proj.weight[:, head] = 0.0
    attention.o_proj.weight[codes + 1 :, head] = WRITTEN * torch.eye(size)


def _look_alike(attention: Any, projection: Any, config: Any) -> None:
    """Head 0: the code of the token after an earlier occurrence of this one."""
    import torch

    size, codes = projection.shape
    half = size // 2
    slow = (torch.arange(size) % half >= half * (1 - SLOW)).float()[:, None]
    head = slice(0, size)
    for matrix in (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight):
        matrix[head] = 0.0
    attention.q_proj.weight[head, :codes] = LIKENESS * slow * projection
    attention.k_proj.weight[head, codes + 1 :] = LIKENESS * slow * torch.eye(size)
    copied = _orthonormal_rows(size, codes)
    attention.v_proj.weight[head, :codes] = COPIED * copied
    attention.o_proj.weight[:, head] = 0.0
    attention.o_proj.weight[:codes, head] = COPIED * copied.T
