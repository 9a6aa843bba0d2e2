"""`scansion draw`: pictures of a grammar, of a run of particles, and of what a constraint takes away.

The name of the file says what it becomes: `.svg`, `.html` (with the figures as a table), `.png` (needs matplotlib).
`-` is SVG on standard output.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from decoding.commands.arguments import GbnfOption, LarkOption, RegexOption, SchemaOption, SettingsOption
from decoding.commands.forms import (
    ChoiceOption,
    Form,
    MaxTokensOption,
    ModelOption,
    PydanticOption,
    SamplerOption,
    SeedOption,
    chosen,
    form_of,
    loaded,
)
from decoding.terminal import console, messages

if TYPE_CHECKING:
    from decoding.comparison import Comparison
    from decoding.pictures.drawing import Drawing
    from samplers import Problem
    from samplers.protocols import Sampler

draw = typer.Typer(
    no_args_is_help=True, help="Draw a grammar, the particles of a run, or what a constraint takes away."
)

_ENDINGS = (".svg", ".html", ".png")

PromptArgument = Annotated[
    str, typer.Argument(metavar="PROMPT", help="What the model reads first; - is standard input.")
]
OutputOption = Annotated[
    str | None, typer.Option("--output", "-O", metavar="FILE", help="A file called .svg, .html or .png; - prints SVG.")
]
TitleOption = Annotated[str | None, typer.Option("--title", help="Another title.")]


@draw.command()
def automaton(
    schema: SchemaOption = None,
    regex: RegexOption = None,
    lark: LarkOption = None,
    gbnf: GbnfOption = None,
    choice: ChoiceOption = None,
    pydantic: PydanticOption = None,
    option: SettingsOption = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Tokens of the model on the edges, not characters.")] = False,
    states: Annotated[int, typer.Option("--states", min=1, help="Show at most so many states.")] = 40,
    model: ModelOption = None,
    title: TitleOption = None,
    output: OutputOption = None,
) -> None:
    """Draw the automaton of a small grammar: what may be written, from left to right.

    \b
    scansion draw automaton --regex '[a-z]+@[a-z]+[.](com|org)'
    scansion draw automaton --choice yes --choice no --tokens -O answers.html
    """
    from decoding.pictures.automaton import automaton_picture
    from decoding.pictures.graph import graph_of, token_graph_of

    form, file = form_of(schema, regex, lark, gbnf, choice, pydantic, option), _file(output, "automaton.svg")
    if tokens:
        engine = loaded(model)
        graph = token_graph_of(form.grammar(), engine.vocabulary, states)
    else:
        graph = graph_of(form.grammar(), states)
    told = f"What may be written{', in tokens' * tokens}: {form.told}"
    rows = [["from", "to", "by"], *([a, b, label] for (a, b), label in graph.labels.items())]
    _write(automaton_picture(graph, title or told), file, rows)


@draw.command()
def particles(
    prompt: PromptArgument,
    schema: SchemaOption = None,
    regex: RegexOption = None,
    lark: LarkOption = None,
    gbnf: GbnfOption = None,
    choice: ChoiceOption = None,
    pydantic: PydanticOption = None,
    option: SettingsOption = None,
    sampler: SamplerOption = "smc:n=16",
    n: Annotated[int, typer.Option("-n", min=1, help="So many particles at least.")] = 1,
    seed: SeedOption = 0,
    max_tokens: MaxTokensOption = 64,
    model: ModelOption = None,
    title: TitleOption = None,
    output: OutputOption = None,
) -> None:
    """Draw a run of particles: the tree of what they wrote, who was given up where, and the weights.

    \b
    scansion draw particles "3 May 2024 -> " --regex '2024-[0-9]{2}-[0-9]{2}' --sampler smc:n=24,ess=0.7
    """
    from decoding.pictures.particles import particles_picture
    from decoding.pictures.trace import traced

    form, drawn_by = form_of(schema, regex, lark, gbnf, choice, pydantic, option), chosen(sampler)
    file, problem = _file(output, "particles.svg"), _problem(prompt, form, model, max_tokens)
    with messages.status("sampling"):
        trace = traced(problem, drawn_by, n, seed)
    rows = [["text", "log weight", "log P", "finish"]]
    rows += [[row.text.decode("utf-8", "replace"), row.log_weight, row.log_prob, row.finish] for row in trace.samples]
    told = f"How {len(trace.samples)} particles write {form.told}"
    _write(particles_picture(trace, problem.vocabulary, title or told), file, rows)


@draw.command()
def mass(
    prompt: PromptArgument,
    schema: SchemaOption = None,
    regex: RegexOption = None,
    lark: LarkOption = None,
    gbnf: GbnfOption = None,
    choice: ChoiceOption = None,
    pydantic: PydanticOption = None,
    option: SettingsOption = None,
    sampler: SamplerOption = "smc:n=32",
    n: Annotated[int, typer.Option("-n", min=1, help="So many particles at least.")] = 1,
    seed: SeedOption = 0,
    max_tokens: MaxTokensOption = 64,
    prefixes: Annotated[
        int, typer.Option("--prefixes", min=0, help="Enumerate the truth where it has at most so many prefixes.")
    ] = 4096,
    model: ModelOption = None,
    title: TitleOption = None,
    output: OutputOption = None,
) -> None:
    """Draw how much mass the constraint leaves along a text, how the ESS moves, and, where the language is small enough
    to enumerate, the law of masking beside that of the sampler and the truth.

    \b
    scansion draw mass "How old is Ada? 36. Answer: " --regex '1[89]|2[0-9]|30' -O mass.html
    """
    from decoding.pictures.mass import mass_picture, places
    from decoding.pictures.trace import traced

    form, drawn_by = form_of(schema, regex, lark, gbnf, choice, pydantic, option), chosen(sampler)
    file, problem = _file(output, "mass.svg"), _problem(prompt, form, model, max_tokens)
    with messages.status("sampling"):
        trace = traced(problem, drawn_by, n, seed)
        along = places(problem, trace.samples.best().tokens.tolist())
        comparison = _compared(problem, sampler, drawn_by, len(trace.samples), seed, prefixes)
    rows = [["token", "allowed mass", "P(token)"], *([place.token, place.mass, place.probability] for place in along)]
    _write(mass_picture(along, trace, comparison, title or f"What is left for {form.told}"), file, rows)


def _compared(
    problem: Problem, name: str, sampler: Sampler, n: int, seed: int | None, prefixes: int
) -> Comparison | None:
    """The laws, where they can be enumerated."""
    from decoding.comparison import compared
    from grammars import BudgetExhausted

    if not prefixes:
        return None
    try:
        return compared(problem, {name: (sampler, n)}, seed or 0, prefixes)
    except BudgetExhausted:
        messages.print(f"note: more than {prefixes} prefixes, so the truth is not shown: --prefixes raises the limit")
        return None


def _problem(prompt: str, form: Form, model: str | None, max_tokens: int) -> Problem:
    from decoding.prompts import gathered

    (text,) = gathered([prompt])
    return loaded(model).problem(text, max_tokens=max_tokens, **form.of_engine)


# -- files ------------------------------------------------------------------------------------------------------------


def _file(output: str | None, default: str) -> str:
    """Where the picture goes; known to be possible before any work is done."""
    file = output or default
    if file != "-" and not file.endswith(_ENDINGS):
        raise typer.BadParameter(f"{file} does not end in {', '.join(_ENDINGS)}", param_hint="--output")
    return file


def _write(drawing: Drawing, file: str, figures: Sequence[Sequence[object]]) -> None:
    from decoding.pictures import save

    if file == "-":
        from decoding.pictures.svg import svg

        print(svg(drawing))  # noqa: T201 - plain: it is to be piped on
        return
    try:
        save(drawing, Path(file), figures)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}", param_hint="--output") from error
    console.print(Text(f"{drawing.title}\n→ {file}"), soft_wrap=True)
