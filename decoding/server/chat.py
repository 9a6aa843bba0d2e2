"""Chat completions: the objects of `/v1/chat/completions`, whole and in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from decoding.server.answers import Answer, Call, Result, watched
from decoding.server.fields import ChatRequest
from decoding.server.jobs import Job
from decoding.server.reading import Part
from decoding.server.runs import Done, Piece, Token
from grammars import Vocabulary

Json = dict[str, Any]


def chat_completion(head: Json, request: ChatRequest, result: Result, vocabulary: Vocabulary) -> Json:
    """The whole answer."""
    choices = [
        {
            "index": answer.index,
            "message": _message(answer),
            "logprobs": _log_probs(answer.tokens, vocabulary) if request.logprobs else None,
            "finish_reason": answer.reason,
            **(watched(tuple(answer.tokens)) if request.watch else {}),
        }
        for answer in result.answers
    ]
    return {**head, "object": "chat.completion", "choices": choices, "usage": result.usage, **result.extension}


async def chat_chunks(
    head: Json, request: ChatRequest, result: Result, job: Job, vocabulary: Vocabulary
) -> AsyncIterator[Json]:
    """The answer as it comes."""
    head = {**head, "object": "chat.completion.chunk"}
    for answer in result.answers:
        yield _chunk(head, answer, {"role": "assistant", "content": ""})
    async for answer, event, parts in result.follow(job):
        more: Json = {}
        if isinstance(event, Piece) and event.tokens:
            more = {"logprobs": _log_probs(event.tokens, vocabulary)} if request.logprobs else {}
            more |= watched(event.tokens) if request.watch else {}
        deltas = [_delta(answer, part) for part in parts] or ([{}] if more else [])
        for number, delta in enumerate(deltas):
            yield _chunk(head, answer, delta, **(more if not number else {}))
        if isinstance(event, Done):
            yield _chunk(head, answer, {}, finish_reason=answer.reason)
    if result.populations:
        yield {**head, "choices": [], **result.extension}
    if request.stream_options and request.stream_options.include_usage:
        yield {**head, "choices": [], "usage": result.usage}


def _chunk(head: Json, answer: Answer, delta: Json, *, finish_reason: str | None = None, **more: Any) -> Json:
    choice = {"index": answer.index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**head, "choices": [choice | more]}


def _message(answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None if answer.calls else answer.text}
    message["refusal"] = None
    if answer.thought:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = [{"id": call.id, "type": call.kind, call.kind: _called(call)} for call in answer.calls]
    return message


def _called(call: Call) -> Json:
    return {"name": call.name, _ARGUMENTS[call.kind]: call.arguments}


_ARGUMENTS = {"function": "arguments", "custom": "input"}


def _delta(answer: Answer, part: Part) -> Json:
    if part.kind == "text":
        return {"content": part.text}
    if part.kind == "thought":
        return {"reasoning_content": part.text}
    call = answer.calls[part.call]
    if part.kind == "arguments":
        return {"tool_calls": [{"index": part.call, call.kind: {_ARGUMENTS[call.kind]: part.text}}]}
    begun = {"name": call.name, _ARGUMENTS[call.kind]: ""}
    return {"tool_calls": [{"index": part.call, "id": call.id, "type": call.kind, call.kind: begun}]}


def _log_probs(tokens: list[Token] | tuple[Token, ...], vocabulary: Vocabulary) -> Json:
    content = [
        _log_prob(token.data, token.log_prob)
        | {"top_logprobs": [_log_prob(vocabulary.tokens[other], value) for other, value in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _log_prob(data: bytes, value: float) -> Json:
    return {"token": data.decode("utf-8", "replace"), "logprob": max(value, -9999.0), "bytes": list(data)}
