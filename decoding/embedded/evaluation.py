"""How good the model is, on text that it has not seen: `python -m decoding.embedded.evaluation [FOLDER]`.

Held-out documents come from the same generators with another seed. So the figures say how well the model learned its
own small world, not how well it knows ours. Beside the loss stands that of n-grams which saw the same tokens, and how
many tasks are answered exactly by always taking the likeliest token.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

from decoding.embedded import EmbeddedModel, load
from decoding.embedded.corpus import documents
from decoding.embedded.corpus.extraction import extraction, question
from decoding.embedded.corpus.reasoning import arithmetic
from decoding.embedded.llama import Ints
from decoding.embedded.ngrams import NGrams

HELD_OUT = 1 << 20  # added to the seed of the training text
NGRAM_ORDER = 5
_TOGETHER = 32

Task = tuple[str, str]


def report(folder: Path, seed: int, tokens: int, *, texts: int = 1000, tasks: int = 200) -> dict[str, float]:
    """Figures for the model in `folder`, trained on `tokens` tokens of the text of `seed`."""
    model = load(folder=folder)
    held_out = [model.encode(text) for text in islice(documents(seed + HELD_OUT), texts)]
    size = sum(len(model.decode(row).encode()) for row in held_out)
    scored = sum(len(row) + 1 for row in held_out)
    loss = sum(document_loss(model, row) for row in held_out)
    baseline = ngram_loss(model, seed, tokens, held_out)
    return {
        "held_out_tokens": scored,
        "loss": loss / scored,
        "perplexity": float(np.exp(loss / scored)),
        "bits_per_byte": loss / np.log(2) / size,
        "ngram_loss": baseline / scored,
        "ngram_perplexity": float(np.exp(baseline / scored)),
        "ngram_bits_per_byte": baseline / np.log(2) / size,
        "extraction_exact": share_solved(model, extraction, "{}\nJSON:", tasks, same_json),
        "extraction_in_chat_exact": share_solved(model, extraction, "User: {}\nAssistant:", tasks, same_json),
        "questions_exact": share_solved(model, question, "User: {}\nAssistant:", tasks),
        "sums_exact": share_solved(model, arithmetic, "Question: {}\nAnswer:", tasks),
    }


def document_loss(model: EmbeddedModel, row: Ints) -> float:
    """Negative log-probability of a document, its end included."""
    rows = model.log_probs([row[:end] for end in range(len(row) + 1)])
    return -float(rows[np.arange(len(rows)), [*row, model.vocabulary.eos[0]]].sum())


def ngram_loss(model: EmbeddedModel, seed: int, tokens: int, held_out: Sequence[Ints]) -> float:
    """The same of n-grams that saw as many tokens of the same text as the model."""
    training: list[Ints] = []
    source, seen = documents(seed), 0
    while seen < tokens:
        training.append(framed(model, model.encode(next(source))))
        seen += len(training[-1])
    ngrams = NGrams(np.concatenate(training)[:tokens], NGRAM_ORDER, model.vocabulary.size)
    text = np.concatenate([framed(model, row) for row in held_out])
    return -float(ngrams.log_probs(text)[text != model.prompt[0]].sum())


def framed(model: EmbeddedModel, row: Ints) -> Ints:
    return np.concatenate([[model.prompt[0]], row, [model.vocabulary.eos[0]]])


def share_solved(
    model: EmbeddedModel,
    task: Callable[[Random], Task],
    form: str,
    count: int,
    equal: Callable[[str, str], bool] = str.__eq__,
) -> float:
    """The share of `count` tasks whose likeliest answer is right."""
    rng = Random(HELD_OUT)
    pairs = [task(rng) for _ in range(count)]
    solved = 0
    for begin in range(0, count, _TOGETHER):
        some = pairs[begin : begin + _TOGETHER]
        answers = greedy(model, [form.format(asked) for asked, _ in some])
        solved += sum(equal(answer.strip(), right) for answer, (_, right) in zip(answers, some, strict=True))
    return solved / count


def greedy(model: EmbeddedModel, prompts: Sequence[str], max_tokens: int = 200) -> list[str]:
    """What the model writes after each prompt if it always takes the likeliest token, to the end of its text."""
    begun = [model.encode(prompt) for prompt in prompts]
    rows, open_ = list(begun), list(range(len(prompts)))
    for _ in range(max_tokens):
        choices = model.log_probs([rows[i] for i in open_]).argmax(axis=1).tolist()
        for i, token in zip(open_, choices, strict=True):
            rows[i] = np.append(rows[i], token)
        open_ = [i for i, token in zip(open_, choices, strict=True) if token not in model.vocabulary.eos]
        if not open_:
            break
    return [model.decode(row[len(start) :]) for row, start in zip(rows, begun, strict=True)]


def same_json(answer: str, right: str) -> bool:
    """Whether the answer is JSON with the same content, however it is spaced."""
    try:
        return json.loads(answer) == json.loads(right)
    except ValueError:
        return False


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of the model in a folder, by default the shipped one."""
    from decoding.embedded import hf_directory
    from decoding.embedded.train import Recipe

    given = sys.argv[1:] if arguments is None else arguments
    recipe = Recipe()
    figures = report(Path(given[0]) if given else hf_directory(), recipe.seed, recipe.tokens)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
