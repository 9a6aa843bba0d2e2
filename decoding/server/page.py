"""The page at `/`, and the two things that it needs beyond the protocol: what there is, and a picture of particles."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from decoding.pictures.particles import particles_picture
from decoding.pictures.svg import svg
from decoding.pictures.trace import Trace, traced
from decoding.sampler_names import names
from decoding.server.dialects import form_of
from decoding.server.faults import fault_of
from decoding.server.fields import Constraints
from decoding.server.host import Host
from decoding.server.jobs import finite
from decoding.server.models import Prompted, checked_text
from decoding.server.turns import Turn
from decoding.server.wire import json_response
from grammars import ScansionError
from samplers import SMC, Problem


class ParticlesRequest(Constraints):
    """A small run of SMC, to be drawn."""

    prompt: Annotated[str, Field(max_length=4000)]
    n: Annotated[int, Field(ge=1, le=32)] = 12
    max_tokens: Annotated[int, Field(ge=1, le=96)] = 48
    seed: Annotated[int, Field(ge=0)] = 0


_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M3 4q2.5 6 5 0M8 13h5" fill="none" '
    'stroke="#2667d9" stroke-width="2" stroke-linecap="round"/></svg>'
)
"""A short syllable and a long one, as metres are written. Browsers ask for it whether the page names it or not."""


@cache
def _page() -> str:
    return (Path(__file__).parent / "page.html").read_text("utf-8")


def add_page(app: FastAPI, host: Host) -> None:
    """The page and what it asks for."""
    drawing = asyncio.Semaphore(1)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(_page())

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(_ICON, media_type="image/svg+xml")

    @app.get("/scansion/about")
    async def about() -> dict[str, Any]:
        return {"model": host.model.name, "vocabulary": host.model.vocabulary.size, "samplers": names()}

    @app.post("/scansion/particles", include_in_schema=False)
    async def particles(fields: ParticlesRequest) -> Response:
        turn = Turn(form_of(fields.model_dump()))
        automaton = await host.automaton(turn)
        prompt = host.model.prompt(checked_text(fields.prompt, "prompt"))
        if len(prompt) + fields.max_tokens > host.model.context:
            prompt = np.concatenate([prompt[:1], prompt[len(prompt) - host.model.context + fields.max_tokens + 1 :]])
        problem = Problem(Prompted(host.model, prompt), automaton, max_tokens=fields.max_tokens)
        async with drawing:
            try:
                trace = await asyncio.to_thread(traced, problem, SMC(fields.n), fields.n, fields.seed)
            except ScansionError as error:
                raise fault_of(error, turn.param) from error
        return json_response(_told(trace, host))


def _told(trace: Trace, host: Host) -> dict[str, Any]:
    picture = svg(particles_picture(trace, host.model.vocabulary))
    return {"svg": picture, "log_z": finite(trace.samples.log_z), "ess": finite(trace.samples.ess())}
