"""The `scansion` command: one small function per subcommand.

Whatever is wrong with the input is told in a few lines with a caret, on standard error, never as a traceback.
Exit codes: 0 success; 1 the answer is no (something is broken, a prefix is impossible); 2 the input is wrong;
130 interrupted.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grammars.errors import GrammarSyntaxError, ScansionError
from grammars.provenance import VERSION

if TYPE_CHECKING:
    from grammars import Grammar, TokenAutomaton, Vocabulary

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Exact constrained decoding: which tokens keep a text inside a formal language.",
)
console = Console(highlight=False)

RegexOption = Annotated[
    str | None, typer.Option("--regex", metavar="PATTERN", help="A regular expression, or its file.")
]
LarkOption = Annotated[str | None, typer.Option("--lark", metavar="GRAMMAR", help="A Lark grammar, or its file.")]
GbnfOption = Annotated[str | None, typer.Option("--gbnf", metavar="GRAMMAR", help="A GBNF grammar, or its file.")]
VocabOption = Annotated[Path | None, typer.Option("--vocab", metavar="NPZ", help="Vocabulary; default: single bytes.")]


def main() -> None:
    """The entry point: runs the command and turns errors into messages and exit codes."""
    try:
        app()
    except ScansionError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - plain, so that the caret stays in its column
        raise SystemExit(2) from None
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


@app.command()
def doctor() -> None:
    """Check this installation and say what to do where it is broken. Exit code 1 if it is."""
    from decoding.doctor import Verdict, examine

    marks = {Verdict.GOOD: "[green]good[/]", Verdict.NOTE: "[yellow]note[/]", Verdict.BROKEN: "[red bold]broken[/]"}
    with console.status("examining"):
        findings = list(examine())
    table = _table("", "what", "found")
    for finding in findings:
        found = Text(finding.detail)
        if finding.remedy:
            found.append(f"\n→ {finding.remedy}", style="dim")
        table.add_row(marks[finding.verdict], Text(finding.subject), found)
    console.print(table)
    broken = sum(finding.verdict is Verdict.BROKEN for finding in findings)
    console.print(f"{broken} broken" if broken else "This installation is sound.")
    if broken:
        raise typer.Exit(1)


@app.command()
def warm() -> None:
    """Compile every kernel now, so that the first grammar does not have to wait for it."""
    begin = time.perf_counter()
    with console.status("compiling kernels"):
        from grammars.warming import warm as compile_kernels

        compile_kernels()
    console.print(f"kernels ready in {time.perf_counter() - begin:.1f} s")


@app.command()
def check(
    regex: RegexOption = None, lark: LarkOption = None, gbnf: GbnfOption = None, vocab: VocabOption = None
) -> None:
    """Compile a grammar; show what is enforced and by what means."""
    grammar = _grammar(regex, lark, gbnf)
    vocabulary = _vocabulary(vocab)
    begin = time.perf_counter()
    automaton = grammar.compile(vocabulary)
    console.print(f"compiled in {1000 * (time.perf_counter() - begin):.1f} ms for {vocabulary.size} tokens")
    for entry in automaton.report():
        console.print(Text(f"  {entry}"))
    table = _table("statistic", "value")
    for name, value in automaton.stats().items():
        table.add_row(name, str(value))
    console.print(table)


@app.command()
def mask(
    prefix: Annotated[str, typer.Argument(help="The text so far.")] = "",
    regex: RegexOption = None,
    lark: LarkOption = None,
    gbnf: GbnfOption = None,
    vocab: VocabOption = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many tokens.")] = 20,
) -> None:
    """Show which tokens may follow a text. Exit code 1 if the text itself leaves the language."""
    automaton = _grammar(regex, lark, gbnf).compile(_vocabulary(vocab))
    text = os.fsencode(prefix)
    state, reached = _follow(automaton, text)
    if reached < len(text):
        console.print(Text(f"after {text[:reached]!r} no token leads on to {text[reached:]!r}"))
        raise typer.Exit(1)
    _show_mask(automaton, state, limit)


def _show_mask(automaton: TokenAutomaton, state: int, limit: int) -> None:
    vocabulary = automaton.vocabulary
    allowed = _allowed(automaton, state)
    complete = "the text may end here" if automaton.accepts(state) else "the text may not end here"
    console.print(f"{len(allowed)} of {vocabulary.size} tokens may follow; {complete}")
    forced = b"".join(vocabulary.tokens[token] for token in automaton.forced(state))
    if forced:
        console.print(Text(f"forced: {forced!r}"))
    table = _table("id", "token")
    for token in allowed[:limit]:
        table.add_row(str(token), Text(repr(vocabulary.tokens[token])))
    console.print(table)
    if len(allowed) > limit:
        console.print(f"and {len(allowed) - limit} more: --limit shows them")


def _allowed(automaton: TokenAutomaton, state: int) -> list[int]:
    words = np.zeros((1, automaton.vocabulary.words), np.uint32)
    automaton.fill_masks(np.array([state]), words)
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist()


def _follow(automaton: TokenAutomaton, text: bytes) -> tuple[int, int]:
    """The state after as much of `text` as tokens lead through, and the number of bytes that is.

    How a text is cut into tokens does not change what may follow it, so the longest tokens serve.
    """
    vocabulary = automaton.vocabulary
    silent = {*vocabulary.eos, *vocabulary.special}
    ids = {token: number for number, token in enumerate(vocabulary.tokens) if token and number not in silent}
    longest = max(map(len, ids), default=0)
    state, position, length = automaton.start, 0, longest
    while position < len(text) and length:
        token = ids.get(text[position : position + length])
        if token is None or not automaton.allows(state, token):
            length -= 1
            continue
        state, position = automaton.advance(state, token), position + length
        length = min(longest, len(text) - position)
    return state, position


def _grammar(regex: str | None, lark: str | None, gbnf: str | None) -> Grammar:
    import grammars

    sources: Iterable[tuple[Callable[[str], Grammar], str | None]]
    sources = ((grammars.regex, regex), (grammars.lark, lark), (grammars.gbnf, gbnf))
    given = [(front_end, source) for front_end, source in sources if source is not None]
    if len(given) != 1:
        raise typer.BadParameter("give exactly one of --regex, --lark and --gbnf")
    front_end, source = given[0]
    return front_end(_text(source))


def _text(source: str) -> str:
    """The content of the file that `source` names, or `source` itself."""
    if not os.path.isfile(source):
        return source
    try:
        return Path(source).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GrammarSyntaxError(f"{source} cannot be read: {error}", hint="a text file in UTF-8 is wanted") from error


def _vocabulary(path: Path | None) -> Vocabulary:
    from decoding.vocabularies import read_vocabulary, single_bytes

    return single_bytes() if path is None else read_vocabulary(path)


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table
