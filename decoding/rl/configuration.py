"""What `scansion train` is told, from a TOML file.

    method = "grpo"                      # or "matching"
    output = "runs/sums"                 # relative to the file, as all paths are
    steps = 200
    seed = 0

    [model]
    name = "built-in"                    # or what Hugging Face's from_pretrained takes
    lora = 8                             # rank of adapters; leave out to train all weights

    [prompts]
    file = "prompts.jsonl"               # or list = ["...", "..."]

    [form]                               # leave out to train without a constraint
    schema = {type = "integer"}          # or regex, lark, gbnf, choice
    prefix = " "                         # what stands before it

    [objective]                          # grpo
    name = "conditional"                 # masked, raw or conditional
    legal_mass = 0.1                     # times log Z
    divergence = 0.0                     # times the KL to the model as it was

    [[reward]]                           # their weighted sum
    kind = "python"                      # format, exact_length, target_length, group_length, likelihood, python
    function = "rewards:correct"         # correct(prompt, text) -> float or None
    weight = 1.0

    [rollouts]
    n = 8                                # of each prompt
    prompts = 8                          # of each step and process
    max_tokens = 64
    sampler = "masking"                  # as --sampler of the other commands
    engine = "model"                     # or "vllm" (grpo): it draws, with the weights as they are in training
    vllm = {gpu_memory_utilization = 0.4}    # what vllm.LLM is to be told

    [optimizer]
    rate = 1e-5

    [checkpoints]
    every = 50
    keep = 2

Whatever is misspelt, missing or of the wrong type is refused by name before anything is loaded.
"""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import grammars
from decoding.rl.errors import BadConfiguration
from decoding.rl.rewards import (
    Reward,
    exact_length,
    format_reward,
    group_length_penalty,
    likelihood,
    of_text,
    target_length,
    total,
)
from grammars import Grammar, literal

METHODS = ("grpo", "matching")
ENGINES = ("model", "vllm")
_FORMS: Mapping[str, Callable[[Any], Grammar]] = {
    "schema": grammars.json_schema,
    "regex": grammars.regex,
    "lark": grammars.lark,
    "gbnf": grammars.gbnf,
    "choice": grammars.choice,
}


@dataclass(frozen=True)
class ModelSection:
    name: str = "built-in"
    lora: int = 0
    device: str = ""


@dataclass(frozen=True)
class PromptsSection:
    file: str = ""
    list: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class ObjectiveSection:
    name: str = "conditional"
    legal_mass: float = 0.1
    divergence: float = 0.0
    scaled: bool = False


@dataclass(frozen=True)
class RolloutsSection:
    n: int = 8
    prompts: int = 8
    max_tokens: int = 64
    sampler: str = "masking"
    engine: str = "model"
    vllm: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class OptimizerSection:
    rate: float = 1e-5
    updates: int = 1
    """Optimiser steps per generation (grpo)."""
    clip: float = 0.2
    """Of ratios."""
    clip_norm: float = 1.0
    """Of the gradient."""


@dataclass(frozen=True)
class CheckpointsSection:
    every: int = 50
    keep: int = 2


@dataclass(frozen=True)
class Configuration:
    """A file, read and checked."""

    output: str
    steps: int
    method: str = "grpo"
    seed: int = 0
    tensorboard: bool = True
    proposal: str = "masked"
    """Whose draws are used (matching): the masked policy's, or the bare policy's ("policy")."""
    model: ModelSection = field(default_factory=ModelSection)
    prompts: PromptsSection = field(default_factory=PromptsSection)
    form: Mapping[str, Any] = field(default_factory=dict[str, Any])
    objective: ObjectiveSection = field(default_factory=ObjectiveSection)
    reward: tuple[Mapping[str, Any], ...] = ()
    rollouts: RolloutsSection = field(default_factory=RolloutsSection)
    optimizer: OptimizerSection = field(default_factory=OptimizerSection)
    checkpoints: CheckpointsSection = field(default_factory=CheckpointsSection)
    folder: Path = Path()
    """Where the file lies."""

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return self.folder / self.output


_SECTIONS = {
    "model": ModelSection,
    "prompts": PromptsSection,
    "objective": ObjectiveSection,
    "rollouts": RolloutsSection,
    "optimizer": OptimizerSection,
    "checkpoints": CheckpointsSection,
}
T = TypeVar("T")


def read_configuration(path: Path) -> Configuration:
    """The configuration in a file."""
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_configuration(content, path.parent)


def parse_configuration(content: str, folder: Path = Path()) -> Configuration:
    """The configuration in a text.

    >>> parse_configuration('output = "o"\\nsteps = 3\\nmethod = "matching"\\nform.regex = "a"').rollouts.n
    8
    >>> parse_configuration('output = "o"\\nsteps = 3\\n[rollouts]\\nm = 3')
    Traceback (most recent call last):
    decoding.rl.errors.BadConfiguration: [rollouts] has no setting 'm'
    hint: there are n, prompts, max_tokens, sampler, engine, vllm
    """
    try:
        given = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"no TOML: {error}") from error
    for name, section in _SECTIONS.items():
        if name in given:
            given[name] = _section(section, given[name], f"[{name}]")
    rewards = given.get("reward", [])
    if not isinstance(rewards, list) or not all(isinstance(one, dict) for one in rewards):  # type: ignore[redundant-expr]
        raise BadConfiguration("reward is a list of tables", hint="write [[reward]], once for each")
    given["reward"] = tuple(rewards)
    made = _section(Configuration, given | {"folder": folder}, "the file")
    _check(made)
    return made


def _section(kind: type[T], given: Any, where: str) -> T:
    if not isinstance(given, Mapping):
        raise BadConfiguration(f"{where} is a table, not {given!r}")
    known = {each.name: each for each in fields(kind) if each.name != "folder"}  # type: ignore[arg-type]
    for name, value in given.items():
        if name not in known and name != "folder":
            raise BadConfiguration(f"{where} has no setting {name!r}", hint=f"there are {', '.join(known)}")
        if name in known:
            _check_type(where, name, str(known[name].type), value)
    for name, one in known.items():
        if one.default is MISSING and one.default_factory is MISSING and name not in given:
            raise BadConfiguration(f"{where} does not say {name!r}")
    return kind(**given)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "list[str]": (list,),
    "dict[str, Any]": (dict,),
    "Mapping[str, Any]": (dict,),
}


def _check_type(where: str, name: str, wanted: str, value: Any) -> None:
    allowed = _TYPES.get(wanted)
    if allowed is not None and (not isinstance(value, allowed) or (isinstance(value, bool) and wanted != "bool")):
        raise BadConfiguration(f"{name} in {where} is of type {wanted}, not {value!r}")


def _check(made: Configuration) -> None:
    if made.method not in METHODS:
        raise BadConfiguration(f"there is no method {made.method!r}", hint=f"there are {', '.join(METHODS)}")
    at_least = {
        "steps": (made.steps, 1),
        "n in [rollouts]": (made.rollouts.n, 2),
        "prompts in [rollouts]": (made.rollouts.prompts, 1),
        "max_tokens in [rollouts]": (made.rollouts.max_tokens, 1),
        "every in [checkpoints]": (made.checkpoints.every, 1),
        "keep in [checkpoints]": (made.checkpoints.keep, 1),
        "updates in [optimizer]": (made.optimizer.updates, 1),
        "seed": (made.seed, 0),
    }
    for name, (value, least) in at_least.items():
        if value < least:
            raise BadConfiguration(f"{name} is at least {least}, not {value}")
    _check_numbers(made)
    if made.rollouts.engine not in ENGINES:
        raise BadConfiguration(f"there is no engine {made.rollouts.engine!r}", hint=f"there are {', '.join(ENGINES)}")
    if made.rollouts.engine != "model" and made.method != "grpo":
        raise BadConfiguration(f"rollouts by {made.rollouts.engine} are for grpo", hint='leave engine = "model"')
    if made.checkpoints.every % made.optimizer.updates:
        raise BadConfiguration(
            "every in [checkpoints] is no multiple of updates in [optimizer]",
            hint="a run resumes exactly only where new rollouts are drawn",
        )
    if made.method == "matching" and not made.form:
        raise BadConfiguration("matching needs a [form]: the target is the model's own law over it")
    if made.method == "grpo" and not made.reward:
        raise BadConfiguration("grpo needs at least one [[reward]]")


def _check_numbers(made: Configuration) -> None:
    """TOML has NaN and infinity; weights have not."""
    part = made.optimizer
    positive = {"rate in [optimizer]": part.rate, "clip_norm in [optimizer]": part.clip_norm}
    for name, value in positive.items():
        if not 0.0 < value < math.inf:
            raise BadConfiguration(f"{name} is a number above 0, not {value}")
    least = {"clip in [optimizer]": part.clip, "divergence in [objective]": made.objective.divergence}
    for name, value in least.items():
        if not 0.0 <= value < math.inf:
            raise BadConfiguration(f"{name} is a number of at least 0, not {value}")


# -- what the sections stand for --------------------------------------------------------------------------------------


def prompts_of(made: Configuration) -> list[str]:
    """All prompts."""
    from decoding.prompts import gathered

    section = made.prompts
    if bool(section.file) == bool(section.list):
        raise BadConfiguration("[prompts] wants a file or a list, one of both")
    found = gathered((), str(made.folder / section.file)) if section.file else list(section.list)
    if not found or not all(isinstance(prompt, str) and prompt for prompt in found):  # type: ignore[redundant-expr]
        raise BadConfiguration("[prompts] holds no prompt, or something that is none")
    return found


def form_of(made: Configuration) -> Grammar | None:
    """The form, None for none.

    >>> form_of(Configuration("o", 3, form={"regex": "[0-9]", "prefix": " "})).matches(b" 7")
    True
    """
    return _grammar(made.form, "[form]") if made.form else None


def _grammar(given: Mapping[str, Any], where: str) -> Grammar:
    kinds = [kind for kind in given if kind in _FORMS]
    unknown = [name for name in given if name not in (*_FORMS, "prefix")]
    if len(kinds) != 1 or unknown:
        raise BadConfiguration(
            f"{where} wants exactly one of {', '.join(_FORMS)}, and perhaps a prefix, not {', '.join(given)}"
        )
    grammar = _FORMS[kinds[0]](given[kinds[0]])
    return literal(str(given["prefix"])) + grammar if given.get("prefix") else grammar


def reward_of(made: Configuration) -> Reward:
    """The weighted sum of all rewards."""
    parts: dict[str, tuple[float, Reward]] = {}
    for number, given in enumerate(made.reward, 1):
        kind = str(given.get("kind", ""))
        options = {name: value for name, value in given.items() if name not in ("kind", "weight")}
        weight = given.get("weight", 1.0)
        _check_type(f"reward {number}", "weight", "float", weight)
        if not math.isfinite(weight):
            raise BadConfiguration(f"the weight of reward {number} is a number, not {weight}")
        parts[f"{number}. {kind}"] = float(weight), _reward(made, kind, options, number)
    return total(parts)


def _reward(made: Configuration, kind: str, options: Mapping[str, Any], number: int) -> Reward:
    makers: Mapping[str, Callable[..., Reward]] = {
        "format": lambda **form: format_reward(_grammar(form, f"reward {number}")),
        "exact_length": exact_length,
        "target_length": target_length,
        "group_length": group_length_penalty,
        "likelihood": _likelihood,
        "python": lambda function: of_text(imported(function, made.folder)),
    }
    if kind not in makers:
        raise BadConfiguration(f"reward {number} is of no kind {kind!r}", hint=f"there are {', '.join(makers)}")
    try:
        return makers[kind](**options)
    except TypeError as error:
        raise BadConfiguration(f"reward {number}, {kind}: {error}") from error


def _likelihood(model: str) -> Reward:
    from decoding.engine import Engine

    return likelihood(Engine.load(None if model == "built-in" else model))


def imported(name: str, folder: Path) -> Any:
    """The object that `module:attribute` names; modules beside the file are found."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise BadConfiguration(f"{name!r} is not of the form module:function")
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BadConfiguration(f"{name} cannot be imported: {error}") from error
