"""Wire: bodies that are not too large, answers that end when their client is gone, and errors as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute

from decoding.server.faults import Fault, fault_of

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


class BoundedBodies:
    """ASGI middleware that reads a body before anybody parses it, and no further than its bound."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], most: int):
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        body = await self._read(receive)
        if body is None:
            fault = Fault(f"a body has at most {self._most} bytes here", code="body_too_large", status=413)
            await error_response(fault)(scope, receive, send)
            return
        waiting: list[Scope] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Scope:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replayed, send)

    async def _read(self, receive: Receive) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._most:
                return None
            if not message.get("more_body"):
                return bytes(body)


class _PlainRequest(Request):
    """A request whose JSON says everything once."""

    async def json(self) -> Any:
        return json.loads(await self.body(), object_pairs_hook=once)


class PlainRoute(APIRoute):
    """Endpoints whose bodies say everything once: of two values under one key, none may be passed over in silence."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            return await handle(_PlainRequest(request.scope, request.receive))

        return handled


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of some keys and values.

    >>> once([("a", 1), ("b", 2)])
    {'a': 1, 'b': 2}
    >>> once([("a", 1), ("a", 2)])
    Traceback (most recent call last):
    decoding.server.faults.Fault: the key 'a' stands twice in one object
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        key = next(key for key, _ in pairs if key in seen or seen.add(key))  # add returns None
        raise Fault(f"the key {key[:60]!r} stands twice in one object", param=key[:60], code="duplicate_key")
    return found


class ClientGone(Exception):
    """Nobody is there to read the answer."""


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The result of some work, which is given up when the client leaves."""
    task, left = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for one in (task, left):
            if not one.done():
                one.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON in ASCII: whatever a client sent, what quotes it can be encoded."""
    return Response(json.dumps(content), status, headers, "application/json")


def error_response(error: BaseException) -> Response:
    """The answer to a request that failed."""
    fault = fault_of(error)
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else None
    return json_response(fault.body(), fault.status, headers)


def event_stream(events: AsyncIterator[dict[str, Any]], *, named: bool, ended: Callable[[int], None]) -> Response:
    """Server-sent events. `named`: each says its type, as those of responses do; others end with [DONE]."""

    async def lines() -> AsyncIterator[str]:
        status, sent = 499, -1
        try:
            async for event in events:
                sent = event.get("sequence_number", sent)
                yield (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
            status = 200
        except Exception as error:  # noqa: BLE001 - the status is out already: what is wrong is told in the stream
            fault = fault_of(error)
            status = fault.status
            told = fault.body()
            if named:
                told = {"type": "error", "sequence_number": sent + 1, **told["error"]} | {"type": "error"}
            yield ("event: error\n" if named else "") + f"data: {json.dumps(told)}\n\n"
        finally:
            await events.aclose()  # type: ignore[attr-defined] - async generators have it
            ended(status)
        if not named:
            yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
