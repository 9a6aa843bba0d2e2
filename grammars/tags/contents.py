"""Contents: grammars and schemas as expressions, with their rules and their lines of the report in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from grammars.enforcement import Enforcement
from grammars.errors import GrammarError
from grammars.expression import Node
from grammars.grammar import Grammar
from grammars.limits import Limits
from grammars.schema import SchemaOptions, json_schema


class Contents:
    """What the structured parts of one grammar are made of."""

    def __init__(self, options: SchemaOptions, limits: Limits):
        self.options = options
        self.limits = limits
        self.rules: dict[str, Node] = {}
        self._notes: list[Any] = []

    def node(self, content: Any, name: str, options: SchemaOptions | None = None) -> Node:
        """A content, which is a `Grammar` or whatever `json_schema` reads; `name` is what errors and report call it."""
        if isinstance(content, Grammar):
            return self.built(lambda: content, name)
        return self.built(lambda: json_schema(content, options or self.options, self.limits), name)

    def built(self, build: Callable[[], Grammar], name: str) -> Node:
        """The grammar that a front end builds."""
        try:
            grammar = build()
        except GrammarError as error:
            raise type(error)(f"{name}: {error.message}", span=error.span, hint=error.hint) from error
        self.rules.update(grammar.rules)
        self._notes.extend(_at(name, note) for note in grammar.notes)
        return grammar.start

    def note(self, location: str, keyword: str, means: str) -> None:
        """A line of the report."""
        self._notes.append(Enforcement(location, keyword, means))

    def grammar(self, start: Node) -> Grammar:
        """The grammar that starts there."""
        return Grammar(start, self.rules, self._notes)


def _at(name: str, note: Any) -> Any:
    return replace(note, location=f"{name} {note.location}") if isinstance(note, Enforcement) else note
