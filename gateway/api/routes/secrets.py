"""Secrets of the user: names go out, values only come in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gateway.api.bodies import JsonBody, JsonObject, documented
from gateway.api.identity import SignedIn
from gateway.api.problems import ApiError
from gateway.service.secrets import NewSecret, UnknownSecretsError

router = APIRouter(tags=["secrets"])

_NAMES = {"type": "array", "items": {"type": "string"}}
_VALUES = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["value", "type"],
        "properties": {
            "value": {"type": "string", "format": "byte"},
            "type": {"type": "string", "enum": ["env", "file"]},
        },
    },
}


_NOT_THERE = {
    "description": "The names that are not there; nothing was deleted",
    "content": {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}},
}


@router.get("/api/secrets", summary="List secrets")
@router.get("/api/secrets/", include_in_schema=False, name="list_secrets_slash")
def list_secrets(caller: SignedIn) -> list[dict[str, str]]:
    """Return names and types."""
    return [{"name": each.name, "type": each.kind} for each in caller.services.secrets.listed()]


@router.post(
    "/api/secrets/",
    status_code=201,
    summary="Add secrets",
    responses={409: {"description": "There is one of that name; none was added"}},
    openapi_extra=documented(_VALUES, required=True),
)
@router.post("/api/secrets", status_code=201, include_in_schema=False, name="add_secrets_no_slash")
def add_secrets(caller: SignedIn, body: JsonObject, overwrite: bool = False) -> dict[str, str]:
    """Add secrets, all or none; without ``overwrite`` none may exist."""
    new = [_new(name, given) for name, given in body.items()]
    caller.services.secrets.add(new, overwrite=overwrite)
    return {"message": "Secret(s) successfully added."}


def _new(name: str, given: Any) -> NewSecret:
    kind = given.get("type") if isinstance(given, Mapping) else None
    value = given.get("value") if isinstance(given, Mapping) else None
    if kind not in ("env", "file") or not isinstance(value, str):
        raise ApiError(400, f"Malformed request: secret {name[:80]!a} needs `value` and `type`.")
    try:
        return NewSecret(name, kind, base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ApiError(
            400, f"Malformed request: the value of secret {name[:80]!a} is no base64."
        ) from error


@router.delete(
    "/api/secrets/",
    summary="Delete secrets",
    responses={404: _NOT_THERE},
    openapi_extra=documented(_NAMES, required=True),
    response_model=list[str],
)
@router.delete(
    "/api/secrets",
    include_in_schema=False,
    name="delete_secrets_no_slash",
    response_model=list[str],
)
def delete_secrets(caller: SignedIn, body: JsonBody) -> Any:
    """Delete secrets, all or none; return their names, or those that do not exist."""
    if not isinstance(body, list) or not all(isinstance(each, str) for each in body):
        raise ApiError(400, "Malformed request: the body must be a list of names.")
    try:
        return caller.services.secrets.delete(body)
    except UnknownSecretsError as error:
        return JSONResponse(list(error.names), 404)
