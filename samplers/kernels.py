"""Compiled inner loops over log-probabilities and bit masks.

A mask is a row of uint32 words, bit t % 32 of word t // 32 stands for token t. All sums are float64 and taken relative
to the largest allowed entry of their row, so a row whose allowed mass is 1e-300 is as exact as any other. Tokens are
drawn by inversion: sums of blocks of 1,024 tokens first, then inside one block, so a token of probability 1e-12 in a
vocabulary of 131,000 is drawn as often as it should be.
"""

from __future__ import annotations

import math
from typing import Any

from grammars.kernels.policy import kernel

Floats = Any  # float64
Ints = Any  # int64
Mask = Any  # uint32

BLOCK_WORDS = 32  # words of one block of partial sums


@kernel
def sum_allowed(log_probs: Floats, masks: Mask, highest: Floats, blocks: Floats) -> None:
    """Per row the largest allowed entry, and sums of exp(entry - largest) over each block."""
    size = log_probs.shape[1]
    for row in range(len(log_probs)):
        top = -math.inf
        for word in range(masks.shape[1]):
            bits = int(masks[row, word])
            token = word * 32
            while bits != 0 and token < size:
                if bits & 1 and log_probs[row, token] > top:
                    top = log_probs[row, token]
                bits >>= 1
                token += 1
        highest[row] = top
        for block in range(blocks.shape[1]):
            blocks[row, block] = 0.0
        if top == -math.inf:
            continue
        for word in range(masks.shape[1]):
            bits = int(masks[row, word])
            token = word * 32
            total = 0.0
            while bits != 0 and token < size:
                if bits & 1:
                    total += math.exp(log_probs[row, token] - top)
                bits >>= 1
                token += 1
            blocks[row, word // BLOCK_WORDS] += total


@kernel
def draw_allowed(
    log_probs: Floats,
    masks: Mask,
    highest: Floats,
    blocks: Floats,
    rows: Ints,
    uniforms: Floats,
    tokens: Ints,
) -> None:
    """Draw a token for each entry of `rows` from the allowed ones of that row; -1 where nothing has mass."""
    size = log_probs.shape[1]
    for i in range(len(rows)):
        row = rows[i]
        tokens[i] = -1
        top = highest[row]
        if top == -math.inf:
            continue
        total = 0.0
        for block in range(blocks.shape[1]):
            total += blocks[row, block]
        left = uniforms[i] * total
        chosen = -1
        for block in range(blocks.shape[1]):
            if blocks[row, block] > 0.0:
                chosen = block
                if left < blocks[row, block]:
                    break
                left -= blocks[row, block]
        found = False
        for word in range(chosen * BLOCK_WORDS, min((chosen + 1) * BLOCK_WORDS, masks.shape[1])):
            bits = int(masks[row, word])
            token = word * 32
            while bits != 0 and token < size:
                if bits & 1:
                    mass = math.exp(log_probs[row, token] - top)
                    if mass > 0.0:
                        tokens[i] = token
                        if left < mass:
                            found = True
                            break
                        left -= mass
                bits >>= 1
                token += 1
            if found:
                break


@kernel
def best_allowed(log_probs: Floats, masks: Mask, tokens: Ints) -> None:
    """Per row the likeliest allowed token, the first of several; -1 where nothing has mass."""
    size = log_probs.shape[1]
    for row in range(len(log_probs)):
        top = -math.inf
        tokens[row] = -1
        for word in range(masks.shape[1]):
            bits = int(masks[row, word])
            token = word * 32
            while bits != 0 and token < size:
                if bits & 1 and log_probs[row, token] > top:
                    top = log_probs[row, token]
                    tokens[row] = token
                bits >>= 1
                token += 1
