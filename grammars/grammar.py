"""Grammar: a formal language as an immutable value.

Grammars come from front ends (`regex`, `lark`, `gbnf`, …) and are combined with operators:

| expression | language |
|---|---|
| `a \\| b` | strings of either |
| `a + b` | a string of `a`, then one of `b` |
| `a & b` | strings of both; one of the two must be regular |
| `a - b` | strings of `a` that are not in `b`; `b` must be regular |
| `~a` | all text that is not in `a`; `a` must be regular |
| `a.repeat(lo, hi)`, `a.optional()` | copies |

A grammar knows nothing of tokens. `compile(vocabulary)` makes the automaton over tokens.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Self, cast

from grammars.automaton import TokenAutomaton
from grammars.errors import UnsupportedFeature
from grammars.expression import (
    ANY_TEXT,
    EPSILON,
    Named,
    Node,
    Rules,
    both,
    choice,
    complement,
    repeat,
    sequence,
    subexpressions,
)
from grammars.forking import lock_for
from grammars.limits import Limits
from grammars.lowering import Lowered, lower
from grammars.machine import START_CONFIG, Machine
from grammars.regular import closed, inline
from grammars.renaming import rename
from grammars.serialization import save
from grammars.serialization.files import Destination
from grammars.vocabulary import Vocabulary


class Grammar:
    """An immutable language; see the module for its operators.

    >>> from grammars import literal, regex
    >>> greeting = literal("hello ") + regex("[a-z]+") - literal("hello nobody")
    >>> greeting.matches(b"hello world"), greeting.matches(b"hello nobody")
    (True, False)
    """

    __slots__ = ("__weakref__", "_lock", "_lowered", "_matching", "_notes", "rules", "start")

    def __new__(cls, start: Node, rules: Rules | None = None, notes: Iterable[Any] = ()) -> Self:
        """A grammar whose rules leave marks for registers is one that reads them, however it was put together."""
        if cls is Grammar and any(_leaves_marks(name, body) for name, body in (rules or {}).items()):
            cls = cast("type[Self]", _with_registers())
        return object.__new__(cls)

    def __init__(self, start: Node, rules: Rules | None = None, notes: Iterable[Any] = ()):
        self.start: Node = closed(start)
        self.rules: Rules = dict(rules or {})
        self._notes = tuple(notes)
        self._lowered: dict[Limits, Lowered] = {}
        self._matching: Machine | None = None
        self._lock = lock_for(self)

    @classmethod
    def of_rules(cls, start: Node, rules: Mapping[str, Node], notes: Iterable[Any] = ()) -> Grammar:
        """A grammar whose rule names are made unique to it, so that grammars can be combined."""
        digest = blake2b(start.key, digest_size=6)
        for name, body in rules.items():
            digest.update(name.encode() + b"\0" + body.key)
        names = {name: f"{digest.hexdigest()}:{name}" for name in rules}
        return cls(rename(start, names), {names[name]: rename(body, names) for name, body in rules.items()}, notes)

    # -- algebra --------------------------------------------------------------------------------------------------

    def _with(self, start: Node, *others: Grammar) -> Grammar:
        rules: dict[str, Node] = dict(self.rules)
        notes = list(self._notes)
        for other in others:
            rules.update(other.rules)
            notes.extend(other._notes)
        return Grammar(start, rules, notes)

    def __or__(self, other: Grammar) -> Grammar:
        return self._with(choice([self.start, _operand(other).start]), other)

    def __add__(self, other: Grammar) -> Grammar:
        return self._with(sequence([self.start, _operand(other).start]), other)

    def __and__(self, other: Grammar) -> Grammar:
        if hasattr(type(other), "__rand__"):  # a constraint that is more than a grammar knows how to join one
            return NotImplemented
        if not (self.is_regular() or _operand(other).is_regular()):
            raise UnsupportedFeature(
                "the intersection of two recursive grammars is not context-free in general",
                hint="one side of & must be regular: a regex, or rules that do not call themselves",
            )
        return self._with(both(self.start, other.start), other)

    def __sub__(self, other: Grammar) -> Grammar:
        return self & ~_operand(other)

    def __invert__(self) -> Grammar:
        if not self.is_regular():
            raise UnsupportedFeature(
                "the complement of a recursive grammar is not context-free in general",
                hint="the right side of - and the operand of ~ must be regular",
            )
        return self._with(both(ANY_TEXT, complement(self.start)))

    def repeat(self, lo: int = 0, hi: int | None = None) -> Grammar:
        """Between `lo` and `hi` copies; `hi=None`: any number.

        >>> from grammars import literal
        >>> literal("ab").repeat(1, 2).matches(b"abab")
        True
        """
        if lo < 0 or (hi is not None and hi < lo):
            raise ValueError(f"repeat needs 0 <= lo <= hi, not {lo}, {hi}")
        return self._with(repeat(self.start, lo, hi))

    def optional(self) -> Grammar:
        """The grammar or nothing.

        >>> from grammars import literal
        >>> literal("x").optional().matches(b"")
        True
        """
        return self._with(choice([self.start, EPSILON]))

    # -- questions ------------------------------------------------------------------------------------------------

    def is_regular(self) -> bool:
        """Whether no rule leads back to itself.

        >>> from grammars import regex
        >>> regex("a*").is_regular()
        True
        """
        return inline(self.start, self.rules) is not None

    @property
    def captures(self) -> tuple[str, ...]:
        """Names of the groups, in no particular order but always the same.

        >>> from grammars import regex
        >>> regex("(?P<year>[0-9]{4})").captures
        ('year',)
        """
        names = {n.name for n in subexpressions(self.start, *self.rules.values()) if isinstance(n, Named)}
        return tuple(sorted(names))

    @property
    def notes(self) -> tuple[Any, ...]:
        """What is enforced and by what means, as `report()` of the automaton says it.

        >>> from grammars import json_schema
        >>> [str(note) for note in json_schema({"maxLength": 3}).notes]
        ['# maxLength: a counter']
        """
        return self._notes

    def matches(self, data: bytes) -> bool:
        """Whether `data` is a string of the language.

        >>> from grammars import regex
        >>> regex("[0-9]+").matches(b"42")
        True
        """
        with self._lock:
            if self._matching is None:
                self._matching = Machine(self.lowered(Limits()), Limits())
            state = self._matching.read(START_CONFIG, data)
            return state >= 0 and self._matching.accepts(self._matching.config(state))

    def lowered(self, limits: Limits) -> Lowered:
        """The program of the grammar, made once."""
        known = self._lowered.get(limits)
        if known is None:
            known = self._lowered[limits] = lower(self.start, self.rules, limits)
        return known

    def compile(self, vocabulary: Vocabulary, limits: Limits | None = None) -> TokenAutomaton:
        """The automaton over the tokens of `vocabulary`.

        >>> from grammars import Vocabulary, literal
        >>> automaton = literal("hi").compile(Vocabulary([b"h", b"i", b"hi", b"<end>"], eos=[3]))
        >>> automaton.forced(automaton.advance(automaton.start, 0))
        [1, 3]
        """
        limits = limits or Limits()
        return TokenAutomaton(self.lowered(limits), vocabulary, limits, self._notes)

    def save(self, file: Destination, limits: Limits | None = None) -> None:
        """Write the program to a path or an open binary file; `TokenAutomaton.load` takes it with any vocabulary.

        >>> from io import BytesIO
        >>> from grammars import TokenAutomaton, Vocabulary, literal
        >>> file = BytesIO()
        >>> literal("hi").save(file)
        >>> automaton = TokenAutomaton.load(BytesIO(file.getvalue()), Vocabulary([b"h", b"hi", b"<end>"], eos=[2]))
        >>> automaton.matcher().accept_tokens([1, 2])
        2
        """
        save(file, self.lowered(limits or Limits()), self._notes, None)

    def __repr__(self) -> str:
        return f"Grammar({len(self.rules)} rules, {'regular' if self.is_regular() else 'context-free'})"


def _leaves_marks(name: str, body: Node) -> bool:
    return name.endswith(":mark 254") and body != EPSILON


def _with_registers() -> type[Grammar]:
    """The class of grammars with registers, which is a front end's: see `grammars.schema.registers`."""
    return cast("type[Grammar]", importlib.import_module("grammars.schema.registers.grammar").RegisterGrammar)


def _operand(value: object) -> Grammar:
    if not isinstance(value, Grammar):
        raise TypeError(f"expected a Grammar, not {type(value).__name__}: wrap text in literal(...)")
    return value
