"""Options that say what a text must look like, and which model and sampler are to write it.

`generate`, `draw` and `bench` share them. A form is one of six; what comes out of it is parsed by what it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decoding.commands.arguments import grammar_of, settings

if TYPE_CHECKING:
    from decoding.engine import Engine
    from grammars import Grammar
    from samplers.protocols import Sampler

ChoiceOption = Annotated[
    list[str] | None, typer.Option("--choice", metavar="TEXT", help="One of these texts: repeat the option.")
]
PydanticOption = Annotated[
    str | None, typer.Option("--pydantic", metavar="MODULE:MODEL", help="A Pydantic model, or any type with a schema.")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="PATH|NAME", help="A Hugging Face model; default: the built-in one.")
]


def _sampler_names(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from decoding.sampler_names import names

    return [name for name in names() if name.lower().startswith(incomplete.lower())]


SamplerOption = Annotated[
    str,
    typer.Option(
        "--sampler",
        metavar="NAME[:OPTION=VALUE,...]",
        help="How to draw, such as smc:n=16 or cars.",
        autocompletion=_sampler_names,
    ),
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Makes a run repeatable.")]
MaxTokensOption = Annotated[int, typer.Option("--max-tokens", min=0, help="At most so many tokens, the end apart.")]


@dataclass(frozen=True)
class Form:
    """What is asked of a text: the keyword of `Engine.generate` with its value, and how a text is read."""

    keyword: str
    wanted: Any
    parse: Callable[[str], Any] | None = None
    """How a complete text becomes a value; None where the engine knows."""
    told: str = ""
    """The form in the words of whoever gave it."""

    def grammar(self) -> Grammar:
        """The language alone, without a model."""
        import grammars

        if isinstance(self.wanted, grammars.Grammar):
            return self.wanted
        made = {"choice": grammars.choice, "schema": grammars.json_schema}[self.keyword]
        return made(self.wanted)

    @property
    def of_engine(self) -> dict[str, Any]:
        """As the engine takes it."""
        return {self.keyword: self.wanted}


def form_of(
    schema: str | None,
    regex: str | None,
    lark: str | None,
    gbnf: str | None,
    choice: list[str] | None,
    pydantic: str | None,
    option: list[str] | None = None,
) -> Form:
    """The one form that is given."""
    texts = {"schema": schema, "regex": regex, "lark": lark, "gbnf": gbnf}
    given = [kind for kind, argument in (texts | {"choice": choice, "pydantic": pydantic}).items() if argument]
    if len(given) != 1:
        raise typer.BadParameter("give exactly one of --schema, --regex, --lark, --gbnf, --choice and --pydantic")
    if choice:
        return Form("choice", choice, told=" | ".join(choice))
    if pydantic:
        return Form("schema", imported(pydantic), told=pydantic)
    kind, source = given[0], str(texts[given[0]])
    grammar = grammar_of(kind, source, settings(option))
    return Form("constraint", grammar, json.loads if kind == "schema" else None, f"{kind} {' '.join(source.split())}")


def imported(name: str) -> Any:
    """The object that `module:attribute` names; modules of the working directory are found."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise typer.BadParameter(f"{name!r} is not of the form module:Model", param_hint="--pydantic")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise typer.BadParameter(f"{name} cannot be imported: {error}", param_hint="--pydantic") from error
    return found


def loaded(model: str | None) -> Engine:
    """The engine of a model, with word on standard error while it is loaded."""
    from decoding.engine import Engine
    from decoding.terminal import messages

    with messages.status("loading the model"):
        return Engine.load(model)


def chosen(spec: str) -> Sampler:
    """The sampler of a specification."""
    from decoding.sampler_names import sampler_of
    from samplers.errors import InvalidOption

    try:
        return sampler_of(spec)
    except InvalidOption as error:
        raise typer.BadParameter(
            f"{error.message}{f' ({error.hint})' if error.hint else ''}", param_hint="--sampler"
        ) from None
