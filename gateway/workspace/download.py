"""Hand out files of a workspace: open them, choose them, copy them to a directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from gateway.crash_points import CrashPoint, crash_point
from gateway.errors import ConflictError, NotFoundError, UsageError
from gateway.workspace.choosing import choose, is_directory, opened
from gateway.workspace.copying import copy_file, draft
from gateway.workspace.paths import open_inside, relative_parts
from gateway.workspace.trouble import explain, show_path


@dataclass(frozen=True, slots=True)
class Selection:
    """What a download request means: one file as it is, or several as an archive."""

    kind: Literal["file", "archive"]
    paths: tuple[str, ...]


def select(root: Path, pattern: str) -> Selection:
    """Find the files that a name, directory or glob means.

    Raises
    ------
    NotFoundError
        If there is none, in REANA's words.
    UsageError
        If it leads out of the workspace.
    """
    directory = is_directory(root, pattern)
    paths = tuple(visit.path for visit in choose(root, pattern) if not visit.is_directory)
    if not paths:
        raise NotFoundError(f"{show_path(pattern)} does not exist.")
    kind: Literal["file", "archive"] = "archive" if directory or len(paths) > 1 else "file"
    return Selection(kind, paths)


def open_download(root: Path, path: str) -> BinaryIO:
    """Open one file for reading; a link is followed while it stays inside.

    Raises
    ------
    NotFoundError
        If it does not exist.
    UsageError
        If it leads out of the workspace, or is no regular file.
    SiteError
        If it cannot be read.
    """
    fd = open_inside(root, path)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UsageError(f"{show_path(path)} is not a regular file")
    return os.fdopen(fd, "rb")


def fetch(
    root: Path,
    pattern: str,
    destination: Path,
    *,
    overwrite: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Copy files of a workspace below a directory, relative paths kept; return the copies.

    Each copy is whole or absent. Links that lead out of the workspace are left out.

    Parameters
    ----------
    progress
        Called with the files and the bytes copied so far.

    Raises
    ------
    NotFoundError
        If nothing fits.
    ConflictError
        If a file is in the way and ``overwrite`` is false.
    SiteError
        If the destination is full or cannot be written.
    """
    selection = select(root, pattern)
    copies: list[Path] = []
    done = 0
    for name in selection.paths:
        try:
            source = open_download(root, name)
        except (NotFoundError, UsageError):
            if selection.kind == "file":
                raise
            continue
        with source:
            done += os.fstat(source.fileno()).st_size
            copies.append(_copy_out(source, destination, name, overwrite=overwrite))
        crash_point(CrashPoint.FILE_DOWNLOADED)
        if progress:
            progress(len(copies), done)
    return copies


def _copy_out(source: BinaryIO, destination: Path, name: str, *, overwrite: bool) -> Path:
    target = destination.joinpath(*relative_parts(name))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        with (
            opened(os.open(target.parent, flags)) as parent,
            draft(parent, target.name, overwrite=overwrite) as part,
        ):
            copy_file(source.fileno(), part)
    except FileExistsError as error:
        raise ConflictError(f"{show_path(target)} exists already") from error
    except OSError as error:
        raise explain(error, "write", target) from error
    return target
