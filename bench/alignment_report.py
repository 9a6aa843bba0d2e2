"""What `alignment.py` measured: tables, JSON, Markdown and a picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

CONTROLLER = "Auto"
RIVALS = ("Rejection",)
RIVAL_MAKERS = ("as published", "genlm-control")
"""Of whose errors the least is what `Auto` is measured by."""
GOALS = {100: 1.0, 300: 1.0, 1000: 1 / 3}
_TINY = 1e-6  # an error that is rounding
_SHOWN_LEAST = 1e-3  # smaller errors are drawn as this


@dataclass(frozen=True)
class Cell:
    """One contender in one world at one budget; errors are root mean squares over its runs."""

    world: str
    kind: str
    sampler: str
    maker: str
    budget: int
    error: float
    found_error: float
    distance: float
    """Total variation, the mean over the runs."""
    distinct: float
    logical: float
    seconds: float
    draws: float
    ess: float
    width: float
    chose: str

    @classmethod
    def of(
        cls,
        world: str,
        kind: str,
        sampler: str,
        maker: str,
        budget: int,
        own: list[float],
        found: list[float],
        distances: list[float],
        numbers: list[tuple[float, ...]],
        chose: str,
    ) -> Cell:
        """The cell of some runs."""
        means = np.array(numbers, np.float64).mean(axis=0).tolist()
        squares = [float(np.sqrt(np.mean(np.square(errors)))) for errors in (own, found)]
        return cls(world, kind, sampler, maker, budget, *squares, float(np.mean(distances)), *means, chose)

    @property
    def best(self) -> float:
        """With the found set, if that is better."""
        return min(self.error, self.found_error)


Results = list[Cell]


def is_rival(cell: Cell) -> bool:
    """Whether `Auto` has to be better than this one."""
    return cell.sampler in RIVALS or cell.maker in RIVAL_MAKERS


@dataclass(frozen=True)
class Ratio:
    """`Auto` over the best rival in one world at one budget."""

    world: str
    kind: str
    budget: int
    error: float
    rival: float
    name: str

    @property
    def value(self) -> float:
        return max(self.error, _TINY) / max(self.rival, _TINY)


def ratios(results: Results) -> list[Ratio]:
    """In every world and at every budget."""
    found = list[Ratio]()
    for cell in results:
        rivals = [c for c in results if (c.world, c.budget) == (cell.world, cell.budget) and is_rival(c)]
        if cell.sampler == CONTROLLER and rivals:
            best = min(rivals, key=lambda c: c.best)
            found.append(Ratio(cell.world, cell.kind, cell.budget, cell.error, best.best, best.sampler))
    return found


def medians(results: Results) -> dict[int, float]:
    """The median ratio for each budget."""
    by_budget: dict[int, list[float]] = {}
    for ratio in ratios(results):
        by_budget.setdefault(ratio.budget, []).append(ratio.value)
    return {budget: float(np.median(values)) for budget, values in by_budget.items()}


# -- tables -----------------------------------------------------------------------------------------------------------


def print_report(results: Results, about: dict[str, Any], console: Console) -> None:
    """Print everything."""
    console.print(_table("Errors: median over the worlds", *summary(results, about["budgets"])))
    if ratios(results):
        console.print(_table("Auto and its best rival, world by world", *duels(results, about["budgets"])))
        for budget, value in medians(results).items():
            goal = GOALS.get(budget, 1.0)
            verdict = "reached" if value <= goal else "missed"
            console.print(f"median ratio at {budget} calls: {value:.2f}, wanted at most {goal:.2f}: {verdict}")


Rows = tuple[list[str], list[list[str]]]


def _table(title: str, columns: list[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    return table


def summary(results: Results, budgets: Sequence[int]) -> Rows:
    """A row for each sampler: the median error at each budget, with found sets and without, and what it took."""
    columns = ["sampler", *(f"error at {b}" for b in budgets), *(f"with found set at {b}" for b in budgets)]
    columns += ["total variation", "distinct", "logical", "seconds", "draws"]
    rows = list[list[str]]()
    for name in dict.fromkeys(cell.sampler for cell in results):
        mine = [[c for c in results if c.sampler == name and c.budget == b] for b in budgets]
        last = mine[-1]
        row = [name, *(_number(c.error for c in at) for at in mine), *(_number(c.best for c in at) for at in mine)]
        row += [_number(c.distance for c in last), _number(c.distinct for c in last), _number(c.logical for c in last)]
        rows.append([*row, _number(c.seconds for c in last), _number(c.draws for c in last)])
    return columns, rows


def duels(results: Results, budgets: Sequence[int]) -> Rows:
    """A row for each world: the error of `Auto`, that of the best rival, and who that is."""
    found = ratios(results)
    columns = ["world", *(f"{b} calls" for b in budgets), "best rival at the end", "chose"]
    rows = list[list[str]]()
    for world in dict.fromkeys(ratio.world for ratio in found):
        mine = [ratio for ratio in found if ratio.world == world]
        told = [f"{r.error:.3f} / {r.rival:.3f} = {r.value:.2f}" for r in mine]
        chose = next(c.chose for c in reversed(results) if c.world == world and c.sampler == CONTROLLER)
        rows.append([world, *told, mine[-1].name, chose])
    return columns, rows


def _number(values: Iterable[float]) -> str:
    kept = [v for v in values if not np.isnan(v)]
    if not kept:
        return ""
    median = float(np.median(kept))
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"


# -- files ------------------------------------------------------------------------------------------------------------


def write_report(results: Results, about: dict[str, Any], folder: Path) -> None:
    """Write JSON, Markdown and the picture."""
    write_json(results, about, folder)
    text = [markdown(*summary(results, about["budgets"]))]
    if ratios(results):
        text.append(markdown(*duels(results, about["budgets"])))
    (folder / "alignment.md").write_text("\n".join(text))
    draw(results, about["budgets"], folder / "alignment.png")
    print(f"written: {folder / 'alignment.json'}, alignment.md, alignment.png")


def write_json(results: Results, about: dict[str, Any], folder: Path) -> None:
    """Write everything that was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [{name: _short(value) for name, value in asdict(cell).items()} for cell in results]
    content = {"about": about, "medians": medians(results), "cells": cells}
    (folder / "alignment.json").write_text(json.dumps(content, indent=1) + "\n")


def _short(value: Any) -> Any:
    """Four digits; nothing for what is not known."""
    if not isinstance(value, float):
        return value
    return None if np.isnan(value) else float(f"{value:.4g}")


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


SHOWN = {
    "Auto": ("#1b6ca8", "-", 2.6),
    "BTW": ("#1b6ca8", ":", 1.6),
    "Masking": ("#8d99ae", "-", 1.4),
    "Rejection": ("#e9a23b", "-", 1.4),
    "CARS (paper)": ("#6a994e", "-", 1.4),
    "ASAp (paper)": ("#9d4edd", "-", 1.4),
    "MCMC priority (paper)": ("#bc6c25", "-", 1.4),
    "AWRS-SMC, 50 particles (genlm)": ("#d1495b", "-", 1.8),
    "mask-SMC, 50 particles (genlm)": ("#d1495b", "--", 1.8),
}


def draw(results: Results, budgets: Sequence[int], file: Path) -> None:
    """Error against calls for each kind of world, then the certificate and the effective sample size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds = list(dict.fromkeys(cell.kind for cell in results))
    width = len(kinds) + 2
    figure, panels = pyplot.subplots(1, width, figsize=(3.1 * width, 3.7), layout="constrained")
    for panel, kind in zip(panels, kinds, strict=False):
        _errors(panel, [c for c in results if c.kind == kind], budgets)
        panel.set(title=kind, xlabel="distinct model calls", xscale="log", yscale="log", ylim=(0.8 * _SHOWN_LEAST, 2.0))
    panels[0].set_ylabel("error, in standard deviations")
    _certificates(panels[-2], results, budgets)
    _sizes(panels[-1], results, budgets)
    for panel in panels:
        panel.grid(True, which="major", alpha=0.3)
        panel.set_xticks(budgets, [f"{b:,}" for b in budgets])
        panel.minorticks_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.savefig(file, dpi=80)
    pyplot.close(figure)


def _median(results: Results, sampler: str, budgets: Sequence[int], value: Any) -> list[float]:
    rows = [[value(c) for c in results if c.sampler == sampler and c.budget == b] for b in budgets]
    return [float(np.nanmedian(row)) if row and not np.isnan(row).all() else np.nan for row in rows]


def _errors(panel: Any, results: Results, budgets: Sequence[int]) -> None:
    for sampler, (colour, line, width) in SHOWN.items():
        value = (lambda c: c.error) if sampler in (CONTROLLER, "BTW", "Masking") else (lambda c: c.best)
        errors = _median(results, sampler, budgets, value)
        panel.plot(
            budgets, np.maximum(errors, _SHOWN_LEAST), line, color=colour, lw=width, label=sampler, marker=".", ms=5
        )
    lengths = [c.distinct / c.draws for c in results if c.sampler == "Masking" and c.draws and c.distinct]
    ideal = [1 / np.sqrt(max(b / max(np.median(lengths), 1.0), 1.0)) for b in budgets] if lengths else []
    if ideal:
        low, high = np.array(ideal) * 0.75, np.array(ideal) * 1.25
        panel.fill_between(budgets, low, high, color="#000000", alpha=0.1, label="as many exact draws", lw=0)


def _certificates(panel: Any, results: Results, budgets: Sequence[int]) -> None:
    for sampler, colour in (("Auto", "#1b6ca8"), ("BTW", "#8d99ae"), ("CARS", "#6a994e"), ("ASAp", "#9d4edd")):
        panel.plot(
            budgets, _median(results, sampler, budgets, lambda c: c.width), color=colour, label=sampler, marker="."
        )
    panel.set(title="certified distance", xlabel="distinct model calls", xscale="log", ylim=(0, 1.02))
    panel.legend(frameon=False, fontsize=7)


def _sizes(panel: Any, results: Results, budgets: Sequence[int]) -> None:
    for sampler, (colour, line, width) in SHOWN.items():
        sizes = _median(results, sampler, budgets, lambda c: c.ess / c.draws if c.draws else np.nan)
        panel.plot(budgets, sizes, line, color=colour, lw=width)
    panel.set(title="effective draws, share", xlabel="distinct model calls", xscale="log", ylim=(0, 1.02))
