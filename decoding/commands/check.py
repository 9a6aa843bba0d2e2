"""`scansion check`: can this be enforced, how, how large is it, and how long does it take?

Exit codes: 0 all is enforced exactly, or as leniently as was asked for; 1 something is refused, or an instance is
judged otherwise than its record says; 2 the call is wrong, a file cannot be read, or a text breaks the rules of its
language.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from decoding.commands.arguments import (
    GbnfOption,
    LarkOption,
    RegexOption,
    SchemaOption,
    SettingsOption,
    VocabOption,
    only_one,
    settings,
    source_text,
    vocabulary_of,
)
from decoding.terminal import console, messages, table, with_progress
from grammars.errors import GrammarSyntaxError

if TYPE_CHECKING:
    from decoding.checking import Checked, Summary
    from grammars import SchemaOptions, Vocabulary

_LINES = (".jsonl", ".ndjson")
_KINDS = {".lark": "lark", ".gbnf": "gbnf", ".ebnf": "gbnf", ".regex": "regex"}

SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="JSON|FILE",
        help="A JSON Schema, or the name of a file: a schema, a grammar (.lark, .gbnf, .regex), or schemas, one a line "
        "(.jsonl). - is standard input.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ProblemsOption = Annotated[bool, typer.Option("--problems", help="Of many schemas show those with problems only.")]
LimitOption = Annotated[int, typer.Option(min=0, help="Show at most so many lines of what is enforced.")]


def check(
    source: SourceArgument = None,
    schema: SchemaOption = None,
    regex: RegexOption = None,
    lark: LarkOption = None,
    gbnf: GbnfOption = None,
    vocab: VocabOption = None,
    option: SettingsOption = None,
    as_json: JsonOption = False,
    problems: ProblemsOption = False,
    limit: LimitOption = 50,
) -> None:
    """Show what is enforced and by what means, sizes and times, of a grammar or of a file of JSON schemas.

    Exit code 1 if something is refused or an instance in the file is judged wrongly.

    \b
    scansion check person.json
    scansion check '{"type": "integer", "minimum": 3}' --vocab model.npz
    scansion check --lark sql.lark
    scansion check schemas.jsonl.gz --problems
    """
    kind, argument = only_one(source=source, schema=schema, regex=regex, lark=lark, gbnf=gbnf)
    kind, argument = _told_by_its_name(argument) if kind == "source" else (kind, argument)
    options, vocabulary = settings(option), vocabulary_of(vocab)
    with messages.status("loading kernels"):
        from grammars.warming import warm

        warm()
    if kind == "lines":
        _check_lines(argument, vocabulary, options, as_json, problems)
    else:
        _check_one(kind, argument, vocabulary, options, as_json, limit)


def _told_by_its_name(argument: str) -> tuple[str, str]:
    """The kind of a source, which is a schema or the name of a file; `-` is a schema from standard input."""
    from decoding.sources import is_json

    if is_json(argument):
        return "schema", argument
    name = argument.removeprefix("@").removesuffix(".gz")
    kinds = [kind for ending, kind in _KINDS.items() if name.endswith(ending)]
    kind = "lines" if name.endswith(_LINES) else kinds[0] if kinds else "schema"
    return kind, "@" + argument.removeprefix("@")


# -- one grammar ------------------------------------------------------------------------------------------------------


def _check_one(
    kind: str, argument: str, vocabulary: Vocabulary, options: SchemaOptions, as_json: bool, limit: int
) -> None:
    from decoding.checking import check as check_grammar
    from decoding.sources import build

    text = source_text(kind, argument)
    with messages.status("checking"):
        name = kind if text == argument else argument.removeprefix("@")
        checked = check_grammar(name, lambda: build(kind, text, options), vocabulary)
    is_wrong = isinstance(checked.error, GrammarSyntaxError)
    if as_json:
        _print_json(checked.as_json())
    elif checked.error is None:
        _show(checked, vocabulary, limit)
    else:
        where = f"{name}: " if name != kind else ""
        _complain(f"{'error' if is_wrong else 'refused'}: {where}{checked.error}")
    if checked.error is not None:
        raise typer.Exit(2 if is_wrong else 1)


def _complain(message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201 - plain, so that the caret stays in its column


def _show(checked: Checked, vocabulary: Vocabulary, limit: int) -> None:
    times = checked.milliseconds
    console.print(
        f"{checked.verdict}; read in {times['read']:.1f} ms, compiled in {times['compile']:.1f} ms, first mask in "
        f"{times['first mask']:.1f} ms for {vocabulary.size} tokens"
    )
    for line in checked.report[:limit]:
        console.print(Text(f"  {line}"))
    if len(checked.report) > limit:
        console.print(f"  and {len(checked.report) - limit} more: --limit shows them")
    for line in checked.not_enforced():
        console.print(Text(f"  NOT enforced: {line}", style="yellow"))
    shown = table("statistic", "value")
    for name, value in checked.stats.items():
        shown.add_row(name, str(value))
    console.print(shown)


# -- a file of schemas ------------------------------------------------------------------------------------------------


def _check_lines(argument: str, vocabulary: Vocabulary, options: SchemaOptions, as_json: bool, problems: bool) -> None:
    from decoding.checking import check_line, summarise
    from decoding.sources import read

    lines = [(i, line) for i, line in enumerate(read("schema", argument).split("\n"), 1) if line.strip()]
    if not lines:
        raise GrammarSyntaxError(f"{argument[1:]} has no schemas", hint="one JSON value a line is wanted")
    found = [
        check_line(line, number, vocabulary, options) for number, line in with_progress(lines, len(lines), "checking")
    ]
    summary = summarise(found)
    if as_json:
        _print_json({"schemas": [checked.as_json() for checked in found], "summary": summary.as_json()})
    else:
        _show_table([checked for checked in found if not (problems and checked.is_fine)])
        _show_summary(summary)
    if not all(checked.is_fine for checked in found):
        raise typer.Exit(1)


def _show_table(found: Sequence[Checked]) -> None:
    shown = table("schema", "verdict", "rules", "states", "classes", "read", "compile", "first mask", "instances", "")
    for column in shown.columns[2:9]:
        column.justify = "right"
    for checked in found:
        shown.add_row(Text(checked.name), checked.verdict, *_figures(checked), Text(_remark(checked)))
    if found:
        console.print(shown)


def _figures(checked: Checked) -> list[str]:
    sizes = [str(checked.stats.get(name, "")) for name in ("rules", "states", "byte_classes")]
    times = [f"{checked.milliseconds[step]:.1f}" if step in checked.milliseconds else "" for step in _STEPS]
    right = checked.instances - len(checked.misjudged)
    return [*sizes, *times, f"{right}/{checked.instances}" if checked.instances else ""]


_STEPS = ("read", "compile", "first mask")


def _remark(checked: Checked) -> str:
    if checked.error is not None:
        return checked.error.message
    if checked.misjudged:
        return f"misjudges instances {', '.join(map(str, checked.misjudged[:5]))}"
    return "; ".join(checked.not_enforced())


def _show_summary(summary: Summary) -> None:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in summary.verdicts.items())
    console.print(f"{sum(summary.verdicts.values())} schemas: {counts}")
    for code, count in summary.refusals.items():
        console.print(f"  refused as {code}: {count}")
    if summary.instances:
        console.print(f"{summary.instances - summary.misjudged} of {summary.instances} instances judged rightly")
    if summary.milliseconds:
        quantiles = ", ".join(f"{name} {value:.1f}" for name, value in summary.milliseconds.items())
        console.print(f"from a schema to its first mask, in ms: {quantiles}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201 - plain: terminals must not wrap it
