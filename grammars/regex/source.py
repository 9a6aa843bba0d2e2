"""The text of a pattern, and the errors that point into it."""

from __future__ import annotations

from dataclasses import dataclass

from grammars.errors import GrammarSyntaxError, LimitExceeded, Span, UnsupportedFeature


@dataclass(frozen=True, slots=True)
class Source:
    """A pattern. Its methods return errors for the caller to raise, so that control flow stays visible."""

    text: str

    def error(self, message: str, start: int, end: int | None = None, hint: str | None = None) -> GrammarSyntaxError:
        return GrammarSyntaxError(message, span=Span(self.text, start, end), hint=hint)

    def unsupported(self, message: str, start: int, end: int, hint: str) -> UnsupportedFeature:
        return UnsupportedFeature(message, span=Span(self.text, start, end), hint=hint)

    def limit(self, message: str, start: int, end: int | None, hint: str) -> LimitExceeded:
        return LimitExceeded(message, span=Span(self.text, start, end), hint=hint)
