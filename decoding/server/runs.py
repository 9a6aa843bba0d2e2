"""Runs: what one request, or one choice of it, has under way in the scheduler.

A run says for which prefixes it needs log-probabilities (`contexts`), and takes them (`take`). A `Writing` is one text
that is told piece by piece; a `Drawn` is any sampler of `samplers`, whose texts are there at its end. Both are samplers
stepped by hand: `samplers.driver` does the same for one run alone. Where an engine writes texts by itself
(`decoding.server.vllm`) a text is `Work` that is not stepped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from decoding.server.closing import Closing
from decoding.server.drawing import Drawing
from decoding.server.reading import Stops
from grammars import BudgetExhausted
from samplers.problem import Problem
from samplers.protocols import Contexts, Info, Sampler
from samplers.samples import Calls, Samples
from samplers.tape import Tape, seeded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Token:
    """A token that was written, and what the model thought of it."""

    id: int
    data: bytes
    log_prob: float
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens there, allowed or not: the model's own opinion."""
    allowed: int = 0
    """How many tokens the mask held."""
    log_mass: float = 0.0
    """The log of the mass that the model gave to them."""


@dataclass(frozen=True)
class Piece:
    """More text."""

    text: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class Done:
    """The end: why, and after how many tokens."""

    reason: str
    tokens: int


@dataclass(frozen=True)
class Failed:
    """Nothing more will come."""

    error: BaseException


Event = Piece | Done | Failed | Samples
_NEAR: Final = 8  # tokens between what is needed and what is left
Listener = Callable[[Event], None]


class Work:
    """What can be told of, and given up; `tell` is called in the thread that does it."""

    cancelled = False

    def __init__(self, tell: Listener):
        self.tell = tell


class Run(Work, ABC):
    """One sampler at work behind a prompt; `tell` is called in the scheduler's thread."""

    is_aside = False
    """Whether a step is under way elsewhere than in the scheduler's thread."""

    def __init__(self, prompt: Ints, problem: Problem, sampler: Sampler, n: int, seed: Any, tell: Listener):
        super().__init__(tell)
        self.prompt = prompt
        self._problem, self._sampler = problem, sampler
        self._tape: Tape = seeded(seed)
        self._state = sampler.init(problem, n, self._tape)

    @property
    def contexts(self) -> Contexts:
        """The prefixes that wait for log-probabilities; none when all is done."""
        return () if self.cancelled or self.is_aside else self._state.contexts

    @property
    def is_slow(self) -> bool:
        """Whether the next step may take so long that others must not wait for it."""
        return False

    @property
    def sequences(self) -> Iterator[Ints]:
        """The same with the prompt in front."""
        return (np.concatenate([self.prompt, context]) for context in self.contexts)

    @abstractmethod
    def take(self, log_probs: Floats) -> None:
        """One step."""

    def _stepped(self, log_probs: Floats) -> Info:
        self._state, info = self._sampler.step(self._problem, self._state, log_probs, self._tape)
        return info


class Teller:
    """Tells a text as its tokens come: no half characters, and nothing from a stop text on.

    >>> told = []
    >>> teller = Teller(told.append, stops=["."])
    >>> [teller.write(Token(0, data, 0.0)) for data in (b"caf\\xc3", b"\\xa9", b" x", b"y. z")], teller.count
    ([False, False, False, True], 4)
    >>> [event.text for event in told[:-1]]
    ['caf', 'é', ' x', 'y']
    """

    def __init__(self, tell: Listener, stops: Sequence[str] = ()):
        self._tell = tell
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._stops = Stops(stops)
        self._waiting: list[Token] = []  # tokens whose text is held back: half a character, perhaps a stop
        self.count = 0

    def write(self, *tokens: Token) -> bool:
        """More tokens; whether a stop has come, behind which nothing may be written."""
        text, is_over = "", False
        for token in tokens:
            self._waiting.append(token)
            self.count += 1
            more, is_over = self._stops.read(self._decoder.decode(token.data))
            text += more
            if is_over:
                break
        if text:
            self._piece(text)
        if is_over:
            self._tell(Done("stop", self.count))
        return is_over

    def end(self, reason: str) -> None:
        """The end, and before it what was held back."""
        text, _ = self._stops.read(self._decoder.decode(b"", final=True))
        rest = text + self._stops.rest()
        if rest or self._waiting:
            self._piece(rest)
        self._tell(Done(reason, self.count))

    def _piece(self, text: str) -> None:
        self._tell(Piece(text, tuple(self._waiting)))
        self._waiting = []


class Writing(Run):
    """One text. `open_ended`: it may stop anywhere, so at its budget it is cut."""

    def __init__(
        self,
        prompt: Ints,
        problem: Problem,
        drawing: Drawing,
        seed: Any,
        tell: Listener,
        *,
        stops: Sequence[str] = (),
        open_ended: bool = False,
        top: int | None = None,
    ):
        super().__init__(prompt, problem, drawing, 1, seed, tell)
        self._teller = Teller(tell, stops)
        self._open_ended, self._top = open_ended, top
        self._closing = surely_closing(drawing.closing, problem)
        self._sampler = replace(drawing, closing=self._closing)

    @property
    def is_slow(self) -> bool:
        """Near its budget, where closing may have to be searched for."""
        left = self._problem.max_tokens - len(self._state.tokens[0])
        return self._closing is not None and not self._closing.surely_fits(int(self._state.states[0]), left - _NEAR)

    def take(self, log_probs: Floats) -> None:
        before = self._state
        info = self._stepped(log_probs)
        written = self._state.tokens[0]
        if len(written) > len(before.tokens[0]):
            token = self._token(int(written[-1]), log_probs[0], int(before.states[0]), float(info.log_mass[0]))
            self.cancelled = self.cancelled or self._teller.write(token)
        if self.cancelled:
            return
        if not len(self._state.contexts):
            self._end(_REASONS[self._sampler.finish(self._problem, self._state).finish[0]])
        elif len(written) >= self._problem.max_tokens:
            complete = self._problem.constraint.accepts(int(self._state.states[0]))
            self._end("stop" if complete and not self._open_ended else "length")

    def _end(self, reason: str) -> None:
        self._teller.end(reason)
        self.cancelled = True

    def _token(self, token: int, log_probs: Floats, state: int, log_mass: float) -> Token:
        data, log_prob = self._problem.vocabulary.tokens[token], float(log_probs[token])
        if self._top is None:
            return Token(token, data, log_prob)
        order = np.argsort(-log_probs, kind="stable")[: self._top].tolist()
        allowed = int(np.bitwise_count(self._problem.mask_rows([state])).sum())
        return Token(token, data, log_prob, tuple((t, float(log_probs[t])) for t in order), allowed, log_mass)


def surely_closing(closing: Closing | None, problem: Problem) -> Closing | None:
    """The rule of closing, which must hold from the start on; none if nobody can tell."""
    if closing is None or closing.fits(problem.constraint.start, problem.max_tokens, is_first=True):
        return closing
    if closing.undecided:
        return None
    raise BudgetExhausted(
        f"no text of this form fits into {problem.max_tokens} tokens", hint="raise max_tokens, or give a shorter form"
    )


_REASONS: Final = {"end": "stop", "length": "length", "dead": "length"}


class Drawn(Run):
    """The texts of a sampler, told as `Samples`. It may ask for `most_calls` prefixes."""

    def __init__(
        self, prompt: Ints, problem: Problem, sampler: Sampler, n: int, seed: Any, tell: Listener, most_calls: int
    ):
        super().__init__(prompt, problem, sampler, n, seed, tell)
        self._most_calls, self._distinct, self._logical = most_calls, 0, 0
        if not len(self._state.contexts):
            self._hand_over()

    def take(self, log_probs: Floats) -> None:
        self._distinct += len(log_probs)
        self._logical += self._state.demand
        if self._distinct > self._most_calls:
            raise BudgetExhausted(
                f"the sampler asked the model more than {self._most_calls} times",
                hint="another sampler may need fewer calls, or max_tokens may be smaller",
            )
        self._stepped(log_probs)
        if not len(self._state.contexts):
            self._hand_over()

    def _hand_over(self) -> None:
        samples = self._sampler.finish(self._problem, self._state)
        self.tell(replace(samples, calls=Calls(self._distinct, self._logical)))
        self.cancelled = True
