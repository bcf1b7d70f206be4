"""From errors to answers: a status code and a JSON body with REANA's ``message``.

The client prints ``message`` whatever the code is, and breaks on a body without it.
"""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gateway.errors import (
    ConflictError,
    GatewayError,
    NoRoomError,
    NotFoundError,
    SpecError,
    UnreachableError,
    UsageError,
)
from gateway.service.views import UnknownWorkflowError

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5


class ApiError(Exception):
    """An answer other than success, decided by a route."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def unknown_workflow_is_forbidden(request: Request) -> None:
    """Answer 403 for an unknown workflow, as REANA does for a few operations."""
    request.state.unknown_workflow = 403


def conflict_is_forbidden(request: Request) -> None:
    """Answer 403 for what does not fit the workflow's state, as REANA does at start."""
    request.state.conflict = 403


def install(api: FastAPI) -> None:
    """Handle every error that can leave a route."""
    api.add_exception_handler(ApiError, _api_error)
    api.add_exception_handler(UnknownWorkflowError, _unknown_workflow)
    api.add_exception_handler(GatewayError, _gateway_error)
    api.add_exception_handler(RequestValidationError, _bad_request)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(ClientDisconnect, _sender_gone)
    api.add_exception_handler(Exception, _mistake)


def answer(
    status: int, message: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Return an error body."""
    return JSONResponse({"message": message} | more, status, headers)


def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return answer(error.status, error.message, error.headers)


def _sender_gone(_request: Request, _error: Exception) -> JSONResponse:
    """Answer whoever closed only the sending side; it is no mistake of ours."""
    return answer(400, "The body ended before its announced length.")


def _unknown_workflow(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UnknownWorkflowError)
    return answer(
        getattr(request.state, "unknown_workflow", 404),
        f"REANA_WORKON is set to {error.asked}, but that workflow does not exist. Please set your "
        "REANA_WORKON environment variable appropriately.",
        **_for_our_client(error),
    )


def _gateway_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GatewayError)
    status = _status(request, error)
    if status >= 500:
        logger.warning("%s %s: %s", request.method, request.url.path, error.message)
    problems = error.problems if isinstance(error, SpecError) else ()
    message = "\n".join((error.message, *(f"- {problem}" for problem in problems)))
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return answer(status, message, headers, **_for_our_client(error))


def _for_our_client(error: GatewayError) -> dict[str, Any]:
    """Return the error as `--json` prints it; ``gateway.client`` makes the same error of it."""
    problems = error.problems if isinstance(error, SpecError) else ()
    return (
        {"error": error.message, "exit_code": int(error.exit_code)}
        | ({"hint": error.hint} if error.hint else {})
        | ({"problems": list(problems)} if problems else {})
    )


def _status(request: Request, error: GatewayError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, UsageError):
        return 400
    if isinstance(error, ConflictError):
        return int(getattr(request.state, "conflict", 409))
    if isinstance(error, UnreachableError):
        return 503
    return 507 if isinstance(error, NoRoomError) else 500


def _bad_request(_request: Request, error: Exception) -> JSONResponse:
    """Say which field is wrong, in REANA's form."""
    assert isinstance(error, RequestValidationError)
    words = [f"Field '{each['loc'][-1]}': {each['msg']}" for each in error.errors()]
    return answer(400, "; ".join(words) or "Malformed request.")


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return answer(error.status_code, str(error.detail), headers)


def _mistake(request: Request, error: Exception) -> JSONResponse:
    """Hide the details of a mistake of ours from the wire and keep them in the log."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(
        500,
        f"This is a mistake of the gateway ({type(error).__name__}); nothing that was accepted is "
        "lost. Its log has the details.",
    )
