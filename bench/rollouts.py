"""Rollouts with a constraint beside rollouts without: tokens a second, on the built-in model inside transformers.

    python bench/rollouts.py [--prompts 32] [--n 1] [--rounds 15]

One rollout (`--n`) for each of many different prompts, so that nothing is shared; the same number of tokens for all.
`free` has no constraint but that it goes on; `JSON` is an array of words that goes on beyond the token budget, `e-mail`
a regex that does. `generate` is Hugging Face's own loop, sampling, without a constraint and without a record of
log-probabilities. All take turns, in an order that is drawn anew in every round; a line is the median over the rounds,
of tokens a second and of what they are of `free` in the same round. Seconds are of the processor, on one thread, so
that other work on the machine hardly counts.

The last line is a JSON object: name to tokens a second, and to the share of `free`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from transformers.utils import logging

from decoding.embedded import as_transformers
from decoding.engine import Engine
from decoding.rl.free import Free
from decoding.rl.rollouts import collect
from grammars import json_schema, regex

WORDS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 12}
ADDRESS = "[a-z.]{60,}@[a-z]+[.]com"


class Endless(Free):
    """No constraint, except that no text ends: all rows have the same number of tokens."""

    black_box = True  # nobody need look for its shortest text: there is none

    def fill_masks(self, states: Any, out: Any) -> None:
        super().fill_masks(states, out)
        out &= ~self.vocabulary.end_row

    def accepts(self, state: int) -> bool:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--n", type=int, default=1, help="rollouts of each prompt; they share what they have in common")
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    model, tokenizer = as_transformers()
    engine = Engine.load(model, tokenizer)
    prompts = [f"User: List the words of line {i} as JSON.\nAssistant:" for i in range(options.prompts)]
    forms = {"free": Endless(engine.vocabulary), "JSON": json_schema(WORDS), "e-mail": regex(ADDRESS)}

    def drawn(form: Any) -> Callable[[int], int]:
        return lambda seed: collect(engine, prompts, form, n=options.n, max_tokens=options.tokens, seed=seed).tokens

    def generated(seed: int) -> int:
        torch.manual_seed(seed)
        given = tokenizer(
            [prompt for prompt in prompts for _ in range(options.n)],
            return_tensors="pt",
            padding=True,
            padding_side="left",
        )
        fixed = {"max_new_tokens": options.tokens, "min_new_tokens": options.tokens, "do_sample": True, "top_k": 0}
        return options.tokens * len(model.generate(**given, **fixed))

    runs = {name: drawn(form) for name, form in forms.items()} | {"generate": generated}
    found: dict[str, list[float]] = {name: [] for name in runs}
    order = random.Random(0)
    for round_ in range(options.rounds + 1):
        for name in order.sample(list(runs), len(runs)):
            begun = time.process_time()
            tokens = runs[name](round_)
            if round_:  # the first one warms up
                found[name].append(tokens / (time.process_time() - begun))
    shares = {
        name: round(median(a / b for a, b in zip(speeds, found["free"], strict=True)), 3)
        for name, speeds in found.items()
    }
    medians = {name: round(median(speeds)) for name, speeds in found.items()}
    for name, speed in medians.items():
        print(f"{name:10} {speed:8,} tokens/s   {shares[name]:.2f} of free")
    print(json.dumps({name: {"tokens_per_second": medians[name], "of_free": shares[name]} for name in runs}))


if __name__ == "__main__":
    main()
