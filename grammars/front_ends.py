"""The public ways to make a grammar."""

from __future__ import annotations

from collections.abc import Iterable

from grammars.errors import GrammarSyntaxError, Span
from grammars.expression import Node
from grammars.expression import choice as any_of
from grammars.expression import text as text_node
from grammars.gbnf import read_gbnf
from grammars.grammar import Grammar
from grammars.lark_syntax import read_lark
from grammars.limits import Limits
from grammars.longest import read_longest
from grammars.regex import parse


def regex(
    pattern: str, *, flags: str = "", dialect: str = "python", search: bool = False, limits: Limits | None = None
) -> Grammar:
    """The strings that match `pattern` as a whole, or that contain a match with `search=True`.

    `dialect` is "python" (the syntax of `re`, and `\\\\p{..}`) or "ecma" (ECMA-262 with the u flag, as JSON Schema
    has it); `flags` is any of "aimsux".

    >>> regex("[a-z]+@[a-z]+[.]com").matches(b"ada@example.com")
    True
    """
    return Grammar(parse(pattern, flags=flags, dialect=dialect, search=search, limits=limits or Limits()))


def literal(text: str | bytes) -> Grammar:
    """Exactly this text.

    >>> literal("yes").matches(b"yes")
    True
    """
    return Grammar(_text(text))


def choice(options: Iterable[str | bytes]) -> Grammar:
    """One of several texts.

    >>> choice(["yes", "no"]).matches(b"no")
    True
    """
    return Grammar(any_of(_text(option) for option in options))


def _text(text: str | bytes) -> Node:
    try:
        return text_node(text)
    except UnicodeEncodeError as error:
        raise GrammarSyntaxError(
            "a lone surrogate is not text",
            span=Span(str(text), error.start),
            hint="give bytes if the text is not to be UTF-8",
        ) from None


def lark(text: str, start: str = "start", *, lexing: str = "scannerless", limits: Limits | None = None) -> Grammar:
    """A grammar in Lark's language.

    `lexing="scannerless"` reads it as a context-free grammar over characters: exactly its language, however ambiguous.
    `lexing="longest"` reads it as Lark's LALR parser with the contextual lexer does; `collisions` then tells which
    terminals take texts away from others.

    >>> lark('start: "a" start "b" | "c"').matches(b"aacbb")
    True
    """
    if lexing == "longest":
        return Grammar.of_rules(*read_longest(text, start, limits=limits or Limits()))
    if lexing != "scannerless":
        raise ValueError(f'lexing is "scannerless" or "longest", not {lexing!r}')
    return Grammar.of_rules(*read_lark(text, start, limits=limits or Limits()))


def gbnf(text: str, *, limits: Limits | None = None) -> Grammar:
    """A grammar in llama.cpp's GBNF; it starts at the rule `root`.

    >>> gbnf('root ::= "(" root ")" | "x"').matches(b"((x))")
    True
    """
    return Grammar.of_rules(*read_gbnf(text, limits=limits or Limits()))
