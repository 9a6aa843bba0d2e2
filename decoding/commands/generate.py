"""`scansion generate`: text of a given form, with its weight if wanted.

Exit codes: 0 every answer is complete; 1 some are not, or a prompt has none (the rest is there); 2 the call is wrong;
130 interrupted, what was finished by then is printed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.text import Text

from decoding.commands.arguments import GbnfOption, LarkOption, RegexOption, SchemaOption, SettingsOption
from decoding.commands.forms import (
    ChoiceOption,
    MaxTokensOption,
    ModelOption,
    PydanticOption,
    SamplerOption,
    SeedOption,
    chosen,
    form_of,
    loaded,
)
from decoding.terminal import console, messages, table, with_progress

if TYPE_CHECKING:
    from decoding.runs import Failure, Row, Run

PromptArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[PROMPT]...", help="What the model reads first; - is standard input.")
]
PromptsOption = Annotated[
    str | None, typer.Option("--prompts", metavar="FILE", help="A prompt per line; .jsonl: strings, or objects.")
]
NumberOption = Annotated[int, typer.Option("-n", min=0, help="So many answers to each prompt.")]
WeightsOption = Annotated[bool, typer.Option("--show-weights", help="Show weights, log-probabilities and log Z.")]
LinesOption = Annotated[bool, typer.Option("--jsonl", help="A JSON object per line, each as soon as it is there.")]


def generate(
    prompt: PromptArgument = None,
    schema: SchemaOption = None,
    regex: RegexOption = None,
    lark: LarkOption = None,
    gbnf: GbnfOption = None,
    choice: ChoiceOption = None,
    pydantic: PydanticOption = None,
    sampler: SamplerOption = "masking",
    n: NumberOption = 1,
    show_weights: WeightsOption = False,
    seed: SeedOption = None,
    max_tokens: MaxTokensOption = 256,
    model: ModelOption = None,
    prompts: PromptsOption = None,
    as_lines: LinesOption = False,
    option: SettingsOption = None,
) -> None:
    """Let a model write text of a given form. Exit code 1 if an answer is incomplete or a prompt has none.

    \b
    scansion generate "Is water wet? Answer:" --choice " yes" --choice " no" -n 8 --show-weights
    scansion generate "Call 555-0100. Phone: " --regex '[0-9]{3}-[0-9]{4}' --sampler smc:n=16
    echo "Ada is 36. JSON:" | scansion generate - --schema person.json
    scansion generate --prompts mails.jsonl --pydantic mymodels:Order --jsonl > orders.jsonl
    """
    from decoding.prompts import gathered
    from decoding.runs import Run

    form, drawn_by = form_of(schema, regex, lark, gbnf, choice, pydantic, option), chosen(sampler)
    asked = gathered(prompt or [], prompts)
    if not asked:
        raise typer.BadParameter("there is no prompt: give one, - for standard input, or --prompts FILE")
    run = Run(loaded(model), form.of_engine, drawn_by, n, seed, max_tokens, form.parse)
    if not (_print_lines(run, asked) if as_lines else _print_answers(run, asked, show_weights)):
        raise typer.Exit(1)


def _watched(run: Run, prompts: Sequence[str], with_bar: bool) -> Iterator[Row | Failure]:
    """What comes, with a bar where it disturbs no results; failures are told."""
    from decoding.runs import Failure

    found = run.rows(prompts)
    for one in with_progress(found, run.n * len(prompts), "generating") if with_bar else found:
        if isinstance(one, Failure):
            where = f"prompt {one.prompt + 1}: " if len(prompts) > 1 else ""
            messages.print(Text(f"error: {where}{one.error}"), soft_wrap=True)
        yield one


def _is_complete(found: Row | Failure) -> bool:
    from decoding.runs import Row

    return isinstance(found, Row) and found.answer.finish == "end"


# -- lines ------------------------------------------------------------------------------------------------------------


def _print_lines(run: Run, prompts: Sequence[str]) -> bool:
    """Print everything at once as it comes; whether all is complete."""
    all_complete = True
    for found in _watched(run, prompts, with_bar=not console.is_terminal):
        line = json.dumps(found.as_json(prompts[found.prompt]), ensure_ascii=False)
        print(line, flush=True)  # noqa: T201 - plain: terminals must not wrap it
        all_complete &= _is_complete(found)
    return all_complete


# -- a table ----------------------------------------------------------------------------------------------------------


def _print_answers(run: Run, prompts: Sequence[str], show_weights: bool) -> bool:
    """Print the answers when all are there, or as many as there are when somebody interrupts; whether all is
    complete."""
    found: list[Row | Failure] = []
    try:
        found.extend(_watched(run, prompts, with_bar=True))
    finally:
        rows = [row for row in found if not hasattr(row, "error")]
        _show(rows, len(prompts), show_weights, is_single=run.n * len(prompts) == 1)
    return all(map(_is_complete, found))


def _show(rows: Sequence[Any], prompts: int, show_weights: bool, is_single: bool) -> None:
    if is_single and not show_weights:
        for row in rows:
            print(row.answer.text, flush=True)  # noqa: T201 - plain, so that it can be piped on
            _remark(row)
    elif rows:
        for number in sorted({row.prompt for row in rows}):
            _show_prompt(number, [row for row in rows if row.prompt == number], prompts, show_weights)


def _remark(row: Row) -> None:
    if row.answer.finish != "end":
        messages.print(f"note: not complete ({_REASONS[row.answer.finish]})")


_REASONS = {"length": "the tokens ran out: --max-tokens", "dead": "nothing could follow"}


def _show_prompt(number: int, rows: Sequence[Row], prompts: int, show_weights: bool) -> None:
    from samplers.log_space import effective_size, log_mean, shares

    log_weights = np.array([row.log_weight for row in rows])
    log_z = log_mean(log_weights)
    weights = shares(log_weights) if log_z > -np.inf else np.zeros(len(rows))
    shown = table(*(("weight", "log weight", "log P", "finish") if show_weights else ("log P", "finish")), "text")
    for row, weight in zip(rows, weights, strict=True):
        figures = [f"{weight:.3f}", f"{row.log_weight:.2f}"] if show_weights else []
        shown.add_row(*figures, f"{row.answer.log_prob:.2f}", row.answer.finish, Text(row.answer.text))
    if prompts > 1:
        console.print(f"prompt {number + 1}")
    console.print(shown)
    if show_weights:
        console.print(f"log Z = {log_z:.3f}; effective sample size {effective_size(log_weights):.1f} of {len(rows)}")
