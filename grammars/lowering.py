"""Lowering: from an expression and its rules to a `Program`.

Expressions are emitted backwards: a node is lowered knowing the state that follows it, so nothing is patched but the
heads of loops. The walk runs on a trampoline: nesting costs memory, never the interpreter's stack. Rules are lowered
when they are first called; unreached ones cost nothing.

What cannot be a network goes elsewhere: intersections, complements and assertions become lazy rows (`Residuals`); an
intersection of a recursive grammar with a regular one becomes a grammar (`intersect`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from grammars.bounded_residuals import residuals_of
from grammars.completion import Network, completed
from grammars.errors import GrammarError, LimitExceeded, UnsupportedFeature
from grammars.expression import (
    EPSILON,
    Both,
    ByteAutomaton,
    Bytes,
    Call,
    Chars,
    Choice,
    LazyAutomaton,
    Lexeme,
    Named,
    Node,
    Not,
    Repeat,
    Rules,
    Sequence,
    Text,
)
from grammars.forking import lock_for
from grammars.intersection import intersect
from grammars.kernels.layout import MAX_COUNT, MAX_ROWS, NEXT_MASK
from grammars.lexemes import LexemeTable
from grammars.limits import Budget, Limits
from grammars.program import (
    ACCEPT,
    ACCEPT_STATE,
    AGAIN,
    BOOT_BYTE,
    CALL,
    HIGH,
    LEX,
    LOW,
    NOT_A_LOOP,
    RETURN,
    RULE_WIDTH,
    SPLIT,
    START,
    UNBOUNDED,
    Program,
)
from grammars.regular import inline, is_assertion_free
from grammars.trampoline import run

_UNROLLED = 8  # counted copies of a single lexeme up to this many are written out: cheaper than a context each
_RETURN_STATE, _AGAIN_STATE = 1, 2
_NO_STRINGS = -1  # in place of the number of a boolean lexeme
_LEAVES = frozenset((Text, Bytes, Chars, Lexeme))
_AT_ONCE = _LEAVES | {Call}  # what has no parts

Emission = Generator[Any, Any, int]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Lowered:
    """A program, the automata behind its lazy rows (row i of them starts number i), and a lock for these automata."""

    program: Program
    residuals: tuple[LazyAutomaton, ...]
    rule_names: tuple[str, ...]
    lock: threading.Lock = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lock", lock_for(self))


def lower(start: Node, rules: Rules, limits: Limits) -> Lowered:
    """Lower a language; its start is rule 0. Raises `UnsatisfiableGrammar` if it is empty."""
    return _Lowering(limits).lower(start, rules)


@dataclass(slots=True)
class _Body:
    name: str
    node: Node
    rules: Rules
    low: int = NOT_A_LOOP
    high: int = 0


class _Lowering:
    def __init__(self, limits: Limits):
        self._limits = limits
        self._states = Budget("states", min(limits.states, NEXT_MASK - 3))
        self._work = Budget("compile_work", limits.compile_work)
        self._lexemes = LexemeTable(Budget("states", min(limits.states, MAX_ROWS // 2)))
        self._ops: list[tuple[int, int, int]] = [(ACCEPT, 0, 0), (RETURN, 0, 0), (AGAIN, 0, 0)]
        self._known_ops: dict[tuple[int, int, int], int] = {}
        # The machine begins by reading this byte: the closure behind it is the closure in front of rule 0.
        self._state(LEX, self._lexemes.start(Text(BOOT_BYTE)), self._state(CALL, 0, ACCEPT_STATE))
        self._targets: list[int] = []
        self._numbers: dict[object, int] = {}
        self._bodies: list[_Body] = []
        self._residuals: list[LazyAutomaton] = []
        self._splits: dict[tuple[int, int], int] = {}
        self._emitted: dict[tuple[int, int], int] = {}
        self._lazy: dict[Node, int] = {}
        self._lazy_ops: list[tuple[int, int]] = []  # (state, number of the residuals its lexeme starts)

    def lower(self, start: Node, rules: Rules) -> Lowered:
        self._rule("start", _Body("start", start, rules))
        starts: list[int] = []
        while len(starts) < len(self._bodies):
            starts.append(self._lower_rule(self._bodies[len(starts)]))
        return self._finish(starts)

    # -- states and rules -----------------------------------------------------------------------------------------

    def _state(self, kind: int, a: int, b: int) -> int:
        """A state, the one that there is if the rule has an equal one: `s: s s s | s s` ends twice in the same way."""
        known = self._known_ops.get((kind, a, b))
        if known is not None:
            return known
        self._states.charge()
        self._ops.append((kind, a, b))
        if kind != LEX or a:
            self._known_ops[kind, a, b] = len(self._ops) - 1
        return len(self._ops) - 1

    def _split(self, targets: list[int]) -> int:
        if len(targets) == 1:
            return targets[0]
        begin = len(self._targets)
        self._targets.extend(targets)
        return self._state(SPLIT, begin, len(self._targets))

    def _rule(self, key: object, body: _Body) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._bodies)
            self._bodies.append(body)
        return number

    def _lower_rule(self, body: _Body) -> int:
        self._known_ops, self._splits, self._emitted = {}, {}, {}  # rules share no states
        end = _RETURN_STATE if body.low == NOT_A_LOOP else _AGAIN_STATE
        if not is_assertion_free(body.node):
            return self._boolean(body.node, end, body.rules)
        return run(self._emit(body.node, end, body.rules))

    # -- expressions ----------------------------------------------------------------------------------------------

    def _emit(self, node: Node, after: int, rules: Rules) -> Emission:
        """The state at which reading `node` and then going on at `after` begins."""
        if type(node) in _AT_ONCE:
            return self._at_once(node, after, rules)
        if isinstance(node, Sequence):
            for part in reversed(node.parts):
                if type(part) in _AT_ONCE:
                    after = self._at_once(part, after, rules)
                    continue
                key = (id(part), after)  # one part may stand at many places with the same behind it
                known = self._emitted.get(key)
                if known is None:
                    known = self._emitted[key] = yield self._emit(part, after, rules)
                after = known
            return after
        if isinstance(node, Choice):
            return (yield self._choice(node, after, rules))
        if isinstance(node, Repeat):
            return (yield self._repeat(node, after, rules))
        if isinstance(node, Named):
            return (yield self._emit(node.body, after, rules))
        return self._boolean(node, after, rules)

    def _at_once(self, node: Node, after: int, rules: Rules) -> int:
        """The same for what has no parts."""
        if isinstance(node, Text):
            return self._state(LEX, self._lexemes.start(node), after) if node.data else after
        if isinstance(node, Call):
            return self._call(node, after, rules)
        if isinstance(node, Lexeme) and not isinstance(node.automaton, ByteAutomaton):
            return self._lazy_lexeme(node, after, node.automaton)
        state = self._state(LEX, self._lexemes.start(node), after)
        return self._either(state, after) if _may_be_empty(node) else state

    def _call(self, node: Call, after: int, rules: Rules) -> int:
        number = self._numbers.get((id(rules), node.rule))
        if number is None:
            if node.rule not in rules:
                raise GrammarError(f"the rule {node.rule!r} is called but not defined")
            number = self._rule((id(rules), node.rule), _Body(node.rule, rules[node.rule], rules))
        return self._state(CALL, number, after)

    def _either(self, state: int, after: int) -> int:
        """A choice of two places, of which a rule needs only one."""
        known = self._splits.get((state, after))
        if known is None:
            known = self._splits[state, after] = self._split([state, after])
        return known

    def _choice(self, node: Choice, after: int, rules: Rules) -> Emission:
        texts = [option.data for option in node.options if isinstance(option, Text)]
        words = [word for word in texts if word]
        targets: list[int] = []
        if words:
            targets.append(self._state(LEX, self._lexemes.start_of_any(words), after))
        for option in node.options:
            if type(option) in _AT_ONCE:
                targets.extend([] if isinstance(option, Text) else [self._at_once(option, after, rules)])
            else:
                targets.append((yield self._emit(option, after, rules)))
        if len(words) < len(texts):
            targets.append(after)
        return self._split(targets)

    def _repeat(self, node: Repeat, after: int, rules: Rules) -> Emission:
        low, high = node.low, node.high
        most = min(self._limits.repeat, MAX_COUNT)
        if max(low, high or 0) > most:
            raise LimitExceeded(f"a repetition of {max(low, high or 0)} copies is over Limits.repeat = {most}")
        if high == 0 or node.body == EPSILON:
            return after
        is_leaf = type(node.body) in _LEAVES and not _may_be_empty(node.body)
        if is_leaf and (low if high is None else high) <= _UNROLLED:
            return self._unrolled(node, after)
        if high is None and low <= 1:
            return (yield self._star(node, after, rules))
        if (low, high) == (0, 1):
            return self._split([(yield self._emit(node.body, after, rules)), after])
        bound = UNBOUNDED if high is None else high
        loop = _Body(f"repeat {low}..{'' if high is None else high}", node.body, rules, low, bound)
        return self._state(CALL, self._rule((id(rules), node.key), loop), after)

    def _star(self, node: Repeat, after: int, rules: Rules) -> Emission:
        begin = len(self._targets)
        self._targets.extend((after, after))
        head = self._state(SPLIT, begin, begin + 2)
        body = yield self._emit(node.body, head, rules)
        self._targets[begin] = body
        return body if node.low == 1 else head

    def _unrolled(self, node: Repeat, after: int) -> int:
        row = self._lexemes.start(node.body)
        if node.high is None:
            begin = len(self._targets)
            self._targets.extend((after, after))
            head = self._state(SPLIT, begin, begin + 2)
            self._targets[begin] = self._state(LEX, row, head)
            following = head
        else:
            following = after
            for _ in range(node.high - node.low):
                following = self._split([self._state(LEX, row, following), after])
        for _ in range(node.low):
            following = self._state(LEX, row, following)
        return following

    # -- boolean parts --------------------------------------------------------------------------------------------

    def _boolean(self, node: Node, after: int, rules: Rules) -> int:
        regular = inline(node, rules)
        if regular is not None:
            return self._lazy_lexeme(regular, after, partial(residuals_of, regular))
        if isinstance(node, Both):
            for grammar, other in ((node.left, node.right), (node.right, node.left)):
                regular = inline(other, rules)
                if regular is not None:
                    return self._product(node, grammar, regular, after, rules)
        what = "the complement of" if isinstance(node, Not) else "an intersection or assertion over"
        raise UnsupportedFeature(
            f"{what} a recursive grammar has no grammar in general",
            hint="one side of an intersection, and all of a complement or difference's right side, must be regular",
        )

    def _lazy_lexeme(self, node: Node, after: int, make: Callable[[Budget], LazyAutomaton]) -> int:
        number = self._lazy.get(node)
        if number is None:
            residuals = make(self._work)
            number = self._lazy[node] = len(self._residuals) if residuals.start >= 0 else _NO_STRINGS
            self._residuals.extend([residuals] if residuals.start >= 0 else [])
        if number == _NO_STRINGS:
            return self._split([])
        residuals = self._residuals[number]
        state = self._state(LEX, 0, after)
        self._lazy_ops.append((state, number))
        return self._split([state, after]) if residuals.accepts(residuals.start) else state

    def _product(self, node: Node, grammar: Node, regular: Node, after: int, rules: Rules) -> int:
        start, product_rules = intersect(grammar, rules, regular, self._work)
        rule = self._rule((id(rules), node.key), _Body("intersection", start, product_rules))
        return self._state(CALL, rule, after)

    # -- the program ----------------------------------------------------------------------------------------------

    def _finish(self, starts: list[int]) -> Lowered:
        row_edge, row_accepts, edges = self._lexemes.arrays()
        for state, number in self._lazy_ops:
            self._ops[state] = (LEX, len(row_accepts) + number, self._ops[state][2])
        ops = np.array(self._ops, np.int64)
        targets = np.array(self._targets or [0], np.int64)
        rules = np.zeros((len(starts), RULE_WIDTH), np.int64)
        rules[:, [START, LOW, HIGH]] = [(s, body.low, body.high) for s, body in zip(starts, self._bodies, strict=True)]
        network = Network(ops, targets, rules, row_edge, row_accepts, edges)
        program = completed(network, [residuals.byte_classes for residuals in self._residuals])
        return Lowered(program, tuple(self._residuals), tuple(body.name for body in self._bodies))


def _may_be_empty(leaf: Node) -> bool:
    """Whether a leaf has the empty string, as far as that is known before lowering."""
    if not isinstance(leaf, Lexeme):
        return False
    return not isinstance(leaf.automaton, ByteAutomaton) or bool(leaf.automaton.row_accepts[0])
