"""Bring the inputs of a workflow from the user's directory into its workspace.

The user's files are only read. Whatever is killed in the middle, a file in the workspace is
whole, and staging again goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.crash_points import CrashPoint, crash_point
from gateway.errors import ConflictError, NotFoundError
from gateway.workspace.choosing import lstat_inside, opened
from gateway.workspace.copying import Tick, copy_file, draft, give_name, no_tick
from gateway.workspace.inputs import Kind, Planned, plan
from gateway.workspace.leftovers import part_name, sweep
from gateway.workspace.paths import open_parent
from gateway.workspace.trouble import explain, show_path, translated

Progress = Callable[[int, int], None]
"""Called with the files and the bytes staged so far."""
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Staged:
    """What was staged.

    Parameters
    ----------
    files, bytes
        Now in the workspace, those of an earlier staging included.
    cloned
        How many of the files share blocks with their originals.
    notices
        What was left out and why, one sentence each.
    """

    files: int
    bytes: int
    cloned: int
    notices: tuple[str, ...]


@dataclass(slots=True)
class _Count:
    """Running totals, told to whoever wants to show them."""

    tell: Progress
    files: int = 0
    bytes: int = 0
    cloned: int = 0
    notices: list[str] = field(default_factory=list)

    def add_bytes(self, count: int) -> None:
        self.bytes += count
        self.tell(self.files, self.bytes)

    def add_file(self) -> None:
        self.files += 1
        crash_point(CrashPoint.FILE_STAGED)
        self.tell(self.files, self.bytes)


def stage_in(
    files: Sequence[str],
    directories: Sequence[str],
    source_base: Path,
    workspace: Path,
    *,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> Staged:
    """Stage the files and directories that a specification lists as inputs.

    Times are kept, so are permissions but for set-user and set-group bits. A link inside a
    directory stays a link if what it points to is staged too; other links, FIFOs, sockets and
    devices are left out with a notice. A file named on its own may be a link: its contents are
    staged. ``.gitignore`` and ``.reanaignore`` filter directories, as in reana-client.

    Parameters
    ----------
    source_base
        Directory of the specification; names are relative to it.
    overwrite
        Replace files of the workspace that differ. Without it a file of the same size and time
        counts as staged.

    Raises
    ------
    UsageError
        If a name is missing, leads out of ``source_base``, or is of the wrong kind.
    ConflictError
        If another file is in the way and ``overwrite`` is false.
    SiteError
        If the disk is full or a filesystem is in the way: names the file and the free space.
    """
    planned, notices = plan(files, directories, source_base, workspace)
    count = _Count(progress or _nobody)
    for item in planned:
        if item.kind is Kind.DIRECTORY:
            _make_directory(workspace, item.name)
        elif item.kind is Kind.LINK:
            _stage_link(item, workspace, overwrite=overwrite)
            count.add_file()
        else:
            _stage_planned(item, workspace, count, overwrite=overwrite)
    return Staged(count.files, count.bytes, count.cloned, tuple(notices + count.notices))


def stage_file(source: Path, workspace: Path, name: str, *, overwrite: bool = True) -> None:
    """Stage one file under a name of its own.

    Raises
    ------
    ConflictError, NotFoundError, SiteError
        As ``stage_in``.
    """
    with translated("read", source), opened(os.open(source, _READ)) as fd:
        _place(fd, workspace, name, no_tick, overwrite=overwrite)


def _nobody(_files: int, _bytes: int) -> None:
    return


def _make_directory(workspace: Path, name: str) -> None:
    with open_parent(workspace, f"{name}/x", create=True) as (directory, _):
        sweep(directory)


def _stage_planned(item: Planned, workspace: Path, count: _Count, *, overwrite: bool) -> None:
    before = count.bytes
    try:
        source = os.open(item.source, _READ)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"{show_path(item.source)} vanished while the inputs were staged",
            hint="start again; what is staged already is kept",
        ) from error
    except OSError as error:
        raise explain(error, "read", item.source) from error
    with opened(source) as fd:
        info = os.fstat(fd)
        if _is_staged(workspace, item.name, info):
            count.add_bytes(info.st_size)
        else:
            cloned = _place(fd, workspace, item.name, count.add_bytes, overwrite=overwrite)
            count.cloned += cloned
            if count.bytes - before != info.st_size or _changed(info, os.fstat(fd)):
                count.notices.append(f"{show_path(item.name)} changed while it was staged")
    count.add_file()


def _changed(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def _is_staged(workspace: Path, name: str, info: os.stat_result) -> bool:
    """Say whether the workspace holds the file already; times are set before the name is."""
    try:
        there = lstat_inside(workspace, name)
    except NotFoundError:
        return False
    return not _changed(info, there)


def _place(fd: int, workspace: Path, name: str, tick: Tick, *, overwrite: bool) -> bool:
    """Copy an open file into the workspace; return whether blocks are shared."""
    target = workspace / name
    try:
        with (
            open_parent(workspace, name, create=True) as (parent, last),
            draft(parent, last, overwrite=overwrite) as part,
        ):
            return copy_file(fd, part, tick)
    except FileExistsError as error:
        raise _in_the_way(name) from error
    except OSError as error:
        raise explain(error, "write", target) from error


def _in_the_way(name: str) -> ConflictError:
    return ConflictError(
        f"{show_path(name)} is in the workspace already and differs",
        hint="ask to overwrite it, or start a new run",
    )


def _stage_link(item: Planned, workspace: Path, *, overwrite: bool) -> None:
    with open_parent(workspace, item.name, create=True) as (parent, last):
        sweep(parent)
        try:
            os.symlink(item.target, last, dir_fd=parent)
        except FileExistsError as error:
            if _same_link(parent, last, item.target):
                return
            if not overwrite:
                raise _in_the_way(item.name) from error
            _replace_link(parent, last, item.target)
        except OSError as error:
            raise explain(error, "write", workspace / item.name) from error


def _same_link(parent: int, name: str, target: str) -> bool:
    with suppress(OSError):
        return os.readlink(name, dir_fd=parent) == target
    return False


def _replace_link(parent: int, name: str, target: str) -> None:
    part = part_name()
    with translated("write", name):
        os.symlink(target, part, dir_fd=parent)
        try:
            give_name(parent, part, name, overwrite=True)
        except OSError:
            os.unlink(part, dir_fd=parent)
            raise
