"""GRPO in TRL's trainer: what reaches its loss is the estimator, whatever TRL shuffles, splits or pads; and bad rewards
never reach the parameters."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")  # in the extra [rl]
pytest.importorskip("peft")

from decoding.rl import losses  # noqa: E402
from decoding.rl.errors import BadConfiguration, NothingToLearn  # noqa: E402
from decoding.rl.grpo import Rollouter, Settings, grpo_trainer, require_whole_groups, step_loss  # noqa: E402
from decoding.rl.incidents import Incidents  # noqa: E402
from decoding.rl.losses import Clip  # noqa: E402
from decoding.rl.objectives import OBJECTIVES, Objective  # noqa: E402
from decoding.rl.rewards import of_text, scored  # noqa: E402
from decoding.rl.rollouts import collect  # noqa: E402
from decoding.rl.tensors import forwarded  # noqa: E402
from decoding.rl.tree import SegmentTree  # noqa: E402
from grammars import choice, regex  # noqa: E402
from samplers import SMC, length  # noqa: E402

PROMPTS = [f"User: What is {a} + 2?\nAssistant:" for a in range(1, 5)]
DIGITS = regex(" [0-9]{2}")
pytestmark = pytest.mark.filterwarnings("ignore")


@of_text
def nearness(prompt: str, text: str) -> float:
    a, b = map(int, re.findall(r"\d+", prompt))
    return 1.0 - abs(int(text) - a - b) / 100


def trainer_of(folder: Path, reward: Any = nearness, constraint: Any = DIGITS, **options: Any) -> Any:
    from transformers import PrinterCallback

    from decoding.embedded import as_transformers

    torch.set_num_threads(1)
    model, tokenizer = as_transformers()
    settings = Settings(**{"objective": Objective("conditional", 0.2), "max_tokens": 6, **options.pop("settings", {})})
    prompts = options.pop("prompts", PROMPTS)
    chosen = {"num_generations": 4, "per_device_train_batch_size": 8, "max_steps": 2, "learning_rate": 1e-4} | options
    trainer = grpo_trainer(
        model, tokenizer, prompts, constraint, reward, settings,
        output_dir=str(folder), save_strategy="no", use_cpu=True, logging_steps=1, **chosen,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer


def weights(trainer: Any) -> dict[str, Any]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


def caught(trainer: Any) -> list[dict[str, Any]]:
    """The gradients of every step, as the optimiser is about to see them."""
    from transformers import TrainerCallback

    seen: list[dict[str, Any]] = []

    class Catch(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            model = kwargs["model"]
            seen.append({n: p.grad.detach().clone() for n, p in model.named_parameters() if p.grad is not None})

    trainer.add_callback(Catch())
    return seen


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_in_the_trainer_is_that_of_the_estimator(tmp_path: Path, name: str):
    """TRL shuffles the rollouts, splits them in two and pads them; the gradient is the one of the plain functions."""
    settings = {"objective": Objective(name, 0.3), "seed": 7}
    split = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "steps_per_generation": 2}
    trainer = trainer_of(tmp_path, settings=settings, max_steps=1, max_grad_norm=0.0, **split)
    seen = caught(trainer)
    model, rollouter = trainer.model, trainer.rollouter
    trainer.train()
    wanted = plain_gradient(trainer_of(tmp_path, settings=settings).model, rollouter, name)
    for key, gradient in seen[0].items():
        assert torch.allclose(gradient, wanted[key], rtol=1e-3, atol=1e-5), key
    assert model is trainer.model


def plain_gradient(model: Any, rollouter: Rollouter, name: str) -> dict[str, Any]:
    total = torch.zeros(())
    for group in rollouter._groups:
        rewards = scored(nearness, group.prompt, group.rows, Incidents())
        found = Objective(name, 0.3).coefficients(group.rows, rewards, Incidents())
        logs = forwarded(model, group.rows, rollouter.vocabulary)
        total = total + losses.loss(found, logs.policy, logs.masked) / len(rollouter._groups)
    total.backward()
    return {key: p.grad for key, p in model.named_parameters() if p.grad is not None}


def test_training_raises_the_legal_mass_and_every_rollout_is_valid(tmp_path: Path):
    trainer = trainer_of(tmp_path, max_steps=6, learning_rate=1e-3)
    trainer.train()
    rows = [row for row in trainer.state.log_history if "reward" in row]
    assert all(row["valid"] == 1.0 for row in rows)
    assert rows[-1]["legal_mass"] > rows[0]["legal_mass"] + 0.1
    assert not trainer.rollouter.all_incidents


@pytest.mark.parametrize("sampler", [SMC(8, 0.9), SegmentTree(entropy=0.1)], ids=["SMC", "SegmentTree"])
def test_other_samplers_roll_out_too(tmp_path: Path, sampler: Any):
    trainer = trainer_of(tmp_path, settings={"sampler": sampler, "objective": Objective("masked", 0.1)}, max_steps=1)
    before = weights(trainer)
    trainer.train()
    assert any(not torch.equal(before[name], p) for name, p in weights(trainer).items())


def test_prompts_may_have_constraints_of_their_own(tmp_path: Path):
    forms = {prompt: choice([f" {i}{j}" for j in range(10)]) for i, prompt in enumerate(PROMPTS)}
    trainer = trainer_of(tmp_path, constraint=forms.__getitem__, max_steps=1)
    trainer.train()
    for group in trainer.rollouter._groups:
        assert all(row.text[1:2] == str(PROMPTS.index(group.prompt)).encode() for row in group.rows)


def test_adapters_alone_are_trained_and_the_model_under_them_is_the_reference(tmp_path: Path):
    from peft import LoraConfig

    adapters = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    settings = {"divergence": 0.1}
    trainer = trainer_of(tmp_path, peft_config=adapters, settings=settings, max_steps=2, learning_rate=1e-2)
    before = weights(trainer)
    trainer.train()
    moved = [name for name, p in weights(trainer).items() if not torch.equal(before[name], p)]
    assert moved
    assert all("lora_" in name for name in moved)
    told = [row["kl"] for row in trainer.state.log_history if "kl" in row]
    assert told[0] == pytest.approx(0.0, abs=1e-4)


def test_a_divergence_keeps_a_copy_of_the_model_as_it_was(tmp_path: Path):
    trainer = trainer_of(tmp_path, settings={"divergence": 0.1, "objective": Objective("masked", 0.0)}, max_steps=1)
    trainer.train()
    assert trainer.ref_model is not None


def test_later_steps_on_the_same_rollouts_go_by_the_ratio(engine: Any):
    """The logs that a rollout is first learned from are its old ones."""
    found = collect(engine, PROMPTS[:1], DIGITS, n=4, max_tokens=6, seed=0)
    rewards = scored(nearness, PROMPTS[0], found.rows, Incidents())
    settings = Settings(objective=Objective("masked", 0.0), clip=Clip(0.0, 0.0))
    rollouter = Rollouter(settings, lambda prompt: DIGITS, nearness, None)
    coefficients = settings.objective.coefficients(found.rows, rewards, Incidents())
    rollouter.ledger.note(found.rows, coefficients, torch.ones(4))
    entries = [rollouter.ledger.find(row.prompt, row.ids.tolist()) for row in found.rows]
    model = engine.problem("A", constraint=DIGITS).model.model
    first = step_loss(entries, forwarded(model, found.rows, engine.vocabulary), settings)
    assert first.requires_grad
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.01 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    second = step_loss(entries, forwarded(model, found.rows, engine.vocabulary), settings)
    assert second.item() != pytest.approx(first.item(), abs=1e-6)
    second.backward()  # within clips of 0 only steps back are open


# -- ratios -----------------------------------------------------------------------------------------------------------


def watched(monkeypatch: pytest.MonkeyPatch, folder: Path, **options: Any) -> tuple[Any, list[tuple[Any, Any]]]:
    """A trainer that has run, and for each loss how far ratios were from 1: of the model's own logs, and masked."""
    from decoding.rl import grpo

    ratios: list[tuple[Any, Any]] = []
    plain = grpo.losses.loss

    def watching(found: Any, policy: Any, masked: Any, old: Any, old_masked: Any, **more: Any) -> Any:
        with torch.no_grad():
            pairs = ((policy, old), (masked, old_masked))
            ratios.append(tuple(float(torch.expm1(a.values - b.values).abs().max()) for a, b in pairs))
        return plain(found, policy, masked, old, old_masked, **more)

    monkeypatch.setattr(grpo.losses, "loss", watching)
    trainer = trainer_of(folder, learning_rate=1e-3, **options)
    trainer.train()
    return trainer, ratios


@pytest.mark.parametrize("sampler", [None, SMC(8, 0.9)], ids=["Masking", "SMC"])
def test_the_first_ratios_of_every_generation_are_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sampler: Any):
    """TRL shuffles the rollouts, and every optimiser step sees half of them: the second half is seen by a policy that
    has moved, so its ratios are not 1, but go back to the policy that drew it."""
    halves = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1, "steps_per_generation": 2}
    settings = {} if sampler is None else {"settings": {"sampler": sampler}}
    _, ratios = watched(monkeypatch, tmp_path, max_steps=4, **halves, **settings)
    assert len(ratios) == 4
    for first, second in (ratios[:2], ratios[2:]):
        assert max(first) < 1e-6
        assert min(second) > 1e-4


def test_ratios_are_one_as_long_as_nothing_moves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Four passes over a generation before the first step, and another four after it."""
    parts = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4, "steps_per_generation": 2}
    _, ratios = watched(monkeypatch, tmp_path, max_steps=2, num_iterations=4, **parts)
    assert len(ratios) == 8
    assert max(map(max, ratios[:4])) < 1e-6
    assert min(map(min, ratios[4:])) > 1e-4


# -- what is left out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_rewards_that_are_none_never_reach_the_parameters(tmp_path: Path, bad: Any):
    calls = iter(range(10_000))

    @of_text
    def sometimes(prompt: str, text: str) -> Any:
        return bad if next(calls) % 3 == 0 else 1.0

    trainer = trainer_of(tmp_path, sometimes)
    trainer.train()
    total = trainer.rollouter.all_incidents + trainer.rollouter.incidents
    assert total["bad_reward"] > 0
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())


def test_without_any_reward_the_rewards_teach_nothing(tmp_path: Path):
    trainer = trainer_of(
        tmp_path, of_text(lambda prompt, text: None), settings={"objective": Objective("conditional", 0.0)}, max_steps=1
    )
    before = weights(trainer)
    trainer.train()
    assert trainer.rollouter.incidents["rewardless"] == 2
    assert all(torch.equal(before[name], p) for name, p in weights(trainer).items())


def test_a_broken_gradient_is_no_step(tmp_path: Path):
    trainer = trainer_of(tmp_path, max_steps=1)
    before = weights(trainer)
    embedding = trainer.model.model.embed_tokens.weight
    embedding.register_hook(lambda gradient: gradient * float("nan"))
    trainer.train()
    assert trainer.rollouter.incidents["non_finite"] == 1
    assert all(torch.equal(before[name], p) for name, p in weights(trainer).items())


def test_a_prompt_that_is_too_long_is_left_out(tmp_path: Path):
    trainer = trainer_of(tmp_path, prompts=[PROMPTS[0], "word " * 2000], max_steps=1)
    trainer.train()
    assert trainer.rollouter.incidents["prompt_too_long"] == 1
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())


def test_a_step_without_rollouts_is_not_taken(tmp_path: Path):
    """One prompt a step, the second one too long: an optimiser with a memory would move all the same."""
    from transformers import TrainerCallback

    seen: list[dict[str, Any]] = []

    class Keep(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen.append({name: p.detach().clone() for name, p in kwargs["model"].named_parameters()})

    prompts = [PROMPTS[0], "word " * 2000]
    one = {"per_device_train_batch_size": 4, "max_steps": 4, "shuffle_dataset": False, "learning_rate": 1e-3}
    trainer = trainer_of(tmp_path, prompts=prompts, **one)
    trainer.add_callback(Keep())
    trainer.train()
    moved = [any(not torch.equal(a[name], b[name]) for name in a) for a, b in pairwise(seen)]
    assert moved == [False, True, False]
    total = trainer.rollouter.all_incidents + trainer.rollouter.incidents
    assert total["prompt_too_long"] == 2


def test_a_run_without_rollouts_is_refused(tmp_path: Path):
    with pytest.raises(NothingToLearn, match="of 2 prompts in a row not one"):
        trainer_of(tmp_path, prompts=["word " * 2000, "what " * 2000], max_steps=3).train()


def test_a_constraint_that_nothing_can_finish_is_refused(tmp_path: Path):
    trainer = trainer_of(tmp_path, constraint=length(90, 99), max_steps=1)
    with pytest.raises(NothingToLearn, match=r"step 0.*unfinishable 2"):
        trainer.train()


def test_a_prompt_may_stand_in_the_list_twice(tmp_path: Path):
    prompts = [PROMPTS[0], PROMPTS[0], PROMPTS[1], PROMPTS[0]]
    trainer = trainer_of(tmp_path, prompts=prompts, per_device_train_batch_size=16, max_steps=1, shuffle_dataset=False)
    trainer.train()
    assert [group.prompt for group in trainer.rollouter._groups] == prompts
    with pytest.raises(BadConfiguration, match="parts of groups of 4"):
        trainer.rollouter.rollouts([PROMPTS[0]] * 3 + [PROMPTS[1]] * 5, trainer)


def test_groups_stay_within_a_process(tmp_path: Path):
    split = SimpleNamespace(per_device_train_batch_size=2, steps_per_generation=1, num_generations=4)
    with pytest.raises(BadConfiguration, match="no whole groups of 4"):
        require_whole_groups(split)
    with pytest.raises(NothingToLearn, match="no prompts"):
        trainer_of(tmp_path, prompts=[])


@pytest.mark.parametrize("wrong", [{"level": "word"}, {"length": "rows"}, {"divergence": float("nan")}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]):
    with pytest.raises(BadConfiguration):
        Settings(**wrong)


# -- TRL's own loss ---------------------------------------------------------------------------------------------------


def test_what_trl_does_with_masked_rollouts_is_the_common_recipe(tmp_path: Path):
    """Its default loss and correction, called as they stand: w·(r − r̄)/σ before log π, over the number of tokens."""
    from trl import GRPOTrainer

    trainer = trainer_of(tmp_path)
    prompts = [prompt for prompt in PROMPTS[:2] for _ in range(4)]
    drawn = trainer.rollouter.rollouts(prompts, trainer)
    rewards = np.array(trainer.rollouter(prompts, [None] * 8), np.float64).reshape(2, 4)
    rows = [row for group in trainer.rollouter._groups for row in group.rows]
    advantages = (rewards - rewards.mean(1, keepdims=True)) / (rewards.std(1, ddof=1, keepdims=True) + 1e-4)
    log_w = torch.tensor([row.log_weight for row in rows])
    inputs = padded(drawn, advantages.ravel(), log_w.exp())
    trainer.use_vllm, trainer.current_gradient_accumulation_steps = True, 1
    GRPOTrainer.compute_loss(trainer, trainer.model, inputs).backward()
    theirs = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    trainer.model.zero_grad()
    logs = forwarded(trainer.model, rows, trainer.rollouter.vocabulary)
    count = sum(len(row.ids) for row in rows)
    coefficients = (log_w.exp() * torch.from_numpy(advantages.ravel())).float() / count
    losses.surrogate(coefficients, logs.policy).backward()
    for name, p in trainer.model.named_parameters():
        assert torch.allclose(theirs[name], p.grad, rtol=1e-3, atol=1e-7), name


def padded(drawn: dict[str, Any], advantages: Any, ratio: Any) -> dict[str, Any]:
    """A batch of TRL's, made by hand."""
    out: dict[str, Any] = {
        "advantages": torch.from_numpy(advantages).float(),
        "importance_sampling_ratio": ratio[:, None],
    }
    for name, side in (("prompt", "left"), ("completion", "right")):
        rows = [torch.tensor(ids) for ids in drawn[f"{name}_ids"]]
        pad = torch.nn.utils.rnn.pad_sequence
        out[f"{name}_ids"] = pad(rows, batch_first=True, padding_value=2, padding_side=side)
        out[f"{name}_mask"] = pad([torch.ones_like(r) for r in rows], batch_first=True, padding_side=side)
    out["num_items_in_batch"] = out["completion_mask"].sum()
    return out
