"""Move files over the wire: streamed, whole or not there, and taken up where the line broke."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from gateway.client.http import PAUSES_S, BrokenError, Call, Wire, workflow_path
from gateway.client.results import Transfer
from gateway.errors import SiteError, UsageError

if TYPE_CHECKING:
    import httpx2

CHUNK = 256 * 1024
OnProgress = Callable[[Transfer], None]


def workspace_path(workflow: str, name: str = "") -> str:
    """Return the path of a file of a workspace, or of the workspace."""
    below = f"/{quote(name)}" if name else ""
    return f"{workflow_path(workflow)}/workspace{below}"


class _Download:
    """One file on its way; survives that the line breaks."""

    def __init__(self, wire: Wire, workflow: str, name: str, tell: OnProgress) -> None:
        self._wire = wire
        self._workflow = workflow
        self._name = name
        self._tell = tell
        self._done = 0
        self._total: int | None = None
        self._mark = ""
        """What the server calls this version of the file."""

    def into(self, out: BinaryIO, *, seekable: bool = True) -> int:
        """Write the file; return its size.

        A part that came is kept when the line breaks, as long as parts keep coming.
        """
        while True:
            before = self._done
            try:
                self._wire.patiently(lambda: self._some(out, seekable=seekable), repeatable=True)
            except _ProgressError:
                self._wire.sleep(PAUSES_S[0])
                continue
            if self._total is not None and self._done != self._total:
                if self._done == before:
                    raise SiteError(
                        f"{self._name}: {self._done} of {self._total} bytes came from "
                        f"{self._wire.where}"
                    )
                continue
            return self._done

    def _some(self, out: BinaryIO, *, seekable: bool) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._done:
            headers["Range"] = f"bytes={self._done}-"
            if self._mark:
                headers["If-Range"] = self._mark
        before = self._done
        call = Call(
            "GET",
            workspace_path(self._workflow, self._name),
            {"file_name": self._name},
            headers=headers,
            repeatable=True,
        )
        try:
            with self._wire.stream(call) as response:
                self._begin(response, out, seekable=seekable)
                # Pieces of a size of our own would lose what is short of one when the line breaks.
                for piece in response.iter_raw():
                    out.write(piece)
                    self._done += len(piece)
                    self._tell(Transfer(self._name, self._done, self._total))
        except BrokenError as error:
            if self._done > before:
                raise _ProgressError from error
            raise

    def _begin(self, response: httpx2.Response, out: BinaryIO, *, seekable: bool) -> None:
        """Note the size; go on where we are, or from the start if the file has changed."""
        mark = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if response.status_code == 206 and self._done:
            begin, total = _content_range(response.headers.get("Content-Range", ""))
            if begin == self._done and total == self._total:
                return
            raise SiteError(f"{self._name} changed while it was downloaded")
        if self._done and not seekable:
            raise SiteError(f"{self._name} changed while it was downloaded, or cannot be resumed")
        if self._done:
            out.seek(0)
            out.truncate()
            self._done = 0
        length = response.headers.get("Content-Length")
        self._total = int(length) if length is not None and length.isdigit() else None
        # A weak mark does not promise the same bytes (RFC 9110, 13.1.5).
        self._mark = "" if mark.startswith("W/") else mark


class _ProgressError(Exception):
    """The line broke after something had come."""


def _content_range(text: str) -> tuple[int, int | None]:
    span, _, total = text.removeprefix("bytes ").partition("/")
    begin = span.partition("-")[0]
    return int(begin) if begin.isdigit() else -1, int(total) if total.isdigit() else None


def copy_out(
    wire: Wire, workflow: str, name: str, out: BinaryIO, tell: OnProgress, *, seekable: bool = True
) -> int:
    """Write a file of a workspace to a stream; return its size.

    Parameters
    ----------
    seekable
        Whether what was written can be taken back, should the file change meanwhile.
    """
    return _Download(wire, workflow, name, tell).into(out, seekable=seekable)


def save(wire: Wire, workflow: str, name: str, target: Path, tell: OnProgress) -> None:
    """Download a file; it appears whole or not at all.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as out:
            copy_out(wire, workflow, name, out, tell)
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written: {error.strerror or error}",
            hint="choose another directory, or make room",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def store(wire: Wire, workflow: str, name: str, source: Path, tell: OnProgress) -> None:
    """Upload a file; it replaces one of the same name at once, when all of it is there.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    try:
        size = source.stat().st_size
        with source.open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror or error}") from error
    call = Call(
        "POST",
        workspace_path(workflow),
        {"file_name": name},
        content=lambda: _pieces(source, name, size, tell),
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
        repeatable=True,
    )
    wire.send(call)


def _pieces(source: Path, name: str, size: int, tell: OnProgress) -> Iterator[bytes]:
    """Read exactly as much as was announced."""
    done = 0
    try:
        with source.open("rb") as handle:
            while piece := handle.read(min(CHUNK, size - done)):
                yield piece
                done += len(piece)
                tell(Transfer(name, done, size))
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror or error}") from error
    if done != size:
        raise UsageError(f"{source} became shorter while it was uploaded", hint="upload it again")
