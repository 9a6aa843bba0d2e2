r"""How the built-in model is made: `python -m decoding.embedded.train --out FOLDER`.

    corpus(seed) -> byte-pair tokenizer -> packed token rows -> next-token loss -> float16 weights

Everything follows from the seed and one thread: no data is read, nothing is downloaded. Documents are packed into
rows one after the other, each as `<|begin|> text <|end|>`; the loss asks for every token but `<|begin|>`, which nobody
generates. Weight matrices are trained by `muon`, embeddings and norms by Adam. The rate rises over the first steps,
stays, and falls to zero over the last part, where much of the loss is won. Rows get longer in later stages: short
ones teach sooner per second, long ones teach the model to look back further.

Copying, the hard part of reading tasks, gets help twice: the initial weights hold a circuit for it (`induction`), and
in the first stage every document stands there twice, so that the circuit is of use from the first step on.

Needs the extra [hf]; takes about half an hour on one core.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from decoding.embedded.corpus import documents
from decoding.embedded.evaluation import report
from decoding.embedded.induction import build_in
from decoding.embedded.muon import Muon
from decoding.embedded.tokenizer_training import BEGIN, END, PAD, train_tokenizer, write_json, write_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_IDS = {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PAD}
IGNORED = -100  # the label that PyTorch's loss leaves out
CHUNK = 1000  # documents that are tokenized at once

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """`steps` batches of `rows` rows of `context` tokens, of documents that each stand there `copies` times."""

    steps: int
    rows: int
    context: int
    copies: int = 1


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights."""

    seed: int = 4
    vocabulary: int = 2048
    tokenizer_documents: int = 40_000
    hidden: int = 192
    feed_forward: int = 432
    layers: int = 4
    head: int = 64
    heads: int = 4
    key_value_heads: int = 2
    positions: int = 1024
    stages: tuple[Stage, ...] = (
        Stage(200, 8, 256, copies=2),
        Stage(1050, 8, 256),
        Stage(300, 4, 512),
        Stage(80, 2, 1024),
    )
    matrix_rate: float = 0.01
    embedding_rate: float = 0.01
    vector_rate: float = 0.002
    warm_up: int = 30
    cool_down: float = 0.5

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    @property
    def tokens(self) -> int:
        """How many tokens training reads."""
        return sum(stage.steps * stage.rows * (stage.context + 1) for stage in self.stages)

    def rate(self, step: int) -> float:
        """The share of the full rate at `step`: up, level, down to zero.

        >>> recipe = Recipe()
        >>> recipe.rate(recipe.warm_up), recipe.rate(recipe.steps)
        (1.0, 0.0)
        """
        return min(1.0, (step + 1) / (self.warm_up + 1), (self.steps - step) / (self.cool_down * self.steps))


def token_rows(tokenizer: Tokenizer, seed: int) -> Iterator[NDArray[np.int64]]:
    """The token ids of document after document, without end."""
    source = documents(seed)
    while True:
        for encoding in tokenizer.encode_batch(list(islice(source, CHUNK)), add_special_tokens=False):
            yield np.array([BEGIN, *encoding.ids, END], np.int64)


def batches(rows: Iterator[NDArray[np.int64]], stage: Stage) -> Iterator[NDArray[np.int64]]:
    """Packed arrays (rows, context + 1): inputs are all columns but the last, labels all but the first."""
    size = stage.rows * (stage.context + 1)
    pending: list[NDArray[np.int64]] = []
    length = 0
    for row in rows:
        pending += [row[:-1]] * (stage.copies - 1) + [row]
        length += stage.copies * len(row) - stage.copies + 1
        if length >= size:
            packed = np.concatenate(pending)
            yield packed[:size].reshape(stage.rows, stage.context + 1)
            pending, length = [packed[size:]], length - size


def configuration(recipe: Recipe) -> dict[str, Any]:
    """`config.json`: the shape in the words of Hugging Face."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": recipe.vocabulary,
        "hidden_size": recipe.hidden,
        "intermediate_size": recipe.feed_forward,
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": recipe.heads,
        "num_key_value_heads": recipe.key_value_heads,
        "head_dim": recipe.head,
        "hidden_act": "silu",
        "max_position_embeddings": recipe.positions,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        **SPECIAL_IDS,
    }


def new_model(recipe: Recipe) -> Any:
    """An untrained transformer in the architecture of Llama."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(recipe.seed)
    settings = {name: value for name, value in configuration(recipe).items() if name != "torch_dtype"}
    model = LlamaForCausalLM(LlamaConfig(**settings))
    build_in(model)
    return model


def batch_loss(model: Any, packed: NDArray[np.int64]) -> Any:
    """Mean negative log-probability of the tokens after the first column, in nats."""
    import torch
    from torch.nn.functional import cross_entropy

    tokens = torch.from_numpy(packed)
    labels = tokens[:, 1:].masked_fill(tokens[:, 1:] == BEGIN, IGNORED)
    logits = model(input_ids=tokens[:, :-1]).logits
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def fit(model: Any, tokenizer: Tokenizer, recipe: Recipe, out: Path | None = None) -> list[float]:
    """Train `model` in place; the loss of every step. Weights are kept in `out` every 200 steps."""
    import torch

    embedding = model.model.embed_tokens.weight
    vectors = [p for p in model.parameters() if p.ndim == 1]
    muon = Muon(p for p in model.parameters() if p.ndim == 2 and p is not embedding)
    adam = torch.optim.AdamW([{"params": [embedding]}, {"params": vectors}], betas=(0.9, 0.98), weight_decay=0)
    losses, started = list[float](), perf_counter()
    rows = token_rows(tokenizer, recipe.seed)
    for packed in (batch for stage in recipe.stages for batch in islice(batches(rows, stage), stage.steps)):
        share = recipe.rate(len(losses))
        for group, rate in zip(adam.param_groups, (recipe.embedding_rate, recipe.vector_rate), strict=True):
            group["lr"] = rate * share
        loss = batch_loss(model, packed)
        model.zero_grad()
        loss.backward()
        muon.step(recipe.matrix_rate * share)
        adam.step()
        losses.append(loss.item())
        if len(losses) % 50 == 0:
            log.info("step %d: loss %.3f, %.0f s", len(losses), np.mean(losses[-50:]), perf_counter() - started)
        if out is not None and len(losses) % 200 == 0:
            torch.save(model.state_dict(), out / "checkpoint.pt")
    return losses


def write_model(model: Any, recipe: Recipe, out: Path) -> None:
    """Weights as float16 and the configuration, in the files that Hugging Face and vLLM read."""
    import torch
    from safetensors.torch import save_file

    weights = {name: weight.to(torch.float16).contiguous() for name, weight in model.state_dict().items()}
    del weights["lm_head.weight"]  # the same matrix as the embedding
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    write_json(configuration(recipe), out / "config.json")
    write_json(SPECIAL_IDS, out / "generation_config.json")


def train(recipe: Recipe, out: Path, *, texts: int = 1000, tasks: int = 200) -> None:
    """Train by `recipe` and write tokenizer, weights and a report on `texts` and `tasks` into `out`."""
    import torch

    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(islice(documents(recipe.seed), recipe.tokenizer_documents), recipe.vocabulary)
    write_tokenizer(tokenizer, out, recipe.positions)
    model = new_model(recipe)
    log.info("%d parameters, %d steps", sum(p.numel() for p in model.parameters()), recipe.steps)
    losses = fit(model, tokenizer, recipe, out)
    write_model(model, recipe, out)
    (out / "checkpoint.pt").unlink(missing_ok=True)
    figures = report(out, recipe.seed, recipe.tokens, texts=texts, tasks=tasks)
    told = {"recipe": asdict(recipe), "losses": losses_by_hundreds(losses), **figures}
    write_json(told, out / "training_report.json")


def losses_by_hundreds(losses: Sequence[float]) -> list[float]:
    """Mean losses of every hundred steps."""
    return [round(float(np.mean(losses[begin : begin + 100])), 4) for begin in range(0, len(losses), 100)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m decoding.embedded.train", description="Train the built-in model.")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, tokenizer and report")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(Recipe(seed=options.seed), options.out)


if __name__ == "__main__":
    main()
