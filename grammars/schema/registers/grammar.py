"""A grammar whose rules leave marks for registers."""

from __future__ import annotations

from typing import Any, NoReturn, cast

from grammars.automaton import TokenAutomaton
from grammars.errors import UnsupportedFeature
from grammars.expression import both
from grammars.grammar import Grammar
from grammars.limits import Limits
from grammars.lowering import Lowered
from grammars.regular import closed, inline
from grammars.schema.registers import marks
from grammars.schema.registers.automaton import RegisterAutomaton
from grammars.schema.registers.threads import byte_vocabulary
from grammars.schema.registers.transparent import BETWEEN, transparent, watched
from grammars.serialization.files import Destination
from grammars.vocabulary import Vocabulary


class RegisterGrammar(Grammar):
    """A language that needs a memory of values. It combines with others by `|`, `+`, `repeat` and `optional`, and with
    regular ones by `&` and, on its left side, `-`.

    >>> from grammars import json_schema
    >>> grammar = json_schema({"type": "array", "uniqueItems": True})
    >>> grammar.matches(b"[1, 2]"), grammar.matches(b"[1, 1.0]")
    (True, False)
    """

    __slots__ = ("_plain", "_reading")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._plain: Grammar | None = None
        self._reading: TokenAutomaton | None = None

    def without_marks(self) -> Grammar:
        """The grammar that remembers nothing."""
        if self._plain is None:
            self._plain = Grammar(self.start, marks.erased(self.rules))
        return self._plain

    def is_regular(self) -> bool:
        """No: it remembers values.

        >>> from grammars import json_schema
        >>> json_schema({"type": "array", "uniqueItems": True}).is_regular()
        False
        """
        return False

    def __and__(self, other: Grammar) -> Grammar:
        if not isinstance(cast("object", other), Grammar):
            return NotImplemented  # a constraint that is more than a grammar knows how to join one
        regular = None if isinstance(other, RegisterGrammar) else inline(other.start, other.rules)
        if regular is None:
            raise UnsupportedFeature(
                "the intersection of a grammar that remembers values (uniqueItems) with one that is not regular is not "
                "supported",
                hint="state both conditions in one schema, with allOf",
            )
        start = watched(both(self.start, transparent(closed(regular))))
        rules = {**marks.tight(self.rules), **BETWEEN}
        return Grammar.of_rules(start, rules, [*self.notes, *other.notes])

    def __rand__(self, other: Grammar) -> Grammar:
        return self & other

    def __rsub__(self, other: Grammar) -> NoReturn:
        self._refused()

    def __invert__(self) -> NoReturn:
        self._refused()

    def __sub__(self, other: Grammar) -> Grammar:
        if isinstance(other, RegisterGrammar):
            self._refused()
        return super().__sub__(other)

    def _refused(self) -> NoReturn:
        raise UnsupportedFeature(
            "the complement of a grammar that remembers values (uniqueItems) is not supported",
            hint="say it in the schema, with not",
        )

    def matches(self, data: bytes) -> bool:
        """Whether `data` is a string of the language.

        >>> from grammars import json_schema
        >>> json_schema({"uniqueItems": True}).matches(b'["a", "\\\\u0061"]')
        False
        """
        with self._lock:
            if self._reading is None:
                self._reading = self.compile(byte_vocabulary(1))
            automaton = self._reading
        state = automaton.start
        for byte in data:
            state = automaton.advance(state, byte)
            if state < 0:
                return False
        return automaton.accepts(state)

    def lowered(self, limits: Limits) -> Lowered:
        """The program of the grammar without marks, made once."""
        return self.without_marks().lowered(limits)

    def compile(self, vocabulary: Vocabulary, limits: Limits | None = None) -> TokenAutomaton:
        """The automaton over the tokens of `vocabulary`.

        >>> from grammars import Vocabulary, json_schema
        >>> automaton = json_schema({"const": [[]], "uniqueItems": True}).compile(Vocabulary([b"[", b"]", b"<"], [2]))
        >>> automaton.forced(automaton.start)
        [0, 0, 1, 1, 2]
        """
        limits = limits or Limits()
        marked = super().lowered(limits)
        return RegisterAutomaton(marked, self.lowered(limits), vocabulary, limits, self._notes)

    def save(self, file: Destination, limits: Limits | None = None) -> None:
        """Grammars with registers cannot be saved."""
        raise UnsupportedFeature(
            "a grammar that remembers values (uniqueItems) cannot be saved yet", hint="save the schema and compile it"
        )
