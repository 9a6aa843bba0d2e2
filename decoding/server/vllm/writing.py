"""One text that vLLM writes, followed here by the same automaton.

vLLM masks and draws (`decoding.vllm.ConstraintProcessor`), so what comes belongs to the form. What it does not know is
the budget: d(s), the tokens that a state still needs (`decoding.server.closing`), is asked here, beside the engine.

    A prefix fits if d(its state) ≤ what is left of the budget. Every prefix of a text that ended does.

So a text that ended is told as it is, and nothing was ever asked if nobody read along. Where a prefix does not fit, the
longest one that does is kept and the rest is drawn anew, this time under masks that hold only what can be finished
(`closing` of the wish). That is the law of `decoding.server.drawing`: at the first misfit the drawn token is taken out
and another one is drawn, and what was behind it does not matter. vLLM keeps the prefix, so this costs one block.

Penalties count the tokens of one request of vLLM's, so with penalties the narrow masks are there from the start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoding.server.closing import Closing
from decoding.server.drawing import COLD
from decoding.server.order import Order
from decoding.server.runs import Failed, Listener, Teller, Token, Work, surely_closing
from decoding.server.vllm.engine import Engine, engine_down
from decoding.vllm.interfaces import the_vllm
from decoding.vllm.models import fresh_names
from decoding.vllm.wishes import constrained
from grammars import Matcher, ScansionError, StateError
from samplers.problem import Problem

_log = logging.getLogger(__name__)
Ints = NDArray[np.int64]


class Remote(Work):
    """A text at vLLM. `limits` are those under which its turn is compiled there."""

    def __init__(
        self,
        engine: Engine,
        order: Order,
        limits: Mapping[str, Any],
        problem: Problem,
        prompt: Ints,
        closing: Closing | None,
        seed: Any,
        tell: Listener,
    ):
        super().__init__(tell)
        self._engine, self._order, self._limits, self._problem = engine, order, limits, problem
        self.turn, self._program = order.turn.text, b""
        self._prompt: list[int] = prompt.tolist()
        self._closing = surely_closing(closing, problem) if self._is_followed else closing
        self._seeds: list[int] = [] if order.seed is None else seed.generate_state(4).tolist()
        self._teller = Teller(self._told, order.stops)
        self._constraint: Any = problem.constraint
        self._matcher: Matcher = self._constraint.matcher()
        self._tokens: list[int] = []
        self._name = fresh_names(1)[0] if order.watched else None
        self._task: Future[None] | None = None

    @property
    def _is_followed(self) -> bool:
        """Whether the budget is looked at from the start on; otherwise only when it is used up."""
        knobs = self._order.knobs
        return self._order.piecewise or bool(knobs.presence_penalty or knobs.frequency_penalty)

    def start(self, ended: Callable[[Remote], None], program: bytes) -> None:
        """Begin; `ended` is called when nothing more comes. `program` is what the turn compiles to, if the worker has
        not seen it."""
        self._program = program
        self._task = self._engine.begin(self._work(ended))
        if self.cancelled:
            self.stop()

    def stop(self) -> None:
        """Give up."""
        self.cancelled = True
        if self._task is not None:
            self._task.cancel()

    def _told(self, event: Any) -> None:
        if not self.cancelled:
            self.tell(event)

    async def _work(self, ended: Callable[[Remote], None]) -> None:
        try:
            knobs = self._order.knobs
            penalised = bool(knobs.presence_penalty or knobs.frequency_penalty)
            narrow = self._closing is not None and penalised  # penalties would forget what a first request wrote
            while not await self._stretch(narrow):
                narrow = True
        except Exception as error:  # noqa: BLE001 - whatever happens to one text, the others go on
            if not isinstance(error, ScansionError):
                _log.exception("a text could not be written")
            self._told(Failed(error))
        finally:
            ended(self)

    async def _stretch(self, narrow: bool) -> bool:
        """One request of vLLM's, behind what is certain; whether the text is at its end."""
        begun = len(self._tokens)
        params = self._params(begun, narrow)
        async with aclosing(self._engine.outputs(self._prompt + self._tokens, params)) as outputs:
            async for output in outputs:
                is_over = await self._take(output, begun, narrow)
                if is_over is not None:
                    await self._forget()
                    return is_over
        raise engine_down()  # it ended, and said nothing of an end

    async def _take(self, output: Any, begun: int, narrow: bool) -> bool | None:
        """What vLLM drew; true at the end of the text, false where it must be drawn anew, None if more comes."""
        ids = [int(token) for token in output.token_ids]
        ended = bool(ids) and ids[-1] in self._problem.vocabulary.eos
        if ended:
            ids.pop()
        states = self._followed(ids)
        certain = len(ids) if ended or narrow or self._closing is None else await self._fitting(states)
        told = await self._heard(output, ids[:certain], states, begun)
        self._matcher.rollback(len(ids) - certain)
        self._tokens += ids[:certain]
        if told and self._teller.write(*told):
            return True
        if certain < len(ids):
            return False
        if ended or len(self._tokens) >= self._problem.max_tokens:
            self._end(ended, narrow)
            return True
        return None

    def _followed(self, ids: Sequence[int]) -> list[int]:
        """The states before each of some tokens, and behind the last."""
        states = [self._matcher.state]
        for token in ids:
            if not self._matcher.accept_token(token):
                raise StateError(f"vLLM drew token {token}, which is not allowed")
            states.append(self._matcher.state)
        return states

    async def _fitting(self, states: Sequence[int]) -> int:
        """After how many tokens the text can still be finished."""
        closing, left = self._closing, self._problem.max_tokens - len(self._tokens)
        for taken in range(len(states) - 1, 0, -1):
            if closing is None or closing.surely_fits(states[taken], left - taken):
                return taken
            if await asyncio.to_thread(closing.fits, states[taken], left - taken):
                return taken
        if not self._tokens and not self._is_followed:  # does anything fit? if nobody can tell, the text is cut
            self._closing = await asyncio.to_thread(surely_closing, closing, self._problem)
        return len(states) - 1 if self._closing is None else 0

    def _end(self, ended: bool, narrow: bool) -> None:
        complete = self._constraint.accepts(self._matcher.state)
        if ended and not complete:  # the worker could not go on: the same mask here tells why
            self._constraint.mask(self._matcher.state)
            if not narrow:
                raise StateError("vLLM ended a text that is not complete")
        is_cut = not ended and self._order.turn.is_free
        self._teller.end("stop" if complete and not is_cut else "length")

    # -- what is told of tokens -----------------------------------------------------------------------------------

    async def _heard(self, output: Any, ids: Sequence[int], states: Sequence[int], begun: int) -> list[Token]:
        texts = self._problem.vocabulary.tokens
        if self._order.top is None:
            return [Token(token, texts[token], 0.0) for token in ids]
        masses = await self._masses(len(self._tokens) - begun, len(ids))
        heard: list[Token] = []
        for number, (token, mass) in enumerate(zip(ids, masses, strict=True)):
            seen = output.logprobs[number]
            ranked = sorted((each.rank, other, each.logprob) for other, each in seen.items())
            top = tuple((other, log_prob) for rank, other, log_prob in ranked if rank <= self._order.top)
            allowed = self._allowed(states[number]) if self._name else 0
            heard.append(Token(token, texts[token], seen[token].logprob, top, allowed, mass))
        return heard

    def _allowed(self, state: int) -> int:
        return int(np.bitwise_count(self._constraint.mask(state)).sum())

    async def _masses(self, begin: int, count: int) -> list[float]:
        """The log mass that the masks of some tokens left, if that is watched."""
        if self._name is None or not count:
            return [0.0] * count
        (found, *_) = await self._engine.ask("scansion_peek", self._name, begin)
        return [*found[:count], *[float("nan")] * (count - len(found))]

    async def _forget(self) -> None:
        if self._name is not None:
            await self._engine.ask("scansion_take", [self._name])

    # -- what is asked of vLLM ------------------------------------------------------------------------------------

    def _params(self, begun: int, narrow: bool) -> Any:
        order, knobs, left = self._order, self._order.knobs, self._problem.max_tokens - begun
        vllm = the_vllm()
        kinds = vllm.sampling_params.RequestOutputKind
        if self._name is not None:
            self._name = fresh_names(1)[0]
        program, self._program = self._program, b""  # once is enough
        wish = constrained(
            turn=self.turn,
            options=self._limits,
            program=program,
            begun=begun,
            closing=left if narrow else None,
            record=self._name,
        )
        return vllm.SamplingParams(
            temperature=knobs.temperature if knobs.temperature > COLD else 0.0,
            top_p=knobs.top_p,
            top_k=knobs.top_k,
            min_p=knobs.min_p,
            presence_penalty=knobs.presence_penalty,
            frequency_penalty=knobs.frequency_penalty,
            logit_bias=dict(knobs.bias) or None,
            seed=self._seeds[min(int(narrow) + 2 * bool(begun), 3)] if self._seeds else None,
            max_tokens=left,
            logprobs=order.top,
            stop_token_ids=list(self._problem.vocabulary.eos),
            detokenize=False,
            output_kind=kinds.DELTA if order.piecewise else kinds.FINAL_ONLY,
            extra_args=wish,
        )
