"""Forced spans in one forward: what Hugging Face models save where a form leaves no choice (`decoding/hf/spans.py`).

    python bench/spans.py [--texts 20]

The built-in model inside transformers, on one thread; each form with and without knowledge of what is forced, in turns
and with the same seeds, so that the same texts come out (which is checked). Seconds are of the processor. How much is
saved depends on the form alone: on the share of its text that is certain before the model is asked.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from decoding.embedded import as_transformers
from decoding.hf import HuggingFaceModel
from decoding.tokenizers import vocabulary_from
from grammars import Grammar, SchemaOptions, choice, json_schema, lark, regex
from samplers import SMC, Masking, Problem, Samples, sample
from samplers.protocols import Sampler

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "occupation": {"enum": ["mathematician", "engineer", "physician"]},
        "is_member_of_the_society": {"type": "boolean"},
    },
    "required": ["name", "age", "occupation", "is_member_of_the_society"],
    "additionalProperties": False,
}
QUERY = """
start: "SELECT " column " FROM customers WHERE " column " = " number " ORDER BY " column " LIMIT " number ";"
column: "name" | "city" | "age"
number: /[1-9][0-9]?/
"""
FORMS: dict[str, tuple[str, Grammar]] = {
    "JSON by a schema": ("Extract the person from: Ada Lovelace, 36.\nJSON:", json_schema(PERSON)),
    "JSON without blanks": (
        "Extract the person from: Ada Lovelace, 36.\nJSON:",
        json_schema(PERSON, SchemaOptions(whitespace="compact")),
    ),
    "SQL by a grammar": ("Question: who is oldest?\nSQL: ", lark(QUERY)),
    "a sentence out of three": (
        "User: Is it likely to rain?\nAssistant: ",
        choice(["It is likely to rain.", "It is not likely to rain.", "Nobody can say whether it will rain."]),
    ),
    "an e-mail address": ("Contact: ", regex(r"[a-z]{1,12}@[a-z]{1,12}\.(com|org)")),
}
SAMPLERS: dict[str, tuple[Sampler, int]] = {"Masking": (Masking(), 1), "SMC(8)": (SMC(8), 8)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=20)
    texts = parser.parse_args().texts
    torch.set_num_threads(1)
    model, tokenizer = as_transformers()
    vocabulary = vocabulary_from(tokenizer)
    table = Table(title="per text, without → with spans")
    for column in ("form", "sampler", "tokens", "forwards", "positions", "ms", "time saved"):
        table.add_column(column, justify="left" if column in ("form", "sampler") else "right", no_wrap=True)
    for name, (prompt, grammar) in FORMS.items():
        automaton = grammar.compile(vocabulary)
        for sampler in SAMPLERS:
            ids = tokenizer(prompt).input_ids
            asked = [run(model, vocabulary, ids, automaton, sampler, seed) for seed in range(-1, texts)][1:]
            table.add_row(name, sampler, *cells(asked))
    Console(width=120).print(table)


Run = tuple[Samples, int, int, float]  # and forwards, positions, seconds


def run(model: Any, vocabulary: Any, ids: list[int], automaton: Any, sampler: str, seed: int) -> tuple[Run, Run]:
    """Without and with spans; which comes first takes turns."""
    runs: dict[bool, Run] = {}
    for expecting in (False, True) if seed % 2 else (True, False):
        model_asked = HuggingFaceModel(model, vocabulary, ids)
        problem = Problem(model_asked, automaton, max_tokens=100)
        if expecting:
            model_asked.expect(automaton, 100)
        kind, n = SAMPLERS[sampler]
        begin = time.process_time()
        samples = sample(problem, kind, n=n, seed=max(seed, 0))
        taken = time.process_time() - begin
        runs[expecting] = (samples, model_asked.forwards, model_asked.forwarded - len(ids), taken)
    if runs[False][0].text != runs[True][0].text:
        raise SystemExit(f"seed {seed}: the texts differ")
    return runs[False], runs[True]


def cells(pairs: list[tuple[Run, Run]]) -> list[str]:
    """Means over the texts."""
    count = len(pairs)
    tokens = sum(max(map(len, plain[0].tokens)) for plain, _ in pairs) / count
    out = [f"{tokens:.1f}"]
    for place, factor, digits in ((1, 1, 1), (2, 1, 1), (3, 1000, 0)):
        before, after = (sum(pair[side][place] for pair in pairs) / count * factor for side in (0, 1))
        out.append(f"{before:.{digits}f} → {after:.{digits}f}")
    saved = 1 - sum(spanned[3] for _, spanned in pairs) / sum(plain[3] for plain, _ in pairs)
    return [*out, f"{saved:.0%}"]


if __name__ == "__main__":
    main()
