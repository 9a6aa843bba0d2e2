"""`scansion train`: reinforcement learning and distribution matching with rollouts of a guaranteed form.

Exit codes: 0 the run is complete; 2 the configuration or a checkpoint is wrong, or nothing can be learned; 130
interrupted: called again, it goes on from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from decoding.terminal import console, messages, table

if TYPE_CHECKING:
    from decoding.rl.training import Outcome

_SHOWN = ("reward", "legal_mass", "kl", "ess", "valid")


def train(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What is to be trained, and how.")],
) -> None:
    """Train a model on rollouts that keep a form. Called again, a run goes on where it was interrupted.

    \b
    scansion train sums.toml
    accelerate launch --num_processes 2 -m decoding.rl sums.toml    # one process for each GPU
    torchrun --nproc_per_node 2 -m decoding.rl sums.toml            # the same on processors
    python -c "import decoding.rl.configuration as c; print(c.__doc__)"    # every setting
    """
    from decoding.rl.extras import require

    require("torch", "transformers", "accelerate")
    from decoding.rl.configuration import read_configuration
    from decoding.rl.training import train as run

    made = read_configuration(configuration)
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )
    with bar:
        task = bar.add_task("training", total=made.steps, told="")
        outcome = run(made, lambda step, figures: bar.update(task, completed=step, told=_told(figures)))
    _show(outcome)


def _told(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {figures[name]:.3f}" for name in _SHOWN if name in figures)


def _show(outcome: Outcome) -> None:
    shown = table("figure", "at the end")
    shown.columns[1].justify = "right"
    for name in _SHOWN:
        if name in outcome.figures:
            shown.add_row(name.replace("_", " "), f"{outcome.figures[name]:.4f}")
    console.print(shown)
    begun = f", resumed at {outcome.began_at}" if outcome.began_at else ""
    console.print(f"{outcome.steps} steps{begun}; model, metrics and curves are in {outcome.folder}")
    if outcome.incidents:
        messages.print(f"left out: {outcome.incidents.told()}")
