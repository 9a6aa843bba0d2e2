"""Figures of a run, a JSON object per step: `metrics.jsonl`; curves in `metrics.svg`; events for TensorBoard, if that
is installed.

A run that was killed goes on from its checkpoint: lines of later steps are cut off and written again, the same as they
were. So figures that depend on the clock stand in a file of their own, `speed.jsonl`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from decoding.pictures import save
from decoding.rl.plots import panels_picture

OF_THE_CLOCK = ("tokens_per_second", "seconds", "step_time")
SHOWN = ("reward", "legal_mass", "kl", "kl_in_language", "ess", "entropy", "valid", "length")


class Metrics:
    """The figures of one run, in a folder.

    >>> import tempfile
    >>> log = Metrics(Path(tempfile.mkdtemp()))
    >>> log.write(1, {"reward": 0.5, "seconds": 2.0})
    >>> log.write(2, {"reward": float("nan")})
    >>> (log.folder / "metrics.jsonl").read_text().splitlines()
    ['{"step": 1, "reward": 0.5}', '{"step": 2, "reward": null}']
    """

    def __init__(self, folder: Path, after: int = 0, with_events: bool = False):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._files = (folder / "metrics.jsonl", folder / "speed.jsonl")
        for file in self._files:
            _cut(file, after)
        self._events = _events(folder, after) if with_events else None

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """The figures of a step; NaN becomes null."""
        steady = {name: value for name, value in figures.items() if name not in OF_THE_CLOCK}
        timed = {name: value for name, value in figures.items() if name in OF_THE_CLOCK}
        for file, part in zip(self._files, (steady, timed), strict=True):
            if part:
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(
                        json.dumps({"step": step} | {name: _plain(value) for name, value in part.items()}) + "\n"
                    )
        if self._events is not None:
            for name, value in figures.items():
                self._events.add_scalar(name, value, step)

    def rows(self) -> list[dict[str, Any]]:
        """All lines so far."""
        return _rows(self._files[0])

    def draw(self, title: str) -> Path:
        """The curves of what is known, as `metrics.svg`."""
        rows = self.rows()
        figures = {name: [_number(row.get(name)) for row in rows] for name in SHOWN}
        steps = [row["step"] for row in rows]
        save(panels_picture(title, figures, steps), self.folder / "metrics.svg")
        return self.folder / "metrics.svg"

    def close(self) -> None:
        """Let go of the events."""
        if self._events is not None:
            self._events.close()


def _cut(file: Path, after: int) -> None:
    """Drop the lines of steps behind `after`, and what a kill left of a line."""
    if file.exists():
        kept = "".join(json.dumps(row) + "\n" for row in _rows(file) if row["step"] <= after)
        spare = file.with_suffix(".part")
        spare.write_text(kept, "utf-8")
        os.replace(spare, file)


def _rows(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _events(folder: Path, after: int) -> Any:
    if find_spec("tensorboard") is None:
        return None
    writer: Any = import_module("torch.utils.tensorboard").SummaryWriter
    return writer(str(folder / "events"), purge_step=after + 1)
