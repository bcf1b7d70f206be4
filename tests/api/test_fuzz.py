"""Generated requests to every operation of our OpenAPI file: none may be a mistake of ours."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok

from tests.api.conftest import Place

EXAMPLES = 15
NOT_MISTAKES = (501, 503)
"""For what there is no engine here, and when nothing drives."""


def wrong(response: Any, method: str) -> str | None:
    """Say what is wrong with an answer: a mistake of ours, or an error without ``message``."""
    if response.status_code >= 500 and response.status_code not in NOT_MISTAKES:
        return f"{response.status_code}: {response.text}"
    if response.status_code >= 400 and method != "HEAD":
        body = response.json()
        if not isinstance(body, list) and not body.get("message"):
            return f"no message: {response.text}"
    return None


def test_no_request_is_a_mistake_of_ours(place: Place) -> None:
    name = place.create(name="w")
    place.upload(name, "data/in.txt", b"x")
    place.start(name)
    place.drive()
    schema = schemathesis.openapi.from_asgi("/openapi.json", place.client.app)
    headers = {"Authorization": f"Bearer {place.token}"}
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case[Any]) -> None:
            if "workflow" in (case.path_parameters or {}):
                case.path_parameters["workflow"] = "w"
            case.query = {k: v for k, v in (case.query or {}).items() if k != "access_token"}
            problem = wrong(case.call(headers=headers), case.method)
            assert problem is None, f"{case.method} {case.formatted_path} {case.query}: {problem}"

        ask()
        tried += 1
    assert tried >= 15
