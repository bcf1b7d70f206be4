"""Paths as clients write them: with a slash at the end or without, and with any byte in a name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.convertors import Convertor, register_url_convertor

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class _AnyText(Convertor[str]):
    """As ``path`` of Starlette, and line ends too: a job may give a file any name."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _AnyText())


def without_last_slash(api: Asgi) -> Asgi:
    """Wrap an application for which a slash at the end of a path means nothing.

    But for names of files: those are left as they were sent.
    """

    async def stripped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/") and not _is_left(scope["path"]):
            raw = scope.get("raw_path") or scope["path"].encode()
            scope = {**scope, "path": scope["path"].rstrip("/"), "raw_path": raw.rstrip(b"/")}
        await api(scope, receive, send)

    return stripped


def _is_left(path: str) -> bool:
    parts = path.split("/", 5)
    return path == "/" or (len(parts) == 6 and parts[4] == "workspace")
