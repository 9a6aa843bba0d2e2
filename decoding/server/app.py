"""The application: the endpoints, and what every one of them does with a request.

    fields → order → job → (whole | chunks)

Errors become JSON with a status in one place; so do metrics. A client that leaves takes its work with it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from difflib import get_close_matches
from types import FrameType
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from decoding.server.answers import Result
from decoding.server.chat import chat_chunks, chat_completion
from decoding.server.completions import text_chunks, text_completion
from decoding.server.dialects import Form
from decoding.server.faults import Fault
from decoding.server.fields import ChatRequest, CompletionRequest, ResponsesRequest
from decoding.server.host import Host
from decoding.server.jobs import Job
from decoding.server.limits import ServerLimits
from decoding.server.models import BuiltIn, ServedModel
from decoding.server.order import Order
from decoding.server.orders import Desk
from decoding.server.page import add_page
from decoding.server.responses import Streamed, response
from decoding.server.turns import Turn
from decoding.server.wire import (
    BoundedBodies,
    ClientGone,
    PlainRoute,
    error_response,
    event_stream,
    json_response,
    unless_gone,
)
from grammars import ScansionError
from grammars.provenance import VERSION

_log = logging.getLogger(__name__)
Json = dict[str, Any]
Chunks = Callable[[Result, Job], AsyncIterator[Json]]


def create_app(model: ServedModel | None = None, limits: ServerLimits | None = None) -> FastAPI:
    """The application that serves a model; without one, the built-in model.

    >>> from fastapi.testclient import TestClient
    >>> with TestClient(create_app()) as client:
    ...     client.get("/health").json()
    {'status': 'ok', 'model': 'built-in'}
    """
    host = Host(model or BuiltIn(), limits or ServerLimits())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        host.scheduler.close()

    app = FastAPI(title="scansion", version=VERSION, lifespan=lifespan, docs_url="/docs", redoc_url=None)
    app.state.host = host
    app.router.route_class = PlainRoute
    app.add_middleware(BoundedBodies, most=host.limits.body_bytes)
    _add_errors(app)
    _add_endpoints(app, host)
    _add_reports(app, host)
    add_page(app, host)
    return app


def serve(model: ServedModel | None = None, limits: ServerLimits | None = None, *, host: str, port: int) -> None:
    """Serve until interrupted; what is under way then may end within the grace that the limits give."""
    limits = limits or ServerLimits()
    app = create_app(model, limits)
    signal.signal(signal.SIGTERM, _terminated)  # uvicorn passes the signal on when it has ended
    try:
        asyncio.run(_warm(app.state.host))
        gc.collect()
        gc.freeze()  # what is there now stays: looking through libraries for garbage would hold everybody up
        uvicorn.run(app, host=host, port=port, log_level="info", timeout_graceful_shutdown=int(limits.grace_seconds))
    finally:
        app.state.host.model.close()


def _terminated(number: int, frame: FrameType | None) -> None:
    """End as a program does, so that what is held is given back: without this a model's process would live on."""
    raise SystemExit(0)


async def _warm(host: Host) -> None:
    """Load the machine code of masks and draws before anybody waits for it."""
    prompt = host.model.prompt("a")
    for turn in (Turn(), Turn(Form("schema", {"type": "object"}, "format"))):
        await Result(order := Order((prompt,), turn, max_tokens=4)).whole(await host.job(order))


# -- endpoints --------------------------------------------------------------------------------------------------------


def _add_endpoints(app: FastAPI, host: Host) -> None:
    desk, vocabulary = Desk(host.model, host.limits), host.model.vocabulary
    errors = _documented_errors() | {200: _STREAM_OR_NOT}

    @app.post("/v1/chat/completions", responses=errors)
    async def chat(fields: ChatRequest, request: Request) -> Response:
        head = _head("chatcmpl", host)
        return await _answered(
            host,
            request,
            lambda: desk.chat(fields),
            lambda result: chat_completion(head, fields, result, vocabulary),
            (lambda result, job: chat_chunks(head, fields, result, job, vocabulary)) if fields.stream else None,
        )

    @app.post("/v1/completions", responses=errors)
    async def completions(fields: CompletionRequest, request: Request) -> Response:
        head = _head("cmpl", host)
        return await _answered(
            host,
            request,
            lambda: desk.completion(fields),
            lambda result: text_completion(head, fields, result, vocabulary),
            (lambda result, job: text_chunks(head, fields, result, job, vocabulary)) if fields.stream else None,
        )

    @app.post("/v1/responses", responses=errors)
    async def responses(fields: ResponsesRequest, request: Request) -> Response:
        head = _head("resp", host)
        head["created_at"] = head.pop("created")
        return await _answered(
            host,
            request,
            lambda: desk.response(fields),
            lambda result: response(head, fields, result),
            (lambda result, job: Streamed(head, fields, result).events(job)) if fields.stream else None,
            named=True,
        )


async def _answered(
    host: Host,
    request: Request,
    ordered: Callable[[], Order],
    whole: Callable[[Result], Json],
    chunks: Chunks | None,
    *,
    named: bool = False,
) -> Response:
    """The answer to an order, whole or as a stream."""
    path, begin = request.url.path, time.perf_counter()
    status, result = 500, None
    try:
        order = ordered()
        result = Result(order)
        job = await unless_gone(request, host.job(order))
        if chunks is not None:
            status = 0  # counted when the stream ends

            def ended(outcome: int, result: Result = result) -> None:
                _count(host, path, outcome, begin, result)

            return event_stream(chunks(result, job), named=named, ended=ended)
        await unless_gone(request, result.whole(job))
        status = 200
        return json_response(whole(result))
    except ClientGone:
        status = 499
        return Response(status_code=499)
    except ScansionError as error:
        answer = error_response(error)
        status = answer.status_code
        return answer
    finally:
        if status:
            _count(host, path, status, begin, result if status == 200 else None)


def _count(host: Host, path: str, status: int, begin: float, result: Result | None) -> None:
    host.metrics.observe_request(path, status, begin)
    if status == 499:
        host.metrics.cancelled.inc()
    if result is not None:
        usage = result.usage
        host.metrics.tokens.labels("prompt").inc(usage["prompt_tokens"])
        host.metrics.tokens.labels("completion").inc(usage["completion_tokens"])


def _head(kind: str, host: Host) -> Json:
    return {"id": f"{kind}-{uuid4().hex}", "created": int(time.time()), "model": host.model.name}


def _add_reports(app: FastAPI, host: Host) -> None:
    @app.get("/v1/models")
    async def models() -> Json:
        return {"object": "list", "data": [_model(host)]}

    @app.get("/v1/models/{name:path}", responses=_documented_errors())
    async def model(name: str) -> Response:
        if name != host.model.name:
            raise Fault(f"there is no model {name!r}", param="model", code="model_not_found", status=404)
        return json_response(_model(host))

    @app.get("/health", responses=_documented_errors())
    async def health() -> Response:
        status = host.model.status
        return json_response({"status": status, "model": host.model.name}, 200 if status == "ok" else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        figures = host.metrics.text(host.scheduler) + host.model.figures()
        return Response(figures, media_type="text/plain; version=0.0.4")


def _model(host: Host) -> Json:
    return {
        "id": host.model.name,
        "object": "model",
        "created": 0,
        "owned_by": "scansion",
        "max_model_len": host.model.context,
    }


# -- errors -----------------------------------------------------------------------------------------------------------


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return error_response(_invalid(error))

    @app.exception_handler(ScansionError)
    async def refused(request: Request, error: ScansionError) -> Response:
        return error_response(error)

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, Fault):  # fastapi wraps what the reading of a body raises
            return error_response(error.__cause__)
        answer = error_response(Fault(str(error.detail), code="http_error", status=error.status_code))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return error_response(error)


def _invalid(error: RequestValidationError) -> Fault:
    """The first thing that is wrong with the fields."""
    found = error.errors()[0]
    where = [part for part in found["loc"] if part != "body"]
    if found["type"] == "json_invalid":
        return Fault(f"the body is no JSON: {found.get('ctx', {}).get('error', found['msg'])}", code="invalid_json")
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".") or None
    if found["type"] == "extra_forbidden":
        return _unknown(str(where[-1]), param)
    code = "missing_required_parameter" if found["type"] == "missing" else "invalid_value"
    return Fault(f"{param or 'the body'}: {found['msg']}", param=param, code=code)


def _unknown(name: str, param: str | None) -> Fault:
    known = {*ChatRequest.model_fields, *CompletionRequest.model_fields, *ResponsesRequest.model_fields}
    close = get_close_matches(name, known, 1)
    return Fault(
        f"the field {name[:60]!r} is not known, so it cannot be honoured",
        param=param,
        code="unknown_parameter",
        hint=f"did you mean {close[0]}?" if close else None,
    )


_STREAM_OR_NOT: Json = {
    "description": "the answer, or its pieces if a stream was asked for",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/event-stream": {"schema": {"type": "string"}},
    },
}


def _documented_errors() -> dict[int | str, Json]:
    shape = {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]}
    statuses = {
        400: "refused",
        404: "not found",
        413: "too large",
        429: "overloaded",
        500: "failed",
        503: "unavailable",
    }
    return {
        status: {"description": told, "content": {"application/json": {"schema": shape}}}
        for status, told in statuses.items()
    }
