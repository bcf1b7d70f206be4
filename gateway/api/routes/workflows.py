"""Create, list and look at workflows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from gateway.api import multipart, wire
from gateway.api.bodies import require_text
from gateway.api.identity import Caller, SignedIn
from gateway.api.multipart import Form, Parts, PartsOrObject
from gateway.api.problems import ApiError, unknown_workflow_is_forbidden
from gateway.composition.app import App
from gateway.service.order import Order
from gateway.service.views import Progress, Search, timestamp
from gateway.spec.load import load_data
from gateway.vocabulary.records import Workflow
from gateway.vocabulary.states import WorkflowStatus

router = APIRouter(tags=["workflows"])

LONGEST_KEY = 200


@router.post(
    "/api/workflows",
    status_code=201,
    summary="Create a workflow",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "object"}},
                **multipart.documented("bundle"),
            },
        }
    },
)
def create_workflow(
    caller: SignedIn,
    body: PartsOrObject,
    workflow_name: str = "",
    spec: str | None = None,
    key: Annotated[str | None, Query(min_length=1, max_length=LONGEST_KEY)] = None,
    cluster: str | None = None,
) -> dict[str, Any]:
    """Create a workflow from its specification; its workspace is there when this returns.

    The specification is the body, or `reana.yaml` in a ZIP file with all that belongs to it; what
    the ZIP file holds is then in the workspace.

    Two additions to REANA's API: the same `key` again returns the same workflow, and `cluster`
    is for steps that name no backend.
    """
    if spec is not None:
        raise ApiError(501, "Creating a workflow from a remote specification: use /api/launch.")
    order = partial(Order, name=workflow_name, key=key, cluster=cluster or None)
    if isinstance(body, Form):
        workflow, findings = caller.services.bundles.create(body.file("bundle")[1], order)
        return _created(workflow) | {"validation_warnings": wire.findings(findings.warnings)}
    if not body:
        raise ApiError(400, "Malformed request: the body must be a specification.")
    return _created(caller.services.workflows.create(order(load_data(body)), later=True))


def _created(workflow: Workflow) -> dict[str, Any]:
    return {
        "message": "The workflow has been successfully created.",
        "workflow_id": workflow.id,
        "workflow_name": workflow.full_name,
    }


@router.post(
    "/api/workflows/validate",
    summary="Check the specification in a ZIP file",
    openapi_extra={"requestBody": {"required": True, "content": multipart.documented("bundle")}},
)
def validate_bundle(caller: SignedIn, body: Parts, environments: bool = False) -> dict[str, Any]:
    """Say whether it can be run here, and if not, everything that is wrong with it."""
    findings = caller.services.bundles.validate(body.file("bundle")[1])
    report: dict[str, Any] = {
        "valid": not findings.errors,
        "errors": wire.findings(findings.errors),
        "warnings": wire.findings(findings.warnings),
    }
    if environments:
        # Containers run under the account of the gateway, whatever user the image names.
        ids = {"runtime_uid": os.getuid(), "runtime_gid": os.getgid()}
        report["environments"] = [{"image": image, **ids} for image in findings.images]
    return report


def _statuses(status: Sequence[str]) -> frozenset[WorkflowStatus]:
    """Read statuses, comma-joined as the client sends them or repeated."""
    words = [word for each in status for word in each.split(",") if word]
    known = {status.value for status in WorkflowStatus}
    unknown = [word for word in words if word not in known]
    if unknown:
        raise ApiError(400, f"Malformed request: there is no status {unknown[0]!r}.")
    return frozenset(WorkflowStatus(word) for word in words) or frozenset(WorkflowStatus)


def _name_part(search: str | None) -> str | None:
    """Read REANA's ``{"name": ["x"]}``, of which it uses the first name."""
    if not search:
        return None
    try:
        found = json.loads(search)
        names = found.get("name", [])
    except (ValueError, AttributeError, RecursionError) as error:
        raise ApiError(400, "Malformed request.") from error
    if not isinstance(names, list):
        raise ApiError(400, "Malformed request.")
    require_text(found)
    return str(names[0]) if names else None


class ListQuery(BaseModel):
    """The query of ``list``; the client always sends the first four."""

    verbose: bool = False
    type: str = "batch"
    page: int = Field(1, ge=1, le=2**31)
    status: list[str] = Field([], description="Comma-joined or repeated.")
    size: int | None = Field(None, ge=1, le=2**31)
    search: str | None = Field(None, description='REANA\'s form, `{"name": ["part"]}`.')
    workflow_id_or_name: str | None = None
    sort: Literal["asc", "desc", "disk-desc", "cpu-desc"] = "desc"
    include_progress: bool | None = Field(None, description="Default: as `verbose`.")
    include_workspace_size: bool | None = Field(None, description="Default: as `verbose`.")

    def wants(self, asked: bool | None) -> bool:
        """Return whether a costly part of the answer is wanted."""
        return self.verbose if asked is None else asked


_ORDERS: dict[str, Literal["newest", "oldest", "cpu", "disk"]] = {
    "asc": "oldest",
    "desc": "newest",
    "cpu-desc": "cpu",
    "disk-desc": "disk",
}


@router.get("/api/workflows", summary="List workflows")
def list_workflows(
    request: Request, caller: SignedIn, query: Annotated[ListQuery, Query()]
) -> dict[str, Any]:
    """Return a page of the user's workflows; without a size, all of them."""
    app: App = request.app.state.app
    measured = query.sort == "disk-desc" or query.wants(query.include_workspace_size)
    sizes = app.usage.sizes(caller.user.id) if measured else {}
    found = caller.services.views.search(
        Search(
            statuses=_statuses(query.status),
            name_part=_name_part(query.search),
            named=query.workflow_id_or_name,
            order=_ORDERS[query.sort],
            sizes=sizes if query.sort == "disk-desc" else {},
            page=query.page,
            size=query.size,
        )
    )
    # There are no interactive sessions, and REANA leaves out workflows without one.
    items = [] if query.type == "interactive" else found.items
    end = query.page * query.size if query.size else found.total
    return {
        "items": [_listed(caller, query, sizes, *each) for each in items],
        "total": found.total,
        "page": query.page,
        "has_next": end < found.total,
        "has_prev": query.page > 1,
        "user_has_workflows": found.user_has_workflows,
    } | ({"size": query.size} if query.size else {})


def _listed(
    caller: Caller,
    query: ListQuery,
    sizes: Mapping[str, int],
    workflow: Workflow,
    progress: Progress,
) -> dict[str, Any]:
    full = query.wants(query.include_progress)
    measured = query.wants(query.include_workspace_size)
    shown = wire.progress_counts(workflow, progress) if full else wire.times_only(workflow)
    size = _size(caller, sizes, workflow) if measured else wire.NOT_ASKED
    return {
        "id": workflow.id,
        "name": workflow.full_name,
        "status": workflow.status.value,
        "user": workflow.owner,
        "created": timestamp(workflow.created_at),
        "launcher_url": workflow.launcher_url,
        "progress": shown,
        "size": size,
    }


def _size(caller: Caller, sizes: Mapping[str, int], workflow: Workflow) -> dict[str, Any]:
    """Measure what may still change; of an ended run, what was measured last is enough."""
    known = sizes.get(workflow.workspace) if workflow.status.is_terminal else None
    return wire.size(caller.services.files.size(workflow) if known is None else known)


@router.get("/api/workflows/{workflow}/status", summary="Where a workflow is")
def workflow_status(caller: SignedIn, workflow: str) -> dict[str, Any]:
    """Return the status with the progress."""
    return wire.status(caller.services.views.show(workflow))


@router.get(
    "/api/workflows/{workflow}/specification",
    summary="The specification of a workflow",
    dependencies=[Depends(unknown_workflow_is_forbidden)],
)
def workflow_specification(caller: SignedIn, workflow: str) -> dict[str, Any]:
    """Return what was posted, and the parameters given at start."""
    found = caller.services.views.find(workflow)
    return {"specification": found.specification, "parameters": found.parameters}


@router.get("/api/workflows/{workflow}/parameters", summary="The parameters of a workflow")
def workflow_parameters(caller: SignedIn, workflow: str) -> dict[str, Any]:
    """Return the parameters of the specification."""
    found = caller.services.views.find(workflow)
    inputs = found.specification.get("inputs") or {}
    return {
        "id": found.id,
        "name": found.full_name,
        "type": found.specification["workflow"]["type"],
        "parameters": dict(inputs.get("parameters") or {}),
    }
