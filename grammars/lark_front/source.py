"""The text of a grammar: made safe by one linear scan, then parsed by lark itself.

Lark's lexer is a list of backtracking regular expressions. Two of them take exponential or quadratic time on texts made
for it (a string of backslashes without its closing quote; thousands of blank lines), and its parser keeps nesting on a
stack that nobody bounds. The scan here reads strings, regular expressions and comments as lark does, but in linear
time, and refuses what lark would refuse. What it hands on has the same length, so offsets are offsets of the source.

It also takes out what llguidance adds to the language: `%regex "..."`, `%regex /.../` and `%regex {"pattern": "..."}`
stand for a regular expression anywhere a literal may stand, `%json {...}` in a rule for the values of a JSON schema.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import lark
from lark import load_grammar
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from grammars.errors import GrammarSyntaxError, LimitExceeded, Span, UnsupportedFeature
from grammars.limits import Budget, Limits

Tree = lark.Tree[lark.Token]

_TOKENS_PER_STEP = 3
_PIECE = re.compile(
    r"""(?P<space>\s+)
    |(?P<comment>//[^\n]*|\#[^\n]*)
    |(?P<string>"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"i?)
    |(?P<regexp>/[^/\\]*+(?:\\.[^/\\]*+)*+/[imslux]*)
    |(?P<open>[(\[{])
    |(?P<close>[)\]}])
    |(?P<extension>%(?:json|regex|llguidance)\b)
    |(?P<word>\w+)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_JSON_PIECE = re.compile(r'[^"{}\[\]]+|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_SPACE = re.compile(r"\s*")
_PLACEHOLDER = (
    '""'  # an empty literal, which lark's own language does not allow, stands for a nested regular expression
)


@dataclass(slots=True)
class Source:
    """A grammar text and its statements, with the nested regular expressions and schemas by the offset where they
    stand."""

    text: str
    statements: Tree
    nested: dict[int, str]
    schemas: dict[int, str]

    def span(self, token: lark.Token) -> Span:
        start = token.start_pos or 0
        return Span(self.text, start, token.end_pos)

    def any_span(self, tree: Tree) -> Span | None:
        """Where the first token of a tree stands; nowhere, if it is empty."""
        tokens = [child for node in tree.iter_subtrees() for child in node.children if isinstance(child, lark.Token)]
        return self.span(min(tokens, key=lambda token: token.start_pos or 0)) if tokens else None


def read_source(text: str, limits: Limits, budget: Budget) -> Source:
    """Scan and parse a grammar text."""
    check_size(text, limits)
    scan = _Scan(text, limits, budget)
    scan.run()
    return Source(text, _parse(text, "".join(scan.output)), scan.nested, scan.schemas)


def check_size(text: str, limits: Limits) -> None:
    """Refuse a text that is too long or that UTF-8 cannot write."""
    if len(text) > limits.source_bytes:
        raise LimitExceeded(
            f"the grammar has more than Limits.source_bytes = {limits.source_bytes}",
            hint="split or simplify the grammar",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise GrammarSyntaxError("a lone surrogate is not text", span=Span(text, error.start)) from None


def check_nesting(depth: int, text: str, offset: int, limits: Limits) -> None:
    """Refuse brackets deeper than the limit."""
    if depth > limits.nesting:
        raise LimitExceeded(
            f"brackets are nested deeper than Limits.nesting = {limits.nesting}",
            span=Span(text, offset),
            hint="give inner groups names of their own",
        )


class _Scan:
    """One pass over the text; `output` is what lark reads."""

    def __init__(self, text: str, limits: Limits, budget: Budget):
        self.text, self.limits, self.budget = text, limits, budget
        self.output: list[str] = []
        self.nested: dict[int, str] = {}
        self.schemas: dict[int, str] = {}
        self.tokens = self.depth = self.offset = 0

    def run(self) -> None:
        while self.offset < len(self.text):
            match = _PIECE.match(self.text, self.offset)
            kind, piece = (match.lastgroup, match[0]) if match else (None, "")
            self._count(kind)
            if kind == "extension":
                self._extension(piece)
                continue
            if kind == "space":
                piece = _few_newlines(piece)
            elif kind == "open" or kind == "close":
                self.depth += 1 if kind == "open" else -1
                check_nesting(self.depth, self.text, self.offset, self.limits)
            elif kind == "other":
                self._check_other(piece)
            self.output.append(piece)
            self.offset += len(piece)

    def _count(self, kind: str | None) -> None:
        if kind != "space":
            self.tokens += 1
            if self.tokens % _TOKENS_PER_STEP == 0:
                self.budget.charge()

    def _fail(self, message: str, hint: str | None = None) -> NoReturn:
        raise GrammarSyntaxError(message, span=Span(self.text, self.offset), hint=hint)

    def _check_other(self, piece: str) -> None:
        if piece == '"':
            self._fail("this string does not end on its line", 'add a closing "')
        if piece == "/":
            self._fail("this regular expression does not end", "add a closing /")
        if piece == "<":
            raise UnsupportedFeature(
                "special tokens are not text and cannot stand in a grammar", span=Span(self.text, self.offset)
            )

    def _extension(self, word: str) -> None:
        if word == "%llguidance":
            raise UnsupportedFeature(
                f"{word} is not supported in a Lark grammar",
                span=Span(self.text, self.offset, self.offset + len(word)),
            )
        body = _SPACE.match(self.text, self.offset + len(word))
        start = body.end() if body else len(self.text)
        first = self.text[start : start + 1]
        if word == "%json":
            if first != "{":
                self._fail("%json wants a schema", 'write %json {"type": ...}')
            end = self._object_end(start, self.limits.nesting)
            self.schemas[self.offset] = self.text[start:end]
            self._replace(end, None)
        elif first == "{":
            end = self._object_end(start, 1)
            self._replace(end, _pattern_of(self.text, start, end))
        elif first == '"':
            literal = _PIECE.match(self.text, start)
            if literal is None or literal.lastgroup != "string":
                self._fail("this string does not end on its line", 'add a closing "')
            self._replace(literal.end(), _pattern_of_string(literal[0], Span(self.text, start, literal.end())))
        elif first == "/":
            self._blank(start)  # what follows is a literal of lark's own
        else:
            self._fail("%regex wants a regular expression", 'write %regex /.../ or %regex {"pattern": "..."}')

    def _object_end(self, start: int, deepest: int) -> int:
        offset, depth = start, 0
        while match := _JSON_PIECE.match(self.text, offset):
            offset = match.end()
            depth += (match[0] in ("{", "[")) - (match[0] in ("}", "]"))
            if depth == 0:
                return offset
            if depth > deepest == 1:
                self._fail("the object after %regex has one text field, 'pattern'")
            check_nesting(depth, self.text, offset, self.limits)
        return self._fail("this object does not end", "add a closing }")

    def _replace(self, end: int, pattern: str | None) -> None:
        if pattern is not None:
            self.nested[self.offset] = pattern
        self.output.append(_PLACEHOLDER)
        self.offset += len(_PLACEHOLDER)
        self._blank(end)

    def _blank(self, end: int) -> None:
        self.output.append(" " * (end - self.offset))
        self.offset = end


def _pattern_of_string(literal: str, span: Span) -> str:
    pattern = unescape(literal.removesuffix("i")[1:-1], span).replace("\\\\", "\\")
    return f"(?i:{pattern})" if literal.endswith("i") else pattern


def _pattern_of(text: str, start: int, end: int) -> str:
    span = Span(text, start, end)
    try:
        value: Any = json.loads(text[start:end])
    except ValueError as error:
        raise GrammarSyntaxError(f"the object after %regex is not JSON: {error}", span=span) from None
    pattern = value.get("pattern")
    if not isinstance(pattern, str):
        raise UnsupportedFeature("the object after %regex needs a text field 'pattern'", span=span)
    if len(value) > 1:
        raise UnsupportedFeature("only 'pattern' is understood in the object after %regex", span=span)
    return pattern


def _few_newlines(space: str) -> str:
    """The same blank space for lark with at most two line ends in it: one may belong to a continued line."""
    if space.count("\n") <= 2:
        return space
    keep = space.index("\n", space.index("\n") + 1) + 1
    return space[:keep] + re.sub(r"[\r\n]", " ", space[keep:])


def unescape(body: str, span: Span) -> str:
    """The characters a literal's body stands for, by lark's rules."""
    if body.isprintable() and "\\" not in body:
        return body
    try:
        return cast(str, load_grammar.eval_escaping(body))  # pyright: ignore[reportUnknownMemberType]
    except (lark.GrammarError, ValueError, SyntaxError):
        raise GrammarSyntaxError("a bad escape in this literal", span=span, hint="write \\\\ for a backslash") from None


_NAMES = {
    "_COLON": "':'",
    "_OR": "'|'",
    "_NL": "the end of the line",
    "_LPAR": "'('",
    "_RPAR": "')'",
    "_RBRA": "']'",
    "_RBRACE": "'}'",
    "_COMMA": "','",
    "RULE": "a rule name",
    "TERMINAL": "a terminal name",
    "STRING": "a string",
    "REGEXP": "a regular expression",
    "NUMBER": "a number",
}
_TELLING = 6  # a longer list of what could follow tells nothing


def _parse(text: str, readable: str) -> Tree:
    parser: Any = load_grammar._get_parser()  # pyright: ignore[reportPrivateUsage]
    try:
        return parser.parse(readable + "\n", "start")
    except UnexpectedCharacters as error:
        place = cast(int, error.pos_in_stream)
        raise GrammarSyntaxError(f"unexpected {text[place : place + 1]!r}", span=Span(text, place)) from None
    except UnexpectedToken as error:
        expected = {_NAMES[name] for name in error.expected if name in _NAMES}
        raise _unexpected(text, cast(lark.Token, error.token), sorted(expected)) from None


def _unexpected(text: str, token: lark.Token, expected: list[str]) -> GrammarSyntaxError:
    start = min(token.start_pos or 0, len(text)) if token.type != "$END" else len(text)
    what = repr(str(token)) if token.strip() else "end of the grammar" if start == len(text) else "end of the line"
    hint = f"expected {', '.join(expected)}" if 0 < len(expected) <= _TELLING else None
    return GrammarSyntaxError(f"unexpected {what}", span=Span(text, start), hint=hint)
