"""Arguments that several subcommands share: a grammar in one of four languages, and a vocabulary.

The engine is imported where it is used: `scansion doctor` must run where it is broken.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from decoding.terminal import messages

if TYPE_CHECKING:
    from grammars import Grammar, SchemaOptions, Vocabulary

SchemaOption = Annotated[
    str | None, typer.Option("--schema", metavar="JSON|FILE", help="A JSON Schema, or the name of its file.")
]
RegexOption = Annotated[
    str | None, typer.Option("--regex", metavar="PATTERN|@FILE", help="A regular expression; @FILE reads it.")
]
LarkOption = Annotated[
    str | None, typer.Option("--lark", metavar="GRAMMAR|FILE", help="A Lark grammar, or the name of its file.")
]
GbnfOption = Annotated[
    str | None, typer.Option("--gbnf", metavar="GRAMMAR|FILE", help="A GBNF grammar, or the name of its file.")
]
VocabOption = Annotated[Path | None, typer.Option("--vocab", metavar="NPZ", help="Vocabulary; default: single bytes.")]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of JSON schemas, such as whitespace=compact."),
]


def only_one(**given: str | None) -> tuple[str, str]:
    """The one language that is given, as its kind and its argument."""
    found = [(kind, argument) for kind, argument in given.items() if argument is not None]
    if len(found) != 1:
        names = [kind.upper() if kind == "source" else f"--{kind}" for kind in given]
        raise typer.BadParameter(f"give exactly one of {', '.join(names[:-1])} and {names[-1]}")
    return found[0]


def source_text(kind: str, argument: str) -> str:
    """The text of a grammar; a note if what is taken for a text is also the name of a file."""
    from decoding.sources import looks_misread, read

    if looks_misread(kind, argument):
        messages.print(Text(f"note: --{kind} takes {argument!r} as it is; the file of that name is @{argument}"))
    return read(kind, argument)


def settings(given: list[str] | None) -> SchemaOptions:
    """The options of schemas."""
    from decoding.sources import schema_options

    try:
        return schema_options(given or [])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--option") from None


def grammar_of(kind: str, argument: str, options: SchemaOptions) -> Grammar:
    """The grammar that an option gives."""
    from decoding.sources import build

    return build(kind, source_text(kind, argument), options)


def vocabulary_of(path: Path | None) -> Vocabulary:
    """The vocabulary of a file, or that of single bytes."""
    from decoding.vocabularies import read_vocabulary, single_bytes

    return single_bytes() if path is None else read_vocabulary(path)
