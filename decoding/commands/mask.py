"""`scansion mask`: which tokens may follow a text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.text import Text

from decoding.commands.arguments import (
    GbnfOption,
    LarkOption,
    RegexOption,
    SchemaOption,
    SettingsOption,
    VocabOption,
    grammar_of,
    only_one,
    settings,
    vocabulary_of,
)
from decoding.terminal import console, table

if TYPE_CHECKING:
    from grammars import TokenAutomaton


def mask(
    prefix: Annotated[str, typer.Argument(help="The text so far.")] = "",
    schema: SchemaOption = None,
    regex: RegexOption = None,
    lark: LarkOption = None,
    gbnf: GbnfOption = None,
    vocab: VocabOption = None,
    option: SettingsOption = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many tokens.")] = 20,
) -> None:
    """Show which tokens may follow a text. Exit code 1 if the text itself leaves the language.

    \b
    scansion mask "ada@" --regex '[a-z]+@[a-z]+[.](com|org)'
    scansion mask '{"age": ' --schema person.json --vocab model.npz
    """
    kind, argument = only_one(schema=schema, regex=regex, lark=lark, gbnf=gbnf)
    automaton = grammar_of(kind, argument, settings(option)).compile(vocabulary_of(vocab))
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
    shown = table("id", "token")
    for token in allowed[:limit]:
        shown.add_row(str(token), Text(repr(vocabulary.tokens[token])))
    console.print(shown)
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
