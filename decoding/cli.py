"""The `scansion` command; its subcommands are in `decoding.commands`, a file for each.

Whatever is wrong with the input is told in a few lines with a caret, on standard error, never as a traceback.
Exit codes: 0 success; 1 the answer is no (something is broken or refused, a prefix is impossible); 2 the input is
wrong; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from decoding.commands.bench import bench
from decoding.commands.check import check
from decoding.commands.doctor import doctor
from decoding.commands.draw import draw
from decoding.commands.generate import generate
from decoding.commands.mask import mask
from decoding.commands.serve import serve
from decoding.commands.train import train
from decoding.commands.warm import warm
from decoding.terminal import console
from grammars.errors import ScansionError
from grammars.provenance import VERSION

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Exact constrained decoding: which tokens keep a text inside a formal language.",
)
for command in (generate, check, mask, serve, bench, train, doctor, warm):
    app.command()(command)
app.add_typer(draw, name="draw")


def main() -> None:
    """The entry point: runs the command and turns errors into messages and exit codes."""
    try:
        app()
    except ScansionError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - plain, so that the caret stays in its column
        raise SystemExit(2) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has no reader either
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"scansion {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Options that belong to the command as a whole."""
