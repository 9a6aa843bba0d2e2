r"""Terminals: each is one regular expression, and matches what `re` prefers (see `grammars.preference`).

Lark joins the parts of a terminal as text: `A: /x(?!y)/ "z"` is the expression `x(?!y)z`, whose assertion sees the
`z`, and alternatives are tried in the order of their lengths. The same is done here, except where nothing can depend
on it: strings, ranges and their combinations of one length become expressions directly, so ten thousand keywords cost
no parsing.

A `Pattern` carries its text as a rope that is written out only when it is needed: terminals may mention each other so
often that their text is exponentially long, which `Budget` refuses before it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import lark

from grammars.errors import GrammarSyntaxError, LimitExceeded, Span, UnsupportedFeature
from grammars.expression import EPSILON, Node, chars, choice, repeat, sequence, text
from grammars.lark_front.definitions import Definition, Home, symbols, tokens
from grammars.lark_front.source import Source, Tree, unescape
from grammars.lark_front.trees import bounds, fold
from grammars.limits import Budget, Limits
from grammars.preference.preferred import preferred
from grammars.preference.program import width
from grammars.regex import parse

_CHARS_PER_STEP = 8
_CHARS_COPIED_PER_STEP = 256  # an expression is copied into the one that contains it

Rope = tuple["Rope | str", ...]


@dataclass(frozen=True, slots=True)
class Fixed:
    """The expression of a pattern that matches texts of one length only: preference has nothing to choose."""

    node: Node
    width: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as lark sees it: a string or the text of a regular expression, and flags around the whole.

    `node` is its expression if preference plays no role in it.
    """

    value: Rope
    length: int
    flags: str = ""
    is_string: bool = False
    node: Node | None = None
    fixed: Fixed | None = None

    def regex(self) -> tuple[Rope, int]:
        """The regular expression with its flags, and its length."""
        if self.is_string:
            quoted = re.escape("".join(map(str, self.value)))
            rope, length = (quoted,), len(quoted)
        else:
            rope, length = self.value, self.length
        for flag in self.flags:
            # the last line of a verbose expression may be a comment
            rope, length = (f"(?{flag}:", rope, "\n)" if flag == "x" else ")"), length + 5
        return rope, length

    def text(self, budget: Budget) -> str:
        """The pattern without its flags, charged before it is written."""
        budget.charge(self.length // _CHARS_PER_STEP)
        return _write(self.value)

    def written(self, budget: Budget) -> str:
        """The regular expression, charged before it is written."""
        rope, length = self.regex()
        budget.charge(length // _CHARS_PER_STEP)
        return _write(rope)


def _write(rope: Rope) -> str:
    out: list[str] = []
    stack: list[Rope | str] = [rope]
    while stack:
        piece = stack.pop()
        if isinstance(piece, str):
            out.append(piece)
        else:
            stack.extend(reversed(piece))
    return "".join(out)


_NOTHING = Pattern(("",), 0, is_string=True, node=EPSILON, fixed=Fixed(EPSILON, 0))


def _together(parts: list[tuple[Rope, int]], before: str = "", between: str = "", after: str = "") -> tuple[Rope, int]:
    ropes: list[Rope | str] = [before]
    for i, (rope, _) in enumerate(parts):
        ropes += [between, rope] if i else [rope]
    length = sum(length for _, length in parts) + len(between) * (len(parts) - 1)
    return (*ropes, after), length + len(before) + len(after)


def _joined(parts: list[Pattern], budget: Budget) -> Pattern:
    if len(parts) <= 1:
        return parts[0] if parts else _NOTHING
    fixed = [part.fixed for part in parts if part.fixed is not None]
    value, length = _together([part.regex() for part in parts])
    budget.charge(length // _CHARS_COPIED_PER_STEP)
    if len(fixed) < len(parts):
        return Pattern(value, length)
    node = sequence(part.node for part in fixed)
    return Pattern(value, length, node=node, fixed=Fixed(node, sum(part.width for part in fixed)))


def _repeated(part: Pattern, low: int, high: int | None, suffix: str) -> Pattern:
    value, length = _together([part.regex()], "(?:", "", ")" + suffix)
    if part.fixed is None or low != high:
        return Pattern(value, length, part.flags)
    node = repeat(part.fixed.node, low, high)
    return Pattern(value, length, part.flags, node=node, fixed=Fixed(node, part.fixed.width * low))


class Terminals:
    """The patterns and expressions of terminals, each made once."""

    def __init__(self, limits: Limits, budget: Budget):
        self._limits, self._budget = limits, budget
        self._patterns: dict[Definition, Pattern] = {}
        self._nodes: dict[Definition, Node] = {}
        self._literals: dict[str, Pattern] = {}
        self._regular: dict[str, Node] = {}

    def node(self, definition: Definition) -> Node:
        """What a named terminal matches."""
        if definition not in self._nodes:
            span = definition.home.source.span(definition.token)
            self._nodes[definition] = self._expression(self.pattern(definition), span)
        return self._nodes[definition]

    def literal(self, token: lark.Token, source: Source) -> Node:
        """What a literal in a rule matches."""
        return self._expression(self._literal(token, source), source.span(token))

    def range(self, tree: Tree, source: Source) -> Node:
        """What `"a".."z"` in a rule matches."""
        return self._expression(_range(tree, source), source.span(tokens(tree)[0]))

    def pattern(self, wanted: Definition) -> Pattern:
        """The pattern of a terminal, made after those it mentions."""
        path: dict[Definition, None] = {}
        stack = [wanted]
        while stack:
            definition = stack[-1]
            if definition in self._patterns:
                path.pop(stack.pop(), None)
                continue
            missing = [other for other in _mentioned(definition) if other not in self._patterns]
            if not missing:
                self._patterns[definition] = self._translate(definition)
                continue
            path[definition] = None
            for other in missing:
                if other in path:
                    raise definition.error(f"the terminal {other.name} contains itself", "only rules may be recursive")
            stack.extend(missing)
        return self._patterns[wanted]

    def _expression(self, pattern: Pattern, span: Span) -> Node:
        if pattern.node is not None:
            return pattern.node
        regex = pattern.written(self._budget)
        if regex not in self._regular:
            try:
                parse(regex, limits=self._limits)  # the better messages
                self._regular[regex] = preferred(regex, self._budget, self._limits)
            except (GrammarSyntaxError, UnsupportedFeature, LimitExceeded) as error:
                raise type(error)(f"in this terminal: {error.message}", span=span, hint=error.hint) from error
        return self._regular[regex]

    def _translate(self, definition: Definition) -> Pattern:
        if not definition.bodies:
            raise UnsupportedFeature(
                f"the terminal {definition.name} is declared but not defined",
                span=definition.home.source.span(definition.token),
                hint="a declared terminal comes from Python code, which a grammar cannot describe",
            )
        self._budget.charge()
        first, *extensions = definition.bodies
        parts = [self._fold(child, first.home) for child in first.tree.children if isinstance(child, lark.Tree)]
        for tree, home in extensions:
            parts.insert(0, self._fold(tree, home))
        if parts == [_NOTHING]:
            raise definition.error(f"the terminal {definition.name} is empty")
        return self._either(parts, first.home.source, first.tree)

    def _fold(self, tree: Tree, home: Home) -> Pattern:
        return fold(tree, lambda node, parts: self._combine(node, parts, home))

    def _combine(self, tree: Tree, parts: list[Pattern], home: Home) -> Pattern:
        match tree.data:
            case "expansions":
                return self._either(parts, home.source, tree)
            case "expansion":
                return _joined(parts, self._budget)
            case "maybe":
                return _repeated(parts[0], 0, 1, "?")
            case "expr":
                low, high = bounds(tree, home.source, self._limits)
                return _repeated(parts[0], low, high, _suffix(tree))
            case "value":
                return parts[0]
            case "terminal":
                return self._patterns[home.scope[home.rename(str(tokens(tree)[0]))]]
            case "literal":
                return self._literal(tokens(tree)[0], home.source)
            case "range":
                return _range(tree, home.source)
            case _:
                span = home.source.any_span(tree)
                raise GrammarSyntaxError("aliases and templates belong in rules, not in terminals", span=span)

    def _either(self, parts: list[Pattern], source: Source, tree: Tree) -> Pattern:
        """Alternatives in lark's order, the longest first; without a choice of lengths they need no order."""
        if len(parts) == 1:
            return parts[0]
        self._budget.charge(sum(part.length for part in parts) // _CHARS_COPIED_PER_STEP)
        fixed = [part.fixed for part in parts if part.fixed is not None]
        node = whole = None
        if len(fixed) == len(parts):
            node = choice([part.node for part in fixed])
            whole = Fixed(node, fixed[0].width) if len({part.width for part in fixed}) == 1 else None
        ordered = parts if whole else sorted(parts, key=lambda part: self._order(part, source, tree))
        value, length = _together([part.regex() for part in ordered], "(?:", "|", ")")
        return Pattern(value, length, node=node, fixed=whole)

    def _order(self, part: Pattern, source: Source, tree: Tree) -> tuple[int, int, int]:
        try:
            low, high = (part.fixed.width,) * 2 if part.fixed else width(part.written(self._budget))
        except (GrammarSyntaxError, LimitExceeded) as error:
            raise type(error)(error.message, span=source.any_span(tree), hint=error.hint) from error
        return -high, -low, -part.length

    def _literal(self, token: lark.Token, source: Source) -> Pattern:
        if token.start_pos in source.schemas:
            raise UnsupportedFeature(
                "%json stands in a terminal, which is a regular expression",
                span=source.span(token),
                hint="give it a rule of its own, with a name in lower case",
            )
        if token.start_pos in source.nested:
            nested = source.nested[token.start_pos]
            return Pattern((f"(?:{nested})",), len(nested) + 4)
        known = self._literals.get(token)
        if known is None:
            known = self._literals[str(token)] = self._new_literal(token, source.span(token))
        return known

    def _new_literal(self, token: lark.Token, span: Span) -> Pattern:
        end = max(token.rfind('"'), token.rfind("/"))
        value, flags = unescape(token[1:end], span), token[end + 1 :]
        if not value:
            raise GrammarSyntaxError("an empty literal", span=span, hint="write an empty alternative instead: a: b |")
        if token.type == "REGEXP":
            if "\n" in token and "x" not in flags:
                raise GrammarSyntaxError("a line break in a regular expression needs the flag x", span=span)
            return _regular(value, flags, span)
        return self._string(value.replace("\\\\", "\\"), flags, span)

    def _string(self, value: str, flags: str, span: Span) -> Pattern:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise GrammarSyntaxError("a lone surrogate is not text", span=span) from None
        node = parse(re.escape(value), flags="i") if flags else text(value)
        return Pattern((value,), len(value), flags, True, node, Fixed(node, len(value)))


def _regular(value: str, flags: str, span: Span) -> Pattern:
    if "l" in flags:
        raise UnsupportedFeature("the flag 'l' (locale) has no exact meaning", span=span)
    return Pattern((value,), len(value), "".join(sorted(set(flags))))


def _suffix(expr: Tree) -> str:
    operator, *numbers = tokens(expr)
    return str(operator) if not numbers else f"{{{','.join(str(int(number)) for number in numbers)}}}"


def _range(tree: Tree, source: Source) -> Pattern:
    ends: list[str] = []
    for token in tokens(tree):
        value = unescape(token[1:-1], source.span(token))
        if len(value) != 1 or not token.endswith('"'):
            raise GrammarSyntaxError("a range needs one character on each side", span=source.span(token))
        ends.append(value)
    low, high = map(ord, ends)
    if low > high:
        raise GrammarSyntaxError("the ends of this range are in the wrong order", span=source.span(tokens(tree)[0]))
    first, last = (str(token[1:-1]) for token in tokens(tree))
    regex = f"[{first}-{last}]" if first.isalnum() and last.isalnum() else f"[\\U{low:08x}-\\U{high:08x}]"
    node = chars([(low, high)])
    return Pattern((regex,), len(regex), node=node, fixed=Fixed(node, 1))


def _mentioned(definition: Definition) -> Iterable[Definition]:
    for tree, home in definition.bodies:
        for token in symbols(tree):
            if token.type == "TERMINAL":
                yield home.scope[home.rename(str(token))]
