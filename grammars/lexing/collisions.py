"""Terminals that match the same text.

Where two regular expressions of one priority can match the same text in the same parser state, the lexer's order
decides, and the second is never seen for that text. That is part of the language, but rarely meant. Overlaps are
found with interegular's automata, as lark does; terminals it has no automaton for (look-behind, `\\b`), and those
whose automaton would be large, are not compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import interegular
from interegular.patterns import InvalidSyntax, Unsupported
from lark.lexer import PatternRE

from grammars.errors import LimitExceeded
from grammars.lexing.lexers import Lexers
from grammars.limits import Budget
from grammars.preference.program import Program

_LARGEST = 300  # instructions of a terminal whose automaton is built: at most a few milliseconds


@dataclass(frozen=True, slots=True)
class Collision:
    """Two terminals, the preferred one first, and a text that both match."""

    first: str
    second: str
    example: str


def collisions_of(lexers: Lexers) -> list[Collision]:
    """The collisions between terminals that stand in one lexer."""
    patterns = {number: made for number in range(len(lexers.terminals)) if (made := _automaton(lexers, number))}
    comparator = interegular.Comparator({number: pattern for number, (pattern, _) in patterns.items()})
    pairs = {
        pair: None
        for accepted in dict.fromkeys(lexers.accepted)
        for pair in combinations(sorted(accepted & patterns.keys()), 2)
        if lexers.terminals[pair[0]].priority == lexers.terminals[pair[1]].priority
    }
    found: list[Collision] = []
    for first, second in pairs:
        if not patterns[first][1].isdisjoint(patterns[second][1]):
            example: Any = comparator.get_example_overlap(first, second)
            preferred, hidden = lexers.terminals[first].name, lexers.terminals[second].name
            found.append(Collision(preferred, hidden, example.main_text))
    return found


def _automaton(lexers: Lexers, number: int) -> tuple[Any, Any] | None:
    terminal = lexers.terminals[number]
    if not isinstance(terminal.pattern, PatternRE):
        return None
    regex = terminal.pattern.to_regexp()
    try:
        Program(Budget("collisions", _LARGEST)).add(regex, 0)
        pattern: Any = interegular.parse_pattern(regex)
        return pattern, pattern.to_fsm()
    except (LimitExceeded, Unsupported, InvalidSyntax):
        return None
