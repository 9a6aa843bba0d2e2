"""Family 11: misuse of automata and matchers is a `StateError`, and nothing has changed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np

from grammars import DEAD, Limits, Matcher, StateError, TokenAutomaton, VocabularyError, regex
from tests.bad_input.case import Case, WrongFactError, allowed_tokens
from tests.bad_input.vocabulary import END, VOCABULARY

_STATE = "StateError"


def _automaton() -> TokenAutomaton:
    return regex("a{2,5}b").compile(VOCABULARY)


@contextmanager
def _unchanged(matcher: Matcher) -> Iterator[None]:
    """Whatever happens inside, the matcher and its masks stay what they are."""
    states, mask = matcher.states(), None
    out = np.zeros((1, VOCABULARY.words), np.uint32)
    matcher.fill_bitmask(out)
    mask = out.copy()
    try:
        yield
    finally:
        matcher.fill_bitmask(out)
        if matcher.states() != states or (out != mask).any():
            raise WrongFactError("the matcher has changed")


def _with_matcher(misuse: Callable[[Matcher], object]) -> Callable[[], None]:
    """Misuse of a matcher that has taken a token."""

    def act() -> None:
        matcher = _automaton().matcher()
        matcher.accept_token(ord("a"))
        with _unchanged(matcher):
            misuse(matcher)
        if not matcher.accept_token(ord("a")):
            raise WrongFactError("the matcher no longer takes what it should")

    return act


def _with_automaton(misuse: Callable[[TokenAutomaton], object]) -> Callable[[], None]:
    """Misuse of an automaton that works before and after."""

    def act() -> None:
        automaton = _automaton()
        state = automaton.advance(automaton.start, ord("a"))
        before = automaton.mask(state).copy()
        try:
            misuse(automaton)
        finally:
            if automaton.advance(automaton.start, ord("a")) != state or (automaton.mask(state) != before).any():
                raise WrongFactError("the automaton has changed")

    return act


def _after_the_end() -> None:
    """Behind an end token nothing is accepted; taking it back revives the matcher."""
    matcher = _automaton().matcher()
    if matcher.accept_tokens(b"aab") != 3 or not matcher.accept_token(END):
        raise WrongFactError("a text of the language is not accepted")
    for token in (ord("a"), END):
        with _unchanged(matcher):
            if matcher.accept_token(token) or matcher.validate_tokens([token]):
                raise WrongFactError("a token is accepted after the end")
    matcher.rollback(2)
    if not matcher.accept_token(ord("b")) or matcher.is_terminated():
        raise WrongFactError("the end cannot be taken back")


def _refused_token() -> None:
    matcher = _automaton().matcher()
    with _unchanged(matcher):
        if matcher.accept_token(ord("x")) or matcher.accept_tokens([ord("x"), ord("a")]) != 0:
            raise WrongFactError("a token is accepted that must not follow")


def _special_token() -> None:
    matcher = regex(r"[\s\S]*").compile(VOCABULARY).matcher()
    with _unchanged(matcher):
        if matcher.accept_token(VOCABULARY.size - 1):
            raise WrongFactError("a special token is accepted as text")


def _dead_stays_dead() -> None:
    automaton = _automaton()
    if automaton.advance(DEAD, ord("a")) != DEAD or automaton.allows(DEAD, ord("a")):
        raise WrongFactError("something follows the dead state")
    if automaton.advance_many([DEAD, automaton.start], [ord("a"), ord("x")]).tolist() != [DEAD, DEAD]:
        raise WrongFactError("the dead come back")


def _use_after_flush() -> None:
    """States of a matcher survive any number of collections; masks after them are the same."""
    automaton = regex("(a|b)*a(a|b){9}").compile(VOCABULARY, Limits(cache_bytes=1 << 16))
    matcher = automaton.matcher()
    fresh = regex("(a|b)*a(a|b){9}").compile(VOCABULARY).matcher()
    out, wanted = (np.zeros((1, VOCABULARY.words), np.uint32) for _ in range(2))
    for turn in range(1500):
        token = b"ab"[(turn * turn // 7) % 2]
        if not (matcher.accept_token(token) and fresh.accept_token(token)):
            raise WrongFactError("a token is refused after a flush")
        matcher.fill_bitmask(out)
        fresh.fill_bitmask(wanted)
        if (out != wanted).any():
            raise WrongFactError("a mask is wrong after a flush")
        if turn % 100 == 99:
            matcher.rollback(60)
            fresh.rollback(60)
    if not automaton.stats()["collections"]:
        raise WrongFactError("nothing was flushed")


def _dropped_state() -> None:
    """A state that nobody holds may be dropped; using it is an error or still right, never something else."""
    automaton = regex("(a|b)*a(a|b){12}").compile(VOCABULARY, Limits(cache_bytes=1 << 16))
    early = automaton.advance(automaton.start, ord("a"))
    wanted = allowed_tokens(automaton, early)
    matcher = automaton.matcher()
    for turn in range(4000):
        matcher.accept_token(b"ab"[(turn * turn // 7) % 2])
        matcher.reset() if turn % 40 == 39 else None
    if not automaton.stats()["collections"]:
        raise WrongFactError("nothing was flushed")
    with suppress(StateError):
        if allowed_tokens(automaton, early) != wanted:
            raise WrongFactError("a dropped state means something else now")


def _not_a_vocabulary_error() -> None:
    try:
        _automaton().advance(1, VOCABULARY.size)
    except VocabularyError as error:
        raise WrongFactError("a wrong token id is no error of the vocabulary") from error


def _masks(rows: int, words: int = VOCABULARY.words, dtype: type = np.uint32) -> np.ndarray:
    return np.zeros((rows, words), dtype)


_FROZEN = _masks(1)
_FROZEN.flags.writeable = False

_AUTOMATON: dict[str, Callable[[TokenAutomaton], object]] = {
    "token id past the vocabulary": lambda a: a.advance(a.start, VOCABULARY.size),
    "huge token id": lambda a: a.advance(a.start, 1 << 62),
    "token id beyond 64 bits": lambda a: a.advance(a.start, 1 << 70),
    "negative token id": lambda a: a.advance(a.start, -1),
    "allows: token id past the vocabulary": lambda a: a.allows(a.start, VOCABULARY.size),
    "allows: negative token id": lambda a: a.allows(a.start, -5),
    "allows: unknown state": lambda a: a.allows(10**9, 97),
    "one wrong id among many": lambda a: a.advance_many([a.start] * 3, [97, VOCABULARY.size, 97]),
    "unknown state": lambda a: a.advance(10**6, 97),
    "state beyond 64 bits": lambda a: a.advance(1 << 70, 97),
    "negative state": lambda a: a.advance(-2, 97),
    "mask of an unknown state": lambda a: a.mask(10**6),
    "mask of the dead state": lambda a: a.mask(DEAD),
    "masks with one unknown state": lambda a: a.fill_masks([a.start, 10**6], _masks(2)),
    "accepts of an unknown state": lambda a: a.accepts(10**6),
    "accepts of a negative state": lambda a: a.accepts(-7),
    "forced from an unknown state": lambda a: a.forced(10**6),
    "more states than tokens": lambda a: a.advance_many([a.start] * 2, [97]),
    "states in two dimensions": lambda a: a.advance_many([[a.start]], [[97]]),
    "states that are fractions": lambda a: a.advance_many([1.5], [97]),
    "tokens that are fractions": lambda a: a.advance_many([a.start], np.array([97.0])),
    "tokens that are text": lambda a: a.advance_many([a.start], ["a"]),
    "tokens of uneven lengths": lambda a: a.advance_many([a.start], [[1], [2, 3]]),
    "a token that is text": lambda a: a.advance(a.start, "a"),  # type: ignore[arg-type]
    "a token that is a fraction": lambda a: a.advance(a.start, 97.5),  # type: ignore[arg-type]
    "a token that is nothing": lambda a: a.advance(a.start, None),  # type: ignore[arg-type]
    "unsigned tokens that wrap": lambda a: a.advance_many([a.start], np.array([1 << 63], np.uint64)),
    "masks of another type": lambda a: a.fill_masks([a.start], _masks(1, dtype=np.int64)),
    "masks with too few rows": lambda a: a.fill_masks([a.start] * 2, _masks(1)),
    "masks with too few words": lambda a: a.fill_masks([a.start], _masks(1, VOCABULARY.words - 1)),
    "masks in one dimension": lambda a: a.fill_masks([a.start], np.zeros(VOCABULARY.words, np.uint32)),
    "masks that cannot be written": lambda a: a.fill_masks([a.start], _FROZEN),
    "masks that are no array": lambda a: a.fill_masks([a.start], [[0] * VOCABULARY.words]),  # type: ignore[arg-type]
    "states that are fractions, masks": lambda a: a.fill_masks([0.5], _masks(1)),
}
_MATCHER: dict[str, Callable[[Matcher], object]] = {
    "matcher: token id past the vocabulary": lambda m: m.accept_token(VOCABULARY.size),
    "matcher: negative token id": lambda m: m.accept_token(-1),
    "matcher: wrong id among validated": lambda m: m.validate_tokens([97, VOCABULARY.size]),
    "rollback too far": lambda m: m.rollback(2),
    "rollback by a negative number": lambda m: m.rollback(-1),
    "rollback by a fraction": lambda m: m.rollback(0.5),  # type: ignore[arg-type]
    "matcher: row past the array": lambda m: m.fill_bitmask(_masks(1), 1),
    "matcher: negative row": lambda m: m.fill_bitmask(_masks(1), -1),
    "matcher: rows too short": lambda m: m.fill_bitmask(_masks(1, VOCABULARY.words - 1)),
    "matcher: one dimension": lambda m: m.fill_bitmask(np.zeros(VOCABULARY.words, np.uint32)),
    "matcher: wide integers": lambda m: m.fill_bitmask(_masks(1, dtype=np.int64)),
    "matcher: fractions": lambda m: m.fill_bitmask(_masks(1, dtype=np.float32)),
    "matcher: a row that cannot be written": lambda m: m.fill_bitmask(_FROZEN),
}

CASES = (
    *(Case(name, 11, _STATE, act=_with_automaton(misuse)) for name, misuse in _AUTOMATON.items()),
    *(Case(name, 11, _STATE, act=_with_matcher(misuse)) for name, misuse in _MATCHER.items()),
    Case("tokens after the end", 11, "ok", act=_after_the_end),
    Case("refused tokens", 11, "ok", act=_refused_token),
    Case("special token", 11, "ok", act=_special_token),
    Case("the dead state", 11, "ok", act=_dead_stays_dead),
    Case("use after flush", 11, "ok", act=_use_after_flush),
    Case("a state that may have been dropped", 11, "ok", act=_dropped_state),
    Case("the class of a wrong id", 11, _STATE, act=_not_a_vocabulary_error),
)
