"""`load()` needs numpy alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from decoding.embedded import load
from decoding.embedded.hugging_face import as_transformers
from decoding.embedded.weights import read_weights
from grammars import BackendUnavailable

HEAVY = ("torch", "transformers", "tokenizers", "safetensors", "huggingface_hub")


def test_loading_and_asking_imports_nothing_heavy(repository: Path):
    program = f"""
import sys
from decoding.embedded import load
load("SQL:").log_probs([[]])
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=repository)
    assert done.stdout.strip() == "[]"


def test_weights_are_read_once():
    assert load("a")._llama is load("b")._llama


def test_models_loaded_apart_do_not_share_memory():
    first, second = load("a"), load("a")
    first.log_probs([[]])
    assert second.forwarded == 0


def test_a_model_can_be_asked_from_several_threads():
    from concurrent.futures import ThreadPoolExecutor

    model = load("SQL:")
    texts = [model.encode(text) for text in (" SELECT", " SELECT *", " INSERT", " SELECT * FROM")] * 8
    alone = [load("SQL:").log_probs([text])[0] for text in texts]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda text: model.log_probs([text])[0], texts))
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BackendUnavailable) as caught:
        as_transformers()
    assert "scansion[hf]" in str(caught.value)


def test_weights_equal_those_that_safetensors_reads(tmp_path: Path):
    safetensors = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(0)
    written = {"a": rng.normal(size=(3, 4)).astype(np.float32), "b": rng.normal(size=5).astype(np.float16)}
    safetensors.save_file(written, tmp_path / "w.safetensors", metadata={"format": "pt"})
    read = read_weights(tmp_path / "w.safetensors")
    assert set(read) == {"a", "b"}
    for name, value in written.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], value.astype(np.float32))


def test_the_package_carries_the_files(repository: Path):
    pytest.importorskip("hatchling")
    from hatchling.builders.wheel import WheelBuilder

    included = {entry.distribution_path for entry in WheelBuilder(str(repository)).recurse_included_files()}
    names = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {f"decoding/embedded/files/{name}" for name in names} <= included
    assert "decoding/embedded/MODEL_CARD.md" in included
