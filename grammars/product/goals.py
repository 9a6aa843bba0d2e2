"""Which states an expression can lead to: a least fixpoint over goals, on demand.

A goal is "read this expression, beginning in this state"; its exits are the states after it. Exits are found from
below: a literal has one, a choice has those of its options, and a concatenation has those of its rest at each exit of
its first part. When a goal gets a new exit its listeners hear of it once. Left recursion, empty rules and ambiguity
need no care: a goal that waits for itself just gets nothing from itself, and an exit is found only if some string
leads there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from grammars.errors import UnsupportedFeature
from grammars.expression import (
    Both,
    Bytes,
    Call,
    Chars,
    Choice,
    Look,
    Named,
    Node,
    Not,
    Repeat,
    Rules,
    Sequence,
    Text,
)
from grammars.limits import Budget
from grammars.product.lexical import Lexical
from grammars.regular import closed, inline, is_assertion_free
from grammars.residuals import DEAD, Residuals

_ALL_BYTES = (1 << 256) - 1
_EVENTS_PER_UNIT = 10  # a unit of work is about 30 µs


@dataclass(slots=True, eq=False)
class Goal:
    """Read `node` (a sequence: from part `at` on, a boolean leaf: from its own state `at` on), beginning in `state`."""

    node: Node
    state: int
    at: int = 0
    low: int = 0  # a repetition: copies still to come
    high: int | None = None
    exits: dict[int, None] = field(default_factory=dict[int, None])
    loops: bool = False  # a repetition: a copy may lead back to `state`
    branches: bool = False  # a repetition: a copy may lead elsewhere
    listeners: list[tuple[Goal, Callable[[int], None] | None]] = field(
        default_factory=list["tuple[Goal, Callable[[int], None] | None]"]
    )


class Goals:
    """All goals of one product, with their exits; `solve` finds them."""

    def __init__(self, rules: Rules, replaced: Mapping[Node, Node], automaton: Residuals, budget: Budget):
        self.automaton = automaton
        self.lexical = Lexical(automaton, budget)
        self._rules, self._replaced, self._budget = rules, replaced, budget
        self._credit = 0
        self._goals: dict[object, Goal] = {}
        self._leaves: dict[Node, tuple[Node, Lexical]] = {}
        self._bodies: dict[str, Node] = {}
        self._new: list[Goal] = []
        self._events: deque[tuple[Goal, Callable[[int], None] | None, int]] = deque()

    def solve(self, start: Node) -> Goal:
        """The goal of the start expression, with all its exits."""
        goal = self.of(start, self.automaton.start)
        while self._new or self._events:
            if self._new:
                self._expand(self._new.pop())
            else:
                target, tell, state = self._events.popleft()
                self._tick()
                if tell is None:
                    self._add_exit(target, state)
                else:
                    tell(state)
        return goal

    def _tick(self) -> None:
        self._credit -= 1
        if self._credit < 0:
            self._budget.charge()
            self._credit += _EVENTS_PER_UNIT

    # -- goals ----------------------------------------------------------------------------------------------------

    def of(self, node: Node, state: int) -> Goal:
        """The goal of an expression."""
        while isinstance(node, Named):
            node = node.body
        if isinstance(node, Repeat):
            return self.copies(node, node.low, node.high, state)
        if isinstance(node, Both | Not | Look) and node not in self._replaced:
            return self.leaf(node, 0, state)
        return self._goal((node, state), node, state)

    def tail(self, node: Sequence, at: int, state: int) -> Goal:
        """The goal of a sequence from one part on."""
        if at == len(node.parts) - 1:
            return self.of(node.parts[at], state)
        return self._goal((node, state, at) if at else (node, state), node, state, at)

    def copies(self, node: Repeat, low: int, high: int | None, state: int) -> Goal:
        """The goal of a repetition of which `low` to `high` copies are still to come."""
        return self._goal((node.body, low, high, state), node, state, 0, low, high)

    def leaf(self, node: Node, inner: int, state: int) -> Goal:
        """The goal of what is left of a boolean expression in its own state `inner`."""
        return self._goal(("leaf", node, inner, state), node, state, inner)

    def _goal(self, key: object, node: Node, state: int, at: int = 0, low: int = 0, high: int | None = None) -> Goal:
        goal = self._goals.get(key)
        if goal is None:
            self._budget.charge()
            goal = self._goals[key] = Goal(node, state, at, low, high)
            self._new.append(goal)
        return goal

    def _add_exit(self, goal: Goal, state: int) -> None:
        if state not in goal.exits:
            goal.exits[state] = None
            self._events.extend([(target, tell, state) for target, tell in goal.listeners])

    def _listen(self, goal: Goal, target: Goal, tell: Callable[[int], None] | None = None) -> None:
        """Every exit of `goal` is one of `target`, or is told."""
        self._tick()
        goal.listeners.append((target, tell))
        self._events.extend([(target, tell, state) for state in goal.exits])

    # -- expansion ------------------------------------------------------------------------------------------------

    def _expand(self, goal: Goal) -> None:
        node, state = goal.node, goal.state
        if isinstance(node, Text | Bytes | Chars):
            for target in self.lexical.paths(node, state):
                self._add_exit(goal, target)
        elif isinstance(node, Choice):
            for option in node.options:
                self._listen(self.of(option, state), goal)
        elif isinstance(node, Sequence):
            self._expand_sequence(goal, node)
        elif isinstance(node, Repeat):
            self._expand_copies(goal, node)
        elif isinstance(node, Call):
            self._listen(self.of(self.body_of(node.rule), state), goal)
        elif node in self._replaced:
            self._listen(self.of(self._replaced[node], state), goal)
        else:
            self._expand_leaf(goal)

    def _expand_sequence(self, goal: Goal, node: Sequence) -> None:
        def then(state: int) -> None:
            self._listen(self.tail(node, goal.at + 1, state), goal)

        self._listen(self.of(node.parts[goal.at], goal.state), goal, then)

    def _expand_copies(self, goal: Goal, node: Repeat) -> None:
        """As long as copies lead back to where they began counting them changes nothing: one goal stands for all."""
        if goal.low == 0:
            self._add_exit(goal, goal.state)
        if goal.high == 0:
            return

        def then(state: int) -> None:
            if state != goal.state:
                if goal.loops and not goal.branches:
                    self._listen(self.fewer(goal, goal.state), goal)
                goal.branches = True
                self._listen(self.fewer(goal, state), goal)
                return
            goal.loops = True
            self._add_exit(goal, state)
            if goal.branches:
                self._listen(self.fewer(goal, state), goal)

        self._listen(self.of(node.body, goal.state), goal, then)

    def fewer(self, goal: Goal, state: int) -> Goal:
        """The goal of a repetition after one more copy."""
        node = goal.node
        if not isinstance(node, Repeat):
            raise TypeError("only repetitions count copies")
        return self.copies(node, max(goal.low - 1, 0), None if goal.high is None else goal.high - 1, state)

    def _expand_leaf(self, goal: Goal) -> None:
        inner = self._leaf_of(goal.node).automaton
        if inner.start == DEAD:
            return
        if inner.accepts(goal.at):
            self._add_exit(goal, goal.state)
        for target in self.leaf_steps(goal):
            self._listen(target, goal)

    # -- rules and boolean leaves ---------------------------------------------------------------------------------

    def body_of(self, rule: str) -> Node:
        """The body of a rule; one with assertions, which see their own rule's text only, is a boolean leaf."""
        body = self._bodies.get(rule)
        if body is None:
            body = self._bodies[rule] = self.closed_body(self._rules[rule])
        return body

    def replacement_of(self, node: Node) -> Node | None:
        """The grammar that an intersection inside the grammar was turned into."""
        return self._replaced.get(node)

    def closed_body(self, body: Node) -> Node:
        """A rule's body, closed and without calls if it has assertions."""
        if is_assertion_free(body):
            return body
        regular = inline(body, self._rules)
        if regular is None:
            raise UnsupportedFeature(
                "an assertion stands beside a recursive rule",
                hint="put the assertion and the text it looks at into a rule of their own",
            )
        return closed(regular)

    def _leaf_of(self, node: Node) -> Lexical:
        """The automaton of a boolean leaf."""
        leaf = self._leaves.get(node)
        if leaf is None:
            regular = inline(node, self._rules)
            if regular is None:
                raise UnsupportedFeature(
                    "the complement of a recursive grammar has no grammar in general",
                    hint="what a complement or difference excludes must be regular",
                )
            leaf = self._leaves[node] = (regular, Lexical(Residuals(regular, self._budget), self._budget))
        return leaf[1]

    def leaf_node(self, goal: Goal) -> Node:
        """The whole boolean leaf, without calls."""
        return self._leaves[goal.node][0]

    def leaf_accepts(self, goal: Goal) -> bool:
        """Whether a boolean leaf may end here."""
        return self._leaf_of(goal.node).automaton.accepts(goal.at)

    def leaf_steps(self, goal: Goal) -> dict[Goal, int]:
        """The goals after one byte of a boolean leaf, each with its bytes."""
        found: dict[Goal, int] = {}
        for inner, mask in self._leaf_of(goal.node).targets(_ALL_BYTES, goal.at).items():
            for target, part in self.lexical.targets(mask, goal.state).items():
                found[self.leaf(goal.node, inner, target)] = part
        return found

    def passes(self, goal: Goal) -> bool:
        """Whether a boolean leaf leads to its goal's only exit with every one of its strings."""
        seen, stack = {goal}, [goal]
        while stack:
            at = stack.pop()
            if len(at.exits) != 1 or (self.leaf_accepts(at) and at.state not in goal.exits):
                return False
            steps = self.leaf_steps(at)
            possible = sum(mask.bit_count() for mask in self._leaf_of(at.node).targets(_ALL_BYTES, at.at).values())
            if possible != sum(mask.bit_count() for mask in steps.values()):
                return False
            stack.extend([step for step in steps if step not in seen])
            seen.update(steps)
        return True
