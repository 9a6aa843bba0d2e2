"""`constrained_generate`: a sampler in place of `generate`'s own loop.

    model.generate(**inputs, custom_generate=constrained_generate(grammar, SMC(16)), num_return_sequences=4)

`generate` prepares inputs, device and lengths and then calls this. Each prompt of the batch becomes a problem of its
own; weighted samplers resample their rows to as many answers as are wanted, so that what comes back is drawn from the
model's distribution over the language. The weighted rows stay at hand in `samples`.

What is kept are the model's own probabilities: temperature, penalties and other processors would change the target and
are refused. (The `top_k=50` that `generate` assumes for every sampling call is taken for what it is, a default, and
has no effect.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decoding.hf.limits import positions_of
from decoding.hf.model import HuggingFaceModel
from decoding.room import room_behind
from decoding.tokenizers import vocabulary_from
from grammars import BackendUnavailable, Vocabulary
from samplers import SMC, Problem, Samples, sample
from samplers.protocols import Sampler
from samplers.samples import END

Ints = NDArray[np.int64]

_DEFAULT_TOP_K = 50  # transformers sets it wherever `do_sample` is, whether anybody asked for it or not


class ConstrainedGeneration:
    """What `constrained_generate` returns: callable by `generate`; `samples` has a `Samples` for each prompt of the
    latest call."""

    def __init__(
        self,
        constraint: Any,
        sampler: Sampler,
        vocabulary: Vocabulary,
        potentials: Sequence[Any],
        seed: int | None,
    ):
        self.constraint, self.sampler, self.vocabulary, self.potentials = constraint, sampler, vocabulary, potentials
        self.samples: list[Samples] = []
        self._rng = np.random.default_rng(seed)

    def __call__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        generation_config: Any = None,
        streamer: Any = None,
        **model_kwargs: Any,
    ) -> torch.Tensor:
        """Called by `generate`; returns prompts and answers, padded on the right."""
        _refuse_processors(logits_processor)
        prompts = _prompts(input_ids, model_kwargs)
        room = int(generation_config.max_length) - input_ids.shape[1]
        self.samples = []
        answers: list[Ints] = []
        for prompt, wanted in _runs(prompts):
            asked = HuggingFaceModel(model, self.vocabulary, prompt)
            budget = max(0, room - 1)  # the end token is not counted in it
            budget = room_behind(len(prompt), positions_of(model), budget)
            problem = Problem(asked, self.constraint, self.potentials, max_tokens=budget)
            asked.expect(problem.constraint, problem.max_tokens)
            drawn = sample(problem, self.sampler, n=wanted, seed=self._rng)
            self.samples.append(drawn)
            # a population is larger than what is wanted of it: answers are drawn from it by weight
            answers += _ended(drawn if len(drawn) <= wanted else drawn.resample(wanted, self._rng), self.vocabulary)
        return _joined(input_ids, answers, _padding(generation_config, self.vocabulary))


def constrained_generate(
    constraint: Any,
    sampler: Sampler | None = None,
    *,
    tokenizer: Any = None,
    vocabulary: Vocabulary | None = None,
    potentials: Sequence[Any] = (),
    seed: int | None = None,
) -> ConstrainedGeneration:
    """Something to give to `model.generate(..., custom_generate=...)`.

    `constraint`: a grammar, a compiled one, or any constraint of `samplers`; the vocabulary is the constraint's own,
    or that of `tokenizer`. Without a sampler it is `SMC(16)`.

    >>> from decoding.embedded import as_transformers
    >>> from grammars import regex
    >>> from samplers import Masking
    >>> model, tokenizer = as_transformers()
    >>> prompt = tokenizer("User: What is 2 + 2?\\nAssistant: ", return_tensors="pt")
    >>> drawing = constrained_generate(regex("[0-9]{1,3}"), Masking(), tokenizer=tokenizer, seed=1)
    >>> options = {"max_new_tokens": 8, "num_return_sequences": 2, "do_sample": True}
    >>> out = model.generate(**prompt, **options, custom_generate=drawing)
    >>> answers = tokenizer.batch_decode(out[:, prompt.input_ids.shape[1] :], skip_special_tokens=True)
    >>> all(answer.isdigit() for answer in answers), len(drawing.samples[0])
    (True, 2)
    """
    if vocabulary is None:
        vocabulary = vocabulary_from(constraint if tokenizer is None else tokenizer)
    return ConstrainedGeneration(
        constraint, SMC(16) if sampler is None else sampler, vocabulary, tuple(potentials), seed
    )


def _refuse_processors(processors: Any) -> None:
    unknown = [type(p).__name__ for p in processors or () if getattr(p, "top_k", None) != _DEFAULT_TOP_K]
    if unknown:
        raise BackendUnavailable(
            f"{', '.join(unknown)} would change the probabilities that the sampler is to keep",
            hint="leave temperature, top_k, top_p and penalties at their defaults; your own scores are potentials=",
        )


def _prompts(input_ids: torch.Tensor, model_kwargs: dict[str, Any]) -> list[Ints]:
    """The ids of each row without padding; for an encoder and decoder, those that the encoder read."""
    ids = model_kwargs.get("encoder_input_ids", input_ids)
    mask = model_kwargs.get("attention_mask")
    keep = torch.ones_like(ids) if mask is None or mask.shape != ids.shape else mask
    return [row[kept.bool()].cpu().numpy().astype(np.int64) for row, kept in zip(ids, keep, strict=True)]


def _runs(prompts: list[Ints]) -> list[tuple[Ints, int]]:
    """Equal prompts that follow each other, with their number: `generate` repeats a prompt for every answer."""
    runs: list[tuple[Ints, int]] = []
    for prompt in prompts:
        if runs and np.array_equal(runs[-1][0], prompt):
            runs[-1] = (prompt, runs[-1][1] + 1)
        else:
            runs.append((prompt, 1))
    return runs


def _ended(drawn: Samples, vocabulary: Vocabulary) -> list[Ints]:
    """The tokens of each row, with the end token behind complete texts."""
    ends = (np.array(vocabulary.eos[:1] if finish == END else [], np.int64) for finish in drawn.finish)
    return [np.concatenate([tokens, end]) for tokens, end in zip(drawn.tokens, ends, strict=True)]


def _padding(config: Any, vocabulary: Vocabulary) -> int:
    return int(vocabulary.eos[0] if config.pad_token_id is None else config.pad_token_id)


def _joined(input_ids: torch.Tensor, answers: list[Ints], padding: int) -> torch.Tensor:
    width = max(map(len, answers), default=0)
    out = torch.full((len(answers), width), padding, dtype=input_ids.dtype)
    for row, answer in zip(out, answers, strict=True):
        row[: len(answer)] = torch.from_numpy(answer)
    return torch.cat([input_ids, out.to(input_ids.device)], dim=1)
