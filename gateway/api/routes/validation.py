"""Check a specification against the site, without creating anything."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from gateway.api.bodies import JsonObject, documented
from gateway.api.identity import SignedIn
from gateway.api.problems import ApiError
from gateway.service.order import Order
from gateway.spec.load import load_data

router = APIRouter(prefix="/gateway", tags=["additions"])

_BODY = {
    "type": "object",
    "required": ["specification"],
    "properties": {
        "specification": {"type": "object"},
        "parameters": {"type": "object"},
        "options": {"type": "object"},
    },
}


@router.post(
    "/validate",
    summary="Check a specification",
    openapi_extra=documented(_BODY, required=True),
)
def validate(caller: SignedIn, body: JsonObject, cluster: str | None = None) -> dict[str, Any]:
    """Return warnings, or 400 with all problems."""
    parts = {name: body.get(name) or {} for name in ("specification", "parameters", "options")}
    wrong = [name for name, value in parts.items() if not isinstance(value, dict)]
    if wrong or not parts["specification"]:
        raise ApiError(400, f"Field {(wrong or ['specification'])[0]!r}: must be an object.")
    order = Order(
        load_data(parts["specification"]),
        parameters=parts["parameters"],
        options=parts["options"],
        cluster=cluster or None,
    )
    return {"valid": True, "warnings": list(caller.services.workflows.check(order))}
