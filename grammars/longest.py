"""The longest-match reading of a Lark grammar: exactly what Lark's LALR parser accepts with its contextual lexer.

`lark.Lark(text, parser="lalr", lexer="contextual", start=...)` and the result here accept the same texts. How the lexer's
cuts become part of a grammar without a lexer is told in `grammars.lexing`.

>>> from grammars.lark_syntax import read_lark
>>> grammar = 'start: "a" | "ab" | start start  '
"""

from __future__ import annotations

from grammars.errors import GrammarSyntaxError, Span
from grammars.expression import Node
from grammars.lark_front.definitions import load
from grammars.lark_front.patterns import Terminals
from grammars.lark_front.rules import Translation
from grammars.lark_front.source import read_source
from grammars.lexing.boundaries import Boundaries
from grammars.lexing.lexers import Lexers
from grammars.lexing.symbols import symbols_of
from grammars.lexing.tables import tables_of
from grammars.lexing.threading import Threading
from grammars.limits import Budget, Limits


def read_longest(
    text: str, start: str = "start", *, limits: Limits = Limits()  # noqa: B008
) -> tuple[Node, dict[str, Node]]:
    """The start expression and the rules of a Lark grammar under the longest-match reading."""
    budget = Budget("compile_work", limits.compile_work)
    module = load(read_source(text, limits, budget))
    tables = tables_of(module, start, Terminals(limits, budget), limits, budget)
    lexers = Lexers(tables, budget)
    symbols = symbols_of(tables, lexers, budget)
    names = [terminal.name for terminal in lexers.terminals]
    threading = Threading(symbols, Boundaries(lexers, budget), names, budget)
    return threading.run(lexers.of_state[tables.first]), threading.rules
