"""How two workflows differ."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query

from gateway.api.identity import SignedIn
from gateway.api.problems import ApiError
from gateway.service.views import UnknownWorkflowError

router = APIRouter(tags=["workflows"])

MOST_CONTEXT = 1_000_000


@router.get(
    "/api/workflows/{workflow}/diff/{other}", summary="The differences between two workflows"
)
def compare_workflows(
    caller: SignedIn,
    workflow: str,
    other: str,
    brief: bool = False,
    context_lines: Annotated[int, Query(ge=0, le=MOST_CONTEXT)] = 5,
) -> dict[str, Any]:
    """Return unified diffs of specifications and workspaces as JSON texts."""
    try:
        found = caller.services.comparisons.of(workflow, other, brief=brief, context=context_lines)
    except UnknownWorkflowError as error:
        raise ApiError(404, f"Workflow {error.asked} does not exist.") from error
    return {
        "reana_specification": json.dumps(found.specification),
        "workspace_listing": json.dumps(found.workspaces),
    }
