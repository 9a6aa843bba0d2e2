"""Lark's own rules and LALR tables of a grammar.

Lark turns the grammar into plain rules (which decides where conflicts are) and computes look-aheads (which decides
which terminals its lexer tries). Both may take far longer than the grammar is long, so the work is estimated and
charged first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeVar

import lark
from lark.exceptions import LarkError
from lark.grammar import NonTerminal, Rule, RuleOptions, Symbol, Terminal
from lark.lexer import PatternRE, PatternStr, TerminalDef
from lark.load_grammar import Grammar
from lark.parsers.grammar_analysis import LR0ItemSet, RulePtr
from lark.parsers.lalr_analysis import LALR_Analyzer

from grammars.errors import GrammarSyntaxError, LimitExceeded, UnsupportedFeature
from grammars.lark_front.definitions import Definition, Module, tokens
from grammars.lark_front.patterns import Terminals
from grammars.lark_front.source import Source, Tree
from grammars.lark_front.trees import bounds, fold
from grammars.limits import Budget, Limits

T = TypeVar("T")

_DEEPEST = 30  # lark's own transformations recurse on groups
_STEPS = 30  # elementary operations of lark's analysis per unit of compile work
_EXPANDED = 50  # lark writes counted repetitions out below this, and factors them above


@dataclass(slots=True)
class State:
    """A parser state: where it goes, which rules begin in it, what its lexer tries, and what conflicts forbid."""

    goto: dict[str, int] = field(default_factory=dict[str, int])
    productions: dict[str, list[Rule]] = field(default_factory=dict[str, list[Rule]])
    accepts: frozenset[str] = frozenset()
    forbidden: dict[Rule, frozenset[str]] = field(default_factory=dict[Rule, frozenset[str]])


@dataclass(frozen=True, slots=True)
class Tables:
    terminals: dict[str, TerminalDef]
    ignored: tuple[str, ...]
    states: list[State]  # the parser begins in the first
    start: str


def tables_of(module: Module, start: str, terminals: Terminals, limits: Limits, budget: Budget) -> Tables:
    """The tables that lark's LALR parser works with."""
    grammar: Any = _grammar(module, terminals, limits, budget)
    defined, rules, ignored = _guarded(lambda: grammar.compile([start], set()))
    budget.charge(len(rules))
    states = _guarded(lambda: _states(rules, start, budget))
    return Tables({t.name: t for t in defined}, tuple(ignored), states, start)


def _guarded(work: Callable[[], T]) -> T:
    try:
        return work()
    except LarkError as error:
        raise GrammarSyntaxError(f"lark refuses this grammar: {error}") from None
    except RecursionError:
        raise LimitExceeded("the grammar is too deep for lark's analysis", hint='use lexing="scannerless"') from None


# -- the grammar as lark wants it -------------------------------------------------------------------------------------


def _grammar(module: Module, terminals: Terminals, limits: Limits, budget: Budget) -> Grammar:
    definitions = [*module.definitions.values(), *(d for d in module.ignored if d.name not in module.definitions)]
    return Grammar(
        [_rule(d, limits, budget) for d in definitions if not d.is_terminal and d.bodies],
        [(d.name, (_terminal(d, terminals, budget), d.priority)) for d in definitions if d.is_terminal and d.bodies],
        [definition.name for definition in module.ignored],
    )


def _terminal(definition: Definition, terminals: Terminals, budget: Budget) -> Any:
    pattern = terminals.pattern(definition)
    value = pattern.text(budget)
    made = PatternStr(value, pattern.flags) if pattern.is_string else PatternRE(value, pattern.flags)
    return lark.Tree("expansions", [lark.Tree("expansion", [lark.Tree("pattern", [made])])])


def _rule(definition: Definition, limits: Limits, budget: Budget) -> tuple[str, tuple[str, ...], Any, RuleOptions]:
    first, *extensions = definition.bodies
    trees: list[Any] = []
    for tree, home in (first, *extensions):
        budget.charge(1 + 2 * _cost(tree, home.source, limits))
        trees.insert(0, fold(tree, _converter(home.rename, home.source, set(definition.params))))
    whole = trees.pop()
    whole.children[:0] = trees
    return definition.name, definition.params, whole, RuleOptions(priority=definition.priority)


def _converter(rename: Callable[[str], str], source: Source, params: set[str]) -> Callable[[Tree, list[Any]], Any]:
    def convert(tree: Tree, children: list[Any]) -> Any:
        name = str(tokens(tree)[0]) if tree.data in ("terminal", "nonterminal") else ""
        if name:
            spelled = name if name in params else rename(name)
            return Terminal(spelled, spelled.startswith("_")) if tree.data == "terminal" else NonTerminal(spelled)
        if tree.data == "literal" and tokens(tree)[0].start_pos in source.schemas:
            raise UnsupportedFeature(
                '%json has no meaning to lark, whose lexer lexing="longest" follows',
                span=source.span(tokens(tree)[0]),
                hint='lexing="scannerless" knows it',
            )
        if tree.data == "literal" and tokens(tree)[0].start_pos in source.nested:
            raise UnsupportedFeature(
                '%regex with a string has no meaning to lark, whose lexer lexing="longest" follows',
                span=source.span(tokens(tree)[0]),
                hint="write the regular expression between slashes",
            )
        values = iter(children)
        return lark.Tree(str(tree.data), [next(values) if isinstance(c, lark.Tree) else c for c in tree.children])

    return convert


def _cost(tree: Tree, source: Source, limits: Limits) -> int:
    """How many symbols lark writes when it multiplies a rule out, and how deep it would recurse."""

    def count(node: Tree, parts: list[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
        """Alternatives, symbols of the longest one, symbols written for the parts, depth."""
        depth = 1 + max((part[3] for part in parts), default=0)
        written = sum(part[2] for part in parts)
        if depth > 3 * _DEEPEST:
            raise LimitExceeded(
                f"groups are nested deeper than {_DEEPEST}, which lark cannot multiply out safely",
                span=source.any_span(node),
                hint="give inner groups names of their own",
            )
        if node.data == "expansion":
            ways = reduce(lambda a, part: min(a * part[0], 1 << 40), parts, 1)
            return ways, sum(part[1] for part in parts), written, depth
        if node.data == "expansions":
            return sum(part[0] for part in parts), max(part[1] for part in parts), written, depth
        if node.data == "maybe":
            return parts[0][0] + 1, parts[0][1], written, depth
        if node.data == "expr":
            return (*_repeated(parts[0], *bounds(node, source, limits)), depth)
        return 1, 1, written, depth

    ways, longest, written, _ = fold(tree, count)
    return ways * (1 + longest) + written


def _repeated(part: tuple[int, int, int, int], low: int, high: int | None) -> tuple[int, int, int]:
    ways, longest, written, _ = part
    if high is None:
        return 2, 1, written + 2 * ways * (longest + 1)
    if (low, high) == (0, 1):
        return ways + 1, longest, written
    if high < _EXPANDED:
        return min(sum(min(ways, 1 << 40) ** k for k in range(low, high + 1)), 1 << 80), longest * high, written
    return 1, 2, written + high.bit_length() * 2 * (min(ways, 1 << 20) ** 5) * (longest + 1) * 5


# -- the tables -------------------------------------------------------------------------------------------------------


class _Analyzer(LALR_Analyzer):
    """Lark's analysis, with closures made once and its work charged.

    Its own preparation computes FIRST and FOLLOW sets in cubic time, of which LALR tables need nothing: left out here.
    """

    def __init__(self, rules: list[Rule], start: str, budget: Budget):  # pyright: ignore[reportMissingSuperCall]
        self._budget = budget
        self._closures: dict[Any, Any] = {}
        root = Rule(NonTerminal(f"$root_{start}"), [NonTerminal(start)])
        self.debug = self.strict = False
        by_origin: dict[NonTerminal, list[Rule]] = {}
        for rule in [*rules, root]:
            by_origin.setdefault(rule.origin, []).append(rule)
        self.lr0_rules_by_origin = self.rules_by_origin = by_origin
        closure = self.expand_rule(root.origin, self.lr0_rules_by_origin)
        self.lr0_start_states = {start: LR0ItemSet([RulePtr(root, 0)], closure)}
        self.NULLABLE = _nullable(rules)
        self.nonterminal_transitions: list[Any] = []
        self.directly_reads = defaultdict[Any, set[Any]](set)
        self.reads = defaultdict[Any, set[Any]](set)
        self.includes = defaultdict[Any, set[Any]](set)
        self.lookback = defaultdict[Any, set[Any]](set)

    def expand_rule(self, source_rule: Any, rules_by_origin: Any = None) -> Any:
        key = (source_rule, id(rules_by_origin))
        if key not in self._closures:
            below: Any = super()
            self._closures[key] = below.expand_rule(source_rule, rules_by_origin)
        self._budget.charge(1 + len(self._closures[key]) // _STEPS)
        return self._closures[key]

    def analyse(self) -> None:
        self.compute_lr0_states()
        for state in self.lr0_itemsets:
            self._budget.charge(1 + len(state.closure) * len(state.transitions) // _STEPS)
        self.compute_reads_relations()
        self.compute_includes_lookback()
        self._budget.charge(sum(map(len, self.includes.values())) // _STEPS)
        self.compute_lookaheads()


def _nullable(rules: list[Rule]) -> set[Symbol]:
    """The nonterminals that derive the empty text, each found once."""
    missing = [len(rule.expansion) for rule in rules]
    users: dict[Symbol, list[int]] = {}
    for number, rule in enumerate(rules):
        for symbol in rule.expansion:
            users.setdefault(symbol, []).append(number)
    found: set[Symbol] = set()
    stack = [rule.origin for rule in rules if not rule.expansion]
    while stack:
        origin = stack.pop()
        if origin not in found:
            found.add(origin)
            for number in users.get(origin, ()):
                missing[number] -= 1
                if not missing[number]:
                    stack.append(rules[number].origin)
    return found


def _states(rules: list[Rule], start: str, budget: Budget) -> list[State]:
    analyzer = _Analyzer(rules, start, budget)
    analyzer.analyse()
    first = analyzer.lr0_start_states[start]
    itemsets = [first]
    numbers = {first: 0}
    states: list[State] = []
    for itemset in itemsets:
        state = State()
        states.append(state)
        for symbol, target in sorted(itemset.transitions.items(), key=lambda item: item[0].name):
            if numbers.setdefault(target, len(itemsets)) == len(itemsets):
                itemsets.append(target)
            state.goto[symbol.name] = numbers[target]
        for pointer in itemset.closure:
            if pointer.index == 0 and not pointer.rule.origin.name.startswith("$root"):
                state.productions.setdefault(pointer.rule.origin.name, []).append(pointer.rule)
        _look_ahead(state, itemset.transitions, itemset.lookaheads)
        for found in state.productions.values():
            found.sort(key=lambda rule: (rule.order, [symbol.name for symbol in rule.expansion]))
    return states


def _look_ahead(state: State, shifts: dict[Symbol, Any], reductions: dict[Symbol, set[Rule]]) -> None:
    """What the lexer tries in a state, and where a possible reduction loses against a shift or another rule."""
    state.accepts = frozenset(s.name for s in [*shifts, *reductions] if s.is_term)
    lost: dict[Rule, set[str]] = {}
    for symbol, rules in reductions.items():
        winner = _winner(symbol, rules)
        for rule in rules:
            if rule is not winner or symbol in shifts:
                lost.setdefault(rule, set()).add(symbol.name)
    state.forbidden = {rule: frozenset(names) for rule, names in lost.items()}


def _winner(symbol: Symbol, rules: set[Rule]) -> Rule:
    ranked = sorted(rules, key=lambda rule: (rule.options.priority or 0, str(rule)), reverse=True)
    best = ranked[0]
    if len(ranked) > 1 and (ranked[1].options.priority or 0) == (best.options.priority or 0):
        raise UnsupportedFeature(
            f"lark's LALR parser cannot read this grammar: before {symbol.name} it cannot choose between "
            + " and ".join(sorted(str(rule) for rule in ranked)),
            hint='use lexing="scannerless", or rewrite these rules',
        )
    return best
