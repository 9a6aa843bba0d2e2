"""An order: what a request wants to be written, and how."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoding.server.drawing import Knobs
from decoding.server.turns import Turn
from samplers.protocols import Sampler

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """What is to be written: by which turn, how, and how many of them behind each prompt."""

    prompts: tuple[Ints, ...]
    turn: Turn
    knobs: Knobs = field(default_factory=Knobs)
    max_tokens: int | None = None
    n: int = 1
    seed: int | None = None
    stops: tuple[str, ...] = ()
    top: int | None = None
    """How many alternatives are told of each token; None: nothing."""
    sampler: Sampler | None = None
    source: str = "prompt"
    """The field from which the prompt came."""
    piecewise: bool = True
    """Whether somebody reads the text while it is written."""
    watched: bool = False
    """Whether it is told how much the mask held."""

    @property
    def prompt_tokens(self) -> int:
        """The tokens that are read."""
        return sum(map(len, self.prompts))
