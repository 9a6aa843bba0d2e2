"""Rollouts by a real vLLM, in a process of its own: the same record, and masks replayed on the model in training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("vllm") / "program.py"
    file.write_text(PROGRAM, "utf-8")
    done = subprocess.run(
        [sys.executable, str(file)], env=os.environ | SETTINGS, capture_output=True, text=True, check=False
    )
    assert "RESULT" in done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout.partition("RESULT")[2].splitlines()[0])


@pytest.mark.vllm
def test_ratios_are_one_within_what_two_engines_differ_by(told: dict[str, Any]):
    assert told["finish"] == ["end"] * 12
    assert told["far"]["masked"] < 0.003
    assert told["far"]["policy"] < 0.003
    assert told["far"]["weight"] < 1e-9


@pytest.mark.vllm
def test_a_prompt_that_is_too_long_for_vllm_is_left_out(told: dict[str, Any]):
    assert told["incidents"] == {"prompt_too_long": 1}
