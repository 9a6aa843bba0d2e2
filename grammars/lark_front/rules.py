"""Rules: expressions that call rules and terminals.

Translation starts at the start rule and follows calls, so what is never used costs nothing. A template is a rule with
parameters; each use with other arguments is a rule of its own, named like the use: `_list{NAME,","}`.

With `%ignore`, ignored text may stand before the first terminal and after every terminal, any number of times. Each use
of a terminal in a rule is therefore followed by a call of the rule `%ignore`; terminals contain no ignored text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import lark

from grammars.errors import GrammarError, GrammarSyntaxError, UnsupportedFeature
from grammars.expression import EPSILON, Call, Node, Text, choice, optional, repeat, sequence
from grammars.lark_front.definitions import Body, Definition, Module, tokens
from grammars.lark_front.patterns import Terminals
from grammars.lark_front.source import Source, Tree
from grammars.lark_front.trees import bounds, fold
from grammars.limits import Budget, Limits
from grammars.schema import json_schema

SKIP = "%ignore"
_RULE_COST = 2
_LONG_NAME = 120
_SCHEMA_CHARS_PER_STEP = 32
_WIDE, _LONG = 32, 512  # parts or bytes of a group that becomes a rule, or nested groups would be copied level by level


@dataclass(frozen=True, slots=True)
class Value:
    """What an atom stands for: an expression, or the name of a rule that is called only when the atom is used."""

    name: str
    node: Node | None = None
    definition: Definition | None = None


Environment = Mapping[str, Value]


@dataclass(slots=True)
class _Job:
    name: str
    definition: Definition
    environment: Environment
    groups: int = field(default=0)


class Translation:
    """The rules of one grammar, made as they are reached."""

    def __init__(self, module: Module, limits: Limits, budget: Budget):
        self._module, self._limits, self._budget = module, limits, budget
        self._terminals = Terminals(limits, budget)
        self._names: dict[Definition, str] = {}
        self._queue: deque[_Job] = deque()
        self._known: set[str] = set()
        self._skip: Node = EPSILON
        self.rules: dict[str, Node] = {}

    def run(self, start: Definition, *others: Definition) -> Node:
        """Translate everything below a start rule, and below others if they are given."""
        if self._module.ignored:
            ignored = [self._terminal(definition) for definition in self._module.ignored]
            self.rules[SKIP] = repeat(choice(ignored), 0, None)
            self._skip = Call(SKIP)
        first = self._called(start)
        for other in others:
            self._called(other)
        while self._queue:
            self._rule(self._queue.popleft())
        return sequence([self._skip, first])

    def _rule(self, job: _Job) -> None:
        self._budget.charge(_RULE_COST)
        if not job.definition.bodies:
            raise UnsupportedFeature(
                f"the rule {job.name} is declared but not defined",
                span=job.definition.home.source.span(job.definition.token),
            )
        self.rules[job.name] = choice([self._body(job, body) for body in job.definition.bodies])

    def _body(self, job: _Job, body: Body) -> Node:
        def combine(tree: Tree, values: list[Value]) -> Value:
            return self._combine(job, body, tree, values)

        return self._node(fold(body.tree, combine), body, body.tree)

    def _combine(self, job: _Job, body: Body, tree: Tree, values: list[Value]) -> Value:
        match tree.data:
            case "value" | "alias":
                return values[0]
            case "nonterminal" | "terminal":
                return self._symbol(job, body, str(tokens(tree)[0]))
            case "literal" | "range":
                return self._literal(body, tree)
            case "template_usage":
                return self._instance(body, tree, values)
            case _:
                nodes = [self._node(value, body, tree) for value in values]
                return Value("", self._group(job, body, tree, nodes))

    def _group(self, job: _Job, body: Body, tree: Tree, nodes: list[Node]) -> Node:
        match tree.data:
            case "expansion":
                return nodes[0] if len(nodes) == 1 else sequence(nodes)
            case "maybe":
                return optional(nodes[0])
            case "expr":
                return repeat(nodes[0], *bounds(tree, body.home.source, self._limits))
            case _:
                whole = nodes[0] if len(nodes) == 1 else choice(nodes)
        return whole if tree is body.tree else self._named_if_wide(job, whole)

    def _named_if_wide(self, job: _Job, node: Node) -> Node:
        pieces = (node, *node.children())
        if len(pieces) <= _WIDE and sum(len(piece.data) for piece in pieces if isinstance(piece, Text)) <= _LONG:
            return node
        job.groups += 1
        name = f"{job.name}.{job.groups}"
        self.rules[name] = node
        return Call(name)

    def _symbol(self, job: _Job, body: Body, token: str) -> Value:
        if token in job.environment:
            return job.environment[token]
        definition = self._module.definitions.get(body.home.rename(token))
        if definition is None:
            return Value(token)  # the name of an alias
        if definition.is_terminal:
            return self._skipping(definition.name, self._terminal(definition))
        return Value(definition.name, None, definition)

    def _literal(self, body: Body, tree: Tree) -> Value:
        source, token = body.home.source, tokens(tree)[0]
        if token.start_pos in source.schemas:
            return self._schema(source, token)
        if tree.data == "range":
            return self._skipping("..".join(tokens(tree)), self._terminals.range(tree, source))
        node = self._terminals.literal(token, source)
        nested = source.nested.get(token.start_pos or 0)
        if token.type == "STRING" and nested is None:
            return self._skipping(str(token), node)
        name = str(token) if nested is None else f"%regex {nested}"
        self.rules[name] = node
        return self._skipping(name, Call(name))

    def _schema(self, source: Source, token: lark.Token) -> Value:
        """The values of a schema; inside them nothing is ignored but what JSON ignores."""
        text = source.schemas[token.start_pos or 0]
        try:
            grammar = json_schema(text, limits=self._limits)
        except GrammarError as error:
            raise type(error)(f"%json: {error.message}", span=source.span(token), hint=error.hint) from error
        self._budget.charge(len(grammar.rules) + len(text) // _SCHEMA_CHARS_PER_STEP)
        self.rules.update(grammar.rules)
        return self._skipping(f"%json {text}", grammar.start)

    def _skipping(self, name: str, node: Node) -> Value:
        return Value(name, sequence([node, self._skip]))

    def _terminal(self, definition: Definition) -> Node:
        name = self._names.get(definition)
        if name is None:
            name = definition.name
            while name in self.rules:
                name += "'"
            self._names[definition] = name
            self.rules[name] = self._terminals.node(definition)
        return Call(name)

    def _instance(self, body: Body, tree: Tree, values: list[Value]) -> Value:
        template, *arguments = values
        definition = template.definition
        if definition is None or len(definition.params) != len(arguments):
            takes = 0 if definition is None else len(definition.params)
            raise self._misused(body, tree, f"{template.name} takes {takes} arguments, not {len(arguments)}")
        name = f"{definition.name}{{{','.join(value.name for value in arguments)}}}"
        if len(name) > _LONG_NAME:
            name = f"{definition.name}{{#{blake2b(name.encode(), digest_size=12).hexdigest()}}}"
        self._budget.charge(_RULE_COST)  # twice what a rule costs: template uses need no text
        self._enqueue(name, definition, dict(zip(definition.params, arguments, strict=True)))
        return Value(name, Call(name))

    def _node(self, value: Value, body: Body, tree: Tree) -> Node:
        if value.node is not None:
            return value.node
        if value.definition is None or value.definition.params:
            raise self._misused(body, tree, f"the template {value.name} needs arguments")
        return self._called(value.definition)

    def _called(self, definition: Definition) -> Node:
        self._enqueue(definition.name, definition, {})
        return Call(definition.name)

    def _enqueue(self, name: str, definition: Definition, environment: Environment) -> None:
        if name not in self._known:
            self._known.add(name)
            self._queue.append(_Job(name, definition, environment))

    def _misused(self, body: Body, tree: Tree, message: str) -> GrammarSyntaxError:
        return GrammarSyntaxError(message, span=body.home.source.any_span(tree))
