"""The OpenAPI document is true: whatever schemathesis makes of it is answered as the document says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from decoding.server.app import create_app
from decoding.server.limits import ServerLimits
from decoding.server.models import BuiltIn


def test_every_request_is_answered_as_the_document_says(built_in: BuiltIn):
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

    small = ServerLimits(default_tokens=3, max_tokens=6, model_calls=30, choices=3)
    document = schemathesis.openapi.from_asgi("/openapi.json", create_app(built_in, small))
    checks = [not_a_server_error, status_code_conformance, content_type_conformance]
    tried = dict[str, int]()

    def checked(operation: Any) -> None:
        @given(case=operation.as_strategy())
        @settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
        def check(case: Any) -> None:
            answer = case.call()
            case.validate_response(answer, checks=checks)
            assert answer.status_code < 400 or answer.json()["error"]["message"]
            tried[operation.path] = tried.get(operation.path, 0) + 1

        check()

    for operation in document.get_all_operations():
        checked(operation.ok())
    assert {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/models"} <= set(tried)
