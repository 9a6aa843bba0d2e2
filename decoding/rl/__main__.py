"""`python -m decoding.rl CONFIG.toml`: what `scansion train` does, as `accelerate launch -m decoding.rl` wants it."""

from __future__ import annotations

import logging
import os
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
    """End several processes when all are done, and at once: gloo's threads may hold tensors, and abort a process whose
    interpreter is taken apart around them (https://github.com/pytorch/pytorch/pull/179291). All is written by now."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
