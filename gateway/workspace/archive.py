"""Files of a workspace as one ZIP or tar stream, made while it is sent.

Nothing is stored on the way and nothing is compressed: results are mostly compressed already,
and a login node's processors belong to everybody.
"""

from __future__ import annotations

import os
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from gateway.errors import NotFoundError, SiteError, UsageError
from gateway.workspace.download import open_download
from gateway.workspace.trouble import show_path, wire_name

ArchiveKind = Literal["zip", "tar"]
_CHUNK = 256 * 1024
_BLOCK = tarfile.BLOCKSIZE
_OLDEST = (1980, 1, 1, 0, 0, 0)
_NEWEST = (2107, 12, 31, 23, 59, 58)


def write_archive(
    out: BinaryIO, root: Path, paths: Iterable[str], kind: ArchiveKind = "zip"
) -> None:
    """Write an archive; ``out`` need not be seekable.

    Raises
    ------
    SiteError
        If a file cannot be read, or shrinks while it goes into a tar stream.
    """
    for chunk in archive_chunks(root, paths, kind):
        out.write(chunk)


def archive_chunks(root: Path, paths: Iterable[str], kind: ArchiveKind = "zip") -> Iterator[bytes]:
    """Yield an archive piece by piece, in the order of ``paths``.

    Entry names are relative to the workspace. A file that vanished meanwhile, or a link that
    leads out, is left out: the archive holds what is there when its turn comes. If the workspace is
    removed meanwhile, the archive breaks off: a part of it must not look like all.
    """
    return _zip_chunks(root, paths) if kind == "zip" else _tar_chunks(root, paths)


def _readable(root: Path, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO, os.stat_result]]:
    for path in paths:
        try:
            handle = open_download(root, path)
        except (NotFoundError, UsageError):
            if not root.is_dir():
                raise
            continue
        with handle:
            yield path, handle, os.fstat(handle.fileno())


class _Outbox:
    """Where ``zipfile`` writes, and from where the pieces are taken; cannot seek."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def take(self) -> Iterator[bytes]:
        pieces, self._pieces = self._pieces, []
        yield from pieces


def _zip_chunks(root: Path, paths: Iterable[str]) -> Iterator[bytes]:
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for path, handle, info in _readable(root, paths):
            with archive.open(_zip_header(path, info), "w", force_zip64=True) as entry:
                while chunk := handle.read(_CHUNK):
                    entry.write(chunk)
                    yield from outbox.take()
    yield from outbox.take()


def _zip_header(path: str, info: os.stat_result) -> zipfile.ZipInfo:
    when = time.gmtime(max(0, info.st_mtime))[:6]
    header = zipfile.ZipInfo(wire_name(path), min(max(when, _OLDEST), _NEWEST))
    header.external_attr = info.st_mode << 16
    return header


def _tar_chunks(root: Path, paths: Iterable[str]) -> Iterator[bytes]:
    for path, handle, info in _readable(root, paths):
        yield _tar_header(path, info)
        left = info.st_size
        while left:
            chunk = handle.read(min(_CHUNK, left))
            if not chunk:
                raise SiteError(f"{show_path(path)} became shorter while it was sent")
            left -= len(chunk)
            yield chunk
        yield bytes(-info.st_size % _BLOCK)
    yield bytes(2 * _BLOCK)


def _tar_header(path: str, info: os.stat_result) -> bytes:
    header = tarfile.TarInfo(path)
    header.size = info.st_size
    header.mtime = info.st_mtime
    header.mode = info.st_mode & 0o777
    return header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
