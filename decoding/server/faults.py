"""Faults: errors as clients see them, `{"error": {"message", "type", "param", "code"}}` with a status.

`code` is stable and `param` names the field that is at fault. What the layers below refuse keeps its own code
("grammar.syntax", "grammar.limit", ...); whatever else goes wrong is the server's fault, and says so.
"""

from __future__ import annotations

from typing import Any

from grammars import BudgetExhausted, DeadEnd, GrammarError, RequestError, ScansionError, VocabularyError
from samplers.errors import InvalidOption

_TYPES = {400: "invalid_request_error", 404: "not_found_error", 413: "invalid_request_error", 429: "rate_limit_error"}
_BY_CALLER = (GrammarError, VocabularyError, InvalidOption, RequestError, BudgetExhausted, DeadEnd)


class Fault(RequestError):
    """A request that is answered with an error.

    >>> Fault("n is too large", param="n", code="limit_exceeded").body()["error"]["param"]
    'n'
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str = "invalid_value",
        status: int = 400,
        hint: str | None = None,
        retry_after: int | None = None,
    ):
        super().__init__(message, hint=hint)
        self.param, self.status, self.reason, self.retry_after = param, status, code, retry_after

    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.reason}}


def fault_of(error: BaseException, param: str | None = None) -> Fault:
    """What a client is told of an error.

    >>> from grammars import UnsatisfiableGrammar
    >>> fault_of(UnsatisfiableGrammar("empty"), "regex").body()["error"]["code"]
    'grammar.unsatisfiable'
    >>> fault_of(KeyError("a secret")).body()["error"]["message"]
    'the server failed'
    """
    if isinstance(error, Fault):
        return error
    if isinstance(error, ScansionError):
        return Fault(str(error), param=param, code=error.code, status=400 if isinstance(error, _BY_CALLER) else 500)
    return Fault("the server failed", code="internal_error", status=500)


def overloaded(retry_after: int) -> Fault:
    """The queue is full."""
    return Fault(
        "too many requests are waiting", code="overloaded", status=429, hint="try again later", retry_after=retry_after
    )


def stopping() -> Fault:
    """The server goes down."""
    return Fault("the server is shutting down", code="unavailable", status=503, retry_after=5)
