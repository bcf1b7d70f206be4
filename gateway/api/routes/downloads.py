"""Files of a workspace on their way out: one, a part of one, or several as an archive."""

from __future__ import annotations

import mimetypes
import os
import time
from email.utils import formatdate
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway.api.file_names import InQueryOrPath, disposition
from gateway.api.identity import SignedIn
from gateway.api.problems import ApiError, answer
from gateway.api.ranges import NoSuchPartError, Part, asked_part, entity_tag, is_unchanged
from gateway.api.transfer import FilePart, Pieces, Sending
from gateway.vocabulary.records import Workflow
from gateway.workspace.archive import ArchiveKind, archive_chunks
from gateway.workspace.download import open_download
from gateway.workspace.paths import relative_parts

router = APIRouter(tags=["files"])

_TYPES: dict[ArchiveKind, str] = {"zip": "application/zip", "tar": "application/x-tar"}
_BYTES = "application/octet-stream"
_FILE = {"schema": {"type": "string", "format": "binary"}}
_RESPONSES = {
    200: {"description": "The file or archive", "content": {_BYTES: _FILE, _TYPES["zip"]: _FILE}},
    206: {"description": "The part that `Range` asked for", "content": {_BYTES: _FILE}},
    416: {"description": "The file has no such part"},
}  # fmt: skip


@router.get(
    "/api/workflows/{workflow}/workspace/{path:anything}",
    summary="Download a file, a directory or what a glob matches",
    response_class=Response,
    responses=_RESPONSES,  # type: ignore[arg-type]
)
@router.head("/api/workflows/{workflow}/workspace/{path:anything}", include_in_schema=False)
def download_files(
    request: Request,
    caller: SignedIn,
    workflow: str,
    path: str,
    name: InQueryOrPath,
    preview: Annotated[bool, Query(description="Images, HTML and PDF as what they are.")] = False,
    archive: Annotated[
        Literal["zip", "tar"] | None, Query(description="An archive, also of one file.")
    ] = None,
) -> Response:
    """Send one file with support for `Range`, or several as an archive made while it is sent."""
    del path
    if not name:
        raise ApiError(400, "No file_name provided")
    found, root, selection = caller.services.files.chosen(workflow, name)
    if selection.kind == "file" and archive is None:
        return _file(request, root, selection.paths[0], preview=preview)
    return _archive(request, found, root, (name, selection.paths), archive or "zip")


def _file(request: Request, root: Path, path: str, *, preview: bool) -> Response:
    handle = open_download(root, path)
    info = os.fstat(handle.fileno())
    tag = entity_tag(info)
    headers = _file_headers(path, preview=preview) | {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": formatdate(max(0, info.st_mtime), usegmt=True),
    }
    try:
        part = None
        if request.method == "GET" and is_unchanged(request.headers.get("If-Range"), tag):
            part = asked_part(request.headers.get("Range"), info.st_size)
    except NoSuchPartError:
        handle.close()
        size = {"Content-Range": f"bytes */{info.st_size}"}
        return answer(416, f"The file has {info.st_size} bytes and no such part.", size)
    if part:
        headers["Content-Range"] = part.content_range
    sent = part or Part(0, info.st_size, info.st_size)
    headers["Content-Length"] = str(sent.length)
    if request.method == "HEAD":
        handle.close()
        return Response(None, 200, headers)
    return Sending(FilePart(handle, sent.start, sent.length), 206 if part else 200, headers)


def _file_headers(path: str, *, preview: bool) -> dict[str, str]:
    guessed = mimetypes.guess_type(path)[0] or "" if preview else ""
    shown = guessed.startswith("image/") or guessed in ("text/html", "application/pdf")
    headers = {
        "Content-Type": guessed if shown else _BYTES,
        "Content-Disposition": disposition("inline" if shown else "attachment", path),
        "X-Content-Type-Options": "nosniff",
    }
    if shown and guessed != "application/pdf":
        # A page that a job wrote must not act with the rights of whoever looks at it. Browsers
        # show no PDF in a sandbox, and run no script of one outside.
        headers["Content-Security-Policy"] = "sandbox"
    return headers


def _archive(
    request: Request,
    workflow: Workflow,
    root: Path,
    selected: tuple[str, tuple[str, ...]],
    kind: ArchiveKind,
) -> Response:
    asked, paths = selected
    what = "_".join(relative_parts(asked)[-1:])
    when = time.strftime("%Y-%m-%d-%H%M%S", time.gmtime())
    name = f"download_{workflow.full_name}_{what}_{when}.{kind}"
    # A media type without parameters: REANA's client compares the whole header.
    headers = {"Content-Type": _TYPES[kind], "Content-Disposition": disposition("attachment", name)}
    if request.method == "HEAD":
        return StreamingResponse(iter(()), 200, headers)
    return Sending(Pieces(archive_chunks(root, paths, kind)), 200, headers)
