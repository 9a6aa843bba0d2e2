"""Rollouts by a real vLLM, in a process of its own: the same record, masks replayed on the model in training, and GRPO
whose rollouts vLLM draws with the weights of every step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed", exc_type=ImportError)

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
PROGRAM = """
import json, sys
import numpy as np
from decoding.embedded import as_transformers, hf_directory
from decoding.rl.rollouts import collect
from decoding.rl.tensors import forwarded
from decoding.vllm.models import engine, load
from grammars import choice, regex

def main():
    small = {"dtype": "float32", "enforce_eager": True, "block_size": 32, "max_model_len": 512, "max_num_seqs": 64}
    served = engine(load(str(hf_directory()), **small))
    prompts = ["User: Is water wet?\\nAssistant:", "User: What is 2 + 2?\\nAssistant:", "word " * 600]
    forms = [choice([" yes", " no", " maybe"]), regex(" [0-9]{1,3}"), regex("a")]
    found = collect(served, prompts, forms, n=6, max_tokens=6, seed=0)
    logs = forwarded(as_transformers()[0], found.rows, served.vocabulary)
    far = {"masked": 0.0, "policy": 0.0, "weight": 0.0}
    for i, row in enumerate(found.rows):
        n = len(row.ids)
        for kind, old in (("masked", row.log_masked), ("policy", row.log_policy)):
            now = getattr(logs, kind).values[i, :n].detach().numpy()
            far[kind] = max(far[kind], float(np.abs(np.exp(now - old) - 1).max()))
        far["weight"] = max(far["weight"], abs(float(row.log_mass.sum()) - row.log_weight))
    told = {"far": far, "incidents": dict(found.incidents), "finish": [row.finish for row in found.rows]}
    print("RESULT" + json.dumps(told))

if __name__ == "__main__":
    main()
"""


TRAINING = """
import json, sys
from pathlib import Path
import numpy as np
import torch
from decoding.rl import training
from decoding.rl.configuration import read_configuration
from decoding.rl.rollouts import collect
from decoding.rl.scoring import rescored
from grammars import regex

def main():
    torch.set_num_threads(1)
    made = read_configuration(Path(sys.argv[1]))
    kept = []
    plain = training.grpo_trainer
    training.grpo_trainer = lambda *given, **more: kept.append(plain(*given, **more)) or kept[-1]
    training.train(made)
    served, model = kept[0].rollouter.served, kept[0].model.eval()
    asked, form = "User: What is 3 + 4?\\nAssistant:", regex(" [0-9]{2}")
    drawn = collect(served.renewed(model), [asked], form, n=8, max_tokens=6, seed=0)
    again = rescored(model, drawn.rows, served.engine.vocabulary)
    far = [np.abs(np.expm1(new.log_masked - old.log_masked)).max() for new, old in zip(again, drawn.rows)]
    rows = [json.loads(line) for line in (made.out / "metrics.jsonl").read_text().splitlines()]
    print("RESULT" + json.dumps({"far": float(max(far)), "rows": rows}))

if __name__ == "__main__":
    main()
"""
RUN = """
method = "grpo"
output = "out"
steps = 3
tensorboard = false
[model]
lora = LORA
[prompts]
list = ["User: What is 3 + 4?\\nAssistant:", "User: What is 5 + 2?\\nAssistant:"]
[form]
regex = "[0-9]{2}"
prefix = " "
[[reward]]
kind = "exact_length"
wanted = 2
unit = "bytes"
[rollouts]
n = 4
prompts = 2
max_tokens = 6
engine = "vllm"
vllm = {enforce_eager = true, block_size = 32, max_model_len = 512, max_num_seqs = 64}
[optimizer]
rate = RATE
"""


def result_of(folder: Path, program: str, *arguments: str) -> dict[str, Any]:
    """What a program says last, run in a process of its own."""
    file = folder / "program.py"
    file.write_text(program, "utf-8")
    command = [sys.executable, str(file), *arguments]
    done = subprocess.run(command, env=os.environ | SETTINGS, capture_output=True, text=True, check=False)
    assert "RESULT" in done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout.partition("RESULT")[2].splitlines()[0])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return result_of(tmp_path_factory.mktemp("vllm"), PROGRAM)


@pytest.mark.vllm
@pytest.mark.parametrize(("lora", "rate"), [(0, 1e-3), (4, 1e-2)], ids=["all weights", "adapters"])
def test_what_vllm_draws_with_is_what_training_has_learned(tmp_path: Path, lora: int, rate: float):
    """Three steps that move the policy far: its legal mass by a tenth and more. vLLM follows each of them."""
    pytest.importorskip("trl")
    pytest.importorskip("peft")
    (tmp_path / "run.toml").write_text(RUN.replace("LORA", str(lora)).replace("RATE", str(rate)), "utf-8")
    found = result_of(tmp_path, TRAINING, str(tmp_path / "run.toml"))
    assert found["far"] < 0.003
    assert [row["valid"] for row in found["rows"]] == [1.0] * 3
    assert max(row["drift"] for row in found["rows"]) < 0.003
    masses = [row["legal_mass"] for row in found["rows"]]
    assert max(abs(a - b) for a, b in pairwise(masses)) > 0.1


@pytest.mark.vllm
def test_ratios_are_one_within_what_two_engines_differ_by(told: dict[str, Any]):
    assert told["finish"] == ["end"] * 12
    assert told["far"]["masked"] < 0.003
    assert told["far"]["policy"] < 0.003
    assert told["far"]["weight"] < 1e-9


@pytest.mark.vllm
def test_a_prompt_that_is_too_long_for_vllm_is_left_out(told: dict[str, Any]):
    assert told["incidents"] == {"prompt_too_long": 1}
