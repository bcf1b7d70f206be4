"""Create and start a workflow from a URL."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from gateway.api.bodies import JsonObject, documented, json_text
from gateway.api.identity import SignedIn
from gateway.api.problems import ApiError
from gateway.service.launch import LaunchOrder

router = APIRouter(tags=["workflows"])

_BODY = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string"},
        "name": {"type": "string"},
        "parameters": {"type": "string", "description": "JSON text"},
        "specification": {"type": "string"},
    },
}


@router.post(
    "/api/launch",
    summary="Create and start a workflow from a git repository, an archive or a specification",
    openapi_extra=documented(_BODY, required=True),
)
def launch(request: Request, caller: SignedIn, body: JsonObject) -> dict[str, Any]:
    """Fetch it, create a workflow, and start it."""
    order = LaunchOrder(
        url=_text(body, "url"),
        name=_text(body, "name"),
        parameters=json_text(_text(body, "parameters"), "parameters"),
        specification=_text(body, "specification"),
    )
    launched = caller.services.launcher.launch(order)
    request.app.state.wake()
    reply: dict[str, Any] = {
        "message": "The workflow has been successfully submitted.",
        "workflow_id": launched.workflow.id,
        "workflow_name": launched.workflow.full_name,
    }
    if launched.warnings:
        reply["validation_warnings"] = {"additional_properties": list(launched.warnings)}
    return reply


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if value is None:
        value = ""
    if not isinstance(value, str) or (key == "url" and not value):
        raise ApiError(400, f"Field {key!r}: must be a text.")
    return value
