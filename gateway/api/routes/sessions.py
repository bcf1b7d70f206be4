"""Interactive sessions, which the gateway does not have."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.api.bodies import JsonBody
from gateway.api.identity import SignedIn
from gateway.api.problems import ApiError

router = APIRouter(tags=["sessions"])


@router.post("/api/workflows/{workflow}/open/{session_type}", summary="Open an interactive session")
def open_session(caller: SignedIn, workflow: str, session_type: str, body: JsonBody) -> None:
    """Say that there are none."""
    del body
    found = caller.services.views.find(workflow)
    raise ApiError(
        501,
        f"Interactive sessions ({session_type[:40]}) are not available on this gateway. The files "
        f"of {found.full_name} are in {found.workspace}: start a notebook of your own there.",
    )


@router.post("/api/workflows/{workflow}/close/", summary="Close an interactive session")
@router.post(
    "/api/workflows/{workflow}/close", include_in_schema=False, name="close_session_no_slash"
)
def close_session(caller: SignedIn, workflow: str) -> None:
    """Say that none is open."""
    found = caller.services.views.find(workflow)
    raise ApiError(404, f"Workflow - {found.full_name} has no open interactive session.")
