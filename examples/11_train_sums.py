"""Reinforcement learning with a guaranteed form: sums, answered as JSON, on the built-in model.
Every rollout is valid from the first step on; the policy learns the form while the mask guarantees it (legal mass),
and the sums. The loop is all there is; `decoding.rl.grpo` does the same in TRL, `scansion train` from a file.
"""

from __future__ import annotations

import json
import random
import re

import torch

from decoding.embedded import as_transformers
from decoding.engine import Engine
from decoding.rl import losses
from decoding.rl.incidents import Incidents
from decoding.rl.objectives import Objective
from decoding.rl.rewards import of_text, scored
from decoding.rl.rollouts import collect
from decoding.rl.tensors import forwarded
from grammars import regex

FORM = regex(r' \{"answer": [1-9][0-9]?\}')
SUMS = [f"User: What is {a} + {b}?\nAssistant:" for a in range(1, 6) for b in range(1, 6)]
STEPS = 10


@of_text
def nearness(prompt: str, text: str) -> float:
    """1 for the right sum, a tenth less for each that it is off."""
    a, b = map(int, re.findall(r"\d+", prompt))
    return max(0.0, 1.0 - abs(json.loads(text)["answer"] - a - b) / 10)


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = as_transformers()
    engine, objective = Engine.load(model, tokenizer), Objective("conditional", legal_mass=0.2, scaled=True)
    optimizer, chance = torch.optim.AdamW(model.parameters(), lr=1e-3), random.Random(0)
    print("step   valid   reward   legal mass")
    for step in range(STEPS + 1):
        drawn = collect(engine, chance.sample(SUMS, 3), FORM, n=8, max_tokens=24, seed=step)
        loss, earned = torch.zeros(()), []
        for group in drawn.groups:
            rewards = scored(nearness, group.prompt, group.rows, drawn.incidents)
            earned.append(rewards.mean())
            coefficients = objective.coefficients(group.rows, rewards, Incidents())
            logs = forwarded(model, group.rows, engine.vocabulary)
            loss = loss + losses.loss(coefficients, logs.policy, logs.masked) / len(drawn.groups)
        figures = drawn.figures()
        if step % 2 == 0:
            mean = sum(earned) / len(earned)
            print(f"{step:4} {figures['valid']:7.0%} {mean:8.3f} {figures['legal_mass']:12.2g}", flush=True)
        if figures["valid"] < 1:
            raise SystemExit("a rollout broke the form")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    unmasked = collect(engine, SUMS[::8], None, n=1, max_tokens=24, seed=0)
    print("without a mask:", *(row.text.decode().strip() for row in unmasked.rows))


if __name__ == "__main__":
    main()
