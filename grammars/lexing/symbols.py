"""Symbols by parser state.

The rules that derive a symbol A where the parser is in state p are those of the LR(0) automaton: each symbol of a
rule moves on to the next state, and the state after a terminal decides on the lexer of the next token. So A becomes
(p, A). Most of these cannot be told apart: (p, A) and (q, A) are merged if their rules match symbol by symbol, up to
merging, with the same lexers after terminals and the same conflicts at the ends (Moore's partition refinement).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lark.grammar import Rule

from grammars.lexing.lexers import Lexers
from grammars.lexing.tables import Tables
from grammars.limits import Budget

_SYMBOLS_PER_STEP = 50

Pair = tuple[int, str]


class Shift(NamedTuple):
    """A terminal, the lexer after it, and the characters that could prolong it there."""

    terminal: int
    lexer: int
    relevant: frozenset[int]


@dataclass(frozen=True, slots=True)
class Production:
    """The symbols of a rule, numbers for nonterminals, and the terminals that a conflict forbids after it."""

    symbols: tuple[int | Shift, ...]
    forbidden: frozenset[int]


@dataclass(frozen=True, slots=True)
class Symbols:
    """Nonterminals by number; `END` among the forbidden stands for the end of the text."""

    names: list[str]
    productions: list[list[Production]]
    start: int


END = -1


def symbols_of(tables: Tables, lexers: Lexers, budget: Budget) -> Symbols:
    """The nonterminals of a grammar, split by parser state and merged."""
    split = _Split(tables, lexers)
    pairs = split.reachable((0, tables.start))
    total = 1 + sum(len(rule.expansion) + 1 for pair in pairs for rule in split.rules(pair))
    numbers = _numbered([(name,) for _, name in pairs])
    while True:
        budget.charge(1 + total // _SYMBOLS_PER_STEP)
        group = dict(zip(pairs, numbers, strict=True))
        finer = _numbered([(group[pair], *split.shape(pair, group)) for pair in pairs])
        if max(finer) == max(numbers):
            break
        numbers = finer
    group = dict(zip(pairs, numbers, strict=True))
    chosen = {number: pair for pair, number in reversed(group.items())}
    ordered = [chosen[number] for number in range(len(chosen))]
    productions = [list(dict.fromkeys(split.shape(pair, group))) for pair in ordered]
    return Symbols([name for _, name in ordered], productions, group[(0, tables.start)])


def _numbered(keys: list[tuple[object, ...]]) -> list[int]:
    numbers: dict[tuple[object, ...], int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


class _Split:
    def __init__(self, tables: Tables, lexers: Lexers):
        self._states, self._lexers = tables.states, lexers

    def rules(self, pair: Pair) -> list[Rule]:
        return self._states[pair[0]].productions.get(pair[1], [])

    def path(self, pair: Pair, rule: Rule) -> list[int]:
        """The states before, between and after the symbols of a rule."""
        path = [pair[0]]
        for symbol in rule.expansion:
            path.append(self._states[path[-1]].goto[symbol.name])
        return path

    def reachable(self, first: Pair) -> list[Pair]:
        seen = {first: None}
        for pair in (queue := [first]):
            for rule in self.rules(pair):
                for state, symbol in zip(self.path(pair, rule), rule.expansion, strict=False):
                    if not symbol.is_term and (state, symbol.name) not in seen:
                        seen[(state, symbol.name)] = None
                        queue.append((state, symbol.name))
        return list(seen)

    def shape(self, pair: Pair, group: dict[Pair, int]) -> list[Production]:
        """The rules of a pair, with nonterminals by group."""
        return [self._production(pair, rule, group) for rule in self.rules(pair)]

    def _production(self, pair: Pair, rule: Rule, group: dict[Pair, int]) -> Production:
        path = self.path(pair, rule)
        symbols: list[int | Shift] = []
        for before, after, symbol in zip(path, path[1:], rule.expansion, strict=False):
            if symbol.is_term:
                number = self._lexers.numbers[symbol.name]
                symbols.append(Shift(number, self._lexers.of_state[after], self._lexers.relevant(number, after)))
            else:
                symbols.append(group[(before, symbol.name)])
        forbidden = self._states[path[-1]].forbidden.get(rule, frozenset())
        return Production(tuple(symbols), frozenset(self._lexers.numbers.get(name, END) for name in forbidden))
