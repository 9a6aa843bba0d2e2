"""Checkpoints that a kill cannot damage, and that resume to the bit.

A checkpoint is one file, written beside its final name and then renamed, so it is there as a whole or not at all. It
holds everything that the next step depends on: weights, optimiser, step, what was estimated so far. Nothing else is
random: draws follow from seed and step alone.
"""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch

from decoding.rl.errors import BadCheckpoint

_NAME = re.compile(r"step-(\d{8})\.pt")


def write_checkpoint(folder: Path, step: int, content: dict[str, Any], keep: int = 2) -> Path:
    """Write the checkpoint of a step, and remove all but the latest `keep`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for step in (1, 2, 3):
    ...     _ = write_checkpoint(folder, step, {"weights": torch.zeros(1)})
    >>> [path.name for path in checkpoints(folder)], latest_checkpoint(folder)[0]
    (['step-00000002.pt', 'step-00000003.pt'], 3)
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08}.pt"
    spare = path.with_suffix(".part")
    with spare.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(spare, path)
    for old in checkpoints(folder)[: -max(keep, 1)]:
        old.unlink()
    return path


def checkpoints(folder: Path) -> list[Path]:
    """All checkpoints of a folder, the oldest first."""
    return sorted(path for path in folder.glob("step-*.pt") if _NAME.fullmatch(path.name))


def latest_checkpoint(folder: Path) -> tuple[int, dict[str, Any]]:
    """The latest checkpoint: its step and content; step 0 and nothing if there is none."""
    found = checkpoints(folder)
    if not found:
        return 0, {}
    match = _NAME.fullmatch(found[-1].name)
    try:
        content = torch.load(found[-1], map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise BadCheckpoint(
            f"{found[-1].name} cannot be read: {str(error).splitlines()[0]}",
            hint="remove it to resume from the one before",
        ) from error
    return int(match[1]) if match else 0, content
