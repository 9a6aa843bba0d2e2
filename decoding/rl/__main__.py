"""`python -m decoding.rl CONFIG.toml`: what `scansion train` does, as `accelerate launch -m decoding.rl` wants it."""

from __future__ import annotations

import sys
from pathlib import Path

from decoding.rl.configuration import read_configuration
from decoding.rl.training import train
from grammars.errors import ScansionError


def main() -> None:
    """Train by the file that is named."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m decoding.rl CONFIG.toml")
    try:
        train(read_configuration(Path(sys.argv[1])))
    except ScansionError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
