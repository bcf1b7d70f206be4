"""Generated requests to every operation of our OpenAPI file: none may be a mistake of ours."""

from __future__ import annotations

import itertools
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    response_schema_conformance,
    status_code_conformance,
)

from gateway.api.answers import ANSWERS, OPEN
from tests.api.conftest import Place

EXAMPLES = 25
CHECKS = [status_code_conformance, response_schema_conformance]
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
    tried, turns = 0, itertools.count()
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
            # Now and then the name that was made up, which hardly any workflow has.
            if "workflow" in (case.path_parameters or {}) and next(turns) % 4:
                case.path_parameters["workflow"] = "w"
            case.query = {k: v for k, v in (case.query or {}).items() if k != "access_token"}
            response = case.call(headers=headers)
            problem = wrong(response, case.method)
            assert problem is None, f"{case.method} {case.formatted_path} {case.query}: {problem}"
            case.validate_response(response, checks=CHECKS)

        ask()
        tried += 1
    assert tried >= 15


def test_every_answer_is_described(place: Place) -> None:
    """What no route answers with success says so by its codes."""
    schema = place.client.get("/openapi.json").json()
    names = {
        operation["operationId"]: operation["responses"]
        for methods in schema["paths"].values()
        for operation in methods.values()
    }
    assert set(ANSWERS) <= set(names)
    assert set(names) - set(ANSWERS) == {
        "download_files", "metrics", "open_session", "close_session", "share_workflow",
        "unshare_workflow", "share_status",
    }  # fmt: skip
    open_to_all = {
        operation["operationId"]
        for methods in schema["paths"].values()
        for operation in methods.values()
        if operation.get("security") == []
    }
    assert open_to_all == OPEN
