"""The gradients of masked rollouts on a policy that can be enumerated: which of them keep the format, which lose it.

    python bench/training_toy.py [--steps 300] [--rate 1.0] [--plot bench/training_toy.svg]

3,280 texts over "(", ")" and "x" of at most seven letters; the 89 balanced ones of at most six letters are legal, and
earn their length (at most 6). Every gradient is exact: the sum over all draws under the masks. What counts afterwards
is the reward of the policy alone, illegal texts earning nothing, and its mass on the language, Z.

Rows "TRL ..." are TRL's own loss, if it is installed (its default: `dapo`, advantages by the group's mean and
deviation, the ratio π/q of whole texts, which is never clipped because it is below 1). The first table follows the
plain gradient. The second one is Adam: where every prefix has logits of its own, its steps are as long for what is
rarely visited as for the rest, and the common recipe gets away with it, `masked` does not.

The last line is a JSON object: estimator to reward under π and final Z, by plain gradient.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from decoding.pictures import Drawing, save
from decoding.rl import losses
from decoding.rl.enumerable import Enumerable, Legal
from decoding.rl.losses import Coefficients
from decoding.rl.plots import chart
from grammars import Vocabulary, lark, regex

VOCABULARY = Vocabulary([b"(", b")", b"x", b"<end>"], eos=[3])
BALANCED = lark('start: item*\nitem: "x" | "(" start ")"') & regex("[()x]{0,6}")
SEED = 28  # of those below 60 the one whose Z begins nearest to 0.296
LAMBDA = 0.5


@dataclass
class Moment:
    """What a step starts from: the chances q of legal texts, their weights w, rewards r."""

    legal: Legal
    q: Tensor
    w: Tensor
    r: Tensor

    @classmethod
    def of(cls, legal: Legal) -> Moment:
        q, w = legal.logs().sums.exp().detach(), legal.log_weights().exp().detach()
        return cls(legal, q, w, legal.lengths)

    @property
    def zero(self) -> Tensor:
        return torch.zeros_like(self.q)

    @property
    def advantage(self) -> Tensor:
        return self.r - (self.q * self.r).sum()

    @property
    def log_g(self) -> Tensor:
        return (self.q * self.w).log()

    def loss(self, coefficients: Coefficients) -> Tensor:
        return losses.loss(coefficients, self.legal.raw_logs(), self.legal.logs())


def common(now: Moment) -> Tensor:
    """π/q, and the mean reward as baseline."""
    return now.loss(Coefficients(now.q * now.w * now.advantage, now.zero))


def uncorrected(now: Moment) -> Tensor:
    """As if the draws were the policy's own."""
    return now.loss(Coefficients(now.q * now.advantage, now.zero))


def masked(now: Moment) -> Tensor:
    return now.loss(losses.masked(now.r, now.q, (now.q * now.r).sum()))


def raw(now: Moment) -> Tensor:
    """π/q with the baseline on log q; its expectation needs no baseline."""
    return now.loss(Coefficients(now.q * now.w * now.r, now.zero))


def conditional(now: Moment) -> Tensor:
    return now.loss(losses.conditional(now.r, now.log_g))


def with_legal_mass(objective: Callable[[Moment], Tensor], now: Moment) -> Tensor:
    return objective(now) + LAMBDA * now.loss(losses.legal_mass(now.log_g))


def trl(correction: bool, now: Moment) -> Tensor:
    """TRL's loss as it stands in `GRPOTrainer`; the batch is all legal texts, advantages carry their chances."""
    from trl import GRPOConfig, GRPOTrainer

    deviation = (now.q * now.advantage**2).sum().sqrt()
    n, logs = len(now.q), now.legal.raw_logs()
    mask = logs.counted.double()
    settings = GRPOConfig(use_cpu=True, bf16=False, report_to="none")
    same = SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x)
    trainer = SimpleNamespace(
        **{name: getattr(settings, name) for name in TRL_SETTINGS},
        args=settings,
        epsilon_low=settings.epsilon,
        epsilon_high=settings.epsilon,
        use_vllm=correction,
        aux_loss_enabled=False,
        _entropy_bonus_enabled=False,
        current_gradient_accumulation_steps=settings.steps_per_generation,
        accelerator=same,
        model=SimpleNamespace(training=True),
        _metrics={"train": Anything()},
        _get_per_token_logps_and_entropies=lambda *_, **__: (logs.values, torch.zeros_like(mask), None),
    )
    none = torch.zeros(n, 0)
    inputs = {
        "prompt_ids": none,
        "prompt_mask": none,
        "completion_ids": now.legal.tokens,
        "completion_mask": mask,
        "advantages": n * now.q * now.advantage / (deviation + 1e-4),
        "importance_sampling_ratio": now.w[:, None],
        "num_items_in_batch": n * (now.q * mask.sum(dim=1)).sum(),
    }
    return GRPOTrainer._compute_loss(trainer, None, inputs)


TRL_SETTINGS = (
    *("loss_type", "importance_sampling_level", "beta", "top_entropy_quantile", "off_policy_mask_threshold"),
    "vllm_importance_sampling_correction",
)


class Anything(dict[str, list[float]]):
    """Metrics that nobody reads."""

    def __missing__(self, key: str) -> list[float]:
        return self.setdefault(key, [])


ESTIMATORS: Mapping[str, Callable[[Moment], Tensor]] = {
    "common recipe: π/q with baseline": common,
    "masked": masked,
    "uncorrected": uncorrected,
    "raw: π/q, baseline on log q": raw,
    "conditional": conditional,
    "masked + λ·∇log Z": partial(with_legal_mass, masked),
    "conditional + λ·∇log Z": partial(with_legal_mass, conditional),
    "TRL default (masked rollouts, corrected)": partial(trl, True),
    "TRL default, correction off": partial(trl, False),
}


@dataclass
class Run:
    """What became of a policy: reward under π and Z after every step."""

    rewards: list[float] = field(default_factory=list)
    masses: list[float] = field(default_factory=list)

    def note(self, legal: Legal) -> None:
        chances = legal.raw_logs().sums.exp().detach()
        self.rewards.append(float((chances * legal.lengths).sum()))
        self.masses.append(float(chances.sum()))


def trained(estimator: Callable[[Moment], Tensor], steps: int, optimizer: Callable[..., Any]) -> Run:
    policy = Enumerable(VOCABULARY, most=7, seed=SEED)
    legal, steered, run = policy.under(BALANCED), optimizer(policy.parameters()), Run()
    run.note(legal)
    for _ in range(steps):
        steered.zero_grad()
        estimator(Moment.of(legal)).backward()
        steered.step()
        run.note(legal)
    return run


def available() -> dict[str, Callable[[Moment], Tensor]]:
    try:
        import trl as _  # noqa: F401
    except ImportError:
        return {name: one for name, one in ESTIMATORS.items() if not name.startswith("TRL")}
    return dict(ESTIMATORS)


def shown(title: str, runs: Mapping[str, Run]) -> Table:
    table = Table(title=title)
    for column in ("estimator", "reward under π", "final Z"):
        table.add_column(column, justify="left" if column == "estimator" else "right")
    for name, run in runs.items():
        table.add_row(name, f"{run.rewards[-1]:.3f}", f"{run.masses[-1]:.4f}")
    return table


SHOWN = ("common recipe", "masked", "uncorrected", "conditional", "TRL default (")


def picture(runs: Mapping[str, Run]) -> Drawing:
    """The legal mass along training, on a logarithmic scale."""
    chosen = {name: run for name, run in runs.items() if name.startswith(SHOWN) and "conditional +" not in name}
    curves = {name.split(":")[0].split(" (")[0]: run.masses for name, run in chosen.items()}
    title, told = "What masked rollouts do to the format", "legal mass of the policy alone, exact gradients"
    return chart(title, told, curves, decades=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--adam-rate", type=float, default=0.05)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    console = Console()
    plain = {
        name: trained(one, options.steps, partial(torch.optim.SGD, lr=options.rate))
        for name, one in available().items()
    }
    start = next(iter(plain.values()))
    console.print(f"at the start: reward {start.rewards[0]:.3f}, Z {start.masses[0]:.3f}")
    console.print(shown(f"plain gradient, {options.steps} steps of {options.rate:g}", plain))
    adam = {
        name: trained(one, options.steps, partial(torch.optim.Adam, lr=options.adam_rate))
        for name, one in available().items()
    }
    console.print(shown(f"Adam, {options.steps} steps of {options.adam_rate:g}", adam))
    if options.plot:
        save(picture(plain), options.plot)
    figures = {
        name: {"reward": round(run.rewards[-1], 4), "final_z": round(run.masses[-1], 5)} for name, run in plain.items()
    }
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()
