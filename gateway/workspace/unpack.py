"""Unpack an archive that somebody else made: plain files and directories, nothing else.

Python's own ``extractall`` trusts sizes in headers and makes links.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from lzma import LZMAError
from pathlib import Path
from typing import IO, BinaryIO

from gateway.errors import GatewayError, UsageError
from gateway.workspace.paths import relative_parts
from gateway.workspace.trouble import show_path, translated

MOST_FILES = 50_000
_CHUNK = 1024 * 1024
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, ValueError,
           NotImplementedError, RuntimeError)  # fmt: skip

Tick = Callable[[], None]


class Budget:
    """What unpacking may cost: bytes that are written, files, and what ``tick`` allows.

    Parameters
    ----------
    most_bytes
        For all files together.
    tick
        Called often; raises when it has taken too long.
    """

    def __init__(self, most_bytes: int, tick: Tick) -> None:
        self._bytes = most_bytes
        self._files = MOST_FILES
        self._tick = tick

    def spend(self, size: int) -> None:
        """Note bytes that are about to be written."""
        self._tick()
        self._bytes -= size
        if self._bytes < 0:
            raise UsageError("the archive holds more than may be unpacked")

    def spend_file(self) -> None:
        """Note a file or directory."""
        self._tick()
        self._files -= 1
        if self._files < 0:
            raise UsageError(f"the archive holds more than {MOST_FILES} files")


def unpack(archive: Path, target: Path, budget: Budget) -> None:
    """Unpack a zip or tar file, compressed or not, into an empty directory.

    Raises
    ------
    UsageError
        If it is no archive, is broken, costs too much, or holds links, devices or names that lead
        out; the directory may hold a part of it then.
    """
    with _explained(archive.name):
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, target, budget)
        else:
            _unpack_tar(archive, target, budget)


def unpack_zip(archive: BinaryIO, target: Path, budget: Budget) -> None:
    """Unpack an open zip file into an empty directory.

    Raises
    ------
    UsageError
        As ``unpack``.
    """
    with _explained("the archive"):
        _unpack_zip(archive, target, budget)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        with translated("unpack", name):
            yield
    except GatewayError:
        raise
    except _BROKEN as error:
        raise UsageError(f"the archive cannot be unpacked: {error}") from error


def _unpack_zip(archive: Path | BinaryIO, target: Path, budget: Budget) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            budget.spend_file()
            kind = (member.external_attr >> 16) & 0o170000
            if kind not in (0, 0o100000, 0o040000):
                raise _refused(member.filename, "is no plain file")
            path = _place(target, member.filename)
            if member.is_dir():
                path.mkdir(parents=True, exist_ok=True)
            else:
                with file.open(member) as source:
                    _write(path, source, budget, bool(member.external_attr >> 16 & 0o100))


def _unpack_tar(archive: Path, target: Path, budget: Budget) -> None:
    with tarfile.open(archive, "r|*") as file:
        for member in file:
            budget.spend_file()
            if member.isdir():
                _place(target, member.name).mkdir(parents=True, exist_ok=True)
                continue
            source = file.extractfile(member) if member.isreg() else None
            if source is None:
                raise _refused(member.name, "is no plain file")
            _write(_place(target, member.name), source, budget, bool(member.mode & 0o100))


def _place(target: Path, name: str) -> Path:
    """Return where a member goes; there are no links below ``target`` that could lead out."""
    if name.startswith("/") or "\\" in name:
        raise _refused(name, "is not a relative name")
    return target.joinpath(*relative_parts(name))


def _refused(name: str, why: str) -> UsageError:
    return UsageError(f"the archive is refused: {show_path(name)[:200]} {why}")


def _write(path: Path, source: IO[bytes], budget: Budget, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, flags, 0o700 if executable else 0o600), "wb") as file:
        while piece := source.read(_CHUNK):
            budget.spend(len(piece))
            file.write(piece)


def only_directory(root: Path) -> Path:
    """Return the one directory that is everything an archive holds, else ``root`` itself."""
    entries = list(root.iterdir())
    alone = len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink()
    return entries[0] if alone else root


def links_that_lead_out(root: Path) -> list[str]:
    """Return the links below a directory that do not lead to a place below it."""
    real = root.resolve()
    found = []
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(real):
                found.append(str(path.relative_to(root)))
    return found


def remove(path: Path) -> None:
    """Remove a directory with all it holds, as far as that goes."""
    shutil.rmtree(path, ignore_errors=True)
