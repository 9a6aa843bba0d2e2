"""Residuals: an extended regular expression as a lazy deterministic automaton.

A state is what is left of the language: the set of strings that may still follow. States are made when they are first
reached and numbered in that order, and every state is alive: a byte after which nothing could follow leads to -1, so
a prefix is possible exactly if its state is. See `grammars.algebra` for how residuals are computed.

>>> from grammars.expression import ANY_CHAR, Both, Not, repeat, text
>>> from grammars.limits import Budget
>>> no_end = Both(repeat(ANY_CHAR, 0, 100_000), Not(text("end")))
>>> residuals = Residuals(no_end, Budget("compile_work", 1000))
>>> state = residuals.start
>>> for byte in b"end":
...     state = residuals.step(state, byte)
>>> residuals.accepts(state), residuals.accepts(residuals.step(state, ord("s")))
(False, True)

Assertions are part of the expressions. `Look(body, ahead=True)` holds where the rest of the text begins with a match
of its body, `Look(body, ahead=False)` where the text so far ends with one. The text they see is the whole text given
to `Residuals`; inside `Both` and `Not`, which are operations on languages of whole texts, it is what that part
matches and nothing beyond it.
"""

from __future__ import annotations

from typing import ClassVar, Final

from grammars.algebra.booleans import intersection
from grammars.algebra.byte_classes import byte_classes
from grammars.algebra.derivatives import derivative
from grammars.algebra.emptiness import Emptiness
from grammars.algebra.partitions import partition
from grammars.algebra.terms import Term, Terms
from grammars.algebra.translation import translate
from grammars.expression import Node
from grammars.limits import Budget
from grammars.renaming import Unpacked

DEAD: Final = -1
_UNKNOWN = -2


class Residuals:
    """The states of an expression without calls; all work is charged to `budget` before it is done.

    >>> from grammars.expression import byte_set, repeat
    >>> digits = Residuals(repeat(byte_set(b"0123456789"), 2, 3), Budget("compile_work", 100))
    >>> digits.step(digits.start, ord("x")), digits.accepts(digits.start)
    (-1, False)
    """

    is_quick: ClassVar[bool] = False  # a step derives

    def __init__(self, node: Node, budget: Budget):
        node = Unpacked({}).node(node)
        self.node: Final = node
        self.byte_classes: Final = byte_classes(node)
        self._terms = Terms(self.byte_classes, budget)
        self._emptiness = Emptiness(self._terms)
        self._states: list[Term] = []
        self._numbers: dict[Term, int] = {}
        self._rows: list[list[int]] = []
        self.start: Final = self._number(translate(self._terms, node))

    def __len__(self) -> int:
        """How many states were reached so far."""
        return len(self._states)

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte, -1 if no string of the language continues like that."""
        byte_class = self.byte_classes[byte]
        target = self._rows[state][byte_class]
        if target == _UNKNOWN:
            target = self._number(derivative(self._terms, self._states[state], byte_class))
            self._set_targets(state, byte_class, target)
        return target

    def targets(self, state: int) -> list[int]:
        """Where the byte classes lead from a state, as far as that is known: -2 if it is not."""
        return self._rows[state]

    def _set_targets(self, state: int, byte_class: int, target: int) -> None:
        """Note where a class leads, and all those that the state does not tell apart from it."""
        blocks, row = partition(self._terms, self._states[state]), self._rows[state]
        block = blocks[byte_class]
        for other, number in enumerate(blocks):
            if number == block:
                row[other] = target

    def accepts(self, state: int) -> bool:
        """Whether the bytes that led to the state are a string of the language."""
        return self._states[state].null is True

    def meets(self, state: int, node: Node) -> bool:
        """Whether something that may follow a state is in the language of `node`, which must not tell apart bytes that
        this automaton does not."""
        other = translate(self._terms, node)
        return self._emptiness.inhabited(intersection(self._terms, [self._states[state], other]))

    def refill(self) -> None:
        """Have the whole budget again: for steps that belong to another mask than those before."""
        self._terms.refill()

    def _number(self, term: Term) -> int:
        number = self._numbers.get(term)
        if number is None:
            number = self._numbers[term] = self._new_state(term) if self._emptiness.inhabited(term) else DEAD
        return number

    def _new_state(self, term: Term) -> int:
        self._terms.tick()
        self._states.append(term)
        self._rows.append([_UNKNOWN] * self._terms.class_count)
        return len(self._states) - 1
