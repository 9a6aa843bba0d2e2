"""`python -m decoding.rl CONFIG.toml`: what `scansion train` does, as `accelerate launch -m decoding.rl` wants it."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import distributed

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
    _leave_together()


def _leave_together() -> None:
    """End what several processes share before any of them ends: its threads abort the process that they outlive."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
