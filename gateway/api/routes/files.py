"""The files of a workspace: list, upload, delete, move, measure, prune."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from gateway.api import wire
from gateway.api.bodies import JsonObject, documented
from gateway.api.file_names import InPath, InQuery, new_name, query_value
from gateway.api.identity import SignedIn
from gateway.api.problems import ApiError, unknown_workflow_is_forbidden
from gateway.api.transfer import in_thread, managed, store
from gateway.errors import ConflictError, NotFoundError, UsageError
from gateway.service.views import UnknownWorkflowError
from gateway.workspace.listing import Filters, Usage
from gateway.workspace.removal import Removal
from gateway.workspace.trouble import wire_name

router = APIRouter(tags=["files"])

BYTES = "application/octet-stream"
_BINARY = {"type": "string", "format": "binary"}
_USAGE_BODY = {
    "type": "object",
    "properties": {"summarize": {"type": "boolean"}, "search": {"type": "string"}},
}
_MOST_NAMED = 5
"""Files whose fate is told in a sentence."""


@router.get("/api/workflows/{workflow}/workspace", summary="List the files of a workspace")
def list_files(
    caller: SignedIn,
    workflow: str,
    file_name: InQuery,
    search: Annotated[str | None, Query(description='`{"name": ["part"], "size": [...]}`')] = None,
    page: Annotated[int, Query(ge=1, le=2**31)] = 1,
    size: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> JSONResponse:
    """Return a page of files; with a directory or glob, directories too."""
    found = caller.services.files.listed(
        workflow, file_name, Filters.from_search(search), page=page, size=size
    )
    items = [
        {"name": each.name, "last-modified": each.last_modified, "size": wire.size(each.size)}
        for each in found.items
    ]
    paging = {"page": page, "has_next": found.has_next, "has_prev": found.has_prev}
    paging |= {"size": size} if size else {}
    return JSONResponse({"items": items, "total": found.total} | paging)


@router.post(
    "/api/workflows/{workflow}/workspace",
    summary="Store a file in a workspace",
    openapi_extra={"requestBody": {"required": True, "content": {BYTES: {"schema": _BINARY}}}},
    responses={
        408: {"description": "Nothing came for a while"},
        507: {"description": "The filesystem is full, or a quota is used up"},
    },
)
async def upload_file(
    request: Request, caller: SignedIn, workflow: str, file_name: InQuery
) -> dict[str, Any]:
    """Replace or create one file; until all bytes are there, the old one stays."""
    if not file_name:
        raise ApiError(400, "No file_name provided")
    content_type = request.headers.get("Content-Type", "")
    if BYTES not in content_type.lower():
        raise ApiError(400, f"Wrong Content-Type {content_type[:100]} use {BYTES}")
    announced = request.headers.get("Content-Length", "")
    upload = await in_thread(
        caller.services.files.upload_to,
        workflow,
        new_name(file_name),
        int(announced) if announced.isdecimal() else 0,
    )
    async with managed(upload):
        await store(request, upload.write)
    return {"message": f"{file_name} has been successfully uploaded."}


@router.delete(
    "/api/workflows/{workflow}/workspace/{path:anything}", summary="Delete files of a workspace"
)
def delete_files(caller: SignedIn, workflow: str, path: str, name: InPath) -> dict[str, Any]:
    """Delete a file, what is in a directory, or what a glob matches; say what went and what not."""
    del path
    removal = caller.services.files.remove(workflow, [name])
    return {
        "deleted": {name: {"size": size} for name, size in removal.deleted.items()},
        "failed": {name: {"error": reason} for name, reason in removal.failed.items()},
    }


@router.put(
    "/api/workflows/move_files/{workflow}",
    summary="Rename a file or directory of a workspace",
    responses={409: {"description": "It cannot be moved"}},
)
def move_files(
    request: Request,
    caller: SignedIn,
    workflow: str,
    source: Annotated[str, Query()],
    target: Annotated[str, Query()],
) -> dict[str, Any]:
    """Move within the workspace; into the target if that is a directory."""
    source, target = query_value(request, "source"), query_value(request, "target")
    for end, name in (("Source", source), ("Target", target)):
        if name.startswith("/") or ".." in name.split("/"):
            raise ApiError(409, f"{end} path is outside workspace")
    try:
        moved = caller.services.files.move(workflow, source, new_name(target))
    except UnknownWorkflowError:
        raise
    except (ConflictError, NotFoundError, UsageError) as error:
        raise ApiError(409, f"Something went wrong:\n {error.message}") from error
    return {
        "message": f"File(s) {wire_name(source)} were successfully moved",
        "workflow_id": moved.id,
        "workflow_name": moved.full_name,
    }


@router.get(
    "/api/workflows/{workflow}/disk_usage",
    summary="What a workspace occupies",
    dependencies=[Depends(unknown_workflow_is_forbidden)],
    openapi_extra=documented(_USAGE_BODY),
)
def disk_usage(caller: SignedIn, workflow: str, body: JsonObject) -> JSONResponse:
    """Return allocated bytes as `du` does; `search` chooses by name and by exact size."""
    summarize, search = body.get("summarize") or False, body.get("search") or ""
    if not isinstance(summarize, bool) or not isinstance(search, str):
        raise ApiError(400, "Malformed request: summarize is a boolean, search a string.")
    names, sizes = _usage_search(search)
    found, usage = caller.services.files.usage(workflow, summarize=summarize, patterns=names)
    lines = [each for each in usage if not sizes or str(each.bytes) in sizes]
    return JSONResponse(
        {
            "workflow_id": found.id,
            "workflow_name": found.name,
            "user": found.owner,
            "disk_usage_info": [_usage_line(each) for each in lines],
        }
    )


def _usage_search(search: str) -> tuple[list[str], list[str]]:
    """Read REANA's ``{"name": ["glob"], "size": ["bytes"]}``."""
    try:
        data = json.loads(search) if search else {}
        names, sizes = data.get("name") or [], data.get("size") or []
    except (ValueError, AttributeError, RecursionError) as error:
        raise ApiError(400, "Malformed request: search is no JSON object of lists.") from error
    for each in (names, sizes):
        if not isinstance(each, list) or not all(isinstance(word, str | int) for word in each):
            raise ApiError(400, "Malformed request: search is no JSON object of lists.")
    return [str(name) for name in names], [str(size) for size in sizes]


def _usage_line(usage: Usage) -> dict[str, Any]:
    return {"name": usage.name, "size": wire.size(usage.bytes)}


@router.post(
    "/api/workflows/{workflow}/prune",
    summary="Delete all but inputs and outputs",
    dependencies=[Depends(unknown_workflow_is_forbidden)],
    responses={409: {"description": "A run still needs the files"}},
)
def prune_workspace(
    caller: SignedIn, workflow: str, include_inputs: bool = False, include_outputs: bool = False
) -> dict[str, Any]:
    """Delete what the specification declares neither as input nor as output, or these too."""
    pruned, removal = caller.services.files.prune(
        workflow, include_inputs=include_inputs, include_outputs=include_outputs
    )
    return {
        "message": _pruned(removal),
        "workflow_id": pruned.id,
        "workflow_name": pruned.name,
    }


def _pruned(removal: Removal) -> str:
    if not removal.failed:
        return "The workspace has been correctly pruned."
    named = list(removal.failed.items())[:_MOST_NAMED]
    words = "; ".join(f"{name}: {reason}" for name, reason in named)
    return f"{len(removal.failed)} files could not be deleted: {words}"
