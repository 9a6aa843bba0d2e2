"""What `masks.py` measured, as tables, as JSON and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from agreement import Agreement
from languages import LANGUAGES
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from masks import Measured

    Results = dict[str, dict[str, Measured]]

OURS, PEER = "scansion", "llguidance"
ALL = "all languages"
COLOURS = {"scansion": "#1b6ca8", "llguidance": "#d1495b", "xgrammar": "#8d99ae", "outlines-core": "#e9a23b"}

Times = NDArray[np.float64]


def per_position(rows: list[list[int]]) -> Times:
    """Microseconds of each position: the median over the repetitions."""
    return np.median(np.array(rows, np.float64), axis=0) / 1000 if rows and rows[0] else np.zeros(0)


def summary(times: Times) -> dict[str, float]:
    """Mean, p50, p99 and max."""
    if not len(times):
        return dict.fromkeys(("mean", "p50", "p99", "max"), float("nan"))
    p50, p99 = np.percentile(times, [50, 99])
    return {"mean": float(times.mean()), "p50": float(p50), "p99": float(p99), "max": float(times.max())}


def summarised(m: Measured) -> dict[str, Any]:
    """Everything about one engine on one language, in microseconds and bytes."""
    parts = ("cold", "warm", "commit_cold", "commit_warm", "allows_cold", "allows_warm")
    return {
        "compile": float(np.median(m.compile)) / 1000,
        "first": float(np.median(m.first)) / 1000 if m.first else float("nan"),
        "memory": m.memory,
        **{part: summary(per_position(getattr(m, part))) for part in parts},
    }


def pooled(results: Results, engine: str, part: str, beside: str) -> Times:
    """The times of all languages in which both engines took part."""
    both = [per_language for per_language in results.values() if engine in per_language and beside in per_language]
    return np.concatenate([np.zeros(0), *(per_position(getattr(m[engine], part)) for m in both)])


def overall(results: Results, engine: str, beside: str) -> dict[str, Any]:
    """One engine over all languages in which `beside` takes part too."""
    parts = ("cold", "warm", "commit_cold", "commit_warm", "allows_cold", "allows_warm")
    both = [summarised(m[engine]) for m in results.values() if engine in m and beside in m]
    return {
        "compile": float(np.median([s["compile"] for s in both])),
        "first": float(np.median([s["first"] for s in both])),
        "memory": int(np.median([s["memory"] for s in both])),
        **{part: summary(pooled(results, engine, part, beside)) for part in parts},
    }


def goals(results: Results) -> list[tuple[str, float, float, bool]]:
    """The numbers this project wants to reach: name, measured, goal, reached."""
    ours, theirs = overall(results, OURS, PEER), overall(results, PEER, PEER)
    rows: list[tuple[str, float, float]] = []
    for part in ("cold", "warm"):
        rows += [
            (f"{part} mask p50, ratio", ours[part]["p50"] / theirs[part]["p50"], 1 / 5),
            (f"{part} mask mean, ratio", ours[part]["mean"] / theirs[part]["mean"], 1 / 3),
            (f"{part} mask max, ratio", ours[part]["max"] / theirs[part]["max"], 1.0),
        ]
    small = [summarised(m[OURS])["first"] for name, m in results.items() if PEER in m and not _is_grammar(name)]
    median = [summarised(m[PEER])["first"] for name, m in results.items() if PEER in m and not _is_grammar(name)]
    if small:
        rows.append(
            ("text to first mask, small patterns, ratio of medians", float(np.median(small) / np.median(median)), 1.5)
        )
    rows.append(("allows p50, µs", ours["allows_warm"]["p50"], 1.0))
    rows.append(("allows p50 when never asked before, µs", ours["allows_cold"]["p50"], 1.0))
    return [(name, value, goal, value <= goal) for name, value, goal in rows]


def _is_grammar(name: str) -> bool:
    return any(language.name == name and language.lark is not None for language in LANGUAGES)


# -- tables -------------------------------------------------------------------------------------------------------


def print_report(results: Results, agreements: dict[str, Agreement], machine: dict[str, Any]) -> None:
    """Print everything."""
    console = Console(width=190)
    title = (
        f"{machine['vocabulary']}, {machine['tokens']:,} tokens; {machine['engines']}; load {machine['load_average']}"
    )
    console.print(_mask_table(results, f"Masks, µs: {title}"))
    console.print(_other_table(results, "Compiling, committing, asking, µs; memory, MiB"))
    console.print(_agreement_table(agreements))
    if any(OURS in m and PEER in m for m in results.values()):
        console.print(_goal_table(results))


def _mask_table(results: Results, title: str) -> Table:
    table = Table(title=title)
    _columns(
        table,
        "cold mean",
        "p50",
        "p99",
        "max",
        "warm mean",
        "p50",
        "p99",
        "max",
        "cold mean ×",
        "p50 ×",
        "max ×",
        "warm p50 ×",
    )
    for name, per_engine in _with_total(results):
        for engine, s in per_engine.items():
            cells = [_us(s[part][column]) for part in ("cold", "warm") for column in ("mean", "p50", "p99", "max")]
            ratios = [("cold", "mean"), ("cold", "p50"), ("cold", "max"), ("warm", "p50")]
            cells += [_ratio(per_engine, engine, lambda x, p=p, c=c: x[p][c]) for p, c in ratios]
            table.add_row(name, engine, *cells, end_section=engine == list(per_engine)[-1])
    return table


def _other_table(results: Results, title: str) -> Table:
    table = Table(title=title)
    wide = (
        "compile",
        "first mask",
        "×",
        "commit cold mean",
        "p99",
        "commit warm p50",
        "p99",
        "allows cold p50",
        "allows warm p50",
        "p99",
    )
    _columns(table, *wide, "memory")
    for name, per_engine in _with_total(results):
        for engine, s in per_engine.items():
            commits = [_us(s["commit_cold"][c]) for c in ("mean", "p99")] + [
                _us(s["commit_warm"][c]) for c in ("p50", "p99")
            ]
            asked = [_us(s["allows_cold"]["p50"]), _us(s["allows_warm"]["p50"]), _us(s["allows_warm"]["p99"])]
            first = [_us(s["compile"]), _us(s["first"]), _ratio(per_engine, engine, lambda x: x["first"])]
            memory = f"{s['memory'] / 2**20:.1f}"
            table.add_row(name, engine, *first, *commits, *asked, memory, end_section=engine == list(per_engine)[-1])
    return table


def _with_total(results: Results) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    rows = [(name, {engine: summarised(m) for engine, m in results[name].items()}) for name in results]
    present = [engine for engine in (OURS, PEER) if any(engine in m for m in results.values())]
    return [*rows, (ALL, {engine: overall(results, engine, present[-1]) for engine in present})]


def _agreement_table(agreements: dict[str, Agreement]) -> Table:
    table = Table(title="Masks that differ from scansion's (+ only scansion allows it, - only the other)")
    for column in (
        "language",
        "engine",
        "masks",
        "differing",
        "tokens",
        "reasons",
        "oracle: scansion right",
        "example",
    ):
        table.add_column(column, justify="left" if column in ("language", "engine", "reasons", "example") else "right")
    for name, agreement in agreements.items():
        for c in agreement.comparisons.values():
            reasons = ", ".join(f"{reason} ({count})" for reason, count in c.reasons.items())
            oracle = f"{c.ours_right}/{c.judged}" if c.judged else ""
            table.add_row(
                name, c.engine, *map(str, (c.masks, c.differing, c.tokens)), reasons, oracle, _plain(c.example)
            )
    return table


def _goal_table(results: Results) -> Table:
    table = Table(title=f"Goals ({OURS} over {PEER} where a ratio)")
    for column in ("goal", "measured", "wanted at most", ""):
        table.add_column(column, justify="left" if column in ("goal", "") else "right")
    for name, value, goal, reached in goals(results):
        table.add_row(name, f"{value:.3f}", f"{goal:.3f}", "reached" if reached else "missed")
    return table


def _columns(table: Table, *numbers: str) -> None:
    table.add_column("language")
    table.add_column("engine")
    for name in numbers:
        table.add_column(name, justify="right")


def _ratio(per_engine: dict[str, dict[str, Any]], engine: str, value: Any) -> str:
    if engine != OURS or PEER not in per_engine:
        return ""
    return f"{value(per_engine[OURS]) / value(per_engine[PEER]):.2f}"


def _us(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


# -- files --------------------------------------------------------------------------------------------------------


def write_report(results: Results, agreements: dict[str, Agreement], machine: dict[str, Any], folder: Path) -> None:
    """Write `masks.json` and `masks.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": machine,
        "unit": "microseconds; memory in bytes",
        "languages": {name: {engine: summarised(m) for engine, m in results[name].items()} for name in results},
        "agreement": {
            name: [
                {
                    "engine": c.engine,
                    "masks": c.masks,
                    "differing": c.differing,
                    "tokens": c.tokens,
                    "reasons": c.reasons,
                }
                for c in agreement.comparisons.values()
            ]
            for name, agreement in agreements.items()
        },
    }
    if any(OURS in m and PEER in m for m in results.values()):
        content["all"] = {engine: overall(results, engine, PEER) for engine in (OURS, PEER)}
        content["goals"] = [
            dict(zip(("goal", "measured", "wanted", "reached"), row, strict=True)) for row in goals(results)
        ]
    (folder / "masks.json").write_text(json.dumps(rounded(content), indent=1) + "\n")
    _draw(results, machine, folder / "masks.png")
    print(f"written: {folder / 'masks.json'}, {folder / 'masks.png'}")


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else bool(value) if isinstance(value, np.bool_) else value


def _draw(results: Results, machine: dict[str, Any], file: Path) -> None:
    """The share of masks that need longer than a time, on two logarithmic scales: slow masks are what users notice."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for panel, part, title in zip(panels, ("cold", "warm"), ("new automaton", "seen before"), strict=True):
        for engine in machine["engines"]:
            times = np.sort(pooled(results, engine, part, engine))
            if len(times):
                share = 1 - np.arange(len(times)) / len(times)
                panel.step(
                    np.maximum(times, 0.05), share, where="post", label=engine, color=COLOURS.get(engine), lw=1.8
                )
        panel.set(xscale="log", yscale="log", xlabel="microseconds", title=f"One mask, {title}")
        panel.grid(True, which="major", alpha=0.3)
    panels[0].set_ylabel("share of masks that need longer")
    panels[0].legend(frameon=False)
    languages = (
        f"{len(results)} languages, {machine['vocabulary']} vocabulary of {machine['tokens']:,} tokens, one thread"
    )
    figure.suptitle(languages, fontsize=10)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
