"""vLLM as the engine that draws the rollouts of a policy that is trained elsewhere.

    grpo_trainer(model, tokenizer, prompts, form, reward, settings, served=Served(load("MODEL", dtype="float32")), ...)

Before every generation the workers of vLLM are given the weights as they are in training, adapters merged in, and
forget what they kept of prompts. In one process they are handed over as they are; to workers in processes of their own
(tensor parallel, Ray over several machines) as a folder that all of them can read: vLLM's own `reload_weights`, so it
does not matter how they lay weights out. What vLLM draws is scored once more by the model in training (`scoring`), so
ratios start at 1 and what both engines differ by is in the weights.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from torch import Tensor

from decoding.engine import Engine
from decoding.vllm.models import engine

_SAVED = re.compile(r"\.modules_to_save\.[^.]+")  # what peft trains as a whole


class Served:
    """A vLLM that `decoding.vllm.models.load` started, and the policy that it writes for."""

    def __init__(self, llm: Any, folder: Path | None = None):
        self.llm = llm
        self.engine: Engine = engine(llm)
        self._folder = folder

    def renewed(self, model: Any) -> Engine:
        """The engine, with the weights of a model of transformers, bare or with adapters."""
        if self._is_here():
            self._reload(weights_iterator=weights_of(model))
        else:
            self._reload_from_folder(model)
        self.llm.reset_prefix_cache()
        return self.engine

    def _is_here(self) -> bool:
        """Whether the worker is in this process."""
        envs: Any = import_module("vllm.envs")
        parallel = self.llm.llm_engine.vllm_config.parallel_config
        return not envs.VLLM_ENABLE_V1_MULTIPROCESSING and int(parallel.world_size) == 1

    def _reload_from_folder(self, model: Any) -> None:
        save: Any = import_module("safetensors.torch").save_file
        folder = Path(mkdtemp(prefix="weights-", dir=self._folder))
        try:
            save({name: tensor.contiguous().cpu() for name, tensor in weights_of(model)}, folder / "model.safetensors")
            self._reload(weights_path=str(folder))
        finally:
            shutil.rmtree(folder)

    def _reload(self, **what: Any) -> None:
        self.llm.collective_rpc("reload_weights", kwargs=what)
        platform: Any = import_module("vllm.platforms").current_platform
        if platform.is_cpu():
            self.llm.collective_rpc(packed_again)


def packed_again(worker: Any) -> None:
    """On processors vLLM packs weights for its kernels, those of the last layer too, but not again when the embedding
    that it shares them with is loaded anew."""
    for layer in worker.model_runner.get_model().modules():
        if type(layer).__name__ == "ParallelLMHead":
            layer.quant_method.process_weights_after_loading(layer)


def weights_of(model: Any) -> Iterator[tuple[str, Tensor]]:
    """The weights of a model by the names that its checkpoint has; adapters of peft are added to what they adapt.

    >>> from decoding.embedded import as_transformers
    >>> dict(weights_of(as_transformers()[0]))["model.norm.weight"].shape
    torch.Size([192])
    """
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    adapted = {name: layer for name, layer in plain.named_modules() if hasattr(layer, "get_delta_weight")}
    for name, weight in plain.named_parameters():
        if ".lora_" in name or ".original_module." in name:
            continue
        owner, _, part = name.rpartition(".base_layer.")
        if owner in adapted and part == "weight":
            layer = adapted[owner]
            merged = weight.detach().clone()
            for adapter in layer.active_adapters:
                merged += layer.get_delta_weight(adapter).detach()
            yield f"{owner}.weight", merged
        else:
            yield _SAVED.sub("", f"{owner}.{part}" if owner else name), weight.detach()
