r"""vLLM with exact constraints: a plugin for its logits, another for its structured outputs, and the samplers.

**A mask per request.** `ConstraintProcessor` is a logits processor for both of vLLM's model runners. It is an entry
point, so it is there wherever this distribution is installed, and it does nothing for requests that do not ask for it.
A request asks in `SamplingParams(extra_args=constrained(regex="[0-9]+"))`, and over HTTP in
`vllm_xargs={"scansion": "{\"regex\": \"[0-9]+\"}"}`. Bad grammars are refused in the front end.

| wanted | way |
|---|---|
| constrained answers, with the model's own log-probabilities | `ConstraintProcessor` |
| `response_format` and `structured_outputs` of unchanged clients; speculative decoding | `use_for_structured_outputs` |
| any sampler of `samplers` | `VLLMModel`, `engine(llm)` |
| masked draws with weights; SMC that stays on the device | `weighted`, `particles` |
| many prompts × many constraints, to a file | `batches.run`, or `python -m decoding.vllm.batches` |

**What is exported.** With `record=KEY` the processor keeps, token by token, log Z_t: the log of the mass that the model
gave to all allowed tokens. ∏ Z_t is the weight that makes up for masking (see `samplers.masking`). `load` starts vLLM
so that drivers can fetch it.

**More than one process.** Nothing here is at home in one process: grammars travel as text and are compiled where they
are needed (`scansion warm` once per machine spares the first request of each process the compilation of kernels).
Tensor parallel workers mask the same logits alike, `load(model, tensor_parallel_size=2)`, and replicas know nothing of
each other: `vllm serve MODEL --data-parallel-size 2` on one machine. Past one machine replicas stand behind one
server by Ray, which vLLM's own data parallelism uses where there are GPUs,

    ray start --head                                    # and `ray start --address=HEAD:6379` on the others
    vllm serve MODEL --data-parallel-size 2 --data-parallel-backend ray --data-parallel-address HEAD \
        --logits-processors decoding.vllm:ConstraintProcessor

and Ray Serve (`pip install 'ray[serve,llm]'`) also without any:

    from ray import serve
    from ray.serve.llm import LLMConfig, build_openai_app
    config = LLMConfig(
        model_loading_config={"model_id": "MODEL", "model_source": "MODEL"},
        deployment_config={"num_replicas": 2, "ray_actor_options": {"num_cpus": 1}},
        placement_group_config={"bundles": [{"CPU": 1}]},
        engine_kwargs={"logits_processors": ["decoding.vllm:ConstraintProcessor"]},
    )
    serve.run(build_openai_app({"llm_configs": [config]}), blocking=True)

**Two traps of vLLM.** Its V1 runner drops installed processors when it decodes speculatively, and under asynchronous
scheduling shows them -1 in place of the latest token unless they are named with `--logits-processors`. Requests that
would go unconstrained are refused with that advice.

Importing this package needs no vLLM; using it does.

>>> constrained(regex="[0-9]+")
{'scansion': {'regex': '[0-9]+'}}
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from decoding.vllm.wishes import constrained

if TYPE_CHECKING:
    from decoding.vllm.models import VLLMModel, engine, load, prompted
    from decoding.vllm.plugins import use_for_structured_outputs
    from decoding.vllm.processor import ConstraintProcessor
    from decoding.vllm.smc import particles
    from decoding.vllm.weights import weighted

__all__ = [
    "ConstraintProcessor",
    "VLLMModel",
    "constrained",
    "engine",
    "load",
    "particles",
    "prompted",
    "use_for_structured_outputs",
    "weighted",
]

_HOMES = {
    "ConstraintProcessor": "processor",
    "VLLMModel": "models",
    "engine": "models",
    "load": "models",
    "particles": "smc",
    "prompted": "models",
    "use_for_structured_outputs": "plugins",
    "weighted": "weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
