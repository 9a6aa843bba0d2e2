"""A server that speaks the protocol of OpenAI and enforces every constraint that a request names.

    request ── fields ──▶ dialects ──▶ turns ──▶ a grammar, compiled       what may be written
                                        │
    prompts ── models ──▶ scheduler ◀── runs ◀── drawing, closing          who writes it: one forward for everybody
                                        │
              answers ◀── reading ◀─────┘                                  what of it is text, thought or a call

`scansion serve` starts it. Without fastapi this package can be imported and says what is missing when it is used.

* A request that asks for what cannot be enforced is refused: status 400, with the field and a code. Fields that nobody
  knows are refused too, because a constraint may hide behind a misspelt name.
* Requests join and leave the running batch at every token. With the built-in model an answer is the same to the last
  bit whoever else is being served (`steady`); the same seed gives the same text.
* An answer in a form is never cut off in the middle: near its budget only what can still be finished may follow
  (`closing`).

>>> from decoding.server.limits import ServerLimits
>>> ServerLimits().choices
16
"""

from __future__ import annotations

from typing import Any

from grammars import BackendUnavailable

__all__ = ["create_app", "serve"]


def create_app(*args: Any, **options: Any) -> Any:
    """The application, for any ASGI server; see `decoding.server.app.create_app`."""
    _require()
    from decoding.server.app import create_app

    return create_app(*args, **options)


def serve(*args: Any, **options: Any) -> None:
    """Run the application until it is interrupted; see `decoding.server.app.serve`."""
    _require()
    from decoding.server.app import serve

    serve(*args, **options)


def _require() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise BackendUnavailable(
            f"the server needs fastapi, uvicorn and prometheus-client, and {error.name} is missing",
            hint="pip install 'scansion[serve]'",
        ) from error
