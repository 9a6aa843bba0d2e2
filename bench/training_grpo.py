"""GRPO on the built-in model, with TRL: sums whose answer has a form, several seeds, several objectives.

    python bench/training_grpo.py [--form two-digits|json] [--seeds 5] [--steps 30] [--plot FILE.svg]

The model answers sums with a plain number. `json` asks for an object, a form that it never chooses by itself (legal
mass about 1e-29); `two-digits` for exactly two digits, a form that it meets now and then. Under the constraint every
rollout is valid from the first step on; what differs is what the policy itself learns. Measured before and after on
sums that were trained on, by draws of the policy alone (legal mass, reward; text of another form earns nothing) and
under its mask (reward).

* conditional, masked: `grpo_trainer` with λ = 0.2;
* common recipe: the same rollouts with the ratio π/q and the group's mean as baseline, as TRL's defaults have it;
* unconstrained: ordinary GRPO, no mask at all.

The last line is a JSON object: arm to means over the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging

from decoding.embedded import as_transformers
from decoding.engine import Engine
from decoding.pictures import save
from decoding.rl.grpo import Settings, grpo_trainer
from decoding.rl.losses import Coefficients
from decoding.rl.objectives import Objective
from decoding.rl.plots import chart
from decoding.rl.rewards import of_text, scored
from decoding.rl.rollouts import collect
from grammars import Grammar, regex

PATTERNS = {"json": r' \{"answer": [0-9]{1,2}\}', "two-digits": " [0-9]{2}"}
TOKENS = 24  # more than the longest text has bytes, so every rollout can finish
PAIRS = [(a, b) for a in range(1, 9) for b in range(1, 9)]


def asked(a: int, b: int) -> str:
    return f"User: What is {a} + {b}?\nAssistant:"


@dataclass(frozen=True)
class Task:
    """A form, and what an answer in it is worth."""

    pattern: str

    @property
    def form(self) -> Grammar:
        return regex(self.pattern)

    def is_legal(self, text: str) -> bool:
        return bool(re.fullmatch(self.pattern, text))

    def judged(self, prompt: str, text: str) -> float:
        """1 for the right sum, less by a tenth for each that it is off; nothing for text of another form."""
        if not self.is_legal(text):
            return 0.0
        a, b = map(int, re.findall(r"\d+", prompt))
        return max(0.0, 1.0 - abs(int(re.findall(r"\d+", text)[0]) - a - b) / 10)


class Common(Objective):
    """π/q and the mean reward as baseline, in units of the deviation."""

    def coefficients(self, rows: Sequence[Any], rewards: Any, incidents: Any, forks: Any = None) -> Coefficients:
        weights = np.exp([row.log_weight for row in rows])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        policy = torch.from_numpy(weights * advantages / len(rows))
        return Coefficients(policy, torch.zeros_like(policy))


@dataclass(frozen=True)
class Arm:
    objective: Objective
    is_constrained: bool = True


ARMS: Mapping[str, Arm] = {
    "conditional + λ·log Z": Arm(Objective("conditional", 0.2, scaled=True)),
    "masked + λ·log Z": Arm(Objective("masked", 0.2, scaled=True)),
    "common recipe": Arm(Common("masked", 0.0)),
    "unconstrained": Arm(Objective("masked", 0.0, scaled=True), is_constrained=False),
}


class Watching(TrainerCallback):
    """Keeps what every step says."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "reward" in logs:
            self.rows.append({name: float(logs[name]) for name in ("reward", "legal_mass", "valid")})


def evaluated(engine: Engine, task: Task, form: Grammar, seed: int) -> dict[str, float]:
    """Of the policy alone, and under its mask; the same prompts for all."""
    prompts = [asked(*pair) for pair in PAIRS[::2]]
    alone = collect(engine, prompts, None, n=4, max_tokens=TOKENS, seed=seed)
    under = collect(engine, prompts, form, n=4, max_tokens=TOKENS, seed=seed)
    reward = of_text(task.judged)
    return {
        "reward alone": _mean_reward(reward, alone),
        "legal draws": float(np.mean([task.is_legal(row.text.decode("utf-8", "replace")) for row in alone.rows])),
        "legal mass": under.figures()["legal_mass"],
        "reward under mask": _mean_reward(reward, under),
        "valid under mask": float(np.mean([row.finished for row in under.rows])),
    }


def _mean_reward(reward: Any, found: Any) -> float:
    return float(np.mean([value for g in found.groups for value in scored(reward, g.prompt, g.rows, found.incidents)]))


def run(arm: Arm, task: Task, seed: int, steps: int, rate: float) -> dict[str, Any]:
    """One training: figures before and after, and of every step."""
    model, tokenizer = as_transformers()
    prompts = [asked(*pair) for pair in PAIRS]
    random.Random(seed).shuffle(prompts)
    watching, form = Watching(), task.form
    with tempfile.TemporaryDirectory() as folder:
        trainer = grpo_trainer(
            model,
            tokenizer,
            prompts,
            form if arm.is_constrained else None,
            of_text(task.judged),
            Settings(objective=arm.objective, max_tokens=TOKENS, seed=seed),
            callbacks=[watching],
            output_dir=folder,
            num_generations=8,
            per_device_train_batch_size=32,
            max_steps=steps,
            learning_rate=rate,
            lr_scheduler_type="constant",
            logging_steps=1,
            save_strategy="no",
            seed=seed,
            use_cpu=True,
        )
        trainer.remove_callback(PrinterCallback)
        engine = Engine.load(model, tokenizer)
        before = evaluated(engine, task, form, 1000)
        trainer.train()
    model.eval()
    return {"before": before, "after": evaluated(engine, task, form, 1000), "steps": watching.rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--form", choices=PATTERNS, default="two-digits")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--arms", nargs="*", default=list(ARMS))
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    console = Console(width=130)
    runs: dict[str, list[dict[str, Any]]] = {}
    for name in options.arms:
        for seed in range(options.seeds):
            begun = time.perf_counter()
            found = run(ARMS[name], Task(PATTERNS[options.form]), seed, options.steps, options.rate)
            runs.setdefault(name, []).append(found)
            told = ", ".join(f"{k} {found['before'][k]:.3f} -> {v:.3f}" for k, v in found["after"].items())
            console.print(f"{name}, seed {seed}: {told}  ({time.perf_counter() - begun:.0f} s)")
    shown = Table(
        title=f"{options.form}, {options.steps} steps, {options.seeds} seeds: mean before -> mean after (least after)"
    )
    columns = list(next(iter(runs.values()))[0]["after"])
    for title in ("arm", *columns, "valid rollouts"):
        shown.add_column(title)
    figures: dict[str, dict[str, float]] = {}
    for name, found in runs.items():
        cells = []
        for column in columns:
            after = [one["after"][column] for one in found]
            before = float(np.mean([one["before"][column] for one in found]))
            cells.append(f"{before:.3g} -> {np.mean(after):.3f} ({min(after):.3f})")
            figures.setdefault(name, {})[column] = round(float(np.mean(after)), 4)
        valid = float(np.mean([step["valid"] for one in found for step in one["steps"]]))
        figures[name]["valid rollouts"] = round(valid, 4)
        shown.add_row(name, *cells, f"{valid:.4f}")
    console.print(shown)
    if options.plot:
        curves = {
            name: np.mean([[step["legal_mass"] for step in one["steps"]] for one in found], axis=0).tolist()
            for name, found in runs.items()
            if ARMS[name].is_constrained
        }
        save(chart("GRPO under a constraint", f"legal mass, mean of {options.seeds} seeds", curves), options.plot)
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()
