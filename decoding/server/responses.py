"""Responses: the objects of `/v1/responses`, whole and as the events of a stream.

An output is a list of items: the thought, the message, the calls. A stream opens each item, fills it with deltas and
closes it; every event has a number.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from decoding.server.answers import Answer, Call, Result, watched
from decoding.server.fields import ResponsesRequest
from decoding.server.jobs import Job
from decoding.server.reading import Part
from decoding.server.runs import Done, Piece

Json = dict[str, Any]


def response(head: Json, request: ResponsesRequest, result: Result | None) -> Json:
    """The whole response; without a result one that has just begun."""
    body: Json = {
        **head,
        "object": "response",
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "metadata": request.metadata or {},
        "output": [],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "max_output_tokens": request.max_output_tokens,
        "previous_response_id": None,
        "text": request.text or {"format": {"type": "text"}},
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools or [],
        "truncation": "disabled",
        "usage": None,
    }
    if result is None:
        return body
    answer = result.answers[0]
    body |= {"output": _output(head["id"], answer, request), "usage": _usage(result), **result.extension}
    if answer.reason == "length":
        return body | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    return body | {"status": "completed"}


def _usage(result: Result) -> Json:
    counted = result.usage
    return {
        "input_tokens": counted["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": counted["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counted["total_tokens"],
    }


def _output(name: str, answer: Answer, request: ResponsesRequest) -> list[Json]:
    items = [_thought(name, answer.thought)] if answer.thought else []
    if answer.text or not answer.calls:
        items.append(_message(name, answer.text, watched(tuple(answer.tokens)) if request.watch else {}))
    return items + [_call(name, number, call) for number, call in enumerate(answer.calls)]


def _thought(name: str, text: str) -> Json:
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "id": f"rs_{name}", "summary": [], "content": content, "status": "completed"}


def _message(name: str, text: str, more: Json | None = None, status: str = "completed") -> Json:
    content = [] if status == "in_progress" else [_text(text)]
    item = {"type": "message", "id": f"msg_{name}", "role": "assistant", "status": status, "content": content}
    return item | (more or {})


def _text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(name: str, number: int, call: Call, status: str = "completed") -> Json:
    kind, field = _CALLS[call.kind]
    item = {"type": kind, "id": f"fc_{name}_{number}", "call_id": call.id, "name": call.name, field: call.arguments}
    return item | ({"status": status} if call.kind == "function" else {})


_CALLS = {"function": ("function_call", "arguments"), "custom": ("custom_tool_call", "input")}


class Streamed:
    """The events of one response, numbered."""

    def __init__(self, head: Json, request: ResponsesRequest, result: Result):
        self._head, self._request, self._result = head, request, result
        self._sent, self._items = 0, -1
        self._open: Json | None = None  # the item that is being filled
        self._name = head["id"]

    async def events(self, job: Job) -> AsyncIterator[Json]:
        """Everything from `response.created` to `response.completed`."""
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=response(self._head, self._request, None))
        answer = self._result.answers[0]
        async for _, event, parts in self._result.follow(job):
            for part in parts:
                for told in self._part(answer, part):
                    yield told
            if isinstance(event, Piece) and event.tokens and self._request.watch:
                yield self._event("scansion.tokens", **watched(event.tokens)["scansion"])
            if isinstance(event, Done):
                for told in (*self._closed(answer), *self._silence(answer)):
                    yield told
        whole = response(self._head, self._request, self._result)
        yield self._event(f"response.{whole['status']}", response=whole)

    def _event(self, kind: str, **content: Any) -> Json:
        self._sent += 1
        return {"type": kind, "sequence_number": self._sent - 1, **content}

    def _part(self, answer: Answer, part: Part) -> Iterator[Json]:
        if part.kind in ("function", "custom"):
            yield from self._closed(answer)
            yield from self._opened(_call(self._name, part.call, answer.calls[part.call], "in_progress"))
            return
        if part.kind == "arguments":
            kind = "function_call_arguments" if answer.calls[part.call].kind == "function" else "custom_tool_call_input"
            yield self._event(f"response.{kind}.delta", delta=part.text, **self._where())
            return
        wanted = "reasoning" if part.kind == "thought" else "message"
        if self._open is None or self._open["type"] != wanted:
            yield from self._closed(answer)
            yield from self._begun(wanted)
        kind = "reasoning_text" if part.kind == "thought" else "output_text"
        more = {} if part.kind == "thought" else {"logprobs": []}
        yield self._event(f"response.{kind}.delta", delta=part.text, content_index=0, **more, **self._where())

    def _begun(self, kind: str) -> Iterator[Json]:
        if kind == "reasoning":
            yield from self._opened(_thought(self._name, "") | {"content": [], "status": "in_progress"})
            return
        yield from self._opened(_message(self._name, "", status="in_progress"))
        yield self._event("response.content_part.added", content_index=0, part=_text(""), **self._where())

    def _opened(self, item: Json) -> Iterator[Json]:
        self._open = item
        self._items += 1
        yield self._event("response.output_item.added", output_index=self._items, item=item)

    def _where(self) -> Json:
        return {"item_id": self._open["id"] if self._open else "", "output_index": self._items}

    def _silence(self, answer: Answer) -> Iterator[Json]:
        """An answer without a word is an empty message."""
        if self._items < 0:
            yield from self._begun("message")
            yield from self._closed(answer)

    def _closed(self, answer: Answer) -> Iterator[Json]:
        """Close the item that is open."""
        if self._open is None:
            return
        kind, where = self._open["type"], self._where()
        if kind == "message":
            item = _message(self._name, answer.text)
            yield self._event("response.output_text.done", text=answer.text, content_index=0, logprobs=[], **where)
            yield self._event("response.content_part.done", content_index=0, part=_text(answer.text), **where)
        elif kind == "reasoning":
            item = _thought(self._name, answer.thought)
            yield self._event("response.reasoning_text.done", text=answer.thought, content_index=0, **where)
        else:
            number = int(self._open["id"].rsplit("_", 1)[1])
            call = answer.calls[number]
            item = _call(self._name, number, call)
            name = "function_call_arguments" if call.kind == "function" else "custom_tool_call_input"
            field = _CALLS[call.kind][1]
            more = {"name": call.name} if call.kind == "function" else {}
            yield self._event(f"response.{name}.done", **{field: call.arguments}, **more, **where)
        yield self._event("response.output_item.done", output_index=self._items, item=item)
        self._open = None
