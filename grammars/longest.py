"""The longest-match reading of a Lark grammar: exactly what Lark's LALR parser accepts with its contextual lexer.

`lark.Lark(text, parser="lalr", lexer="contextual", start=...)` and the result here accept the same texts. How the
lexer's cuts become part of a grammar without a lexer is told in `grammars.lexing`. What Lark's LALR parser cannot
read (a choice between two rules that one symbol of look-ahead does not settle) is `UnsupportedFeature`.
"""

from __future__ import annotations

from grammars.expression import Node
from grammars.lark_front.definitions import load
from grammars.lark_front.patterns import Terminals
from grammars.lark_front.rules import Translation
from grammars.lark_front.source import read_source
from grammars.lexing.boundaries import Boundaries
from grammars.lexing.collisions import Collision, collisions_of
from grammars.lexing.lexers import Lexers
from grammars.lexing.symbols import symbols_of
from grammars.lexing.tables import Tables, tables_of
from grammars.lexing.threading import Threading
from grammars.limits import Budget, Limits

_DEFAULT_LIMITS = Limits()


def read_longest(text: str, start: str = "start", *, limits: Limits = _DEFAULT_LIMITS) -> tuple[Node, dict[str, Node]]:
    r"""The start expression and the rules of a Lark grammar under the longest-match reading.

    >>> start, rules = read_longest('start: NAME NAME\nNAME: /[a-z]+/')
    >>> start  # two names never touch, so there is no such text
    Choice(options=())
    """
    budget = Budget("compile_work", limits.compile_work)
    tables, lexers = _lexers(text, start, limits, budget)
    symbols = symbols_of(tables, lexers, budget)
    names = [terminal.name for terminal in lexers.terminals]
    threading = Threading(symbols, Boundaries(lexers, budget), names, budget)
    return threading.run(lexers.of_state[0]), threading.rules


def collisions(text: str, start: str = "start", *, limits: Limits = _DEFAULT_LIMITS) -> list[Collision]:
    r"""Terminals of a Lark grammar of which one hides the other.

    >>> collisions('start: (WORD | HEX)*\nWORD: /[a-z]+/\nHEX: /[0-9a-f]+/')
    [Collision(first='HEX', second='WORD', example='a')]
    """
    _, lexers = _lexers(text, start, limits, Budget("compile_work", limits.compile_work))
    return collisions_of(lexers)


def _lexers(text: str, start: str, limits: Limits, budget: Budget) -> tuple[Tables, Lexers]:
    module = load(read_source(text, limits, budget))
    rules = [definition for definition in module.definitions.values() if not definition.is_terminal]
    # lark compiles every rule, reached or not: here each is read first, for its errors and for endless templates
    Translation(module, limits, budget).run(module.start(start), *(rule for rule in rules if not rule.params))
    tables = tables_of(module, start, Terminals(limits, budget), limits, budget)
    return tables, Lexers(tables, budget)
