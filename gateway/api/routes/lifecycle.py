"""Start, restart, stop and delete workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request

from gateway.api import multipart, wire
from gateway.api.bodies import JsonObject, documented, json_text
from gateway.api.file_names import new_name
from gateway.api.identity import Caller, SignedIn
from gateway.api.multipart import Parts
from gateway.api.problems import ApiError, conflict_is_forbidden, unknown_workflow_is_forbidden
from gateway.spec.load import load_data

router = APIRouter(tags=["lifecycle"])

VERBS = ("start", "stop", "deleted")
_START_BODY = {
    "type": "object",
    "properties": {
        "input_parameters": {"type": "object"},
        "operational_options": {"type": "object"},
        "restart": {"type": "boolean"},
        "reana_specification": {"type": "object"},
    },
}


@router.post(
    "/api/workflows/{workflow}/start",
    summary="Start or restart a workflow",
    dependencies=[Depends(unknown_workflow_is_forbidden), Depends(conflict_is_forbidden)],
    openapi_extra=documented(_START_BODY),
)
def start_workflow(
    request: Request, caller: SignedIn, workflow: str, body: JsonObject
) -> dict[str, Any]:
    """Hand a workflow to the driver, or run an ended one again."""
    return _start(request, caller, workflow, body)


@router.post(
    "/api/workflows/{workflow}/restart",
    summary="Run an ended workflow again with another specification",
    dependencies=[Depends(unknown_workflow_is_forbidden), Depends(conflict_is_forbidden)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": multipart.documented("replacement", "parameters"),
        }
    },
)
def restart_workflow(
    request: Request, caller: SignedIn, workflow: str, body: Parts
) -> dict[str, Any]:
    """Take a specification as a file; `parameters` is a JSON object with what a start takes."""
    given = json_text(body.text("parameters"), "parameters")
    name, replacement = body.file("replacement")
    started = caller.services.bundles.restart(
        workflow,
        (new_name(name or "reana.yaml"), replacement),
        _mapping(given, "input_parameters"),
        _mapping(given, "operational_options"),
    )
    request.app.state.wake()
    return wire.accepted(started, "Workflow submitted.")


def _start(
    request: Request, caller: Caller, workflow: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    parameters = _mapping(body, "input_parameters")
    options = _mapping(body, "operational_options")
    if body.get("restart"):
        given = _mapping(body, "reana_specification")
        loaded = load_data(given) if given else None
        started = caller.services.workflows.restart(workflow, parameters, options, loaded)
    else:
        started = caller.services.workflows.start(workflow, parameters, options)
    request.app.state.wake()
    return wire.accepted(started, "Workflow submitted.")


def _mapping(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ApiError(400, f"Field {key!r}: must be an object.")
    return value


@router.put(
    "/api/workflows/{workflow}/status",
    summary="Start, stop or delete a workflow",
    openapi_extra=documented({"type": "object"}),
)
def set_workflow_status(
    request: Request, caller: SignedIn, workflow: str, status: str, body: JsonObject
) -> dict[str, Any]:
    """Carry out ``start``, ``stop`` or ``deleted``."""
    if status == "start":
        return _start(request, caller, workflow, body)
    if status == "stop":
        return _stop(request, caller, workflow)
    if status == "deleted":
        return _delete(caller, workflow, all_runs=bool(body.get("all_runs")))
    raise ApiError(400, f"Status {status} is not one of: {', '.join(VERBS)}.")


def _stop(request: Request, caller: Caller, workflow: str) -> dict[str, Any]:
    stopping = caller.services.workflows.stop(workflow)
    request.app.state.wake()
    found = wire.accepted(stopping, "Workflow is being stopped.")
    return found | {"workflow_name": stopping.full_name}


def _delete(caller: Caller, workflow: str, *, all_runs: bool) -> dict[str, Any]:
    deleted = caller.services.workflows.delete(workflow, all_runs=all_runs)
    found = caller.services.views.find(workflow)
    words = f"Workflow successfully deleted ({len(deleted)} runs)." if all_runs else ""
    reply = wire.accepted(found, words or "Workflow successfully deleted.")
    return reply | {"workflow_name": found.full_name}
