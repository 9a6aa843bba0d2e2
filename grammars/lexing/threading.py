"""The grammar over characters: symbols between boundaries.

A state between two symbols is a boundary and the terminals that must not come next. `A[s]` asks which states A can lead
to from s; answers are collected on demand, rule by rule and symbol by symbol, until nothing new appears (tabling). What
was found is then written down: one rule for every A, s and answer t that the start can use.
"""

from __future__ import annotations

from typing import NamedTuple

from grammars.expression import EPSILON, NOTHING, Call, Node, Text, choice, sequence
from grammars.lexing.boundaries import Boundaries, End
from grammars.lexing.symbols import END, Production, Shift, Symbols
from grammars.limits import Budget


class State(NamedTuple):
    boundary: int
    forbidden: frozenset[int]


Key = tuple[int, State]  # a nonterminal and where it begins
Item = tuple[Key, int, int, State]  # a key, one of its productions, how many symbols are read, and where that led
Row = dict[State, list[tuple[State, Key | End]]]  # how states go on: with a nonterminal from there, or with a token


class Threading:
    """Collects answers, then writes rules."""

    def __init__(self, symbols: Symbols, boundaries: Boundaries, names: list[str], budget: Budget):
        self._symbols, self._boundaries, self._names, self._budget = symbols, boundaries, names, budget
        self._answers: dict[Key, dict[State, None]] = {}
        self._waiting: dict[Key, list[Item]] = {}
        self._steps: dict[tuple[int, int], list[End]] = {}
        self._seen: set[Item] = set()
        self._work: list[Item] = []
        self._layers: dict[tuple[Key, int], tuple[list[Row], list[State]]] = {}
        self._states: dict[State, int] = {}
        self._queue: list[tuple[Key, State]] = []
        self._known: dict[tuple[Key, State], Node] = {}
        self._tokens: dict[tuple[int, End], Node] = {}
        self._bodies: dict[Node, Node] = {}
        self._variants: dict[str, int] = {}
        self.rules: dict[str, Node] = {}

    def run(self, lexer: int) -> Node:
        """The start expression."""
        key = (self._symbols.start, State(self._boundaries.first(lexer), frozenset()))
        self._ask(key)
        while self._work:
            self._advance(self._work.pop())
        ways: list[Node] = []
        for answer in self._answers[key]:
            last = NOTHING if END in answer.forbidden else self._boundaries.last(answer.boundary)
            if last != NOTHING:
                ways.append(sequence([self._called(key, answer), last]))
        for wanted in self._queue:
            self._write(*wanted)
        return choice(ways)

    # -- answers --------------------------------------------------------------------------------------------------

    def _ask(self, key: Key) -> None:
        if key not in self._answers:
            self._answers[key] = {}
            self._waiting[key] = []
            for number in range(len(self._symbols.productions[key[0]])):
                self._add((key, number, 0, key[1]))

    def _add(self, item: Item) -> None:
        if item not in self._seen:
            self._budget.charge()
            self._seen.add(item)
            self._work.append(item)

    def _advance(self, item: Item) -> None:
        key, number, dot, state = item
        production = self._symbols.productions[key[0]][number]
        if dot == len(production.symbols):
            self._answer(key, _reduced(state, production))
            return
        symbol = production.symbols[dot]
        if isinstance(symbol, int):
            below = (symbol, state)
            self._ask(below)
            self._waiting[below].append(item)
            reached = list(self._answers[below])
        else:
            reached = [self._after(end, symbol) for end in self._ends(state, symbol.terminal)]
        for after in reached:
            self._add((key, number, dot + 1, after))

    def _answer(self, key: Key, state: State) -> None:
        if state not in self._answers[key]:
            self._answers[key][state] = None
            for above, number, dot, _ in self._waiting[key]:
                self._add((above, number, dot + 1, state))

    def _ends(self, state: State, terminal: int) -> list[End]:
        """How this terminal can end when it is read from a state."""
        if terminal in state.forbidden:
            return []
        key = (state.boundary, terminal)
        if key not in self._steps:
            self._steps[key] = [end for end in self._boundaries.tokens(state.boundary) if end.terminal == terminal]
        return self._steps[key]

    def _after(self, end: End, shift: Shift) -> State:
        return State(self._boundaries.after(end, shift), frozenset())

    # -- rules ----------------------------------------------------------------------------------------------------

    def _called(self, key: Key, answer: State) -> Node:
        wanted = (key, answer)
        if wanted not in self._known:
            numbers = [self._states.setdefault(state, len(self._states)) for state in (key[1], answer)]
            name = f"{self._symbols.names[key[0]]}.{key[0]}[{numbers[0]},{numbers[1]}]"
            self._known[wanted] = Call(name)
            self._queue.append(wanted)
        return self._known[wanted]

    def _write(self, key: Key, answer: State) -> None:
        name = self._known[(key, answer)]
        productions = range(len(self._symbols.productions[key[0]]))
        if isinstance(name, Call):
            self.rules[name.rule] = choice(self._production(key, number, answer) for number in productions)

    def _production(self, key: Key, number: int, answer: State) -> Node:
        """What a production reads between two states: backward from the end, through what can be reached."""
        production = self._symbols.productions[key[0]][number]
        steps, last = self._reached(key, number)
        rest: dict[State, Node] = {s: EPSILON for s in last if _reduced(s, production) == answer}
        for row in reversed(steps if rest else ()):
            self._budget.charge()
            rest = {state: node for state, ways in row.items() if (node := self._joined(state, ways, rest)) != NOTHING}
        return rest.get(key[1], NOTHING)

    def _reached(self, key: Key, number: int) -> tuple[list[Row], list[State]]:
        """The states between the symbols of a production, with the ways from one to the next."""
        if (key, number) not in self._layers:
            layer, steps = [key[1]], list[Row]()
            for symbol in self._symbols.productions[key[0]][number].symbols:
                steps.append({state: self._ways(state, symbol) for state in layer})
                layer = list(dict.fromkeys(after for ways in steps[-1].values() for after, _ in ways))
            self._layers[(key, number)] = steps, layer
        return self._layers[(key, number)]

    def _ways(self, state: State, symbol: int | Shift) -> list[tuple[State, Key | End]]:
        if isinstance(symbol, int):
            return [(after, (symbol, state)) for after in self._answers[(symbol, state)]]
        return [(self._after(end, symbol), end) for end in self._ends(state, symbol.terminal)]

    def _joined(self, state: State, ways: list[tuple[State, Key | End]], rest: dict[State, Node]) -> Node:
        return choice(
            sequence(
                [self._token(state.boundary, way) if isinstance(way, End) else self._called(way, after), rest[after]]
            )
            for after, way in ways
            if after in rest
        )

    def _token(self, boundary: int, end: End) -> Node:
        """A token as a rule, shared by all boundaries from which it reads the same texts."""
        if (boundary, end) not in self._tokens:
            body = self._boundaries.token(boundary, end)
            if body not in self._bodies:
                name = self._names[end.terminal]
                self._bodies[body] = body if isinstance(body, Text) else self._named(name, body)
            self._tokens[(boundary, end)] = self._bodies[body]
        return self._tokens[(boundary, end)]

    def _named(self, name: str, body: Node) -> Node:
        self._variants[name] = self._variants.get(name, 0) + 1
        rule = f"{name}.{self._variants[name]}"
        self.rules[rule] = body
        return Call(rule)


def _reduced(state: State, production: Production) -> State:
    """The state after a production: what its conflicts forbid must not come next."""
    return State(state.boundary, state.forbidden | production.forbidden)
