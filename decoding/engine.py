"""The front door: a model, one call, text that is guaranteed to be of the form.

>>> engine = Engine.load()
>>> answer = engine.generate("User: What is 2 + 2?\\nAssistant: ", regex="[0-9]{1,2}", seed=1)
>>> answer.text.isdigit(), answer.finish
(True, 'end')

What a call gives is one *form* (`schema=`, `regex=`, `lark=`, `gbnf=`, `choice=` or `constraint=`), perhaps a sampler,
and perhaps how many answers. The sampler decides what the answers are draws of:

* `Masking()`, the default: one pass, P renormalised at every token. Quick and always valid, but skewed towards what
  begins likely; the weights say by how much.
* `SMC(16)`, `AdaptiveRejection()`: weighted draws; what comes back is resampled by the weights, so close to the
  model's own distribution over the form.
* `Rejection()`, `CARS()`: exact draws of that distribution, at the price of more calls where the form is unlikely.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

import grammars
from decoding.room import room_behind
from decoding.streaming import streamed
from grammars import BackendUnavailable, Grammar, RequestError, Vocabulary
from samplers import Masking, Problem, Samples, sample
from samplers.protocols import LanguageModel, Sampler

_TEXT_FORMS: Mapping[str, Callable[[Any], Grammar]] = {
    "schema": grammars.json_schema,
    "regex": grammars.regex,
    "lark": grammars.lark,
    "gbnf": grammars.gbnf,
    "choice": grammars.choice,
}


@runtime_checkable
class Expectant(Protocol):
    """A model that can make use of knowing what it will be asked for."""

    def expect(self, constraint: object, max_tokens: int) -> None: ...


@dataclass(frozen=True)
class Answer:
    """One text and what is known of it.

    `value` is the text parsed by what it was asked for: an object for a schema, an instance for a type or a Pydantic
    model, else the text itself. `log_prob` is the model's own log-probability of exactly these tokens and the end.
    `weight` is the share of this answer among the rows that were drawn.
    """

    text: str
    value: Any
    tokens: tuple[int, ...]
    log_prob: float
    weight: float
    finish: str


@dataclass(frozen=True)
class Answers(Sequence[Answer]):
    """Several answers, and the weighted rows that they come from."""

    rows: tuple[Answer, ...]
    samples: Samples
    """Every row that was drawn, with log weights and the estimate of log Z."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.rows)


class Engine:
    """A language model with its vocabulary, ready to answer in any form.

    `prompted` makes a `LanguageModel` from a prompt; `positions` says for how many tokens the model was made, those of
    the prompt (its attribute `prompt`) counted. `Engine.load` makes engines; the constructor is for models of your own.
    """

    def __init__(
        self,
        prompted: Callable[[str], LanguageModel],
        vocabulary: Vocabulary,
        name: str = "model",
        positions: int | None = None,
    ):
        self._prompted, self._positions = prompted, positions
        self.vocabulary = vocabulary
        self.name = name
        self._compiled: dict[tuple[str, Any], grammars.TokenAutomaton] = {}

    @classmethod
    def load(cls, model: Any = None, tokenizer: Any = None, *, device: str | None = None) -> Engine:
        """The built-in model; or one of Hugging Face, by the name or folder of its files or as an object.

        >>> Engine.load().name
        'built-in'
        """
        if model is None:
            return _built_in()
        if isinstance(model, str | Path):
            model, tokenizer = _from_pretrained(str(model), device)
        if tokenizer is None:
            raise RequestError("a model that is given as an object needs its tokenizer: Engine.load(model, tokenizer)")
        if not hasattr(model, "generate"):
            raise RequestError(f"{type(model).__name__} is no model of Hugging Face")
        return _hugging_face(model, tokenizer)

    def generate(
        self,
        prompt: str,
        *,
        sampler: Sampler | None = None,
        max_tokens: int = 256,
        seed: int | None = None,
        potentials: Sequence[Any] = (),
        **form: Any,
    ) -> Answer:
        """One answer to the prompt, in the form given by `schema=`, `regex=`, `lark=`, `gbnf=`, `choice=` (a list of
        texts) or `constraint=` (a grammar or a constraint of `samplers`).

        >>> answer = Engine.load().generate("User: Is water wet?\\nAssistant: ", choice=["yes", "no"], seed=0)
        >>> answer.text in ("yes", "no")
        True
        """
        return self.generate_many(
            prompt, 1, sampler=sampler, max_tokens=max_tokens, seed=seed, potentials=potentials, **form
        )[0]

    def stream(self, prompt: str, *, max_tokens: int = 256, seed: int | None = None, **form: Any) -> Iterator[str]:
        """The text that `generate` gives, piece by piece as it is made (by `Masking`: other samplers look ahead).

        >>> ask, engine = "User: What is 2 + 2?\\nAssistant: ", Engine.load()
        >>> pieces = list(engine.stream(ask, regex="[0-9] is the answer", seed=1))
        >>> len(pieces) > 1, "".join(pieces) == engine.generate(ask, regex="[0-9] is the answer", seed=1).text
        (True, True)
        """
        return streamed(self._posed(prompt, (), max_tokens, form)[0], seed)

    def generate_many(
        self,
        prompt: str,
        n: int,
        *,
        sampler: Sampler | None = None,
        max_tokens: int = 256,
        seed: int | None = None,
        potentials: Sequence[Any] = (),
        **form: Any,
    ) -> Answers:
        """`n` answers to the prompt.

        >>> from samplers import SMC
        >>> ask = "User: Name a colour.\\nAssistant: "
        >>> answers = Engine.load().generate_many(ask, 3, choice=["red", "green"], sampler=SMC(8), seed=0)
        >>> len(answers), len(answers.samples), answers[0].text in ("red", "green")
        (3, 8, True)
        """
        rng = np.random.default_rng(seed)
        problem, parse = self._posed(prompt, potentials, max_tokens, form)
        drawn = sample(problem, sampler or Masking(), n=n, seed=rng)
        # a population is larger than what is wanted of it: answers are drawn from it by weight
        chosen = drawn if len(drawn) <= n else drawn.resample(n, rng)
        return Answers(tuple(_answers(chosen, parse)), drawn)

    def problem(self, prompt: str, *, max_tokens: int = 256, potentials: Sequence[Any] = (), **form: Any) -> Problem:
        """What `generate` samples, for `samplers.sample` and `samplers.enumerate_texts`.

        >>> from samplers import enumerate_texts
        >>> solved = enumerate_texts(Engine.load().problem("Is water wet?\\nAnswer:", choice=[" yes", " no"]))
        >>> round(sum(solved.probabilities().values()), 6)
        1.0
        """
        return self._posed(prompt, potentials, max_tokens, form)[0]

    def compiled(self, kind: str, wanted: Any) -> grammars.TokenAutomaton:
        """A form over the model's tokens; kept, so that the next call finds its masks.

        >>> engine = Engine.load()
        >>> engine.compiled("regex", "a+") is engine.compiled("regex", "a+")
        True
        """
        key = (kind, _key(wanted))
        automaton = self._compiled.get(key)
        if automaton is None:
            grammar = wanted if kind == "constraint" else _TEXT_FORMS[kind](wanted)
            if len(self._compiled) >= _MOST_COMPILED:
                self._compiled.pop(next(iter(self._compiled)))
            automaton = self._compiled[key] = grammar.compile(self.vocabulary)
        return automaton

    def _posed(
        self, prompt: str, potentials: Sequence[Any], max_tokens: int, form: Mapping[str, Any]
    ) -> tuple[Problem, Callable[[str], Any]]:
        if not isinstance(cast("object", prompt), str):
            raise RequestError(f"a prompt is a text, not {type(prompt).__name__}")
        constraint, parse = self._form(form)
        model = self._prompted(prompt)
        budget = room_behind(len(getattr(model, "prompt", ())), self._positions, max_tokens)
        problem = Problem(model, constraint, potentials, max_tokens=budget)
        if isinstance(model, Expectant):
            model.expect(problem.constraint, budget)
        return problem, parse

    def _form(self, form: Mapping[str, Any]) -> tuple[Any, Callable[[str], Any]]:
        if len(form) != 1:
            given = ", ".join(sorted(form)) or "none"
            raise RequestError(f"give exactly one form of {', '.join(_TEXT_FORMS)} and constraint, not {given}")
        ((kind, wanted),) = form.items()
        if kind not in (*_TEXT_FORMS, "constraint"):
            raise RequestError(f"there is no form {kind!r}; there are {', '.join(_TEXT_FORMS)} and constraint")
        if kind == "constraint" and not isinstance(wanted, Grammar):
            return wanted, str
        return self.compiled(kind, wanted), _parser(wanted) if kind == "schema" else str


_MOST_COMPILED = 64


def _key(wanted: Any) -> Any:
    """By what a form is found again: its text, or the object itself."""
    return json.dumps(wanted) if isinstance(wanted, Mapping | list | tuple) else wanted


def _parser(wanted: Any) -> Callable[[str], Any]:
    """How the text of a schema becomes a value: types and Pydantic models get an instance."""
    if isinstance(wanted, str | Mapping | bool):
        return json.loads
    from pydantic import TypeAdapter

    return TypeAdapter(wanted).validate_json


def _answers(drawn: Samples, parse: Callable[[str], Any]) -> Iterator[Answer]:
    shares = drawn.normalized_weights() if drawn.log_z > -np.inf else np.zeros(len(drawn))
    for row, weight in zip(drawn, shares, strict=True):
        text = row.text.decode("utf-8", "replace")
        value = parse(text) if row.finish == "end" else None
        yield Answer(text, value, tuple(row.tokens.tolist()), row.log_prob, float(weight), row.finish)


def _built_in() -> Engine:
    from decoding.embedded import hf_directory, load

    model = load()
    configuration = json.loads((hf_directory() / "config.json").read_text("utf-8"))
    return Engine(model.with_prompt, model.vocabulary, "built-in", configuration["max_position_embeddings"])


def _from_pretrained(name: str, device: str | None) -> tuple[Any, Any]:
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise BackendUnavailable(
            f"{name} is a model of Hugging Face, and transformers or torch is missing",
            hint="pip install 'scansion[hf]', or name no model to use the built-in one",
        ) from error
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().exists():
        raise BackendUnavailable(
            f"there is no folder {name}", hint="name the folder of a model, or one of the model hub"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForCausalLM.from_pretrained(name, torch_dtype="auto").eval()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BackendUnavailable(
            f"the model {name!r} cannot be loaded: {reason}",
            hint="a folder with config.json, weights and tokenizer.json is wanted, or a name on the model hub",
        ) from error
    return (cast("Any", model).to(device) if device else model), tokenizer


def _hugging_face(model: Any, tokenizer: Any) -> Engine:
    from decoding.hf import HuggingFaceModel
    from decoding.hf.limits import positions_of
    from decoding.tokenizers import vocabulary_from

    ends = getattr(model.generation_config, "eos_token_id", None)
    eos = None if ends is None else [ends] if isinstance(ends, int) else list(ends)
    vocabulary = vocabulary_from(tokenizer, eos=eos, size=int(model.config.vocab_size))

    def prompted(prompt: str) -> LanguageModel:
        return HuggingFaceModel(model, vocabulary, tokenizer(prompt).input_ids)

    name = str(getattr(model, "name_or_path", "") or type(model).__name__)
    return Engine(prompted, vocabulary, name, positions_of(model))
