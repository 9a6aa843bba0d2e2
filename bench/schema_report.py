"""What `maskbench.py` measured, as a table, as JSON and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import COLOURS, OURS, PEER, rounded
from rich.console import Console
from rich.table import Table
from schema_worker import Outcome

Outcomes = dict[str, list[Outcome]]
Times = NDArray[np.float64]

MASK_COLUMNS = ("mean", "p50", "p90", "p99", "p99.9", "max")
FIRST_COLUMNS = ("mean", "p50", "p99", "max")
GOALS = (("masks", "mean", 1.0), ("masks", "p99.9", 2.0), ("first", "p50", 2.0))  # ratios of this project over PEER
MOST_MEMORY = 1 << 30


def masks(outcomes: list[Outcome]) -> Times:
    """Microseconds of all masks."""
    return np.array([time for outcome in outcomes for time in outcome.masks], np.float64) / 1000


def firsts(outcomes: list[Outcome]) -> Times:
    """Microseconds from schema text to first mask, of the schemas that were compiled."""
    return np.array([outcome.first for outcome in outcomes if outcome.compiled], np.float64) / 1000


def quantiles(times: Times, columns: tuple[str, ...]) -> dict[str, float]:
    """The mean, the maximum and percentiles, by name."""
    if not len(times):
        return dict.fromkeys(columns, float("nan"))
    special = {"mean": times.mean(), "max": times.max()}
    return {
        name: float(special[name] if name in special else np.percentile(times, float(name[1:]))) for name in columns
    }


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """One engine's row."""
    judged = [pair for outcome in outcomes if outcome.compiled for pair in outcome.accepted]
    commits = np.array([time for outcome in outcomes for time in outcome.commits], np.float64) / 1000
    return {
        "schemas": len(outcomes),
        "compiled": sum(outcome.compiled for outcome in outcomes),
        "right": sum(outcome.is_right for outcome in outcomes),
        "valid": [sum(accepted for valid, accepted in judged if valid), sum(valid for valid, _ in judged)],
        "invalid": [
            sum(not accepted for valid, accepted in judged if not valid),
            sum(not valid for valid, _ in judged),
        ],
        "masks": quantiles(masks(outcomes), MASK_COLUMNS),
        "commits": quantiles(commits, MASK_COLUMNS),
        "first": quantiles(firsts(outcomes), FIRST_COLUMNS),
        "memory": max((outcome.memory for outcome in outcomes), default=0),
    }


def shared(outcomes: Outcomes) -> Outcomes:
    """The schemas that every engine compiled: only on these are times comparable."""
    compiled = [{o.name for o in mine if o.compiled} for mine in outcomes.values()]
    names = set.intersection(*compiled) if compiled else set[str]()
    return {engine: [o for o in mine if o.name in names] for engine, mine in outcomes.items()}


def ratios(outcomes: Outcomes) -> list[tuple[str, float, float, bool]]:
    """This project over its peer on the schemas both compiled: name, measured, wanted at most, reached."""
    both = {engine: summary(mine) for engine, mine in shared({e: outcomes[e] for e in (OURS, PEER)}).items()}
    rows = [
        (f"{'TBM' if part == 'masks' else 'TTFM'} {column}", both[OURS][part][column] / both[PEER][part][column], goal)
        for part, column, goal in GOALS
    ]
    rows.append(("peak memory, of 1 GiB", summary(outcomes[OURS])["memory"] / MOST_MEMORY, 1.0))
    return [(name, value, goal, value <= goal) for name, value, goal in rows]


# -- tables -------------------------------------------------------------------------------------------------------


def print_report(outcomes: Outcomes, machine: dict[str, Any]) -> None:
    """Print everything."""
    console = Console(width=200)
    title = (
        f"{machine['schemas']} schemas, {machine['vocabulary']}, {machine['tokens']:,} tokens; µs; {machine['engines']}"
    )
    console.print(_table(outcomes, f"MaskBench: {title}; load {machine['load_average']}"))
    console.print(_table(shared(outcomes), "The schemas that all of them compiled"))
    if OURS in outcomes and PEER in outcomes:
        console.print(_goal_table(outcomes))
    console.print(_wrong_table(outcomes))


def _table(outcomes: Outcomes, title: str) -> Table:
    table = Table(title=title)
    table.add_column("engine")
    names = ["compiled", "every instance right", "valid accepted", "invalid rejected"]
    names += [f"TBM {MASK_COLUMNS[0]}", *MASK_COLUMNS[1:], f"TTFM {FIRST_COLUMNS[0]}", *FIRST_COLUMNS[1:], "peak MB"]
    for name in names:
        table.add_column(name, justify="right")
    for engine, mine in outcomes.items():
        s = summary(mine)
        counts = [f"{s['compiled']:,} ({_percent(s['compiled'], s['schemas'])})", f"{s['right']:,}"]
        shares = [_percent(*s["valid"]), _percent(*s["invalid"])]
        times = [_us(s["masks"][c]) for c in MASK_COLUMNS] + [_us(s["first"][c]) for c in FIRST_COLUMNS]
        table.add_row(engine, *counts, *shares, *times, f"{s['memory'] / 1e6:,.0f}")
    return table


def _goal_table(outcomes: Outcomes) -> Table:
    table = Table(title=f"{OURS} over {PEER}, on the schemas both compiled")
    for column in ("goal", "measured", "wanted at most", ""):
        table.add_column(column, justify="left" if column in ("goal", "") else "right")
    for name, value, goal, reached in ratios(outcomes):
        table.add_row(name, f"{value:.2f}", f"{goal:.2f}", "reached" if reached else "missed")
    return table


def _wrong_table(outcomes: Outcomes) -> Table:
    table = Table(title="Refused schemas and wrong verdicts")
    for column in ("engine", "what", "schemas", "for example"):
        table.add_column(column, justify="right" if column == "schemas" else "left")
    for engine, mine in outcomes.items():
        kinds: dict[str, list[Outcome]] = {}
        for outcome in mine:
            if not outcome.is_right:
                kinds.setdefault(_kind(outcome), []).append(outcome)
        for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
            table.add_row(engine, kind, str(len(found)), _plain(f"{found[0].name}: {found[0].error}"[:120]))
    return table


def _kind(outcome: Outcome) -> str:
    if outcome.error:
        return "failed in a mask" if outcome.compiled else "refused"
    if any(valid and not accepted for valid, accepted in outcome.accepted):
        return "refuses a valid instance"
    return "accepts an invalid instance"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else ""


def _us(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


# -- files --------------------------------------------------------------------------------------------------------


def write_report(outcomes: Outcomes, machine: dict[str, Any], folder: Path) -> None:
    """Write `maskbench.json` and `maskbench.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": machine,
        "unit": "microseconds; memory in bytes",
        "all": {engine: summary(mine) for engine, mine in outcomes.items()},
        "compiled by all": {engine: summary(mine) for engine, mine in shared(outcomes).items()},
        "not right": {engine: [_failure(o) for o in mine if not o.is_right] for engine, mine in outcomes.items()},
        "slowest": {engine: _slowest(mine) for engine, mine in outcomes.items()},
    }
    if OURS in outcomes and PEER in outcomes:
        names = ("goal", "measured", "wanted", "reached")
        content["goals"] = [dict(zip(names, row, strict=True)) for row in ratios(outcomes)]
    (folder / "maskbench.json").write_text(json.dumps(rounded(content), indent=1) + "\n", "utf-8")
    _draw(outcomes, machine, folder / "maskbench.png")
    print(f"written: {folder / 'maskbench.json'}, {folder / 'maskbench.png'}")


def _failure(outcome: Outcome) -> dict[str, Any]:
    wrong = [i for i, (valid, accepted) in enumerate(outcome.accepted) if valid != accepted]
    return {"schema": outcome.name, "kind": _kind(outcome), "error": outcome.error, "instances": wrong}


def _slowest(outcomes: list[Outcome]) -> dict[str, list[tuple[str, float]]]:
    """The schemas that take longest to the first mask, and those that hold the slowest masks."""
    first = sorted(((o.name, o.first / 1000) for o in outcomes if o.compiled), key=lambda pair: -pair[1])
    mask = sorted(((o.name, max(o.masks) / 1000) for o in outcomes if o.masks), key=lambda pair: -pair[1])
    total = sorted(((o.name, sum(o.masks) / 1000) for o in outcomes if o.masks), key=lambda pair: -pair[1])
    return {"first": first[:20], "mask": mask[:20], "all masks": total[:20]}


def _draw(outcomes: Outcomes, machine: dict[str, Any], file: Path) -> None:
    """The share of masks, and of schemas, that need longer than a time, on two logarithmic scales."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, pick, title in zip(panels, (masks, firsts), ("One mask", "Schema text to first mask"), strict=True):
        for engine, mine in shared(outcomes).items():
            times = np.sort(pick(mine))
            share = 1 - np.arange(len(times)) / max(1, len(times))
            panel.step(np.maximum(times, 0.05), share, where="post", label=engine, color=COLOURS.get(engine), lw=1.8)
        panel.set(xscale="log", yscale="log", xlabel="microseconds", title=title)
        panel.grid(True, which="major", alpha=0.3)
    panels[0].set_ylabel("share that needs longer")
    panels[0].legend(frameon=False)
    schemas = (
        f"MaskBench, {machine['schemas']} schemas, {machine['vocabulary']} vocabulary of {machine['tokens']:,} tokens"
    )
    figure.suptitle(f"{schemas}, one thread", fontsize=10)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
