"""Throughput: tokens per second of particles on the built-in model, beside genlm-control.

    python bench/throughput.py [--particles 10] [--populations 20] [--no-genlm] [--out FOLDER]

Both sides run populations of particles under the same regular expression after the same prompt; tokens are those of all
particles, end tokens included. Nothing is kept from population to population but what the automaton has learned; the
first few are not counted. Beside the speed:

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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEER, VERSION, Absent, Genlm, genlm
from rich.console import Console
from rich.progress import track
from rich.table import Table

from decoding.embedded import hf_directory, load
from grammars import TokenAutomaton, regex
from samplers import SMC, AdaptiveRejection, Masking, Problem, sample
from samplers.protocols import Ints, Mask
from samplers.sequential import TokenSampler

PROMPT = "Extract the person from: Ada Lovelace is 36 years old.\nJSON:"
PATTERN = r' \{"name": "[A-Z][a-z]{1,9}( [A-Z][a-z]{1,9}){0,2}", "age": [1-9][0-9]{0,2}\}'
MAX_TOKENS = 40
WARM_UP = 3
LIMIT = 60.0
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
    measured = [
        ours("scansion, AWRS-SMC", AdaptiveRejection, options),
        ours("scansion, mask-SMC", Masking, options),
    ]
    peer = None if options.no_genlm else genlm(options.genlm, console.print)
    if peer:
        measured += theirs(peer, options, console.print)
        peer.stop()
    report(measured, options, console)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tokens per second of particles, beside genlm-control.")
    parser.add_argument("--particles", type=int, default=10)
    parser.add_argument("--populations", type=int, default=20, help="how many are measured, one after the other")
    parser.add_argument("--no-genlm", action="store_true", help=f"without {PEER}")
    parser.add_argument("--genlm", type=Path, help=f"the Python of an environment that has {PEER} already")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def ours(name: str, proposal: Callable[[], TokenSampler], options: argparse.Namespace) -> Measured:
    """Populations of this project. Each has a model with an empty memory, made before the clock starts."""
    automaton = regex(PATTERN).compile(load().vocabulary)
    sampler = SMC(options.particles, resampling="multinomial", proposal=proposal())
    for seed in range(WARM_UP):
        sample(Problem(load(PROMPT), automaton, max_tokens=MAX_TOKENS), sampler, seed=seed)
    constraint = Counting(automaton)
    tokens, seconds, sizes, logs, positions, prefixes = 0, 0.0, list[float](), list[float](), 0, 0
    for seed in track(range(options.populations), name):
        model = load(PROMPT)
        model.log_probs([[]])
        problem, before = Problem(model, constraint, max_tokens=MAX_TOKENS), model.forwarded
        began = time.perf_counter()
        samples = sample(problem, sampler, seed=100 + seed)
        seconds += time.perf_counter() - began
        tokens += sum(len(t) for t in samples.tokens) + samples.finish.count("end")
        sizes.append(samples.ess())
        logs.append(samples.log_z)
        positions += model.forwarded - before
        prefixes += samples.calls.distinct - 1  # the empty one was forwarded with the prompt
    return Measured(
        name,
        tokens / seconds,
        float(np.mean(sizes)) / options.particles,
        float(np.log(np.mean(np.exp(logs)))),
        constraint.checks / tokens,
        constraint.masks / tokens,
        positions / prefixes,
        positions / tokens,
    )


def theirs(peer: Genlm, options: argparse.Namespace, say: Callable[[str], object]) -> list[Measured]:
    """Populations of genlm-control, over `AWRS` and over masks."""
    found = list[Measured]()
    for kind, name in (("awrs", "AWRS-SMC"), ("masks", "mask-SMC")):
        job = {
            "kind": "speed",
            "folder": str(hf_directory()),
            "prompt": list(load(PROMPT).prompt),
            "kept_prompt": True,
            "pattern": PATTERN,
            "sampler": kind,
            "particles": options.particles,
            "populations": options.populations,
            "warm_up": WARM_UP,
            "max_tokens": MAX_TOKENS,
            "timeout": 0.001,
            "limit": LIMIT,
        }
        try:
            found.append(_of(f"{PEER} {VERSION}, {name}", peer.ask(job, 10 * LIMIT), options.particles))
        except Absent as reason:
            say(f"{name}: {reason}")
    return found


def _of(name: str, answer: dict[str, Any], particles: int) -> Measured:
    tokens, prefixes = answer["tokens"], max(answer["prefixes"], 1)
    positions = answer["positions"] - answer["kept"]
    shares = answer["questions"] / tokens, answer["masks"] / tokens
    speed = tokens / answer["seconds"]
    return Measured(
        name, speed, answer["ess"] / particles, answer["log_z"], *shares, positions / prefixes, positions / tokens
    )


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
