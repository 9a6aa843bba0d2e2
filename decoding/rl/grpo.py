"""GRPO with constrained rollouts, in TRL's trainer and through its public hooks.

`rollout_func` draws with any sampler of `samplers` under each prompt's constraint; the reward function that TRL is
given scores the groups and works out every rollout's coefficients (`objectives`); `compute_loss`, the method of
`Trainer` that is there to be overridden, replays the masks and takes the surrogate. TRL does the rest: batches, LoRA,
gradient accumulation, several processes, schedules, checkpoints.

TRL's own correction is not used: it is the one that forgets the format (`bench/training_toy.py`).

What rollouts a batch consists of is found again by prompt and text (`Ledger`), so TRL may shuffle and split as it
likes. Rollouts of a step are drawn from (seed, step, process) alone: a run that was killed and resumed draws what it
would have drawn.

Ratios start at exactly 1: a rollout's old log-probabilities are those that the loss itself first sees, or, where the
policy moves before it sees all of them (several optimiser steps for one generation, rollouts by vLLM), those of one
pass that `scoring` takes before.

>>> settings = Settings(objective=Objective("conditional", legal_mass=0.1), max_tokens=32)
>>> settings.clip.high
0.2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from decoding.engine import Engine
from decoding.rl import losses
from decoding.rl.errors import BadConfiguration, NothingToLearn
from decoding.rl.extras import require
from decoding.rl.guards import drop_broken_gradients, drop_empty_gradients
from decoding.rl.incidents import Drought, Incidents
from decoding.rl.losses import Clip, Coefficients
from decoding.rl.objectives import Objective, shares_of_masked
from decoding.rl.processes import incident_figures, summed, together
from decoding.rl.rewards import Reward, scored
from decoding.rl.rollouts import Group, Rollout, Rollouts, collect
from decoding.rl.scoring import rescored
from decoding.rl.tensors import Logs, Texts, answer_logits, logs_of
from grammars import Vocabulary
from samplers import Masking
from samplers.protocols import Sampler
from samplers.resampling import ancestors
from samplers.tape import RandomTape


@dataclass(frozen=True)
class Settings:
    """What is trained, and how rollouts are drawn."""

    objective: Objective = field(default_factory=Objective)
    sampler: Sampler = field(default_factory=Masking)
    max_tokens: int = 64
    clip: Clip = field(default_factory=lambda: Clip(0.2, 0.2))
    level: str = "token"
    length: str = "none"
    divergence: float = 0.0
    """β: the weight of the KL to the model as it was at the start; of the kind that the objective is of."""
    potentials: tuple[Any, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.divergence < np.inf:
            raise BadConfiguration(f"divergence is a factor of at least 0, not {self.divergence}")
        losses.require_options(self.level, self.length)


class ConstraintOf(Protocol):
    """The constraint of a prompt; None for none."""

    def __call__(self, prompt: str) -> Any: ...


class Served(Protocol):
    """What draws rollouts in the place of the model that is trained; see `served`."""

    def renewed(self, model: Any) -> Engine:
        """An engine that has the weights of the model."""
        ...


Key = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass
class Entry:
    """A text that was drawn, perhaps several times: what its draws count on average."""

    row: Rollout
    policy: float = 0.0
    masked: float = 0.0
    share: float = 0.0
    """What it weighs in the divergence."""
    draws: int = 0
    old: tuple[Tensor, Tensor] | None = None
    """log π and log q before the policy moved."""

    def add(self, policy: float, masked: float, share: float) -> None:
        """One draw more."""
        self.draws += 1
        for name, value in (("policy", policy), ("masked", masked), ("share", share)):
            setattr(self, name, getattr(self, name) + (value - getattr(self, name)) / self.draws)


class Ledger:
    """The rollouts of the latest generation, found by prompt and text."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.groups = 0

    def begin(self, groups: int) -> None:
        """Forget the generation before."""
        self.entries, self.groups = {}, groups

    def note(self, rows: Sequence[Rollout], found: Coefficients, shares: Tensor, is_scored: bool = False) -> None:
        """The rollouts of a group and their coefficients; scored ones say themselves what their old logs are."""
        columns = zip(rows, found.policy.tolist(), found.masked.tolist(), shares.tolist(), strict=True)
        for row, policy, masked, share in columns:
            entry = self.entries.setdefault((row.prompt, tuple(row.ids.tolist())), Entry(row))
            entry.add(policy, masked, share)
            if is_scored:
                entry.old = torch.from_numpy(row.log_policy), torch.from_numpy(row.log_masked)

    def find(self, prompt: Sequence[int], ids: Sequence[int]) -> Entry | None:
        """The entry of a row of a batch; None for stand-ins of prompts that had no rollouts."""
        return self.entries.get((tuple(prompt), tuple(ids)))


# -- rollouts for TRL -------------------------------------------------------------------------------------------------


class Rollouter:
    """TRL's `rollout_func` and reward function in one, since rewards belong to rollouts."""

    __name__ = "reward"  # what TRL calls the column of metrics

    def __init__(
        self,
        settings: Settings,
        constraint_of: ConstraintOf,
        reward: Reward,
        tokenizer: Any,
        served: Served | None = None,
        prompts: int = 1,
    ):
        self.drought = Drought(prompts)
        self.settings, self.constraint_of, self.reward = settings, constraint_of, reward
        self.tokenizer, self.served = tokenizer, served
        self.ledger = Ledger()
        self.incidents, self.all_incidents = Incidents(), Incidents()  # of the latest generation, and of all before
        self.figures: dict[str, float] = {}
        self._groups: list[Group] = []
        self._engine: Engine | None = None
        self._is_scored = False

    def rollouts(self, prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        """What TRL asks for: a completion for each prompt; every `num_generations` of them are a group."""
        n = int(trainer.num_generations)
        wanted = list(prompts[::n])
        if list(prompts) != [prompt for prompt in wanted for _ in range(n)]:
            raise BadConfiguration(
                f"parts of groups of {n} reach one process",
                hint="the rollouts of a process must be a multiple of num_generations",
            )
        self.all_incidents.update(self.incidents)
        self.incidents.clear()
        drawn = self._collect(wanted, n, trainer)
        self._groups = [self._sized(i, group, n, trainer) for i, group in enumerate(drawn.groups)]
        self.figures = together(drawn.figures() | self._score(trainer))
        rows = [row for group in self._groups for row in _filled(group, n)]
        end = int(self.tokenizer.eos_token_id)
        asked = zip(rows, prompts, strict=True)
        return {
            "prompt_ids": [list(row.prompt) if row else self._short(prompt) for row, prompt in asked],
            "completion_ids": [row.ids.tolist() if row and len(row.ids) else [end] for row in rows],
            "logprobs": [row.log_masked.tolist() if row and len(row.ids) else [0.0] for row in rows],
        }

    def _short(self, prompt: str) -> list[int]:
        """What stands in for a prompt without rollouts, which may be far too long."""
        return self.tokenizer(prompt).input_ids[:1]

    def _score(self, trainer: Any) -> dict[str, float]:
        """Let the model in training say what it thinks of the rollouts, if it will not be asked before it moves."""
        args = trainer.args
        self._is_scored = self.served is not None or args.gradient_accumulation_steps % args.steps_per_generation != 0
        rows = [row for group in self._groups for row in group.rows]
        if not self._is_scored or not rows:
            return {}
        with _resting(trainer) as model:
            seen = iter(rescored(model, rows, self.vocabulary, args.per_device_train_batch_size))
        self._groups = [replace(group, rows=tuple(islice(seen, len(group.rows)))) for group in self._groups]
        return {"drift": float(np.mean([abs(row.drift) for group in self._groups for row in group.rows]))}

    def _collect(self, prompts: Sequence[str], n: int, trainer: Any) -> Rollouts:
        try:
            with _resting(trainer) as model:
                self._engine = self._engine_of(model)
                drawn = collect(
                    self._engine,
                    prompts,
                    [self.constraint_of(prompt) for prompt in prompts],
                    self.settings.sampler,
                    n=n,
                    max_tokens=self.settings.max_tokens,
                    seed=np.random.SeedSequence(self._seed(trainer)),
                    potentials=self.settings.potentials,
                    incidents=self.incidents,
                )
            self.drought.ends()
        except NothingToLearn as error:
            self._go_on_without(prompts, error, trainer.state.global_step)
            return Rollouts(tuple(Group(prompt, (), None) for prompt in prompts), self.incidents)
        return drawn

    def _go_on_without(self, prompts: Sequence[str], error: NothingToLearn, step: int) -> None:
        """Refuse to, if the form itself cannot be finished, or nothing was drawn for long."""
        try:
            if self.incidents["unfinishable"]:
                raise error
            self.drought.goes_on(prompts, error)
        except NothingToLearn as last:
            raise NothingToLearn(f"step {step}: {last.message}", hint=last.hint) from error

    def _seed(self, trainer: Any, *more: int) -> list[int]:
        """From what is the same after a run was killed and resumed."""
        return [self.settings.seed, trainer.state.global_step, trainer.accelerator.process_index, *more]

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model; known as soon as something was drawn."""
        if self._engine is None:
            raise NothingToLearn("there are no rollouts yet")
        return self._engine.vocabulary

    def _engine_of(self, model: Any) -> Engine:
        if self.served is not None:
            return self.served.renewed(model)
        return self._engine or Engine.load(model, self.tokenizer)

    def _sized(self, number: int, group: Group, n: int, trainer: Any) -> Group:
        """The group with n rows: a population that is larger is drawn from by weight."""
        if len(group.rows) <= n or group.samples is None:
            return group
        if not np.isfinite(group.log_weights).any():
            return Group(group.prompt, group.rows[:n], group.samples)
        rng = np.random.default_rng(self._seed(trainer, number))
        chosen = ancestors("multinomial", group.log_weights, n, RandomTape(rng)).tolist()
        level = group.log_mass
        return Group(group.prompt, tuple(_weighing(group.rows[i], level) for i in chosen), group.samples)

    def __call__(self, prompts: Sequence[str], completions: Sequence[Any], **_: Any) -> list[float | None]:
        """The rewards, None for what cannot be judged; the coefficients go to the ledger."""
        n = len(prompts) // max(len(self._groups), 1)
        self.ledger.begin(len(self._groups))
        out: list[float | None] = []
        for group in self._groups:
            values = scored(self.reward, group.prompt, group.rows, self.incidents)
            if group.rows:
                self._learn(group, values)
            finite = [float(value) if np.isfinite(value) else None for value in values]
            out += finite + [None] * (n - len(finite))
        return out

    def _learn(self, group: Group, rewards: Any) -> None:
        forks = group.samples.notes.get("forks") if group.samples is not None else None
        found = self.settings.objective.coefficients(group.rows, rewards, self.incidents, forks)
        weights = torch.tensor(group.log_weights)
        is_masked = self.settings.objective.name == "masked"
        shares = shares_of_masked(group.rows, weights) if is_masked else losses.shares(weights)
        self.ledger.note(group.rows, found, shares, self._is_scored)


@contextmanager
def _resting(trainer: Any) -> Iterator[Any]:
    """The model in training, for a moment without dropout."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    was_training = model.training
    model.eval()
    try:
        yield model
    finally:
        model.train(was_training)


def _filled(group: Group, n: int) -> Iterator[Rollout | None]:
    for i in range(n):
        yield group.rows[i] if i < len(group.rows) else None


def _weighing(row: Rollout, log_weight: float) -> Rollout:
    return replace(row, log_weight=log_weight)


# -- the loss ---------------------------------------------------------------------------------------------------------


def step_loss(entries: Sequence[Entry | None], logs: Logs, settings: Settings, reference: Logs | None = None) -> Tensor:
    """The surrogate of some rows of a generation; rows without an entry count nothing.

    The logs that an entry is first seen with become its old ones, so that the first ratio is 1.
    """
    policy = torch.tensor([entry.policy if entry else 0.0 for entry in entries], dtype=logs.policy.values.dtype)
    masked = torch.tensor([entry.masked if entry else 0.0 for entry in entries], dtype=policy.dtype)
    found = Coefficients(policy.to(logs.policy.values.device), masked.to(logs.policy.values.device))
    if reference is not None:
        shares = torch.tensor([entry.share if entry else 0.0 for entry in entries], dtype=policy.dtype)
        found = found + settings.divergence * _of_divergence(settings, logs, reference, shares.to(found.policy.device))
    old = _old(entries, logs)
    return losses.loss(
        found,
        logs.policy,
        logs.masked,
        logs.policy._replace(values=old[0]),
        logs.masked._replace(values=old[1]),
        clip=settings.clip,
        level=settings.level,
        length=settings.length,
        forced=logs.forced,
    )


def _of_divergence(settings: Settings, logs: Logs, reference: Logs, shares: Tensor) -> Coefficients:
    is_masked = settings.objective.name == "masked"
    now, then = (logs.masked, reference.masked) if is_masked else (logs.policy, reference.policy)
    now.require_same(then)
    ratio = (now.sums - then.sums).detach()
    zero = torch.zeros_like(ratio)
    return Coefficients(zero, -shares * ratio) if is_masked else Coefficients(-shares * (ratio + 1.0), zero)


def _old(entries: Sequence[Entry | None], logs: Logs) -> tuple[Tensor, Tensor]:
    now = logs.policy.values.detach(), logs.masked.values.detach()
    old = now[0].clone(), now[1].clone()
    for i, entry in enumerate(entries):
        if entry is None:
            continue
        n = len(entry.row.ids)
        if entry.old is None:
            entry.old = now[0][i, :n].clone(), now[1][i, :n].clone()
        for column, kept in zip(old, entry.old, strict=True):
            column[i, :n] = kept
    return old


# -- the trainer ------------------------------------------------------------------------------------------------------


@cache
def trainer_class() -> type[Any]:
    """`GRPOTrainer` with these rollouts and this loss; made at the first call, since it needs TRL."""
    require("trl")
    callback_class: Any = import_module("transformers").TrainerCallback
    grpo_class: Any = import_module("trl").GRPOTrainer

    class NoNaN(callback_class):
        """Skips steps whose gradient is not finite: parameters stay numbers."""

        def __init__(self, incidents: Incidents):
            self._incidents = incidents

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not drop_broken_gradients(kwargs["model"].parameters()):
                self._incidents.note("non_finite")
            drop_empty_gradients(kwargs["model"].parameters())

    class ConstrainedGRPOTrainer(grpo_class):
        """See `grpo_trainer`."""

        def __init__(self, rollouter: Rollouter, **options: Any):
            self.rollouter = rollouter
            super().__init__(rollout_func=rollouter.rollouts, reward_funcs=[rollouter], **options)
            self.add_callback(NoNaN(rollouter.incidents))
            require_whole_groups(self.args)

        @contextmanager
        def _as_reference(self) -> Iterator[Any]:
            """The model as it was: a copy that TRL keeps, or the one under the adapter."""
            if self.ref_model is not None:
                yield self.ref_model
                return
            model = self.accelerator.unwrap_model(self.model)
            with model.disable_adapter():
                yield model

        def compute_loss(
            self, model: Any, inputs: Mapping[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Tensor:
            """The surrogate of a batch."""
            entries = [self.rollouter.ledger.find(*key) for key in keys_of(inputs)]
            texts, logits = self._texts(entries, inputs), self._logits(model, inputs)
            vocabulary = self.rollouter.vocabulary
            logs = logs_of(logits, texts, vocabulary)
            reference = self._reference(inputs, texts) if self.rollouter.settings.divergence else None
            if reference is not None:
                ratio = (logs.policy.sums - reference.policy.sums).detach()
                self.rollouter.figures["kl"] = float(ratio.mean())
            loss = step_loss(entries, logs, self.rollouter.settings, reference)
            loss = loss * self._scale()
            if bool(torch.isfinite(loss)):
                return loss.to(torch.float32)
            self.rollouter.incidents.note("non_finite")
            return sum((p.sum() for p in model.parameters() if p.requires_grad), torch.zeros(())) * 0.0

        def _scale(self) -> float:
            """The mean over groups in every optimiser step, whatever part of the generation it sees."""
            parts = self.args.steps_per_generation / self.args.gradient_accumulation_steps
            return parts / max(self.rollouter.ledger.groups, 1)

        def _texts(self, entries: Sequence[Entry | None], inputs: Mapping[str, Any]) -> Texts:
            width = inputs["completion_ids"].shape[1]
            return Texts.of([entry.row if entry else None for entry in entries], self.accelerator.device, width)

        def _logits(self, model: Any, inputs: Mapping[str, Any]) -> Tensor:
            """As `scoring` takes them: the same padding, so the same numbers."""
            return answer_logits(model, list(keys_of(inputs)), inputs["completion_ids"].shape[1])

        def _reference(self, inputs: Mapping[str, Any], texts: Texts) -> Logs:
            with torch.no_grad(), self._as_reference() as reference:
                return logs_of(self._logits(reference, inputs), texts, self.rollouter.vocabulary)

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            """TRL's metrics, and those of the rollouts."""
            if self.model.training:
                logs.update(self.rollouter.figures)
                logs.update(summed(incident_figures(self.rollouter.incidents)))
            super().log(logs, start_time)

    return ConstrainedGRPOTrainer


def keys_of(inputs: Mapping[str, Any]) -> Iterator[Key]:
    """Prompt and text of each row of one of TRL's batches, without padding."""
    for part in range(len(inputs["completion_ids"])):
        prompt = inputs["prompt_ids"][part][inputs["prompt_mask"][part].bool()]
        ids = inputs["completion_ids"][part][inputs["completion_mask"][part].bool()]
        yield tuple(prompt.tolist()), tuple(ids.tolist())


def require_whole_groups(args: Any) -> None:
    """Raise `BadConfiguration` if a group would be spread over processes."""
    rollouts = args.per_device_train_batch_size * args.steps_per_generation
    if rollouts % args.num_generations:
        raise BadConfiguration(
            f"{rollouts} rollouts of a process are no whole groups of {args.num_generations}",
            hint="make per_device_train_batch_size · steps_per_generation a multiple of num_generations",
        )


def grpo_trainer(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    constraint: Any,
    reward: Reward,
    settings: Settings,
    *,
    served: Served | None = None,
    callbacks: Sequence[Any] = (),
    peft_config: Any = None,
    **options: Any,
) -> Any:
    """A trainer of TRL for a model of transformers, ready for `.train()`.

    `constraint`: one for all prompts, None for none, or a function of the prompt. `options` are those of `GRPOConfig`,
    such as `output_dir`, `num_generations`, `learning_rate` and `max_steps`; `peft_config` is LoRA, or what peft has.
    `served` draws the rollouts in the place of the model, as `decoding.rl.served.Served` does through vLLM.
    """
    require("trl", "datasets", "accelerate", *(("peft",) if peft_config is not None else ()))
    dataset_class: Any = import_module("datasets").Dataset
    config_class: Any = import_module("trl").GRPOConfig
    if not prompts:
        raise NothingToLearn("there are no prompts to train on")
    chosen = {"gradient_checkpointing": False, "bf16": False, "report_to": "none", "disable_tqdm": True} | options
    chosen |= {"beta": settings.divergence, "max_completion_length": settings.max_tokens + 1}
    constraint_of = constraint if callable(constraint) else lambda prompt: constraint
    return trainer_class()(
        Rollouter(settings, constraint_of, reward, tokenizer, served, len(set(prompts))),
        model=model,
        args=config_class(**chosen),
        train_dataset=dataset_class.from_list([{"prompt": prompt} for prompt in prompts]),
        processing_class=tokenizer,
        callbacks=list(callbacks),
        peft_config=peft_config,
    )
