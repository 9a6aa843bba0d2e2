"""Assembly: from terms over sub-schemas to the rules of a grammar.

A term that is reached as the value of something becomes a rule, once. Its shape is computed then, and the rule is the
choice of its types. Sub-schemas that nothing reaches are never looked at.
"""

from __future__ import annotations

from dataclasses import replace

from grammars.errors import UnsatisfiableGrammar
from grammars.expression import EPSILON, NOTHING, Call, Lexeme, Node, choice, sequence, text
from grammars.limits import Budget, Limits
from grammars.regex import parse
from grammars.schema.items import ItemRules
from grammars.schema.key_sets import Keys
from grammars.schema.keywords import Keywords, SelfReference
from grammars.schema.members import MemberRules
from grammars.schema.number_grammar import number_grammar
from grammars.schema.objects import certain
from grammars.schema.options import SchemaOptions
from grammars.schema.registers.futures import has_text
from grammars.schema.registers.marks import is_mark_rule
from grammars.schema.richness import Count, Richness
from grammars.schema.shapes import ANY_VALUE, Algebra, Shape, Task
from grammars.schema.spelling import Spelling
from grammars.schema.strings import Strings, relaxed
from grammars.schema.terms import FALSE, TRUE, Term, conj
from grammars.schema.values import single_values
from grammars.schema.whitespace import spaced
from grammars.trampoline import run


class Assembly:
    """The rules of one schema; `family` begins their names."""

    def __init__(self, keywords: Keywords, options: SchemaOptions, limits: Limits, family: str, dialect: bytes):
        self.rules: dict[str, Node] = {}
        self._family = family
        self._dialect = dialect
        self._doubtful: list[str] = []
        self.limits = limits
        self.budget = Budget("compile_work", limits.compile_work)
        self.options = options
        self.strings = Strings(_spelling(options.escapes), self.budget)
        self.space = _whitespace(options, limits)
        self.algebra = Algebra(self.budget, Keys(self.strings), self._is_empty)
        keywords.algebra = self.algebra
        self._keywords = keywords
        self._shapes: dict[Term, Shape] = {}
        self._empty: dict[Term, bool] = {}
        self._asking: set[Term] = set()
        self._waiting: list[tuple[str, Term]] = []
        self._named: dict[Term, str] = {}
        self._quoted: dict[Term, Node] = {}
        self._separators: dict[str, Node] = {}
        self._richness = Richness(self._settled_shape, self.budget)
        self._items = ItemRules(self)
        self._members = MemberRules(self)

    def grammar(self, term: Term) -> tuple[Node, dict[str, Node]]:
        """The start and the rules for the values of a term."""
        try:
            return self._grammar(term)
        except SelfReference as loop:
            raise UnsatisfiableGrammar(
                f"the schema at {loop.location} refers to itself without reading anything",
                hint="a reference loop must pass through items or properties",
            ) from None

    def _grammar(self, term: Term) -> tuple[Node, dict[str, Node]]:
        start = self.value(term)
        while self._waiting:
            name, waiting = self._waiting.pop()
            self.rules[name] = self._body(name, self._settled(run(self.shape(waiting))))
        for name in self._doubtful:
            if not has_text(Call(name), self.rules, self.limits):
                self.rules[name] = NOTHING
        return start, self.rules

    def doubtful(self, name: str, node: Node) -> Node:
        """An array or object that may turn out to be empty because its values run out: it is looked at in the end."""
        rule = f"{name} doubtful"
        self.rules[rule] = node
        self._doubtful.append(rule)
        return Call(rule)

    @property
    def has_marks(self) -> bool:
        """Whether rules leave marks for registers; these have the same names in all grammars."""
        return any(is_mark_rule(name) for name in self.rules)

    def value(self, term: Term) -> Node:
        """A value of the term: a call of its rule."""
        if term == FALSE:
            return NOTHING
        name = self._named.get(term)
        if name is None:
            self.budget.charge()
            name = self._named[term] = self._anything() if term == TRUE else f"{self._family}:{term.key.hex()}"
            if name not in self.rules:
                self._waiting.append((name, term))
        return Call(name)

    def _anything(self) -> str:
        """The rule of all values; its rules are the same in all schemas with the same options."""
        name = f"{self._dialect[:6].hex()}:value"
        if self._family == self._dialect.hex():
            return name
        if name not in _ANYTHING:
            others = Assembly(self._keywords, self.options, self.limits, self._dialect.hex(), self._dialect)
            self._keywords.algebra = self.algebra  # the keywords go on serving this assembly
            if len(_ANYTHING) >= _KEPT:
                _ANYTHING.clear()
            _ANYTHING[name] = others.grammar(TRUE)[1]
        self.rules.update(_ANYTHING.get(name, {}))
        return name

    def separator(self, mark: str) -> Node:
        """A comma or colon with the whitespace around it."""
        known = self._separators.get(mark)
        if known is None:
            known = self._separators[mark] = self._new_separator(mark)
        return known

    def _new_separator(self, mark: str) -> Node:
        most = self.options.max_whitespace
        if self.options.whitespace == "flexible":
            return spaced(mark, most, most)
        return sequence([self.space, text(mark), self.space])

    def shape(self, term: Term) -> Task:
        """The shape of a term, as a task of the trampoline."""
        if term not in self._shapes:
            self._shapes[term] = yield self._new_shape(term)
        return self._shapes[term]

    def _settled_shape(self, term: Term) -> Task:
        return self._settled((yield self.shape(term)))

    def _settled(self, shape: Shape) -> Shape:
        """The shape, free of what the caller does without."""
        if not self.options.lenient:
            return shape
        return replace(shape, string=relaxed(shape.string), objects=tuple(map(certain, shape.objects)))

    def values_of(self, term: Term, most: int) -> list[Term] | None:
        """The values of a term as terms of one value each, None if they are more than `most` or not simple."""
        return run(self._values(term, most))

    def count_of(self, term: Term) -> Count:
        """How many values a term has."""
        return run(self._richness.of(term))

    def count_of_strings(self, term: Term) -> Count:
        """How many strings a set of keys has."""
        return self._richness.of_strings(term)

    # -- terms ----------------------------------------------------------------------------------------------------

    def _new_shape(self, term: Term) -> Task:
        self.budget.charge()
        if term.op == "is":
            return (yield self._keywords.shape_of_atom(term.atom))
        if term.op == "not":
            return (yield self.algebra.outside((yield self.shape(term.parts[0]))))
        if term.op == "or":
            shapes: list[Shape] = []
            for part in term.parts:
                shapes.append((yield self.shape(part)))
            return self.algebra.any_of(shapes)
        return (yield self._shape_of_all(term))

    def _shape_of_all(self, term: Term) -> Task:
        """The shape of a conjunction; those that grow part by part are not worked out from the beginning."""
        shape, parts = self._shapes.get(conj(term.parts[:-1])), term.parts[-1:]
        if shape is None:
            shape, parts = ANY_VALUE, term.parts
        for part in parts:
            shape = yield self.algebra.both(shape, (yield self.shape(part)))
        return shape

    def _is_empty(self, term: Term) -> Task:
        """Whether a term plainly has no values; a question inside itself, or inside the shape that depends on the
        answer, is answered with no."""
        if term in self._asking:
            return False
        if term not in self._empty:
            self._asking.add(term)
            try:
                shape = yield self.shape(term)
            except SelfReference:
                self._empty[term] = False
            else:
                self._empty[term] = self._has_nothing(self._settled(shape))
            finally:
                self._asking.discard(term)
        return self._empty[term]

    def _has_nothing(self, shape: Shape) -> bool:
        if shape.constants or shape.arrays or shape.objects:
            return False
        return self.strings.is_empty(shape.string) and self._no_number(shape.number)

    def _no_number(self, term: Term) -> bool:
        return term == FALSE or number_grammar(term, False, self.budget) == NOTHING

    def _values(self, term: Term, most: int) -> Task:
        shape = self._settled((yield self.shape(term)))
        if shape.arrays or shape.objects:
            return None
        return single_values(shape, self.strings, most)

    # -- bodies ---------------------------------------------------------------------------------------------------

    def _body(self, name: str, shape: Shape) -> Node:
        options: list[Node] = [text(word) for word in ("null", "true", "false") if word in shape.constants]
        if shape.number != FALSE:
            options.append(self._number(shape.number))
        if shape.string != FALSE:
            options.append(self._string(shape.string))
        for index, arrays in enumerate(shape.arrays):
            options.append(self._items.array(f"{name} [{index}]", arrays))
        for index, objects in enumerate(shape.objects):
            options.append(self._members.object(f"{name} {{{index}}}", objects))
        return choice(option for option in options if option != NOTHING)

    def _number(self, term: Term) -> Node:
        return number_grammar(term, self.options.numbers == "any", self.budget)

    def _string(self, term: Term) -> Node:
        """A string that is no lexeme is a rule of its own: at many places it is one language to the machine."""
        quoted = self.quoted(term)
        if quoted == NOTHING or isinstance(quoted, Lexeme):
            return quoted
        return self._shared(f"{self._family}:string {term.key.hex()}", quoted)

    def quoted(self, term: Term) -> Node:
        """The strings of a set between quotes."""
        known = self._quoted.get(term)
        if known is None:
            known = self._quoted[term] = self._new_quoted(term)
        return known

    def _new_quoted(self, term: Term) -> Node:
        excluded = frozenset[str]() if term == TRUE else self.strings.excluded(term)
        if excluded is not None:
            return self.strings.spelling.quoted_others(excluded)
        values = self.strings.values_of(term)
        if values is not None:
            return self.strings.spelling.quoted_words(values)
        node = self.strings.node(term)
        return NOTHING if node == NOTHING else sequence([text('"'), node, text('"')])

    def _shared(self, name: str, node: Node) -> Node:
        self.rules.setdefault(name, node)
        return Call(name)


_KEPT = 64
_ANYTHING: dict[str, dict[str, Node]] = {}
_SPELLINGS: dict[str, Spelling] = {}


def _spelling(escapes: str) -> Spelling:
    known = _SPELLINGS.get(escapes)
    if known is None:
        known = _SPELLINGS[escapes] = Spelling(escapes == "minimal")
    return known


def _whitespace(options: SchemaOptions, limits: Limits) -> Node:
    if options.whitespace == "flexible":
        return spaced("", options.max_whitespace, 0)
    return EPSILON if options.whitespace == "compact" else parse(options.whitespace, limits=limits)
