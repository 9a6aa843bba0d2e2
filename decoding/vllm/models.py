"""vLLM as a model that samplers can ask.

    llm = load("MODEL")
    problem = Problem(VLLMModel(llm, prompt_ids), grammar)
    sample(problem, AdaptiveRejection(), n=8)

A context is a request for one token, all contexts of a call together. With prefix caching vLLM keeps the keys and
values of every full block of tokens, whoever computed them, so a context costs its last block and a sampler may come
back to any branch. The logits are kept by the processor in the worker and fetched from there: vLLM's own way to report
them makes an object for every token of the vocabulary.

What is asked token by token pays for a request each time. Where masking proposes, `decoding.vllm.particles` asks for
a whole stretch of tokens and gives the same kind of result.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike, NDArray

from decoding.engine import Engine
from decoding.vllm.interfaces import refusals, the_vllm
from decoding.vllm.plugins import register
from decoding.vllm.tokens import vocabulary_of
from decoding.vllm.wishes import constrained
from grammars import BackendUnavailable, RequestError, Vocabulary, VocabularyError
from samplers.protocols import LanguageModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PROCESSOR = "decoding.vllm:ConstraintProcessor"
EXTENSION = "decoding.vllm.records.WorkerExtension"
_BYTES_AT_ONCE = 1 << 28

_PROCESS = uuid4().hex[:8]  # several drivers may ask the same workers
_numbers = count()


def load(model: str, **options: Any) -> Any:
    """`vllm.LLM(model, ...)` with everything that is needed here: the processor, the way to fetch what it recorded, and
    prefix caching."""
    register()
    processors = [*options.pop("logits_processors", ()), PROCESSOR]
    ours = {"logits_processors": processors, "worker_extension_cls": EXTENSION, "enable_prefix_caching": True}
    return the_vllm().LLM(model, **(ours | options))


def engine(llm: Any) -> Engine:
    """The front door over a vLLM that `load` started: `engine(llm).generate(prompt, regex=..., sampler=SMC(16))`."""
    return Engine(prompted(llm), vocabulary_of(llm.llm_engine.model_config), str(llm.llm_engine.model_config.model))


def prompted(llm: Any) -> Callable[[str], LanguageModel]:
    """What makes a model of a prompt."""
    tokenizer = llm.get_tokenizer()
    return lambda prompt: VLLMModel(llm, tokenizer.encode(prompt))


class VLLMModel:
    """A `LanguageModel` of `samplers`: P(next token | prompt, context), in float32 as vLLM computed it.

    `asked` counts requests.
    """

    def __init__(self, llm: Any, prompt: ArrayLike):
        self.llm = llm
        self.vocabulary: Vocabulary = vocabulary_of(llm.llm_engine.model_config)
        self.prompt: list[int] = np.asarray(prompt, np.int64).ravel().tolist()
        self.asked = 0
        if not self.prompt:
            raise VocabularyError("the prompt has no tokens", hint="begin with the token that begins a text")

    def log_probs(self, contexts: Sequence[ArrayLike], parents: ArrayLike | None = None) -> Floats:
        """Normalised log-probabilities after each context, (n, V). `parents` are not needed: vLLM finds prefixes
        again by what they are."""
        rows = np.empty((len(contexts), self.vocabulary.size))
        for begin, end in portions(len(contexts), self.vocabulary.size):
            texts = [self.prompt + np.asarray(context, np.int64).tolist() for context in contexts[begin:end]]
            rows[begin:end] = self._logits(texts)
        return normalised(rows)

    def _logits(self, texts: list[list[int]]) -> Floats:
        names = fresh_names(len(texts))
        options = {"max_tokens": 1, "temperature": 0.0, "detokenize": False}
        wishes = [constrained(record=name, rows=True) for name in names]
        generate(self.llm, texts, [options | {"extra_args": wish} for wish in wishes])
        self.asked += len(texts)
        found = fetched(self.llm, names)
        return np.stack([np.frombuffer(found[name]["row"], np.float32) for name in names]).astype(np.float64)


def generate(llm: Any, prompts: Sequence[Sequence[int]], options: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The one completion of each prompt, given as ids, under sampling parameters of its own."""
    vllm = the_vllm()
    params = [vllm.SamplingParams(**each) for each in options]
    try:
        outputs = llm.generate([{"prompt_token_ids": list(ids)} for ids in prompts], params, use_tqdm=False)
    except refusals() as error:
        raise RequestError(f"vLLM refuses the request: {error}") from error
    return [output.outputs[0] for output in outputs]


def fetched(llm: Any, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the workers recorded under these names; every one must be there."""
    try:
        of_workers = llm.collective_rpc("scansion_take", args=(list(names),))
    except NotImplementedError as error:  # what vLLM says of a method that its workers lack
        raise _unprepared() from error
    found: dict[str, dict[str, Any]] = {}
    for records in of_workers:
        found = records | found
    if any(name not in found for name in names):
        raise _unprepared()
    return found


def fresh_names(n: int) -> list[str]:
    """Names under which nothing was recorded yet."""
    return [f"scansion-{_PROCESS}-{next(_numbers)}" for _ in range(n)]


def _unprepared() -> BackendUnavailable:
    return BackendUnavailable(
        "this vLLM does not tell what the processor recorded",
        hint=f"start it with decoding.vllm.load, or with logits_processors=[{PROCESSOR!r}] and "
        f"worker_extension_cls={EXTENSION!r}",
    )


def portions(total: int, width: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows that are kept in the worker together.

    >>> list(portions(3, 1 << 25))
    [(0, 2), (2, 3)]
    """
    most = max(1, _BYTES_AT_ONCE // (4 * width))
    return ((begin, min(total, begin + most)) for begin in range(0, total, most))


def normalised(logits: Floats) -> Floats:
    """Logits as log-probabilities, in place."""
    logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits
