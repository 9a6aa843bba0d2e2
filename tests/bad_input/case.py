"""One case of bad input: what is tried, and what must come of it.

Outcomes are names: `ok`, or the class of the error. Anything that is not an error of scansion is reported as
`escaped`, a wrong fact as `wrong`; a child process that is killed or hangs is reported by `isolation`. None of these
is ever expected.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from grammars import DEAD, Grammar, Limits, ScansionError, TokenAutomaton, Vocabulary, gbnf, json_schema, lark, regex
from tests.bad_input.meter import metered
from tests.bad_input.vocabulary import VOCABULARY, spell

FRONT_ENDS: dict[str, Callable[[str, Limits], Grammar]] = {
    "regex": lambda text, limits: regex(text, limits=limits),
    "search": lambda text, limits: regex(text, search=True, limits=limits),
    "ecma": lambda text, limits: regex(text, dialect="ecma", limits=limits),
    "lark": lambda text, limits: lark(text, limits=limits),
    "longest": lambda text, limits: lark(text, lexing="longest", limits=limits),
    "gbnf": lambda text, limits: gbnf(text, limits=limits),
    "schema": lambda text, limits: json_schema(text, limits=limits),
}
_FREE_STEPS = 12
_WATCHED_ENDS = 6  # tokens at both ends of a long text whose masks are looked at


@dataclass(frozen=True)
class Case:
    """`accepts` and `rejects` are texts in and not in the language; `alive` and `dead` are prefixes that can and
    cannot go on.

    `act` is for what is no text: it returns the automaton it made, if there is one to look at. `alone`: it needs the
    main thread.
    """

    name: str
    family: int
    outcome: str
    front: str = "python"
    text: str | Callable[[], str] = ""
    act: Callable[[], object] | None = None
    limits: Limits = field(default_factory=Limits)
    accepts: tuple[bytes, ...] = ()
    rejects: tuple[bytes, ...] = ()
    alive: tuple[bytes, ...] = ()
    dead: tuple[bytes, ...] = ()
    span: bool = False
    alone: bool = False
    address_space: int = 1 << 30  # above what the process holds; every thread reserves some

    def automaton(self) -> object:
        if self.act is not None:
            return self.act()
        text = self.text if isinstance(self.text, str) else self.text()
        return FRONT_ENDS[self.front](text, self.limits).compile(VOCABULARY, self.limits)


@dataclass(frozen=True)
class Attempt:
    """What came of a case: `outcome` is comparable, the rest is for people and ratchets."""

    outcome: str
    detail: str
    has_span: bool
    cpu: float
    work: int


class WrongFactError(Exception):
    """The automaton contradicts a fact of the case."""


def attempt(case: Case) -> Attempt:
    """Try a case: compile, first mask, the facts, and a walk of a few steps."""
    begin, has_span = time.process_time(), False
    with metered() as meter:
        try:
            made = case.automaton()
            if isinstance(made, TokenAutomaton):
                check(made, case)
            outcome, detail = "ok", ""
        except ScansionError as error:
            outcome, detail, has_span = type(error).__name__, str(error), error.span is not None
        except WrongFactError as error:
            outcome, detail = "wrong", str(error)
        except BaseException:  # noqa: BLE001 - that nothing else escapes is what is being tested
            outcome, detail = "escaped", traceback.format_exc(limit=-6)
    return Attempt(outcome, detail[:2000], has_span, time.process_time() - begin, meter.work)


def check(automaton: TokenAutomaton, case: Case) -> None:
    """Every fact of the case, and that masks and moves agree along a walk."""
    _walk_freely(automaton)
    for text in case.accepts:
        state = _after(automaton, text)
        if state == DEAD or not automaton.accepts(state):
            raise WrongFactError(f"{text[:80]!r} is not accepted")
        if not all(automaton.allows(state, end) for end in automaton.vocabulary.eos):
            raise WrongFactError(f"no end token may follow {text[:80]!r}")
    for text in case.rejects:
        state = _after(automaton, text)
        if state != DEAD and automaton.accepts(state):
            raise WrongFactError(f"{text[:80]!r} is accepted")
    for prefix in case.alive:
        if _after(automaton, prefix) == DEAD:
            raise WrongFactError(f"{prefix[:80]!r} cannot go on")
    for prefix in case.dead:
        if _after(automaton, prefix) != DEAD:
            raise WrongFactError(f"{prefix[:80]!r} can go on")


def _after(automaton: TokenAutomaton, text: bytes) -> int:
    """The state after a text; masks are compared with moves near both its ends."""
    state = automaton.start
    tokens = list(spell(automaton.vocabulary, text))
    for place, token in enumerate(tokens):
        after = automaton.advance(state, token)
        if min(place, len(tokens) - place) <= _WATCHED_ENDS and (after != DEAD) != _bit(automaton.mask(state), token):
            raise WrongFactError(f"mask and advance disagree at token {place} of {text[:80]!r}")
        state = after
        if state == DEAD:
            break
    return state


def _walk_freely(automaton: TokenAutomaton) -> None:
    """Take allowed tokens at random: none is refused, and no mask is empty."""
    rng, state = random.Random(1), automaton.start
    for _ in range(_FREE_STEPS):
        allowed = allowed_tokens(automaton, state)
        if not allowed:
            raise WrongFactError("a reachable mask is empty")
        token = rng.choice(allowed)
        state = automaton.advance(state, token)
        if state == DEAD:
            raise WrongFactError(f"token {token} is in the mask but refused")
        if token in automaton.vocabulary.eos:
            break


def allowed_tokens(automaton: TokenAutomaton, state: int) -> list[int]:
    """The tokens of a mask."""
    bits = np.unpackbits(automaton.mask(state).view(np.uint8), bitorder="little")
    return [int(token) for token in np.flatnonzero(bits)]


def _bit(mask: np.ndarray, token: int) -> bool:
    return bool(mask[token >> 5] >> (token & 31) & 1)


def repeated(count: int, piece: str, between: str = "") -> Callable[[], str]:
    """A long text, written when it is needed."""
    return lambda: between.join([piece] * count)


def numbered(count: int, piece: str, between: str = "", end: str = "") -> Callable[[], str]:
    """`piece` formatted with i and j = i + 1, for i below count."""

    def pieces() -> Iterator[str]:
        for i in range(count):
            yield piece.format(i=i, j=i + 1)

    return lambda: between.join(pieces()) + end.format(i=count)


def tiny(*tokens: bytes) -> Vocabulary:
    """A vocabulary of `tokens` and one end token behind them."""
    return Vocabulary([*tokens, b"<end>"], eos=[len(tokens)])
