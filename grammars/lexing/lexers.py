"""The lexer of each parser state.

A lexer is a list of terminals in the order in which lark's scanner tries them: by priority, longest possible match,
length of the pattern, name. A string that a regular expression of the list would match as a whole is not tried
itself: the match of the expression is renamed afterwards (lark's `unless`).

States accept different terminals, but most differences cannot be seen: if no match of terminal X begins a match of Y
or the other way round, then adding Y to a lexer with X changes nothing for X, and a Y that the parser does not accept
here is an error either way. Lexers are merged where all additions are invisible in this sense, which keeps the
grammar small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lark.lexer import PatternStr, TerminalDef

from grammars.errors import GrammarError, GrammarSyntaxError
from grammars.lexing.tables import Tables
from grammars.limits import Budget
from grammars.preference.program import CHAR, MATCH, Program, width
from grammars.preference.threads import Machine

_PAIRS_PER_STEP = 16


@dataclass(frozen=True, slots=True)
class Lexer:
    """Terminals by number in the order they are tried, and the strings that rename the matches of some of them."""

    tried: tuple[int, ...]
    renamed: dict[int, tuple[int, ...]]


class Lexers:
    """The lexers of a grammar: `of_state[s]` is the number of the lexer of parser state s."""

    def __init__(self, tables: Tables, budget: Budget):
        self._budget = budget
        used = frozenset(tables.ignored).union(*(state.accepts for state in tables.states))
        ranked = sorted((t for name, t in tables.terminals.items() if name in used), key=_rank)
        self.terminals = ranked
        self.numbers = {terminal.name: number for number, terminal in enumerate(ranked)}
        self.ignored = frozenset(self.numbers[name] for name in tables.ignored)
        program = Program(budget)
        self.entries = [_compiled(program, terminal, number) for number, terminal in enumerate(ranked)]
        self.machine = Machine(program, budget)
        self.accepted = [
            frozenset(self.numbers[name] for name in state.accepts if name in self.numbers) | self.ignored
            for state in tables.states
        ]
        self.after_match: list[frozenset[int]] = []
        merged, self.of_state = self._merged()
        self.lexers = [self._lexer(_members(bits)) for bits in merged]
        firsts = [self._letters(self.machine.spread([entry])) for entry in self.entries]
        self._next_letters = [frozenset[int]().union(*(firsts[n] for n in members)) for members in self.accepted]

    def relevant(self, number: int, state: int) -> frozenset[int]:
        """Characters that could turn a match of a terminal into another one and could come next in a parser state.

        Demands on any others need not be carried past the terminal.
        """
        return self.after_match[number] & self._next_letters[state]

    def _letters(self, places: Iterable[int]) -> frozenset[int]:
        chars = (place for place in places if self.machine.code[place].kind == CHAR)
        return frozenset[int]().union(*map(self.machine.letters, chars))

    def _lexer(self, members: list[int]) -> Lexer:
        strings = [number for number in members if isinstance(self.terminals[number].pattern, PatternStr)]
        renamed: dict[int, tuple[int, ...]] = {}
        hidden: set[int] = set()
        for number in sorted(set(members) - set(strings)):
            found = tuple(string for string in strings if self._is_renamed(number, string))
            if found:
                renamed[number] = found
                flags = self.terminals[number].pattern.flags
                hidden.update(string for string in found if set(self.terminals[string].pattern.flags) <= set(flags))
        return Lexer(tuple(number for number in members if number not in hidden), renamed)

    def _is_renamed(self, number: int, string: int) -> bool:
        """Whether the expression, matched on the string alone, takes all of it."""
        if self.terminals[number].priority != self.terminals[string].priority:
            return False
        machine, context = self.machine, self.machine.first_context
        threads = machine.started([self.entries[number]], context)
        for char in self.terminals[string].pattern.value:
            letter = machine.alphabet.letter(char)
            context = machine.next_context(context, letter)
            threads = machine.step(threads, letter, context)
            if not threads:
                return False
        return any(machine.code[p].kind == MATCH and machine.futures.at_end(demand) for p, demand in threads)

    # -- merging --------------------------------------------------------------------------------------------------

    def _merged(self) -> tuple[list[int], list[int]]:
        """Groups of terminals (as bits), and the group of each state."""
        enemies = self._enemies()
        groups: list[list[int]] = []
        numbers: dict[frozenset[int], int] = {}
        for members in sorted(set(self.accepted), key=sorted):
            bits = _bits(members)
            number = next((i for i, group in enumerate(groups) if _fits([*group, bits], enemies)), len(groups))
            groups[number:] = groups[number:] or [[]]
            groups[number].append(bits)
            numbers[members] = number
        return [_union(group) for group in groups], [numbers[members] for members in self.accepted]

    def _enemies(self) -> list[int]:
        """For each terminal (as bits) those it meets: a match of one begins a match of the other.

        On the way, `after_match` collects the characters with which a match, of whatever terminal, can go on there.
        """
        used = sorted(frozenset[int]().union(*self.accepted))
        enemies = [0] * len(self.terminals)
        after: list[set[int]] = [set() for _ in self.terminals]
        for i, first in enumerate(used):
            for second in used[i:]:
                for one, other, letters in self._meetings(first, second):
                    after[one] |= letters
                    enemies[one] |= 1 << other
                    enemies[other] |= 1 << one
        self.after_match = [frozenset(letters) for letters in after]
        return enemies

    def _meetings(self, first: int, second: int) -> Iterator[tuple[int, int, frozenset[int]]]:
        """Where one of two terminals has matched and the other may too, or may go on: with which characters."""
        machine = self.machine
        begin = [machine.spread([self.entries[number]]) for number in (first, second)]
        stack = [(a, b) for a in begin[0] for b in begin[1]]
        seen = set(stack)
        while stack:
            a, b = stack.pop()
            ended = machine.code[a].kind == MATCH, machine.code[b].kind == MATCH
            if ended[0]:
                yield first, second, self._letters([b])
            if ended[1]:
                yield second, first, self._letters([a])
            if not any(ended) and not machine.letters(a).isdisjoint(machine.letters(b)):
                after = [machine.spread([machine.code[place].b]) for place in (a, b)]
                fresh = {(x, y) for x in after[0] for y in after[1]} - seen
                self._budget.charge(1 + len(fresh) // _PAIRS_PER_STEP)
                seen |= fresh
                stack += fresh


def _bits(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)


def _members(bits: int) -> list[int]:
    return [number for number in range(bits.bit_length()) if bits >> number & 1]


def _union(group: list[int]) -> int:
    whole = 0
    for bits in group:
        whole |= bits
    return whole


def _fits(group: list[int], enemies: list[int]) -> bool:
    """Whether lexers can share one list: what it adds to one of them meets nothing in that one."""
    whole = _union(group)
    return all(not enemies[number] & ~(1 << number) & whole & ~bits for bits in group for number in _members(bits))


def _rank(terminal: TerminalDef) -> tuple[int, int, int, str]:
    pattern = terminal.pattern
    longest = len(pattern.value) if isinstance(pattern, PatternStr) else _width(terminal)[1]
    return -terminal.priority, -longest, -len(pattern.value), terminal.name


def _width(terminal: TerminalDef) -> tuple[int, int]:
    try:
        low, high = width(terminal.pattern.to_regexp())
    except GrammarError as error:
        raise type(error)(f"terminal {terminal.name}: {error.message}", hint=error.hint) from error
    if low == 0:
        raise GrammarSyntaxError(
            f"the terminal {terminal.name} matches the empty text, which a lexer cannot return",
            hint="make it optional where it is used instead",
        )
    return low, high


def _compiled(program: Program, terminal: TerminalDef, number: int) -> int:
    try:
        return program.add(terminal.pattern.to_regexp(), number)
    except GrammarError as error:
        raise type(error)(f"terminal {terminal.name}: {error.message}", hint=error.hint) from error
