"""Figures of several processes as one: each draws for its own prompts, what is told is about all of them.

Outside of `accelerate launch` and `torchrun` there is one process, and nothing is gathered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import torch

from decoding.rl.incidents import Incidents

_TOTALS = ("rollouts", "tokens_per_second")


def together(figures: Mapping[str, float]) -> dict[str, float]:
    """The mean over the processes that have a figure, the sum of what is a number of things. A process without rollouts
    has an opinion on nothing but their number.

    >>> together({"rollouts": 8.0, "reward": 0.5})
    {'rollouts': 8.0, 'reward': 0.5}
    """
    parts = [part for part in gathered(figures) if part.get("rollouts", 1)] or [figures]
    names = dict.fromkeys(name for part in parts for name in part)
    columns = {name: [part[name] for part in parts if name in part] for name in names}
    return {name: sum(column) / (1 if name in _TOTALS else len(column)) for name, column in columns.items()}


def summed(figures: Mapping[str, float]) -> dict[str, float]:
    """The sum over all processes.

    >>> summed({"incidents/unfinished": 2.0})
    {'incidents/unfinished': 2.0}
    """
    parts = gathered(figures)
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0.0) for part in parts) for name in names}


def incident_figures(incidents: Incidents) -> dict[str, float]:
    """As they stand in a metrics file.

    >>> incident_figures(Incidents(unfinished=2))
    {'incidents/unfinished': 2.0}
    """
    return {f"incidents/{name}": float(count) for name, count in incidents.items()}


def gathered(figures: Mapping[str, float]) -> Sequence[Mapping[str, float]]:
    """Those of all processes; every process must ask."""
    distributed: Any = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return [figures]
    gather: Any = import_module("accelerate.utils").gather_object
    return gather([dict(figures)])
