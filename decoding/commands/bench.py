"""`scansion bench`: samplers side by side on one prompt and one form, so that somebody can choose among them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from decoding.commands.arguments import GbnfOption, LarkOption, RegexOption, SchemaOption, SettingsOption
from decoding.commands.forms import (
    ChoiceOption,
    MaxTokensOption,
    ModelOption,
    PydanticOption,
    SeedOption,
    chosen,
    form_of,
    loaded,
)
from decoding.terminal import console, messages, table, with_progress

if TYPE_CHECKING:
    from samplers import Problem, Samples
    from samplers.protocols import Sampler

_DEFAULT = ("masking", "adaptive-rejection", "smc", "rejection:max_draws=200")

SamplersOption = Annotated[
    list[str] | None,
    typer.Option("--sampler", metavar="NAME[:OPTION=VALUE,...]", help="A sampler to be measured: repeat the option."),
]


def bench(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the model reads first; - is standard input.")],
    schema: SchemaOption = None,
    regex: RegexOption = None,
    lark: LarkOption = None,
    gbnf: GbnfOption = None,
    choice: ChoiceOption = None,
    pydantic: PydanticOption = None,
    option: SettingsOption = None,
    sampler: SamplersOption = None,
    n: Annotated[int, typer.Option("-n", min=1, help="So many draws of each.")] = 16,
    seed: SeedOption = 0,
    max_tokens: MaxTokensOption = 128,
    model: ModelOption = None,
) -> None:
    """Compare samplers on one prompt: time, model calls, complete answers, effective sample size, log Z.

    \b
    scansion bench "How old is Ada? 36. Answer: " --regex '1[89]|2[0-9]|30' --sampler masking --sampler cars
    """
    from decoding.prompts import gathered

    form = form_of(schema, regex, lark, gbnf, choice, pydantic, option)
    specs = sampler or list(_DEFAULT)
    measured = [(spec, chosen(spec)) for spec in specs]
    (text,) = gathered([prompt])
    engine = loaded(model)
    shown = table("sampler", "law", "complete", "ESS", "log Z", "calls", "logical", "seconds", "tokens/s", "")
    for column in shown.columns[2:9]:
        column.justify = "right"
    with messages.status("warming up"):
        engine.generate(text, seed=seed, max_tokens=max_tokens, **form.of_engine)
    for spec, one in with_progress(measured, len(measured), "measuring"):
        shown.add_row(
            spec,
            getattr(one, "law", ""),
            *_figures(engine.problem(text, max_tokens=max_tokens, **form.of_engine), one, n, seed),
        )
    console.print(shown)


def _figures(problem: Problem, sampler: Sampler, n: int, seed: int | None) -> list[str]:
    from grammars.errors import SamplingError
    from samplers import sample

    begin = time.perf_counter()
    try:
        drawn = sample(problem, sampler, n, seed)
    except SamplingError as error:
        return [""] * 5 + [f"{time.perf_counter() - begin:.2f}", "", error.message]
    return _told(drawn, time.perf_counter() - begin)


def _told(drawn: Samples, seconds: float) -> list[str]:
    tokens = sum(len(row) + 1 for row in drawn.tokens)
    return [
        f"{drawn.finish.count('end')}/{len(drawn)}",
        f"{drawn.ess():.1f}",
        f"{drawn.log_z:.2f}",
        str(drawn.calls.distinct),
        str(drawn.calls.logical),
        f"{seconds:.2f}",
        f"{tokens / seconds:.0f}",
        "",
    ]
