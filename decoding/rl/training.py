"""A run from beginning to end: GRPO by TRL, distribution matching by a loop of our own.

Both write figures for each step and checkpoints, and go on where they were killed: draws follow from seed, step and
process, so a resumed run is the uninterrupted one, to the bit. Both run in several processes when started by
`accelerate launch`; each process draws for its own prompts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from decoding.rl.checkpoints import latest_checkpoint, write_checkpoint
from decoding.rl.configuration import Configuration, form_of, prompts_of, reward_of
from decoding.rl.errors import BadCheckpoint, NothingToLearn
from decoding.rl.extras import require
from decoding.rl.grpo import Settings, grpo_trainer
from decoding.rl.guards import drop_broken_gradients, drop_empty_gradients
from decoding.rl.incidents import Drought, Incidents
from decoding.rl.losses import Clip
from decoding.rl.matching import Evidence, Matcher, Matching
from decoding.rl.metrics import Metrics
from decoding.rl.objectives import Objective
from decoding.rl.processes import incident_figures, summed, together
from decoding.sampler_names import sampler_of
from grammars import BackendUnavailable

Watch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    steps: int
    figures: Mapping[str, float]
    incidents: Incidents
    folder: Path
    began_at: int = 0
    """The step that it was resumed from."""


def train(made: Configuration, watch: Watch = lambda step, figures: None) -> Outcome:
    """Do what a configuration says; `watch` is told the figures of every step."""
    require("torch", "transformers", "accelerate")
    prompts, form = prompts_of(made), form_of(made)
    made.out.mkdir(parents=True, exist_ok=True)
    _remember(made)
    model, tokenizer = load_model(made.model.name)
    if made.model.device:
        model = model.to(made.model.device)
    method = _grpo if made.method == "grpo" else _matching
    return method(made, model, tokenizer, prompts, form, watch)


def load_model(name: str) -> tuple[Any, Any]:
    """A causal model of transformers in single precision, and its tokenizer; "built-in" is ours."""
    if name == "built-in":
        from decoding.embedded import as_transformers

        return as_transformers()
    transformers: Any = import_module("transformers")
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(name)
        return model.float(), transformers.AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise BackendUnavailable(
            f"the model {name!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="a folder with config.json, weights and tokenizer.json is wanted, or a name on the model hub",
        ) from error


def _remember(made: Configuration) -> None:
    """Write down what is trained, and refuse to go on with something else."""
    file = made.out / "configuration.json"
    told = {name: value for name, value in asdict(made).items() if name not in ("folder", "steps", "output")}
    told = json.loads(json.dumps(told | {"processes": _processes()}))
    if not file.exists():  # all processes write the same, each as a whole
        spare = file.with_suffix(f".{os.getpid()}.part")
        spare.write_text(json.dumps(told, indent=1), "utf-8")
        os.replace(spare, file)
        return
    try:
        known = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"{file} is damaged", hint="remove the folder to begin anew") from error
    if known != told:
        raise BadCheckpoint(
            f"{made.out} holds a run with another configuration", hint="name another output, or remove the folder"
        )


def _processes() -> int:
    """How many the launcher has started; draws depend on it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


# -- grpo -------------------------------------------------------------------------------------------------------------

_OF_TRL = ("loss", "grad_norm", "learning_rate", "reward", "reward_std", "step_time", "kl")


def _grpo(made: Configuration, model: Any, tokenizer: Any, prompts: Sequence[str], form: Any, watch: Watch) -> Outcome:
    callback_class: Any = import_module("transformers").TrainerCallback
    part = made.objective
    settings = Settings(
        objective=Objective(part.name, part.legal_mass, part.scaled),
        sampler=sampler_of(made.rollouts.sampler),
        max_tokens=made.rollouts.max_tokens,
        clip=Clip(made.optimizer.clip, made.optimizer.clip),
        divergence=part.divergence,
        seed=made.seed,
    )
    resumed, began_at = _latest_of_trl(made.out)

    class Writing(callback_class):
        """Figures of each step to the metrics of the run."""

        latest: Mapping[str, float] = {}
        metrics: Metrics | None = None

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not logs or "reward" not in logs or not state.is_world_process_zero:
                return
            if self.metrics is None:
                self.metrics = Metrics(made.out, began_at, made.tensorboard)
            kept = {name: float(logs[name]) for name in _OF_TRL if logs.get(name) is not None}
            of_rollouts = {name: value for name, value in logs.items() if name in trainer.rollouter.figures}
            left_out = {name: value for name, value in logs.items() if name.startswith("incidents/")}
            self.latest = kept | {name: float(value) for name, value in (of_rollouts | left_out).items()}
            self.metrics.write(state.global_step, self.latest)
            watch(state.global_step, self.latest)

    writing = Writing()
    trainer = grpo_trainer(
        model,
        tokenizer,
        _in_order(made, prompts),
        form,
        reward_of(made),
        settings,
        served=_served(made),
        callbacks=[writing],
        peft_config=_lora(made.model.lora),
        output_dir=str(made.out),
        num_generations=made.rollouts.n,
        per_device_train_batch_size=made.rollouts.n * made.rollouts.prompts,
        num_iterations=made.optimizer.updates,
        max_steps=made.steps,
        learning_rate=made.optimizer.rate,
        max_grad_norm=made.optimizer.clip_norm,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_steps=made.checkpoints.every,
        save_total_limit=made.checkpoints.keep,
        seed=made.seed,
        data_seed=made.seed,
        shuffle_dataset=False,
        use_cpu=not torch.cuda.is_available(),
    )
    trainer.remove_callback(import_module("transformers").PrinterCallback)
    trainer.train(resume_from_checkpoint=resumed)
    trainer.save_model(str(made.out / "model"))
    if writing.metrics is not None:
        writing.metrics.draw(f"GRPO, {made.objective.name}")
        writing.metrics.close()
    total = Incidents(trainer.rollouter.all_incidents + trainer.rollouter.incidents)
    return Outcome(made.steps, writing.latest, total, made.out, began_at)


def _in_order(made: Configuration, prompts: Sequence[str]) -> list[str]:
    """The prompts of all steps, one after the other: a single pass, so that what comes next is known at any step. (What
    shuffles anew in every pass forgets, in several processes, how often it did when it is resumed.)"""
    count = -(-made.steps // made.optimizer.updates) * made.rollouts.prompts * _processes()
    return [prompts[i] for i in islice(_endless(len(prompts), made.seed, begin=0), count)]


def _served(made: Configuration) -> Any:
    """vLLM, if it is to draw the rollouts."""
    if made.rollouts.engine == "model":
        return None
    from decoding.embedded import hf_directory
    from decoding.rl.served import Served
    from decoding.vllm import load as start

    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # weights are handed over in this process
    name = str(hf_directory()) if made.model.name == "built-in" else made.model.name
    return Served(start(name, **{"dtype": "float32", **made.rollouts.vllm}))


def _lora(rank: int) -> Any:
    if not rank:
        return None
    require("peft")
    return import_module("peft").LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def _latest_of_trl(folder: Path) -> tuple[str | None, int]:
    """The latest checkpoint of TRL that was written to its end: the state is what the first process writes last, what
    is random the others."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        try:
            step = int(json.loads((path / "trainer_state.json").read_text("utf-8"))["global_step"])
        except (OSError, ValueError, KeyError):
            continue
        if _processes() == 1 or all((path / f"rng_state_{rank}.pth").exists() for rank in range(_processes())):
            found.append((step, path))
    step, path = max(found, default=(0, None))
    return (None, 0) if path is None else (str(path), step)


# -- distribution matching --------------------------------------------------------------------------------------------


def _matching(
    made: Configuration, model: Any, tokenizer: Any, prompts: Sequence[str], form: Any, watch: Watch
) -> Outcome:
    accelerate: Any = import_module("accelerate")
    # buffers are equal everywhere; to send them round with each pass would want as many passes of every process
    parallel = import_module("accelerate.utils").DistributedDataParallelKwargs(broadcast_buffers=False)
    accelerator = accelerate.Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[parallel])
    base, _ = load_model(made.model.name)
    settings = Matching(
        n=made.rollouts.n,
        max_tokens=made.rollouts.max_tokens,
        proposal=made.proposal,
        sampler=sampler_of(made.rollouts.sampler),
        seed=made.seed,
    )
    model = _with_adapters(model, made.model.lora).to(accelerator.device)
    matcher = Matcher(model, base.to(accelerator.device), tokenizer, settings)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=made.optimizer.rate, weight_decay=0.0)
    began_at = _restored(made.out / "checkpoints", model, optimizer, matcher, accelerator.process_index)
    wrapped, steered = accelerator.prepare(model, optimizer)
    is_main = bool(accelerator.is_main_process)
    metrics = Metrics(made.out, began_at, made.tensorboard) if is_main else None
    figures: dict[str, float] = {}
    total, drought = Incidents(), Drought(len(set(prompts)))
    for step in range(began_at + 1, made.steps + 1):
        matcher.incidents = Incidents()
        seed = np.random.SeedSequence([made.seed, step, accelerator.process_index])
        asked = _batch(prompts, made.rollouts.prompts, step, made.seed, accelerator)
        try:
            loss, figures = matcher.loss(asked, lambda _: form, seed, wrapped)
            drought.ends()
        except NothingToLearn as error:
            if matcher.incidents["unfinishable"]:
                raise
            drought.goes_on(asked, error)
            loss, figures = torch.zeros(()), {"rollouts": 0.0}
        steered.zero_grad()
        loss = loss if loss.requires_grad else _nothing(wrapped, accelerator.device)
        _stepped(accelerator, loss, learned, steered, made.optimizer.clip_norm, matcher.incidents)
        total.update(matcher.incidents)
        figures = together(figures) | summed(incident_figures(matcher.incidents))
        if metrics is not None:
            metrics.write(step, figures)
            watch(step, figures)
        if step % made.checkpoints.every == 0 or step == made.steps:
            _saved(made, step, accelerator, model, optimizer, matcher)
    if metrics is not None:
        model.save_pretrained(str(made.out / "model"))
        tokenizer.save_pretrained(str(made.out / "model"))
        metrics.draw("Distribution matching")
        metrics.close()
    return Outcome(made.steps, figures, total, made.out, began_at)


def _with_adapters(model: Any, rank: int) -> Any:
    config = _lora(rank)
    return model if config is None else import_module("peft").get_peft_model(model, config)


def _batch(prompts: Sequence[str], count: int, step: int, seed: int, accelerator: Any) -> list[str]:
    """The prompts of a step and process: another order in every pass, from the seed alone."""
    world, rank = accelerator.num_processes, accelerator.process_index
    order = _endless(len(prompts), seed, begin=(step - 1) * count * world)
    chosen = [next(order) for _ in range(count * world)]
    return list(dict.fromkeys(prompts[i] for i in chosen[rank::world]))


def _endless(size: int, seed: int, begin: int) -> Iterator[int]:
    """The numbers below `size`, shuffled anew in every pass, from the one at place `begin` on."""
    turn, place = divmod(begin, size)
    while True:
        yield from np.random.default_rng([seed, turn]).permutation(size)[place:].tolist()
        turn, place = turn + 1, 0


def _stepped(
    accelerator: Any, loss: Any, learned: Sequence[Any], optimizer: Any, norm: float, incidents: Incidents
) -> None:
    """One step of the optimiser, unless something in it is not finite, or there is nothing to it."""
    accelerator.backward(loss)
    if not drop_broken_gradients(learned):
        incidents.note("non_finite")
    elif drop_empty_gradients(learned):
        torch.nn.utils.clip_grad_norm_(learned, norm)
        optimizer.step()


def _nothing(model: Any, device: Any) -> Any:
    """A loss that teaches nothing, of a process that has no rollouts: the others wait for its gradient."""
    return model(input_ids=torch.zeros((1, 1), dtype=torch.long, device=device)).logits.sum() * 0.0


def _saved(made: Configuration, step: int, accelerator: Any, model: Any, optimizer: Any, matcher: Matcher) -> None:
    gather: Any = import_module("accelerate.utils").gather_object
    own = {prompt: (one.log_total, one.draws) for prompt, one in matcher.evidence.items()}
    evidence = gather([own])
    if accelerator.is_main_process:
        weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        content = {"weights": weights, "optimizer": optimizer.state_dict(), "evidence": evidence}
        write_checkpoint(made.out / "checkpoints", step, content, made.checkpoints.keep)
    accelerator.wait_for_everyone()


def _restored(folder: Path, model: Any, optimizer: Any, matcher: Matcher, rank: int) -> int:
    step, content = latest_checkpoint(folder)
    if not content:
        return 0
    try:
        model.load_state_dict(content["weights"])
        optimizer.load_state_dict(content["optimizer"])
        own = content["evidence"][rank]
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise BadCheckpoint(
            f"the checkpoint of step {step} does not fit: {error}", hint="was it another run's?"
        ) from error
    matcher.evidence = {prompt: Evidence(log_total, draws) for prompt, (log_total, draws) in own.items()}
    return step
