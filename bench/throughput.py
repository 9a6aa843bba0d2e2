"""Throughput: tokens per second of particles on the built-in model, beside genlm-control.

    python bench/throughput.py [--particles 10] [--populations 20] [--no-genlm] [--out FOLDER]

Both sides run populations of particles under the same regular expression after the same prompt, a few at a turn, so
that a busy minute of the machine is everybody's; tokens are those of all particles, end tokens included. Nothing is
kept from population to population but what the automaton has learned; the first few of a turn are not counted. Beside
the speed:

* ESS/N: how much of a population is effective, at equal settings (resampled below one half).
* checks: questions whether a single token is allowed, for each token written. Masks are not questions; they are counted
  beside. Particles that share a prefix share the answers.
* positions: what the model forwarded, over the distinct prefixes whose continuation was wanted (the least possible is
  1) and over the tokens written. The prompt is not counted where it is kept.

Here the built-in model runs in numpy, on one thread; there genlm-control's own Hugging Face backend runs the same
weights in torch, on one thread, its prompt kept in the cache, its batches as large as the population and its timer at a
millisecond instead of twenty. Writes `throughput.json` and `throughput.md`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEER, VERSION, Absent, Genlm, genlm
from rich.console import Console
from rich.progress import track
from rich.table import Table

from decoding.embedded import hf_directory, load
from grammars import TokenAutomaton, regex
from samplers import SMC, AdaptiveRejection, Masking, Problem, Samples, sample
from samplers.protocols import Ints, Mask
from samplers.sequential import TokenSampler

PROMPT = "Extract the person from: Ada Lovelace is 36 years old.\nJSON:"
PATTERN = r' \{"name": "[A-Z][a-z]{1,9}( [A-Z][a-z]{1,9}){0,2}", "age": [1-9][0-9]{0,2}\}'
MAX_TOKENS = 40
WARM_UP = 3
TURNS = 5
LIMIT = 60.0
Tally = dict[str, Any]
GOALS = {"speed": 5.0, "checks": 1.0, "positions": 1.05}


@dataclass(frozen=True)
class Measured:
    """One way to run particles."""

    name: str
    tokens_per_second: float
    effective: float
    log_z: float
    checks: float
    masks: float
    positions_per_prefix: float
    positions_per_token: float


class Counting:
    """An automaton that counts what it is asked."""

    def __init__(self, automaton: TokenAutomaton):
        self._automaton = automaton
        self.vocabulary, self.start = automaton.vocabulary, automaton.start
        self.advance_many, self.accepts, self.matcher_at = (
            automaton.advance_many,
            automaton.accepts,
            automaton.matcher_at,
        )
        self.checks = self.masks = 0

    def allows(self, state: int, token: int) -> bool:
        """One question."""
        self.checks += 1
        return self._automaton.allows(state, token)

    def fill_masks(self, states: Ints, out: Mask) -> None:
        """A mask for each state."""
        self.masks += len(states)
        self._automaton.fill_masks(states, out)


def main() -> None:
    options = arguments()
    console = Console()
    peer = None if options.no_genlm else genlm(options.genlm, console.print)
    runners: dict[str, Callable[[int, int], Tally]] = {
        "scansion, AWRS-SMC": Ours(AdaptiveRejection(), options.particles).turn,
        "scansion, mask-SMC": Ours(Masking(), options.particles).turn,
    }
    if peer:
        runners[f"{PEER} {VERSION}, AWRS-SMC"] = Theirs(peer, "awrs", options.particles).turn
        runners[f"{PEER} {VERSION}, mask-SMC"] = Theirs(peer, "masks", options.particles).turn
    report(measure(runners, options.populations, console), options, console)
    if peer:
        peer.stop()


def measure(runners: dict[str, Callable[[int, int], Tally]], populations: int, console: Console) -> list[Measured]:
    """Everybody's populations, a few at a turn."""
    tallies = defaultdict[str, list[Tally]](list)
    bounds = [populations * turn // TURNS for turn in range(TURNS + 1)]
    for first, last in track(list(pairwise(bounds)), "turns", console=console):
        for name in [name for name in runners if last > first]:
            try:
                tallies[name].append(runners[name](first, last))
            except Absent as reason:
                console.print(f"{name}: {reason}")
                del runners[name]
                tallies.pop(name, None)
    return [summed(name, parts) for name, parts in tallies.items()]


def summed(name: str, parts: list[Tally]) -> Measured:
    """All turns of one way."""
    total = Counter[str]()
    for part in parts:
        total.update({key: value for key, value in part.items() if not isinstance(value, list)})
    effective, logs = (np.array([value for part in parts for value in part[key]]) for key in ("effective", "log_z"))
    return Measured(
        name,
        total["tokens"] / total["seconds"],
        float(effective.mean()),
        float(np.log(np.mean(np.exp(logs)))),
        total["checks"] / total["tokens"],
        total["masks"] / total["tokens"],
        total["positions"] / max(total["prefixes"], 1),
        total["positions"] / total["tokens"],
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tokens per second of particles, beside genlm-control.")
    parser.add_argument("--particles", type=int, default=10)
    parser.add_argument("--populations", type=int, default=20, help="how many are measured, one after the other")
    parser.add_argument("--no-genlm", action="store_true", help=f"without {PEER}")
    parser.add_argument("--genlm", type=Path, help=f"the Python of an environment that has {PEER} already")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


class Ours:
    """Populations of this project. Each has a model with an empty memory, made before the clock starts."""

    def __init__(self, proposal: TokenSampler, particles: int):
        self._automaton = regex(PATTERN).compile(load().vocabulary)
        self._sampler = SMC(particles, resampling="multinomial", proposal=proposal)
        self._particles = particles

    def turn(self, first: int, last: int) -> Tally:
        for seed in range(WARM_UP):
            sample(Problem(load(PROMPT), self._automaton, max_tokens=MAX_TOKENS), self._sampler, seed=seed)
        constraint = Counting(self._automaton)
        tally = Counter[str]()
        effective, logs = list[float](), list[float]()
        for seed in range(first, last):
            samples = self._population(constraint, seed, tally)
            effective.append(samples.ess() / self._particles)
            logs.append(samples.log_z)
        asked = {"checks": constraint.checks, "masks": constraint.masks}
        return {**tally, **asked, "effective": effective, "log_z": logs}

    def _population(self, constraint: Counting, seed: int, tally: Counter[str]) -> Samples:
        model = load(PROMPT)
        model.log_probs([[]])
        problem, before = Problem(model, constraint, max_tokens=MAX_TOKENS), model.forwarded
        began = time.perf_counter()
        samples = sample(problem, self._sampler, seed=100 + seed)
        tally["seconds"] += time.perf_counter() - began
        tally["tokens"] += sum(len(t) for t in samples.tokens) + samples.finish.count("end")
        tally["positions"] += model.forwarded - before
        tally["prefixes"] += samples.calls.distinct - 1  # the empty one was forwarded with the prompt
        return samples


class Theirs:
    """Populations of genlm-control, over `AWRS` or over masks."""

    def __init__(self, peer: Genlm, kind: str, particles: int):
        self._peer, self._kind, self._particles = peer, kind, particles

    def turn(self, first: int, last: int) -> Tally:
        job = {
            "kind": "speed",
            "folder": str(hf_directory()),
            "prompt": list(load(PROMPT).prompt),
            "kept_prompt": True,
            "pattern": PATTERN,
            "sampler": self._kind,
            "particles": self._particles,
            "first": first,
            "populations": last - first,
            "warm_up": WARM_UP,
            "max_tokens": MAX_TOKENS,
            "timeout": 0.001,
            "limit": LIMIT,
        }
        return self._peer.ask(job, 10 * LIMIT)


def goals(measured: list[Measured]) -> list[tuple[str, float, float, bool]]:
    """What this project wants to reach: name, measured, wanted, reached."""
    by_name = {m.name: m for m in measured}
    awrs, masked = by_name["scansion, AWRS-SMC"], by_name["scansion, mask-SMC"]
    rows = [
        (
            "checks per token with cached masks, at most",
            masked.checks,
            GOALS["checks"],
            masked.checks <= GOALS["checks"],
        )
    ]
    most = max(awrs.positions_per_prefix, masked.positions_per_prefix)
    rows.append(("positions per distinct prefix, at most", most, GOALS["positions"], most <= GOALS["positions"]))
    peer = by_name.get(f"{PEER} {VERSION}, AWRS-SMC")
    if peer:
        ratio = awrs.tokens_per_second / peer.tokens_per_second
        rows.append((f"tokens/s of AWRS-SMC over {PEER}, at least", ratio, GOALS["speed"], ratio >= GOALS["speed"]))
        share = awrs.effective / peer.effective
        rows.append((f"ESS/N of AWRS-SMC over {PEER}, at least", share, 1.0, share >= 1.0))
    return rows


def report(measured: list[Measured], options: argparse.Namespace, console: Console) -> None:
    """Print, and write JSON and Markdown."""
    columns = ["", "tokens/s", "ESS/N", "log Z", "checks/token", "masks/token", "positions/prefix", "positions/token"]
    rows = [
        [m.name, f"{m.tokens_per_second:,.0f}", *(f"{v:.3g}" for v in list(asdict(m).values())[2:])] for m in measured
    ]
    table = Table(title=f"{options.particles} particles, {options.populations} populations, the built-in model")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for name, value, goal, reached in goals(measured):
        console.print(f"{name} {goal:g}: {value:.3g}, {'reached' if reached else 'missed'}")
    options.out.mkdir(parents=True, exist_ok=True)
    content = {"rows": [asdict(m) for m in measured], "goals": goals(measured), "particles": options.particles}
    (options.out / "throughput.json").write_text(json.dumps(_plain(content), indent=1) + "\n")
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    (options.out / "throughput.md").write_text("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")
    print(f"written: {options.out / 'throughput.json'}, throughput.md")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()
