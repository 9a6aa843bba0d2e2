r"""llama.cpp's grammar language, GBNF.

A rule `name ::= alternatives` ends with its line, unless the line breaks after `::=`, after `|`, before `|`, or inside
parentheses. Literals are characters between quotes; classes `[a-z]`, `[^"\\]` and `.` match one character; `*`, `+`,
`?`, `{n}`, `{n,}` and `{n,m}` repeat what stands before them. The language is that of the rule `root`.

llama.cpp expands repetitions and cannot read left-recursive rules. Both are taken as written here.

>>> start, rules = read_gbnf('root ::= "a" root? | [0-9]{2,}  # digits')
>>> sorted(rules)
['root']
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from grammars.errors import GrammarSyntaxError, LimitExceeded, Span, UnsupportedFeature
from grammars.expression import (
    ANY_CHAR,
    LAST_CODE_POINT,
    SURROGATES,
    Call,
    Node,
    Text,
    chars,
    choice,
    repeat,
    sequence,
    text,
)
from grammars.limits import Budget, Limits

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t]++|#[^\r\n]*+)*+")
_BLANK_LINES = re.compile(r"(?:[ \t\r\n]++|#[^\r\n]*+)*+")
_NUMBER = re.compile(r"[0-9]+")
_PLAIN = re.compile(r'[^"\\\ud800-\udfff]+')
_HEX = {"x": 2, "u": 4, "U": 8}
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t"} | {char: char for char in '\\"[]-'}
_OPERATORS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_MAX_DIGITS = 20
_STEP = 10  # pieces read per unit of compile work
_DEFAULT_LIMITS = Limits()
_WIDE, _LONG = 32, 512  # parts or bytes of a group that becomes a rule, or nested groups would be copied level by level


def read_gbnf(source: str, *, limits: Limits = _DEFAULT_LIMITS) -> tuple[Node, dict[str, Node]]:
    """The start expression and the rules of a GBNF grammar.

    >>> read_gbnf('root ::= "x"{3}')[1]["root"].low
    3
    """
    if len(source) > limits.source_bytes:
        raise LimitExceeded(f"the grammar has more than Limits.source_bytes = {limits.source_bytes}")
    return _Reader(source, limits).read()


@dataclass(slots=True)
class _Group:
    """An open alternation: finished alternatives, and the items of the one being read."""

    offset: int
    alternatives: list[Node] = field(default_factory=list[Node])
    items: list[Node] = field(default_factory=list[Node])

    def end_alternative(self) -> None:
        self.alternatives.append(self.items[0] if len(self.items) == 1 else sequence(self.items))
        self.items = []

    def node(self) -> Node:
        self.end_alternative()
        return self.alternatives[0] if len(self.alternatives) == 1 else choice(self.alternatives)


class _Reader:
    def __init__(self, source: str, limits: Limits):
        self._source, self._limits = source, limits
        self._budget = Budget("compile_work", limits.compile_work)
        self._offset = self._pieces = 0
        self._rules: dict[str, Node] = {}
        self._calls: dict[str, int] = {}

    def read(self) -> tuple[Node, dict[str, Node]]:
        self._skip(_BLANK_LINES)
        while self._offset < len(self._source):
            self._rule()
            self._skip(_BLANK_LINES)
        for name, offset in self._calls.items():
            if name not in self._rules:
                self._fail(f"the rule {name} is not defined", offset, offset + len(name))
        if "root" not in self._rules:
            self._fail("the grammar has no rule root", 0, hint="define root ::= ...")
        return Call("root"), self._rules

    def _charge(self) -> None:
        self._pieces += 1
        if self._pieces % _STEP == 0:
            self._budget.charge()

    def _rule(self) -> None:
        self._budget.charge()
        offset, name = self._offset, self._take(_NAME)
        if not name:
            self._fail("expected the name of a rule")
        self._skip(_BLANK)
        if not self._source.startswith("::=", self._offset):
            self._fail("expected ::= after the name of the rule")
        self._offset += 3
        self._skip(_BLANK_LINES)
        if name in self._rules:
            self._fail(f"the rule {name} is defined twice", offset, offset + len(name))
        self._rules[name] = self._alternatives(name)

    def _alternatives(self, name: str) -> Node:
        """Alternatives up to the end of the rule, with the open parentheses on a stack."""
        stack = [_Group(self._offset)]
        while not (len(stack) == 1 and self._at_end_of_rule()):
            self._charge()
            char = self._peek()
            if char == "(":
                self._open(stack)
            elif char == ")" and len(stack) > 1:
                self._offset += 1
                stack[-2].items.append(self._named_if_wide(name, stack.pop().node()))
            elif char == "|":
                self._offset += 1
                stack[-1].end_alternative()
            elif char in _OPERATORS or char == "{":
                self._repeat(stack[-1])
            elif not char:
                self._fail("this parenthesis is not closed", stack[-1].offset, hint="add a closing )")
            else:
                stack[-1].items.append(self._item(char))
            self._skip(_BLANK_LINES if len(stack) > 1 or char == "|" else _BLANK)
        return stack[0].node()

    def _at_end_of_rule(self) -> bool:
        """Whether the line ends here and the next text does not go on with another alternative."""
        if self._peek() not in ("", "\r", "\n"):
            return False
        after = _BLANK_LINES.match(self._source, self._offset)
        offset = after.end() if after else self._offset
        if self._source.startswith("|", offset):
            self._offset = offset
            return False
        return True

    def _open(self, stack: list[_Group]) -> None:
        if len(stack) > self._limits.nesting:
            raise LimitExceeded(
                f"parentheses are nested deeper than Limits.nesting = {self._limits.nesting}", span=self._span()
            )
        stack.append(_Group(self._offset))
        self._offset += 1

    def _named_if_wide(self, name: str, node: Node) -> Node:
        pieces = (node, *node.children())
        if len(pieces) <= _WIDE and sum(len(piece.data) for piece in pieces if isinstance(piece, Text)) <= _LONG:
            return node
        hidden = f"{name}.{self._offset}"
        self._rules[hidden] = node
        return Call(hidden)

    def _item(self, char: str) -> Node:
        if char == '"':
            return self._literal()
        if char == "[":
            return self._class()
        if char == ".":
            self._offset += 1
            return ANY_CHAR
        if char == "<" or self._source.startswith("!<", self._offset):
            raise UnsupportedFeature(
                "tokens cannot stand in a grammar of text",
                span=self._span(),
                hint="write the characters that the model should produce",
            )
        offset, name = self._offset, self._take(_NAME)
        if not name:
            self._fail(f"unexpected {char!r}")
        self._calls.setdefault(name, offset)
        return Call(name)

    def _literal(self) -> Node:
        start, out = self._offset, list[str]()
        self._offset += 1
        while self._peek() != '"':
            self._charge()
            out.append(self._take(_PLAIN) or self._character(start, 'this literal is not closed: add a closing "'))
        self._offset += 1
        return text("".join(out))

    def _class(self) -> Node:
        start, ranges = self._offset, list[tuple[int, int]]()
        self._offset += 1
        negated = self._peek() == "^"
        self._offset += negated
        while self._peek() != "]":
            self._charge()
            ranges.append(self._range(start))
        self._offset += 1
        if not ranges:
            self._fail("this class is empty", start, self._offset)
        return _complement(ranges) if negated else chars(ranges)

    def _range(self, start: int) -> tuple[int, int]:
        offset, unclosed = self._offset, "this class is not closed: add a closing ]"
        low = ord(self._character(start, unclosed))
        if self._peek() != "-" or self._source.startswith("-]", self._offset):
            return low, low
        self._offset += 1
        high = ord(self._character(start, unclosed))
        if high < low:
            self._fail("the ends of this range are in the wrong order", offset, self._offset)
        return low, high

    def _character(self, start: int, unclosed: str) -> str:
        """One character of a literal or class."""
        char = self._peek()
        if not char:
            self._fail(unclosed, start)
        if char != "\\":
            return self._text_character(char, self._offset, 1)
        letter = self._source[self._offset + 1 : self._offset + 2]
        if letter in _HEX:
            return self._hex(letter)
        if letter not in _SIMPLE or not letter:
            self._fail("unknown escape", self._offset, self._offset + 2, r"known are \n \r \t \\ \" \[ \] \x \u \U")
        return self._text_character(_SIMPLE[letter], self._offset, 2)

    def _hex(self, letter: str) -> str:
        offset, length = self._offset, _HEX[letter]
        digits = self._source[offset + 2 : offset + 2 + length]
        if not re.fullmatch(f"[0-9a-fA-F]{{{length}}}", digits):
            self._fail(f"\\{letter} needs {length} hexadecimal digits", offset, offset + 2 + len(digits))
        code = int(digits, 16)
        if code > LAST_CODE_POINT:
            self._fail("there is no such code point", offset, offset + 2 + length)
        return self._text_character(chr(code), offset, 2 + length)

    def _text_character(self, char: str, offset: int, length: int) -> str:
        if SURROGATES[0] <= ord(char) <= SURROGATES[1]:
            self._fail("a surrogate is not text", offset, offset + length)
        self._offset = offset + length
        return char

    def _repeat(self, group: _Group) -> None:
        offset, char = self._offset, self._peek()
        if not group.items:
            self._fail("there is nothing to repeat here")
        self._offset += 1
        low, high = self._bounds() if char == "{" else _OPERATORS[char]
        if high is not None and high < low:
            self._fail("the bounds of this repetition are in the wrong order", offset, self._offset)
        group.items[-1] = repeat(group.items[-1], low, high)

    def _bounds(self) -> tuple[int, int | None]:
        low = self._count()
        if self._peek() == "}":
            self._offset += 1
            return low, low
        if self._peek() != ",":
            self._fail("expected , or }")
        self._offset += 1
        self._skip(_BLANK)
        high = None if self._peek() == "}" else self._count()
        if self._peek() != "}":
            self._fail("expected }")
        self._offset += 1
        return low, high

    def _count(self) -> int:
        self._skip(_BLANK)
        offset, digits = self._offset, self._take(_NUMBER)
        if not digits:
            self._fail("expected a number")
        digits = digits.lstrip("0") or "0"
        if len(digits) > _MAX_DIGITS or int(digits) > self._limits.repeat:
            span = Span(self._source, offset, self._offset)
            raise LimitExceeded(f"more repetitions than Limits.repeat = {self._limits.repeat}", span=span)
        self._skip(_BLANK)
        return int(digits)

    def _peek(self) -> str:
        return self._source[self._offset : self._offset + 1]

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._source, self._offset)
        if match is None:
            return ""
        self._offset = match.end()
        return match[0]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _span(self) -> Span:
        return Span(self._source, self._offset)

    def _fail(
        self, message: str, start: int | None = None, end: int | None = None, hint: str | None = None
    ) -> NoReturn:
        place = self._offset if start is None else start
        raise GrammarSyntaxError(message, span=Span(self._source, place, end), hint=hint)


def _complement(ranges: list[tuple[int, int]]) -> Node:
    """Every character but those in the ranges."""
    out: list[tuple[int, int]] = []
    following = 0
    for low, high in sorted(ranges):
        out.append((following, low - 1))
        following = max(following, high + 1)
    return chars([*out, (following, LAST_CODE_POINT)])
