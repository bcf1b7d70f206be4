"""How long files of a workspace are kept."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from gateway.api.identity import SignedIn
from gateway.service.views import timestamp

router = APIRouter(tags=["workspace"])


@router.get(
    "/api/workflows/{workflow}/retention_rules", summary="The retention rules of a workflow"
)
def retention_rules(caller: SignedIn, workflow: str) -> dict[str, Any]:
    """Return the rules; the day is null until the run has ended."""
    found, rules = caller.services.retention.of(workflow)
    return {
        "workflow_id": found.id,
        "workflow_name": found.full_name,
        "retention_rules": [
            {
                "id": str(rule.id),
                "workspace_files": rule.pattern,
                "retention_days": rule.days,
                "apply_on": timestamp(rule.apply_on),
                "status": rule.status,
            }
            for rule in rules
        ],
    }
