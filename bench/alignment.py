"""Alignment: how far from the model's own distribution, after how many model calls.

    python bench/alignment.py [--full] [--worlds peaked,date] [--samplers Auto,CARS] [--no-genlm] [--out FOLDER]

Every sampler of this project, ASAp, CARS and MCMC as their papers have them (`published.py`), and genlm-control's
sequential Monte Carlo (installed into an environment of its own, run as a process) spend 100, 300 and 1,000 distinct
model calls in each of the worlds of `worlds/`, all with a cache of their own calls. The error of what they then say is
that of the expectations of test functions in standard deviations (`worlds.truth`): n independent draws from the target
have 1/√n, which is the band in the pictures. *Found set*: the different texts that were found, weighted by their exact
probabilities, which every method gets for nothing.

Distinct calls are prefixes that the model had to compute, logical calls count each sequence that needed one. Seconds
are processor time of samplers, here with a model that costs nothing. A run ends early when it has made 10 times as many
logical calls as it has distinct ones to spend, or after five seconds (genlm-control: ten).

Six of the worlds and two runs of each sampler take about five minutes; `--full` means all eighteen, and more runs.
Writes `alignment.json`, `alignment.md` and `alignment.png` to the folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from alignment_report import Cell, Results, print_report, write_json, write_report
from contenders import Contender, GenlmContender, Reading, genlm_contenders, ours, papers
from peers import PEER, VERSION, Absent, genlm
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from worlds import Truth, World, chosen, solved

BUDGETS = (100, 300, 1000)
QUICK = "has cab,groups,counted,date"


def main() -> None:
    options = arguments()
    console = Console()
    peer = None if options.no_genlm else genlm(options.genlm, console.print)
    contenders: list[Contender | GenlmContender] = [*ours(), *papers()]
    contenders += genlm_contenders(peer) if peer else []
    wanted = options.samplers.split(",") if options.samplers else [""]
    contenders = [c for c in contenders if any(name in c.name for name in wanted)]
    about = {"budgets": BUDGETS, "runs": options.runs, "peer_runs": options.peer_runs, "peer": f"{PEER} {VERSION}"}
    results: Results = []
    for so_far in measure(chosen(options.worlds), contenders, options, console):
        results = so_far
        write_json(results, about, options.out)  # a run that is stopped has not been for nothing
    if peer:
        peer.stop()
    print_report(results, about, console)
    write_report(results, about, options.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The error of samplers against the model calls they spend.")
    parser.add_argument(
        "--full", action="store_true", help="all worlds, six runs of each sampler, two of genlm-control"
    )
    parser.add_argument("--worlds", help="parts of names, separated by commas; a few if not said")
    parser.add_argument("--samplers", default="", help="parts of names, separated by commas; all if not said")
    parser.add_argument("--runs", type=int, help="runs of each sampler in each world")
    parser.add_argument("--peer-runs", type=int, help=f"runs of {PEER}, which takes longer")
    parser.add_argument("--no-genlm", action="store_true", help=f"without {PEER}")
    parser.add_argument("--genlm", type=Path, help=f"the Python of an environment that has {PEER} already")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    worlds, runs, peer_runs = ("", 6, 2) if options.full else (QUICK, 2, 1)
    options.worlds = worlds if options.worlds is None else options.worlds
    options.runs, options.peer_runs = options.runs or runs, options.peer_runs or peer_runs
    return options


def measure(
    worlds: Sequence[World],
    contenders: Sequence[Contender | GenlmContender],
    options: argparse.Namespace,
    console: Console,
) -> Iterator[Results]:
    """Everybody in every world; what is known after each."""
    results: Results = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("worlds", total=len(worlds) * len(contenders))
        for world in worlds:
            progress.update(task, description=f"{world.name}: enumerating")
            truth = solved(world)
            for contender in contenders:
                progress.update(task, description=f"{world.name}: {contender.name}")
                count = options.peer_runs if contender.maker == PEER else options.runs
                results.extend(cells(truth, contender, range(count), console.print))
                progress.advance(task)
            yield results


def cells(truth: Truth, contender: Contender | GenlmContender, seeds: Sequence[int], say: Any) -> list[Cell]:
    """One contender in one world, a cell for each budget."""
    try:
        runs = contender.runs(truth, seeds, BUDGETS)
    except Absent as reason:
        say(f"{truth.world.name}, {contender.name}: {reason}")
        return []
    return [cell(truth, contender, budget, [run[i] for run in runs]) for i, budget in enumerate(BUDGETS)]


def cell(truth: Truth, contender: Contender | GenlmContender, budget: int, readings: list[Reading]) -> Cell:
    """What the runs of one contender have to say at one budget."""
    own = [truth.error(r.weights) for r in readings]
    found = [truth.error(truth.found(r.found)) for r in readings]
    distances = [truth.total_variation(r.weights) for r in readings]
    numbers = [(r.distinct, r.logical, r.seconds, r.draws, r.ess, r.width) for r in readings]
    chose = [r.chose for r in readings if r.chose]
    place = truth.world.name, truth.world.kind, contender.name, contender.maker, budget
    return Cell.of(*place, own, found, distances, numbers, max(set(chose), key=chose.count) if chose else "")


if __name__ == "__main__":
    main()
