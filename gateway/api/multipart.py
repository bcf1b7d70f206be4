"""Bodies of several parts, as clients of REANA 0.95 send specifications."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, BinaryIO

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from gateway.api.bodies import json_body, json_object
from gateway.api.problems import ApiError
from gateway.api.transfer import received, traffic

LARGEST = 101 * 1024 * 1024
"""Bytes of a body; the client stops at 100 MiB of files."""
LARGEST_FIELD = 128 * 1024
LARGEST_IN_MEMORY = 64 * 1024
"""Bytes of a file; a larger one lies in the temporary directory meanwhile."""
MOST_FILES, MOST_FIELDS = 1, 4
KIND = "multipart/form-data"


class Form:
    """The parts of a body."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def file(self, name: str) -> tuple[str, BinaryIO]:
        """Return the name that the sender gave a file, and the file.

        Raises
        ------
        ApiError
            400 if there is no such file.
        """
        found = self._data.get(name)
        if not isinstance(found, UploadFile):
            raise ApiError(400, f"Malformed request: the body has no file {name!r}.")
        return found.filename or "", found.file

    def text(self, name: str) -> str:
        """Return a field, empty if it is not there."""
        found = self._data.get(name)
        return found if isinstance(found, str) else ""


class _Parser(MultiPartParser):
    spool_max_size = LARGEST_IN_MEMORY


@asynccontextmanager
async def _parsed(request: Request) -> AsyncIterator[Form]:
    """Read a body. It is a transfer like others until the request has been answered."""
    with traffic().counted():
        async with _form_of(request) as found:
            yield found


@asynccontextmanager
async def _form_of(request: Request) -> AsyncIterator[Form]:
    parser = _Parser(
        request.headers,
        _bounded(request),
        max_files=MOST_FILES,
        max_fields=MOST_FIELDS,
        max_part_size=LARGEST_FIELD,
    )
    try:
        data = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        words = getattr(error, "message", "") or "its parts cannot be told apart"
        raise ApiError(400, f"Malformed request: {words}") from error
    try:
        yield Form(data)
    finally:
        await data.close()


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    size = 0
    async for block in received(request):
        size += len(block)
        if size > LARGEST:
            raise ApiError(413, f"The body is larger than {LARGEST // 1024 // 1024} MiB.")
        yield bytes(block)


async def form(request: Request) -> AsyncIterator[Form]:
    """Return the parts of a body that must have several.

    Raises
    ------
    ApiError
        400 if it is something else.
    """
    if not _has_parts(request):
        raise ApiError(400, f"Malformed request: the body must be {KIND}.")
    async with _parsed(request) as parts:
        yield parts


async def form_or_object(request: Request) -> AsyncIterator[Form | dict[str, Any]]:
    """Return the parts of a body, or the JSON object that it is."""
    if _has_parts(request):
        async with _parsed(request) as parts:
            yield parts
    else:
        async with asynccontextmanager(json_body)(request) as body:
            yield await json_object(body)


def _has_parts(request: Request) -> bool:
    return request.headers.get("Content-Type", "").lower().startswith(KIND)


Parts = Annotated[Form, Depends(form)]
PartsOrObject = Annotated[Form | dict[str, Any], Depends(form_or_object)]


def documented(file: str, *fields: str) -> dict[str, Any]:
    """Return the content of such a body for OpenAPI."""
    properties = {file: {"type": "string", "format": "binary"}}
    properties |= {name: {"type": "string"} for name in fields}
    return {KIND: {"schema": {"type": "object", "required": [file], "properties": properties}}}
