"""Engines that need a process of their own: `python engines.py NAME` starts one and writes what it did as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
"""What vLLM reads when it is imported, here and in the processes that it starts."""
SMALL = {"dtype": "float32", "enforce_eager": True, "block_size": 32, "max_model_len": 512, "max_num_seqs": 64}
ASKED = "User: What is 2 + 2?\nAssistant: "
PERSON = "Extract the person from: Ada Lovelace is 36 years old and lives in London.\nJSON:"
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
STRUCTURED: list[dict[str, Any]] = [
    {"json": SCHEMA},
    {"regex": " [0-9]{3}(,[0-9]{3}){5}"},
    {"choice": ["certainly", "never"]},
    {"grammar": 'root ::= " " "(" root ")" | "x"'},
    {"grammar": 'start: "ab" start | "c"'},
    {"json_object": True},
    {
        "structural_tag": json.dumps(
            {
                "type": "structural_tag",
                "structures": [{"begin": "<n>", "schema": {"type": "integer"}, "end": "</n>"}],
                "triggers": ["<n>"],
            }
        )
    },
]
REFUSED: list[dict[str, Any]] = [
    {"regex": "(a"},
    {"json": {"type": "nothing"}},
    {"json": {"type": "string", "pattern": "(a)\\1"}},
    {"grammar": "start: missing"},
    {"choice": ["a"], "whitespace_pattern": " "},
]
NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 3, "prompt_lookup_min": 1}


def installed() -> dict[str, Any]:
    """A vLLM that was told nothing about scansion."""
    from decoding.vllm import constrained

    texts = answers(started(), [{"extra_args": constrained(regex="[0-9]{3}-[a-z]{2}")}, {}, {"extra_args": None}])
    return {"texts": texts}


def structured(speculative: bool) -> dict[str, Any]:
    """scansion in the place of xgrammar, by the environment variable alone."""
    from vllm.sampling_params import StructuredOutputsParams

    from decoding.vllm import constrained
    from decoding.vllm.interfaces import refusals

    more = {"speculative_config": NGRAM} if speculative else {}
    llm = started(structured_outputs_config={"backend": "xgrammar"}, disable_log_stats=False, **more)
    greedy = [{"structured_outputs": StructuredOutputsParams(**asked), "temperature": 0.0} for asked in STRUCTURED]
    result: dict[str, Any] = {"texts": answers(llm, greedy)}
    result["mixed"] = answers(llm, [greedy[0], {"temperature": 0.0}, greedy[1]])
    result["refused"] = []
    for asked in REFUSED:
        try:
            answers(llm, [{"structured_outputs": StructuredOutputsParams(**asked)}])
        except refusals() as error:
            result["refused"].append(str(error))
    try:
        result["wish"] = answers(llm, [{"extra_args": constrained(choice=["fine"])}])[0]
    except refusals() as error:
        result["wish"] = str(error)
    counts = {m.name: getattr(m, "value", 0) for m in llm.get_metrics() if "spec_decode" in m.name}
    result["drafted"] = counts.get("vllm:spec_decode_num_draft_tokens", 0)
    result["accepted"] = counts.get("vllm:spec_decode_num_accepted_tokens", 0)
    return result


def tensor_parallel() -> dict[str, Any]:
    """Two workers, each with half of the model; the same draws as with one are not promised, the same law is."""
    from decoding.embedded import hf_directory
    from decoding.vllm import load, particles, weighted

    llm = load(str(hf_directory()), **SMALL, tensor_parallel_size=2)
    (drawn,) = weighted(llm, [PERSON], n=4, seed=1, max_tokens=12, regex="[0-9]{2}|[a-z]{3}")
    swarm = particles(llm, PERSON, n=4, seed=1, max_tokens=12, regex="[0-9]{2}|[a-z]{3}")
    rows = {"tokens": [tokens.tolist() for tokens in drawn.tokens], "log_weights": drawn.log_weights.tolist()}
    return {"texts": [text.decode() for text in drawn.text], "swarm": [text.decode() for text in swarm.text]} | rows


def started(**options: Any) -> Any:
    from vllm import LLM

    from decoding.embedded import hf_directory

    return LLM(str(hf_directory()), **SMALL, **options)


def answers(llm: Any, requests: list[dict[str, Any]]) -> list[str]:
    from vllm import SamplingParams

    params = [SamplingParams(**{"max_tokens": 60, "seed": 1} | request) for request in requests]
    return [output.outputs[0].text for output in llm.generate([PERSON] * len(params), params, use_tqdm=False)]


ENGINES = {
    "installed": installed,
    "structured": lambda: structured(False),
    "speculative": lambda: structured(True),
    "tensor_parallel": tensor_parallel,
}


def main(name: str) -> None:
    # This folder is called like the package, so it must not be searched first.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(REPOSITORY), *(place for place in sys.path if Path(place).resolve() != here)]
    sys.stdout.write("RESULT " + json.dumps(ENGINES[name]()) + "\n")
    sys.stdout.flush()
    os._exit(0)  # whoever started this ends the workers


if __name__ == "__main__":
    main(sys.argv[1])
