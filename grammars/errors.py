"""Errors: what is wrong, where it stands, and what to do about it.

Every error of scansion is a `ScansionError`. Its `code` is stable and may be matched by programs; its text shows the
offending line with a caret when the place is known:

>>> from grammars.errors import GrammarSyntaxError, Span
>>> print(GrammarSyntaxError("unclosed group", span=Span("a(b", 1), hint="add a closing ')'"))
unclosed group (at line 1, column 2)
  a(b
   ^
hint: add a closing ')'
"""

from __future__ import annotations

from dataclasses import dataclass

_WINDOW = 72  # a caret under a 10 MB line helps nobody: show this many characters around it


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a source text: `start` and `end` are character offsets, `end` defaults to one character.

    >>> Span("ab\\ncd", 4).line
    2
    """

    source: str
    start: int
    end: int | None = None

    @property
    def line(self) -> int:
        return self.source.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        return self.start - (self.source.rfind("\n", 0, self.start) + 1) + 1

    def excerpt(self) -> str:
        """The line around the span with a caret line below it."""
        begin = self.source.rfind("\n", 0, self.start) + 1
        stop = self.source.find("\n", self.start)
        stop = len(self.source) if stop < 0 else stop
        begin, stop = max(begin, self.start - _WINDOW // 2), min(stop, self.start + _WINDOW // 2)
        width = max(1, min(self.end or 0, stop) - self.start)
        line = self.source[begin:stop].replace("\t", " ").encode("utf-8", "backslashreplace").decode()
        return f"  {line}\n  {' ' * (self.start - begin)}{'^' * width}"


class ScansionError(Exception):
    """Base of every error this distribution raises on purpose."""

    code = "scansion"

    def __init__(self, message: str, *, span: Span | None = None, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.span = span
        self.hint = hint

    def __str__(self) -> str:
        text = self.message
        if self.span is not None:
            text += f" (at line {self.span.line}, column {self.span.column})\n{self.span.excerpt()}"
        if self.hint:
            text += f"\nhint: {self.hint}"
        return text


class GrammarError(ScansionError, ValueError):
    """A grammar, regex or schema that cannot become an automaton."""

    code = "grammar"


class GrammarSyntaxError(GrammarError):
    """The text does not follow the syntax of its language."""

    code = "grammar.syntax"


class UnsupportedFeature(GrammarError):
    """The text is well formed but asks for something that cannot be enforced exactly."""

    code = "grammar.unsupported"


class UnsatisfiableGrammar(GrammarError):
    """The language is empty: nothing could ever be generated."""

    code = "grammar.unsatisfiable"


class LimitExceeded(GrammarError):
    """A limit of `Limits` was reached; the work was refused before it was done."""

    code = "grammar.limit"


class VocabularyError(ScansionError, ValueError):
    """A vocabulary that is inconsistent or does not fit."""

    code = "vocabulary"


class StateError(ScansionError, ValueError):
    """A state, token or position that does not belong to this automaton or matcher."""

    code = "state"


class SerializationError(ScansionError, ValueError):
    """A file that is corrupt, truncated, foreign or of another version."""

    code = "serialization"


class SamplingError(ScansionError, RuntimeError):
    """A sampler that cannot go on."""

    code = "sampling"


class DeadEnd(SamplingError):
    """Every allowed token has probability zero."""

    code = "sampling.dead_end"


class BudgetExhausted(SamplingError):
    """The allowed number of tokens or model calls ran out."""

    code = "sampling.budget"


class IntegrationError(ScansionError, RuntimeError):
    """Something outside this library is missing or misused."""

    code = "integration"


class BackendUnavailable(IntegrationError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    code = "integration.backend"


class RequestError(IntegrationError):
    """A request that cannot be served as asked."""

    code = "integration.request"
