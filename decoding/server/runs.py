"""Runs: what one request, or one choice of it, has under way in the scheduler.

A run says for which prefixes it needs log-probabilities (`contexts`), and takes them (`take`). A `Writing` is one text
that is told piece by piece; a `Drawn` is any sampler of `samplers`, whose texts are there at its end. Both are samplers
stepped by hand: `samplers.driver` does the same for one run alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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
Listener = Callable[[Event], None]


class Run(ABC):
    """One sampler at work behind a prompt; `tell` is called in the scheduler's thread."""

    cancelled = False

    def __init__(self, prompt: Ints, problem: Problem, sampler: Sampler, n: int, seed: Any, tell: Listener):
        self.prompt = prompt
        self.tell = tell
        self._problem, self._sampler = problem, sampler
        self._tape: Tape = seeded(seed)
        self._state = sampler.init(problem, n, self._tape)

    @property
    def contexts(self) -> Contexts:
        """The prefixes that wait for log-probabilities; none when all is done."""
        return () if self.cancelled else self._state.contexts

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
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._stops, self._open_ended, self._top = Stops(stops), open_ended, top
        self._waiting: list[Token] = []  # tokens whose text is held back: half a character, perhaps a stop
        self._sampler = _closing_surely(drawing, problem)

    def take(self, log_probs: Floats) -> None:
        before = self._state
        info = self._stepped(log_probs)
        written = self._state.tokens[0]
        if len(written) > len(before.tokens[0]):
            self._write(self._token(int(written[-1]), log_probs[0], int(before.states[0]), float(info.log_mass[0])))
        if self.cancelled:
            return
        if not len(self._state.contexts):
            self._end(_REASONS[self._sampler.finish(self._problem, self._state).finish[0]])
        elif len(written) >= self._problem.max_tokens:
            complete = self._problem.constraint.accepts(int(self._state.states[0]))
            self._end("stop" if complete and not self._open_ended else "length")

    def _write(self, token: Token) -> None:
        self._waiting.append(token)
        text, is_over = self._stops.read(self._decoder.decode(token.data))
        if text:
            self._tell(text)
        if is_over:
            self._finish("stop")

    def _end(self, reason: str) -> None:
        text, _ = self._stops.read(self._decoder.decode(b"", final=True))
        rest = text + self._stops.rest()
        if rest or self._waiting:
            self._tell(rest)
        self._finish(reason)

    def _tell(self, text: str) -> None:
        self.tell(Piece(text, tuple(self._waiting)))
        self._waiting = []

    def _finish(self, reason: str) -> None:
        self.tell(Done(reason, len(self._state.tokens[0])))
        self.cancelled = True

    def _token(self, token: int, log_probs: Floats, state: int, log_mass: float) -> Token:
        data, log_prob = self._problem.vocabulary.tokens[token], float(log_probs[token])
        if self._top is None:
            return Token(token, data, log_prob)
        order = np.argsort(-log_probs, kind="stable")[: self._top].tolist()
        allowed = int(np.bitwise_count(self._problem.mask_rows([state])).sum())
        return Token(token, data, log_prob, tuple((t, float(log_probs[t])) for t in order), allowed, log_mass)


def _closing_surely(drawing: Drawing, problem: Problem) -> Drawing:
    """The drawing, which must be able to close from the start on; if nobody can tell, it goes on without."""
    closing = drawing.closing
    if closing is None or closing.fits(problem.constraint.start, problem.max_tokens):
        return drawing
    if closing.undecided:
        return replace(drawing, closing=None)
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
