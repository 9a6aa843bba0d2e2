"""genlm-control in an environment of its own: takes jobs on standard input, a line of JSON each, and answers with one.

A job of `alignment.py` brings a world as a table (the rows of the model after every prefix), so that both sides use the
same numbers, and counts calls; a job of `throughput.py` names a folder with a model of Hugging Face. Nothing of this
project is imported here. Samplers are genlm-control's own: `AWRS`, which asks about single tokens, and the direct
sampler of the product of model and automaton, which is masking; each inside its sequential Monte Carlo.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import numpy as np
import torch
from genlm.control import AWRS, BoolFSA, Potential, PromptedLLM, direct_token_sampler
from genlm.control.constant import EOS

MASKS = "masks"
JOIN = b"".join


class Table(Potential):
    """A model of known rows that counts how often it is asked."""

    def __init__(self, tokens: list[bytes], ids: list[int], end: int, rows: dict[tuple[int, ...], np.ndarray]):
        super().__init__(tokens)
        self._columns = np.array([*ids, end])
        self._id = dict(zip(tokens, ids, strict=True))
        self._rows, self.asked, self.logical = rows, set[tuple[int, ...]](), 0

    def ids(self, context: list[bytes]) -> tuple[int, ...]:
        """The numbers of some tokens."""
        return tuple(self._id[token] for token in context)

    async def logw_next(self, context: list[bytes]) -> Any:
        prefix = self.ids(context)
        self.asked.add(prefix)
        self.logical += 1
        return self.make_lazy_weights(self._rows[prefix][self._columns])

    async def prefix(self, context: list[bytes]) -> float:
        prefix = self.ids(context)
        return float(sum(self._rows[prefix[:i]][token] for i, token in enumerate(prefix)))

    async def complete(self, context: list[bytes]) -> float:
        return await self.prefix(context) + float(self._rows[self.ids(context)][self._columns[-1]])


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    torch.set_num_threads(1)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = asyncio.run({"align": align, "speed": speed}[job["kind"]](job))
        except Exception as error:  # noqa: BLE001 whatever the peer does is a result
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


def sampler_of(model: Any, automaton: Any, kind: str, seed: int) -> Any:
    return direct_token_sampler(model * automaton) if kind == MASKS else AWRS(model, automaton, seed=seed)


# -- alignment --------------------------------------------------------------------------------------------------------


async def align(job: dict[str, Any]) -> dict[str, Any]:
    """Runs of SMC, one after the other, until so many distinct prefixes have been asked for."""
    with np.load(job["table"]) as table:
        flat, lengths, rows = table["contexts"], table["lengths"], table["rows"]
    known = {tuple(c.tolist()): r for c, r in zip(np.split(flat, np.cumsum(lengths)[:-1]), rows, strict=True)}
    tokens = [text.encode("latin-1") for text in job["tokens"]]
    return {"runs": [await _aligned(job, tokens, known, seed) for seed in job["seeds"]]}


async def _aligned(job: dict[str, Any], tokens: list[bytes], known: dict[Any, Any], seed: int) -> list[Any]:
    torch.manual_seed(seed)
    np.random.seed(seed)
    model = Table(tokens, job["ids"], job["end"], known)
    automaton = BoolFSA.from_regex(job["pattern"]).coerce(model, f=JOIN)
    batches, began = list[Any](), time.process_time()
    while _goes_on(job, model, began):
        sampler = sampler_of(model, automaton, job["sampler"], seed + len(batches))
        found = await sampler.smc(job["particles"], 0.5, job["max_tokens"] + 1)
        texts = [list(model.ids(c[:-1])) if c and c[-1] is EOS else None for c in found.contexts]
        weights = [float(w) if w > -np.inf else None for w in found.log_weights]
        counts = (len(model.asked), model.logical, time.process_time() - began)
        batches.append({"counts": counts, "texts": texts, "log_weights": weights})
    return batches


def _goes_on(job: dict[str, Any], model: Table, began: float) -> bool:
    fewer = len(model.asked) < job["calls"] and model.logical < job["logical"]
    return fewer and time.process_time() - began < job["limit"]


# -- speed ------------------------------------------------------------------------------------------------------------


class Asked:
    """How often genlm-control asked: the model for prefixes, the automaton for tokens and for masks."""

    def __init__(self, model: Any, automaton: Any):
        self.positions = self.questions = self.masks = 0
        self.prefixes = set[tuple[int, ...]]()
        self.round = 0
        self._wrap(model.model.model, "forward", self._forward)
        self._wrap(model.model, "next_token_logprobs", self._prefix)
        for name in ("batch_prefix", "batch_complete"):
            self._wrap(automaton, name, self._questions)
        self._wrap(automaton, "sparse_logw_next", self._mask)

    def _wrap(self, thing: Any, name: str, note: Any) -> None:
        inner = getattr(thing, name)

        def noted(*arguments: Any, **named: Any) -> Any:
            note(*arguments, **named)
            return inner(*arguments, **named)

        setattr(thing, name, noted)

    def _forward(self, input_ids: Any, **_: Any) -> None:
        self.positions += int(input_ids.numel())

    def _prefix(self, token_ids: list[int], *_: Any, **__: Any) -> None:
        self.prefixes.add((self.round, *token_ids))

    def _questions(self, contexts: list[Any]) -> None:
        self.questions += len(contexts)

    def _mask(self, *_: Any, **__: Any) -> None:
        self.masks += 1


async def speed(job: dict[str, Any]) -> dict[str, Any]:
    """Populations of particles from a model of Hugging Face: tokens, seconds, questions, positions, ESS."""
    model = PromptedLLM.from_name(job["folder"], backend="hf", timeout=job["timeout"], batch_size=job["particles"])
    automaton = BoolFSA.from_regex(job["pattern"]).coerce(model, f=JOIN)
    model.prompt_ids = job["prompt"]
    for population in range(job["warm_up"]):
        await _population(job, model, automaton, population)
    asked, kept = Asked(model, automaton), 0
    tokens, seconds, sizes, logs = 0, 0.0, list[float](), list[float]()
    while len(sizes) < job["populations"] and seconds < job["limit"]:
        asked.round += 1
        model.model.clear_cache()
        if job["kept_prompt"]:
            model.model.cache_kv(job["prompt"])
            kept += len(job["prompt"])
        began = time.perf_counter()
        found = await _population(job, model, automaton, 100 + job["first"] + asked.round)
        seconds += time.perf_counter() - began
        tokens += sum(len(context) for context in found.contexts)
        sizes.append(float(found.ess))
        logs.append(float(found.log_ml))
    return {
        "tokens": tokens,
        "seconds": seconds,
        "effective": [size / job["particles"] for size in sizes],
        "log_z": logs,
        "checks": asked.questions,
        "masks": asked.masks,
        "positions": asked.positions - kept,
        "prefixes": len(asked.prefixes),
    }


async def _population(job: dict[str, Any], model: Any, automaton: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    np.random.seed(seed)
    sampler = sampler_of(model, automaton, job["sampler"], seed)
    return await sampler.smc(job["particles"], 0.5, job["max_tokens"] + 1)


if __name__ == "__main__":
    main()
