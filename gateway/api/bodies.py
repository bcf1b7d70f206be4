"""JSON bodies of requests: of bounded size, depth and patience."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import Depends, Request

from gateway.api import room
from gateway.api.problems import ApiError
from gateway.api.transfer import in_thread

LARGEST_JSON = 16 * 1024 * 1024
DEEPEST_JSON = 200
MOST_VALUES = 100_000
"""As in YAML. A small value takes a hundred times more memory than it has bytes."""
PATIENCE_S = 60.0


async def json_body(request: Request) -> AsyncIterator[Any]:
    """Give the decoded body, ``None`` if it is empty. REANA's client sends one also with GET.

    Raises
    ------
    ApiError
        400 if it is no JSON, 408 if it does not come, 413 if it is too large, 503 if too many
        others are large too.
    """
    async with AsyncExitStack() as room_for_it:
        data = await _read(request, room_for_it)
        yield await in_thread(_decoded, data) if data.strip() else None


def _decoded(data: bytes) -> Any:
    # Commas in texts count too: what holds so many of them is no specification either.
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise ApiError(400, f"Malformed request: the body holds more than {MOST_VALUES} values.")
    try:
        # Told bytes, it would take what is no UTF-8.
        decoded = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
        too_deep = _deeper_than(decoded, DEEPEST_JSON)
    except RecursionError:
        too_deep = True
    except ValueError as error:
        raise ApiError(400, f"Malformed request: the body is no JSON: {error}") from error
    if b"\\u" in data and not too_deep:
        require_text(decoded)
    if too_deep:
        raise ApiError(400, f"Malformed request: nested more than {DEEPEST_JSON} levels deep.")
    return decoded


def require_text(decoded: Any) -> None:
    """Refuse halves of letters, which JSON can write and nothing can store or send.

    Raises
    ------
    ApiError
        400 if there is one.
    """
    try:
        json.dumps(decoded, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1]
        raise ApiError(400, f"Malformed request: {half!r} is half of a letter.") from error


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


async def json_object(body: Annotated[Any, Depends(json_body)]) -> dict[str, Any]:
    """Return the decoded body, which must be an object or absent."""
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise ApiError(400, "Malformed request: the body must be a JSON object.")
    return body


def json_text(text: str, field: str) -> dict[str, Any]:
    """Return the object that a text field of a body holds, an empty one if it is empty.

    Raises
    ------
    ApiError
        400 if it holds something else.
    """
    try:
        found = json.loads(text or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"Field {field!r}: is no JSON text: {error}") from error
    if not isinstance(found, dict):
        raise ApiError(400, f"Field {field!r}: must be a JSON object.")
    require_text(found)
    return found


async def _read(request: Request, room_for_it: AsyncExitStack) -> bytes:
    pieces: list[bytes] = []
    size = 0
    waits = False
    announced = request.headers.get("Content-Length", "")
    needed = int(announced) if announced.isdecimal() else LARGEST_JSON
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for piece in request.stream():
                if size <= room.SMALL < size + len(piece):
                    _require_bounded(needed)
                    waits = True
                    await room_for_it.enter_async_context(room.room().of(needed))
                    waits = False
                size += len(piece)
                _require_bounded(size)
                pieces.append(piece)
    except TimeoutError as error:
        if waits:
            words = "Too many large requests are under way."
            raise ApiError(503, words, {"Retry-After": "30"}) from error
        raise ApiError(408, f"The body did not come within {PATIENCE_S:.0f} s.") from error
    return b"".join(pieces)


def _require_bounded(size: int) -> None:
    if size > LARGEST_JSON:
        raise ApiError(413, f"The body is larger than {LARGEST_JSON // 1024 // 1024} MiB.")


def _deeper_than(data: Any, most: int) -> bool:
    level = [data]
    for _ in range(most):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


JsonBody = Annotated[Any, Depends(json_body)]
JsonObject = Annotated[dict[str, Any], Depends(json_object)]


def documented(schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    """Return what a route says in OpenAPI of a body that it reads itself."""
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": required, "content": content}}
