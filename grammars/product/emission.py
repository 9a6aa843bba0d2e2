"""From solved goals to the rules of the product grammar.

Only what the start needs is written. Whatever is finite by its structure is written in place; calls, loops with a
changing state, and branching sequences become rules named after what they read and between which states: `value@0>3`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from grammars.expression import (
    EPSILON,
    Bytes,
    Call,
    Chars,
    Choice,
    Named,
    Node,
    Repeat,
    Sequence,
    Text,
    choice,
    repeat,
    sequence,
)
from grammars.limits import Budget
from grammars.product.goals import Goal, Goals
from grammars.trampoline import run

Writing = Generator[Any, Any, Node]


class Names:
    """Rule names that were not given out before."""

    def __init__(self, taken: set[str]):
        self._taken = taken
        self._count = 0

    def fresh(self, label: str, state: int, end: int) -> str:
        """A name for what `label` reads between two states."""
        name = f"{label}@{state}>{end}"
        while name in self._taken:
            self._count += 1
            name = f"{label}.{self._count}@{state}>{end}"
        self._taken.add(name)
        return name


class Emission:
    """Writes the rules of one product."""

    def __init__(self, goals: Goals, names: Names, budget: Budget):
        self._goals, self._names, self._budget = goals, names, budget
        self._calls: dict[tuple[Goal, int], Call] = {}
        self._pending: list[tuple[Goal, int]] = []
        self._rules: dict[str, Node] = {}

    def write(self, start: Node, goal: Goal) -> tuple[Node, dict[str, Node]]:
        """The start expression and the rules for all accepting exits of the start's goal."""
        ends = [end for end in goal.exits if self._goals.automaton.accepts(end)]
        node = choice([run(self._node(start, goal.state, end)) for end in ends])
        while self._pending:
            goal, end = self._pending.pop()
            name = self._calls[goal, end].rule
            self._rules[name] = run(self._body(goal, end))
        return node, self._rules

    def _call(self, label: str, goal: Goal, end: int) -> Call:
        call = self._calls.get((goal, end))
        if call is None:
            self._budget.charge()
            call = self._calls[goal, end] = Call(self._names.fresh(label, goal.state, end))
            self._pending.append((goal, end))
        return call

    # -- in place -------------------------------------------------------------------------------------------------

    def _node(self, node: Node, state: int, end: int) -> Writing:
        """The strings of `node` between two states; there are some."""
        if isinstance(node, Text | Bytes | Chars):
            return self._goals.lexical.paths(node, state)[end]
        if isinstance(node, Named):
            return Named(node.name, (yield self._node(node.body, state, end)))
        goal = self._goals.of(node, state)
        if isinstance(node, Choice):
            return (yield self._choice(node, state, end))
        if isinstance(node, Sequence):
            return (yield self._sequence(goal, end))
        if isinstance(node, Repeat):
            return (yield self._copies(goal, end))
        if isinstance(node, Call):
            return self._call(node.rule, goal, end)
        replacement = self._goals.replacement_of(node)
        if replacement is not None:
            return (yield self._node(replacement, state, end))
        if self._goals.passes(goal):
            return self._goals.leaf_node(goal)
        return self._call("leaf", goal, end)

    def _choice(self, node: Choice, state: int, end: int) -> Writing:
        options: list[Node] = []
        for option in node.options:
            if end in self._goals.of(option, state).exits:
                options.append((yield self._node(option, state, end)))
        return choice(options)

    def _sequence(self, goal: Goal, end: int) -> Writing:
        """The parts in place as long as there is one way through them, then a rule for all ways on."""
        parts: list[Node] = []
        node = goal.node
        while isinstance(node, Sequence):
            ways = list(self._ways(goal, end))
            if len(ways) != 1:
                parts.append(self._call("part", goal, end))
                return sequence(parts)
            between, rest = ways[0]
            parts.append((yield self._node(node.parts[goal.at], goal.state, between)))
            if goal.at == len(node.parts) - 2:
                parts.append((yield self._node(node.parts[-1], rest.state, end)))
                return sequence(parts)
            goal = rest
        raise TypeError("a sequence has at least two parts")

    def _ways(self, goal: Goal, end: int) -> Iterator[tuple[int, Goal]]:
        """The states after the first part of a sequence from which the rest leads to the end."""
        node = goal.node
        if isinstance(node, Sequence):
            for between in self._goals.of(node.parts[goal.at], goal.state).exits:
                rest = self._goals.tail(node, goal.at + 1, between)
                if end in rest.exits:
                    yield between, rest

    def _copies(self, goal: Goal, end: int) -> Writing:
        node = goal.node
        if not isinstance(node, Repeat):
            raise TypeError("only repetitions have copies")
        if goal.branches:
            return self._call("loop", goal, end)
        if not goal.loops:
            return EPSILON
        return repeat((yield self._node(node.body, goal.state, end)), goal.low, goal.high)

    # -- rules ----------------------------------------------------------------------------------------------------

    def _body(self, goal: Goal, end: int) -> Writing:
        node = goal.node
        if isinstance(node, Call):
            return (yield self._node(self._goals.body_of(node.rule), goal.state, end))
        if isinstance(node, Sequence):
            return (yield self._branching_sequence(goal, node, end))
        if isinstance(node, Repeat):
            return (yield self._branching_copies(goal, node, end))
        return self._leaf(goal, end)

    def _branching_sequence(self, goal: Goal, node: Sequence, end: int) -> Writing:
        options: list[Node] = []
        for between, rest in self._ways(goal, end):
            first = yield self._node(node.parts[goal.at], goal.state, between)
            if goal.at == len(node.parts) - 2:
                options.append(sequence((first, (yield self._node(node.parts[-1], between, end)))))
            else:
                options.append(sequence((first, self._call("part", rest, end))))
        return choice(options)

    def _branching_copies(self, goal: Goal, node: Repeat, end: int) -> Writing:
        options: list[Node] = [EPSILON] if goal.low == 0 and goal.state == end else []
        for state in self._goals.of(node.body, goal.state).exits:
            rest = self._goals.fewer(goal, state)
            if end in rest.exits:
                copy = yield self._node(node.body, goal.state, state)
                options.append(sequence((copy, (yield self._copies(rest, end)))))
        return choice(options)

    def _leaf(self, goal: Goal, end: int) -> Node:
        options: list[Node] = [EPSILON] if goal.state == end and self._goals.leaf_accepts(goal) else []
        for rest, mask in self._goals.leaf_steps(goal).items():
            if end in rest.exits:
                options.append(sequence((Bytes(mask), self._call("leaf", rest, end))))
        return choice(options)
