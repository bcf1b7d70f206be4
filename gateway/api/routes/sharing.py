"""Sharing of workflows between users, which REANA has from 0.95 on and the gateway does not."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.api.bodies import JsonBody
from gateway.api.identity import Caller, SignedIn
from gateway.api.problems import ApiError

router = APIRouter(tags=["sharing"])


@router.post("/api/workflows/{workflow}/share", summary="Share a workflow")
def share_workflow(caller: SignedIn, workflow: str, body: JsonBody) -> None:
    """Say that this cannot be done."""
    del body
    raise _not_here(caller, workflow)


@router.post("/api/workflows/{workflow}/unshare", summary="End the sharing of a workflow")
def unshare_workflow(caller: SignedIn, workflow: str) -> None:
    """Say that this cannot be done."""
    raise _not_here(caller, workflow)


@router.get("/api/workflows/{workflow}/share-status", summary="Who a workflow is shared with")
def share_status(caller: SignedIn, workflow: str) -> None:
    """Say that this cannot be done."""
    raise _not_here(caller, workflow)


def _not_here(caller: Caller, workflow: str) -> ApiError:
    found = caller.services.views.find(workflow)
    return ApiError(
        501,
        f"Workflows are not shared by this gateway. The files of {found.full_name} are in "
        f"{found.workspace}: give others access to them there.",
    )
