"""Text completions: the objects of `/v1/completions`, whole and in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from decoding.server.answers import Result, watched
from decoding.server.fields import CompletionRequest
from decoding.server.jobs import Job
from decoding.server.runs import Done, Piece, Token
from grammars import Vocabulary

Json = dict[str, Any]


def text_completion(head: Json, request: CompletionRequest, result: Result, vocabulary: Vocabulary) -> Json:
    """The whole answer."""
    wanted = request.logprobs is not None
    choices = [
        {
            "index": answer.index,
            "text": answer.text,
            "logprobs": _log_probs(answer.tokens, vocabulary) if wanted else None,
            "finish_reason": answer.reason,
            **(watched(tuple(answer.tokens)) if request.watch else {}),
        }
        for answer in result.answers
    ]
    return {**head, "object": "text_completion", "choices": choices, "usage": result.usage, **result.extension}


async def text_chunks(
    head: Json, request: CompletionRequest, result: Result, job: Job, vocabulary: Vocabulary
) -> AsyncIterator[Json]:
    """The answer as it comes."""
    head = {**head, "object": "text_completion"}
    async for answer, event, parts in result.follow(job):
        choice: Json = {"index": answer.index, "text": "".join(part.text for part in parts), "logprobs": None}
        choice["finish_reason"] = answer.reason
        if isinstance(event, Piece) and event.tokens:
            if request.logprobs is not None:
                choice["logprobs"] = _log_probs(event.tokens, vocabulary)
            choice |= watched(event.tokens) if request.watch else {}
        if isinstance(event, Piece | Done):
            yield {**head, "choices": [choice]}
    if result.populations:
        yield {**head, "choices": [], **result.extension}
    if request.stream_options and request.stream_options.include_usage:
        yield {**head, "choices": [], "usage": result.usage}


def _log_probs(tokens: Sequence[Token], vocabulary: Vocabulary) -> Json:
    texts = [_shown(token.data) for token in tokens]
    offsets = [sum(map(len, texts[:number])) for number in range(len(texts))]
    top = [{_shown(vocabulary.tokens[other]): max(value, -9999.0) for other, value in token.top} for token in tokens]
    return {
        "tokens": texts,
        "token_logprobs": [max(token.log_prob, -9999.0) for token in tokens],
        "top_logprobs": top,
        "text_offset": offsets,
    }


def _shown(data: bytes) -> str:
    return data.decode("utf-8", "replace")
