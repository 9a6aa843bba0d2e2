"""One constrained request, followed token by token.

A request's fault must never harm the others of its batch, and an exception in a worker ends the whole engine. So a
follower never raises: when something fails (a mask needs more work than its limit, a token came that was not allowed)
the request can only end from then on, and `failure` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger

import numpy as np
from numpy.typing import NDArray

from decoding.server.closing import Closing
from decoding.vllm.wishes import Automata, Wish
from grammars import Matcher, ScansionError, TokenAutomaton, Vocabulary

Mask = NDArray[np.uint32]

_log = getLogger(__name__)

AUTOMATA = Automata()
"""The compiled forms of this process."""


class Follower:
    """Where one request stands in its form.

    `begun` are the tokens of the prompt with which the constrained text begins.

    >>> from decoding.vllm.wishes import read
    >>> from decoding.vocabularies import single_bytes
    >>> follower = Follower(read({"regex": "ab|b"}), single_bytes())
    >>> follower.follow(b"a")
    >>> [chr(token) for token in range(256) if follower.mask()[token // 32] >> (token % 32) & 1]
    ['b']
    >>> follower.follow(b"ax")
    >>> follower.failure
    'token 120 is not allowed at position 1'
    """

    __slots__ = ("_automaton", "_budget", "_closing", "_matcher", "_taken", "_vocabulary", "failure")

    def __init__(self, wish: Wish, vocabulary: Vocabulary, begun: Sequence[int] = ()):
        self.failure = ""
        self._vocabulary = vocabulary
        self._taken = 0
        self._automaton: TokenAutomaton | None = None
        self._matcher: Matcher | None = None
        self._budget = wish.closing
        self._closing: Closing | None = None
        if wish.kind:
            self._begin(wish, begun)

    def _begin(self, wish: Wish, begun: Sequence[int]) -> None:
        try:
            self._automaton = AUTOMATA.compiled(wish.language, self._vocabulary, wish.program)
            self._closing = None if wish.closing is None else Closing(self._automaton)
            self._matcher = self._automaton.matcher()
        except (ScansionError, ValueError) as error:
            self._fail(str(error))
        else:
            self._accept(begun)

    @property
    def constrains(self) -> bool:
        """Whether there is anything to mask."""
        return self._matcher is not None or bool(self.failure)

    def follow(self, tokens: Sequence[int]) -> None:
        """Go on to all the tokens generated so far; they are fewer than before if vLLM took some back."""
        if self._matcher is None or self.failure:
            return
        if len(tokens) < self._taken:
            self._matcher.rollback(self._taken - len(tokens))
            self._taken = len(tokens)
        self._taken += self._accept(tokens[self._taken :])

    def mask(self, ahead: int = 0) -> Mask:
        """What may follow; not to be written to. `ahead`: so many tokens are taken that are not in the text yet."""
        if self._automaton is None or self._matcher is None or self.failure:
            return self._vocabulary.end_row
        try:
            if self._closing is not None and self._budget is not None:
                return self._closing_mask(self._closing, self._matcher, self._budget - self._taken - ahead)
            return self._automaton.mask(self._matcher.state)
        except ScansionError as error:
            return self._fail(str(error))

    def _closing_mask(self, closing: Closing, matcher: Matcher, left: int) -> Mask:
        """What may follow and can be finished with `left` tokens; if that is nothing, the text can only be cut."""
        mask = self._vocabulary.end_row if matcher.is_terminated() else closing.narrowed(matcher.state, left)
        return mask if mask.any() else self._fail(f"with {left} tokens left nothing that may follow can be finished")

    def masks(self, drafted: Sequence[int] = ()) -> list[Mask | None]:
        """What may follow now and after each of some drafted tokens, which are not kept. None behind a draft that is
        not allowed: whatever is drawn there, verification throws it away."""
        masks: list[Mask | None] = [self.mask()]
        taken = 0
        for token in drafted:
            if self._matcher is None or self.failure or not self._fits(token):
                break
            taken += 1
            masks.append(self.mask(taken))
        if self._matcher is not None:
            self._matcher.rollback(taken)
        return masks + [None] * (len(drafted) - taken)

    def _fits(self, token: int) -> bool:
        """Whether a drafted token is allowed, which it then is taken to be."""
        try:
            return self._matcher is not None and self._matcher.accept_token(token)
        except ScansionError:
            return False

    def _accept(self, tokens: Sequence[int]) -> int:
        """Take tokens up to the first that is not allowed, which is a failure; how many were taken."""
        matcher = self._matcher
        if matcher is None:
            return 0
        try:
            taken = matcher.accept_tokens(int(token) for token in tokens)
        except ScansionError as error:
            self._fail(str(error))
            return 0
        if taken < len(tokens):
            self._fail(f"token {int(tokens[taken])} is not allowed at position {self._taken + taken}")
        return taken

    def _fail(self, why: str) -> Mask:
        _log.error("a constrained request can only end from here on: %s", why)
        self.failure = why
        return self._vocabulary.end_row
