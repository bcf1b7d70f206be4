"""Names of files on the wire: read as the bytes that were sent, written so that they harm nobody.

Names are bytes on disk and UTF-8 on the wire. A name that is no UTF-8 keeps its bytes as
surrogates, so that it can be asked for, and never reaches an answer.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated
from urllib.parse import parse_qsl, quote, unquote

from fastapi import Depends, Query, Request

from gateway.api.problems import ApiError
from gateway.workspace.leftovers import is_part
from gateway.workspace.paths import relative_parts
from gateway.workspace.trouble import show_path, wire_name

_BEFORE = 5
"""Slashes before the name in ``/api/workflows/W/workspace/NAME``; ``W`` may be any word."""


def query_value(request: Request, key: str) -> str:
    """Return the last value of a query parameter with its bytes kept, or nothing."""
    text = request.scope["query_string"].decode("latin-1")
    pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
    return next((value for name, value in reversed(pairs) if name == key), "")


def in_query(
    request: Request,
    file_name: Annotated[
        str, Query(description="Name or glob; leading slashes do not count.")
    ] = "",
) -> str:
    """Return the parameter ``file_name``."""
    del file_name
    return query_value(request, "file_name")


def in_path(request: Request) -> str:
    """Return the part of the path below the workspace, also with an encoded slash or star."""
    rest = request.scope["raw_path"].split(b"/", _BEFORE)[_BEFORE]
    return unquote(rest.decode("latin-1"), errors="surrogateescape")


def in_query_or_path(request: Request, name: Annotated[str, Depends(in_query)]) -> str:
    """Return the name that was asked for.

    REANA's client does not quote the path, so a name with ``?`` is whole in the query only.
    """
    return name or in_path(request)


InQuery = Annotated[str, Depends(in_query)]
InPath = Annotated[str, Depends(in_path)]
InQueryOrPath = Annotated[str, Depends(in_query_or_path)]


def new_name(name: str) -> str:
    """Return a name that a file may be given from outside.

    Raises
    ------
    ApiError
        400 for what no terminal, script or other client could name again.
    """
    parts = relative_parts(name)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ApiError(400, f"The file name {show_path(name)} is no UTF-8.") from error
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise ApiError(400, f"The file name {show_path(name)} has control characters.")
    if any(is_part(part) for part in parts):
        raise ApiError(400, f"The file name {name} is one of those that the gateway uses itself.")
    return name


def disposition(kind: str, name: str) -> str:
    """Return a ``Content-Disposition`` header (RFC 6266, RFC 8187).

    Only one form of the name: REANA's client, which reads the header with Python's ``email``, takes
    the plain one where there are two.
    """
    sent = wire_name(name)
    if all(" " <= letter <= "~" and letter not in '"\\%' for letter in sent):
        return f'{kind}; filename="{sent}"'
    return f"{kind}; filename*=UTF-8''{quote(sent, safe='')}"
