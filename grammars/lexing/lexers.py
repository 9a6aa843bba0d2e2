"""The lexer of each parser state.

A lexer is a list of terminals in the order in which lark's scanner tries them: by priority, longest possible match, length
of the pattern, name. A string that a regular expression of the list would match as a whole is not tried itself: the match
of the expression is renamed afterwards (lark's `unless`).

States accept different terminals, but most differences cannot be seen: if no match of terminal X begins a match of Y or the
other way round, then adding Y to a lexer with X changes nothing for X, and a Y that the parser does not accept here is an
error either way. Lexers are merged where all additions are invisible in this sense, which keeps the grammar small.
"""

from __future__ import annotations

from dataclasses import dataclass

from lark.lexer import PatternStr, TerminalDef

from grammars.errors import GrammarSyntaxError, LimitExceeded, UnsupportedFeature
from grammars.lexing.tables import Tables
from grammars.limits import Budget
from grammars.preference.program import MATCH, Program, width
from grammars.preference.threads import Machine

_PAIRS_PER_STEP = 30


@dataclass(frozen=True, slots=True)
class Lexer:
    """Terminals by number in the order they are tried, and the strings that rename the matches of some of them."""

    tried: tuple[int, ...]
    renamed: dict[int, tuple[int, ...]]


class Lexers:
    """The lexers of a grammar: `of_state[s]` is the number of the lexer of parser state s."""

    def __init__(self, tables: Tables, budget: Budget):
        self._tables, self._budget = tables, budget
        self.names = sorted(tables.terminals, key=lambda name: _rank(tables.terminals[name]))
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.ignored = frozenset(self.numbers[name] for name in tables.ignored)
        program = Program(budget)
        self.entries = [_compiled(program, tables.terminals[name], number) for number, name in enumerate(self.names)]
        self.machine = Machine(program, budget)
        self.lexers: list[Lexer] = []
        self.of_state = self._merged()

    def _merged(self) -> list[int]:
        accepted = [
            frozenset(self.numbers[name] for name in state.accepts if name in self.numbers) | self.ignored
            for state in self._tables.states
        ]
        groups: list[list[frozenset[int]]] = []
        numbers: dict[frozenset[int], int] = {}
        friends = self._friends(frozenset().union(*accepted))
        for members in dict.fromkeys(accepted):
            number = next((i for i, group in enumerate(groups) if _fits(members, group, friends)), len(groups))
            groups[number:] = groups[number:] or [[]]
            groups[number].append(members)
            numbers[members] = number
        self.lexers = [self._lexer(sorted(frozenset().union(*group))) for group in groups]
        return [numbers[members] for members in accepted]

    def _friends(self, used: frozenset[int]) -> list[frozenset[int]]:
        """For each terminal those that never meet it: no match of one begins a match of the other."""
        friends: list[set[int]] = [set() for _ in self.names]
        ordered = sorted(used)
        for i, first in enumerate(ordered):
            for second in ordered[i + 1 :]:
                if not self._meet(first, second):
                    friends[first].add(second)
                    friends[second].add(first)
        return [frozenset(found) for found in friends]

    def _meet(self, first: int, second: int) -> bool:
        machine = self.machine
        start = (machine.spread_all([self.entries[first]]), machine.spread_all([self.entries[second]]))
        stack = [(a, b) for a in start[0] for b in start[1]]
        seen = set(stack)
        while stack:
            a, b = stack.pop()
            self._budget.charge_part(_PAIRS_PER_STEP)
            if machine.code[a].kind == MATCH or machine.code[b].kind == MATCH:
                return True
            if machine.letters(a) & machine.letters(b):
                after = [machine.spread_all([machine.code[place].b]) for place in (a, b)]
                fresh = {(x, y) for x in after[0] for y in after[1]} - seen
                seen |= fresh
                stack += fresh
        return False
