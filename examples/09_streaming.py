"""Token by token, with your own loop: the matcher.

A `Matcher` is one sequence on its way through the automaton: it fills a bitmask, takes the token that you drew, and
tells which tokens are forced, so that no model call is spent on them. This is all that a server needs.
"""

from __future__ import annotations

import numpy as np

from decoding.embedded import load
from decoding.pictures.drawing import visible
from grammars import SchemaOptions, json_schema

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "adult": {"type": "boolean"}},
    "required": ["name", "age", "adult"],
    "additionalProperties": False,
}
PROMPT = "Extract the person as JSON: Grace Hopper is 85 years old.\nJSON:\n"


def main() -> None:
    model, rng = load(PROMPT), np.random.default_rng(3)
    vocabulary = model.vocabulary
    matcher = json_schema(SCHEMA, SchemaOptions(whitespace=" ?", escapes="minimal")).compile(vocabulary).matcher()
    mask = np.zeros((1, vocabulary.words), np.uint32)
    context, calls = list[int](), 0
    while not matcher.is_terminated() and len(context) < 80:
        forced = matcher.forced_tokens()
        if forced:
            token = forced[0]
        else:
            matcher.fill_bitmask(mask)
            allowed = np.unpackbits(mask.view(np.uint8), bitorder="little")[: vocabulary.size].astype(bool)
            p, calls = np.where(allowed, np.exp(model.log_probs([context])[0]), 0.0), calls + 1
            token = int(rng.choice(vocabulary.size, p=p / p.sum()))
        matcher.accept_token(token)
        if token not in vocabulary.eos:
            context.append(token)
            print(visible(vocabulary.tokens[token]), end=" | ", flush=True)
    print(f"\n{len(context)} tokens, {calls} model calls")


if __name__ == "__main__":
    main()
