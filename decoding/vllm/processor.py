"""`ConstraintProcessor`: masks in vLLM's sampling, for each request its own.

The class serves both interfaces of logits processors; how it is constructed tells which runner called.

**V1** keeps a batch of rows and tells what changed: removed, added and moved rows, in this order. A row comes with the
list of its output tokens, which grows by itself. `apply(logits)` sees one row per request.

**V2** keeps requests in slots. `apply(logits, context)` sees one row per request and, with speculative decoding, one
more for each drafted token. Committed tokens lie in a table on the device; drafted ones only in the input of this step.

A batch in which nobody asks for anything costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from decoding.vllm.asked import BLIND, is_named, validate
from decoding.vllm.following import Follower
from decoding.vllm.interfaces import processor_classes, the_vllm
from decoding.vllm.rows import Row, keep, mask_rows
from decoding.vllm.tokens import ending, vocabulary_of
from decoding.vllm.wishes import Wish, wish_of
from grammars import StateError, Vocabulary
from grammars.warming import warm

Ints = NDArray[np.int64]

_SWAP = "SWAP"


@dataclass
class _Request:
    """One request that has a wish."""

    wish: Wish
    vocabulary: Vocabulary
    follower: Follower
    output: Sequence[int] = field(default_factory=list[int])
    """V1: vLLM's own list, which grows by itself. V2: the committed tokens, kept here."""
    prompt_length: int = -1
    """V2: unknown before the first step."""


class ConstraintProcessor(*processor_classes()):
    """The logits processor to be named: `--logits-processors decoding.vllm:ConstraintProcessor`, or
    `LLM(logits_processors=[ConstraintProcessor])`. Where nobody names it, the installed `ConstraintPlugin` is there."""

    gives_way: ClassVar[bool] = False
    """Whether it leaves the work to the named one, if there is one."""

    def __init__(self, vllm_config: Any, *rest: Any):
        the_vllm()
        self._model_config = vllm_config.model_config
        self._table: Any = rest[0] if len(rest) == 1 else None  # V2 gives the tokens of all slots
        self._requests: dict[int, _Request] = {}
        self._idle = self.gives_way and is_named(self._model_config)
        if not self.gives_way:
            _warm()  # whoever named it will use it: wait for compiled code now, not in the first request

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise a ValueError if a request cannot be served as asked; called in the front end."""
        validate(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """Masks change what is likeliest."""
        return False

    def apply(self, logits: torch.Tensor, context: Any = None) -> torch.Tensor:
        """The logits with minus infinity for what must not follow; changed in place."""
        if not self._requests:
            return logits
        rows = self._first_rows() if context is None else self._second_rows(context)
        keep(rows, logits)
        return mask_rows(rows, logits)

    # -- V1 -------------------------------------------------------------------------------------------------------

    def update_state(self, batch_update: Any) -> None:
        """V1: what changed in the batch."""
        if batch_update is None or self._idle:
            return
        for index in batch_update.removed:
            self._requests.pop(index, None)
        for index, params, prompt, output in batch_update.added:
            self._put(index, self._request(params, output, prompt))
        for origin, target, direction in batch_update.moved:
            first, second = self._requests.pop(origin, None), self._requests.pop(target, None)
            self._put(target, first)
            self._put(origin, second if direction.name == _SWAP else None)

    def _first_rows(self) -> list[Row]:
        rows: list[Row] = []
        for index, request in self._requests.items():
            if request.output and request.output[-1] < 0:
                raise StateError("vLLM shows -1 in place of a token that was generated", hint=BLIND)
            request.follower.follow(request.output)
            rows.append(_row(index, request, len(request.output), request.follower.mask()))
        return rows

    # -- V2 -------------------------------------------------------------------------------------------------------

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """V2: a slot gets a request. Returns whether its logits are of interest here."""
        request = None if self._idle else self._request(sampling_params, list[int](), None)
        self._put(req_idx, request)
        return request is not None

    def _second_rows(self, context: Any) -> list[Row]:
        on_host = torch.stack(
            [
                part.to(torch.int64)
                for part in (context.expanded_idx_mapping, context.expanded_local_pos, context.pos, context.input_ids)
            ]
        )
        slots, places, positions, tokens = cast("Ints", on_host.cpu().numpy())
        rows: list[Row] = []
        for slot, numbers in _by_slot(slots, places).items():
            request = self._requests.get(slot)
            if request is not None:
                self._commit(request, slot, int(positions[numbers[0]]))
                rows += _slot_rows(request, numbers, tokens[numbers[1:]].tolist())
        return rows

    def _commit(self, request: _Request, slot: int, position: int) -> None:
        """Bring the output up to `position`, where the latest committed token stands."""
        if request.prompt_length < 0:
            self._begin(request, slot)
        output = cast("list[int]", request.output)
        begin = request.prompt_length + len(output)
        if begin > position:
            del output[max(0, position + 1 - request.prompt_length) :]
        else:
            output += self._stored(slot, begin, position + 1)
        request.follower.follow(output)

    def _begin(self, request: _Request, slot: int) -> None:
        end = request.prompt_length = int(self._table.prompt_len.np[slot])
        if request.wish.begun:
            begun = self._stored(slot, max(0, end - request.wish.begun), end)
            request.follower = Follower(request.wish, request.vocabulary, begun)

    def _stored(self, slot: int, begin: int, end: int) -> list[int]:
        return cast("list[int]", self._table.all_token_ids.gpu[slot, begin:end].tolist())

    # -- both -----------------------------------------------------------------------------------------------------

    def _request(self, params: Any, output: Sequence[int], prompt: Sequence[int] | None) -> _Request | None:
        wish = wish_of(getattr(params, "extra_args", None))
        if wish is None:
            return None
        vocabulary = ending(vocabulary_of(self._model_config), params.all_stop_token_ids)
        begun = list(prompt or ())[-wish.begun :] if wish.begun else ()
        return _Request(wish, vocabulary, Follower(wish, vocabulary, begun), output)

    def _put(self, index: int, request: _Request | None) -> None:
        if request is None:
            self._requests.pop(index, None)
        else:
            self._requests[index] = request


class ConstraintPlugin(ConstraintProcessor):
    """The one that vLLM finds by its entry point: idle where `ConstraintProcessor` was named."""

    gives_way: ClassVar[bool] = True


@cache
def _warm() -> None:
    warm()


def _by_slot(slots: Ints, places: Ints) -> dict[int, list[int]]:
    """The rows of each slot, in the order of their places."""
    rows: dict[int, list[int]] = defaultdict(list)
    for number in np.lexsort((places, slots)).tolist():
        rows[int(slots[number])].append(number)
    return rows


def _slot_rows(request: _Request, numbers: list[int], drafted: list[int]) -> list[Row]:
    masks = request.follower.masks(drafted)
    step = len(request.output)
    return [_row(number, request, step + i, mask) for i, (number, mask) in enumerate(zip(numbers, masks, strict=True))]


def _row(number: int, request: _Request, step: int, mask: Any) -> Row:
    follower = request.follower
    return Row(number, step, request.wish, mask if follower.constrains else None, request.vocabulary, follower.failure)
