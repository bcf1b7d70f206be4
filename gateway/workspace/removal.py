"""Remove files: what a user names, what a prune finds, or a whole workspace.

Links are removed, never followed. Directories that a job left without permissions are opened
up first; they are the user's own.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.crash_points import CrashPoint, crash_point
from gateway.errors import NotFoundError, UsageError
from gateway.workspace.choosing import either, exact, is_directory, is_link, opened, walk_below
from gateway.workspace.paths import relative_parts
from gateway.workspace.patterns import literal_prefix
from gateway.workspace.trouble import explain, wire_name
from gateway.workspace.walk import Visit, allow_owner, walk

_PASSES = 3
"""Something that still writes to the tree may add files between two steps."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(slots=True)
class Removal:
    """What was removed, with sizes in bytes (0 for directories), and what could not be."""

    deleted: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, size: int) -> None:
        """Note what was removed."""
        self.deleted[wire_name(path)] = size
        _passed()


def _passed() -> None:
    crash_point(CrashPoint.ENTRY_REMOVED)


def remove(root: Path, patterns: Iterable[str]) -> Removal:
    """Remove files, what is in directories (not these themselves), or what globs match.

    A directory that a glob matches goes with everything in it. What is the name of a file means
    that file alone, also if it could be read as a glob. What fits nothing is in neither part of
    the answer.

    Raises
    ------
    NotFoundError
        If the workspace does not exist.
    UsageError
        If a pattern leads out of the workspace, or is empty: that is rather a mistake of a
        script than the wish to remove everything, which ``.`` means.
    """
    if not root.is_dir():
        raise NotFoundError("Workspace does not exist.")
    removal = Removal()
    for pattern in patterns:
        _remove_one(root, pattern, removal)
    return removal


def _remove_one(root: Path, pattern: str, removal: Removal) -> None:
    if not pattern:
        raise UsageError("say which files to remove")
    if not is_link(root, pattern) and is_directory(root, pattern):
        _sweep(root, pattern, lambda _: True, removal)
        return
    found = False
    for visit in exact(root, pattern):
        found = True
        _unlink(visit, removal)
    prefix = literal_prefix(pattern)
    if not found and is_directory(root, prefix):
        _sweep(root, prefix, either(pattern), removal)


def prune(root: Path, keep: Iterable[str]) -> Removal:
    """Remove everything that no name, directory or glob in ``keep`` covers.

    Directories go where nothing in them is kept.

    Raises
    ------
    NotFoundError
        If the workspace does not exist.
    UsageError
        If a pattern leads out of the workspace.
    """
    kept = tuple(keep)
    fits = [either(pattern) for pattern in kept]
    removal = Removal()

    def is_kept(path: str) -> bool:
        parts = path.split("/")
        names = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        return any(fit(name) for fit in fits for name in names)

    if not root.is_dir():
        raise NotFoundError("Workspace does not exist.")
    everything = any(not relative_parts(pattern) for pattern in kept)
    if not everything:
        _sweep(root, "", lambda path: not is_kept(path), removal, whole=False)
    return removal


def _sweep(
    root: Path, start: str, doomed: Callable[[str], bool], removal: Removal, *, whole: bool = True
) -> None:
    """Walk a directory and remove; with ``whole`` a doomed directory dooms all below it."""
    inside_doomed = ""

    def note(path: str, error: OSError) -> None:
        removal.failed[wire_name(path)] = error.strerror or str(error)

    for visit in walk_below(root, start, on_error=note):
        below = bool(inside_doomed) and visit.path.startswith(inside_doomed)
        if not (below or doomed(visit.path)):
            continue
        if not visit.is_directory:
            _unlink(visit, removal)
        elif not visit.leaving:
            if whole and not below:
                inside_doomed = f"{visit.path}/"
            _open_up(visit)
        else:
            if inside_doomed == f"{visit.path}/":
                inside_doomed = ""
            _rmdir(visit, removal, must_be_empty=whole)


def _open_up(visit: Visit) -> None:
    if visit.info.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        allow_owner(visit.name, visit.parent_fd)


def _unlink(visit: Visit, removal: Removal) -> None:
    try:
        os.unlink(visit.name, dir_fd=visit.parent_fd)
    except FileNotFoundError:
        return
    except OSError as error:
        removal.failed[wire_name(visit.path)] = error.strerror or str(error)
    else:
        removal.add(visit.path, visit.info.st_size)


def _rmdir(visit: Visit, removal: Removal, *, must_be_empty: bool) -> None:
    try:
        os.rmdir(visit.name, dir_fd=visit.parent_fd)
    except FileNotFoundError:
        return
    except OSError as error:
        kept = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        if must_be_empty or not kept:
            removal.failed[wire_name(visit.path)] = error.strerror or str(error)
    else:
        removal.add(visit.path, 0)


def remove_tree(parent: Path, name: str) -> int:
    """Remove one directory of ``parent`` with everything in it; return the allocated bytes.

    Safe to repeat: one that is gone gives 0. If ``name`` is a link, only the link goes.

    Raises
    ------
    ConflictError
        If something writes to it all the time.
    SiteError
        If the filesystem is in the way.
    """
    try:
        with opened(os.open(parent, _DIRECTORY)) as parent_fd:
            freed = _remove_tree(parent_fd, name)
            crash_point(CrashPoint.TREE_REMOVED)
            return freed
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise explain(error, "remove", parent / name) from error


def _remove_tree(parent_fd: int, name: str) -> int:
    info = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(name, dir_fd=parent_fd)
        return info.st_blocks * 512
    freed = info.st_blocks * 512
    for attempt in range(_PASSES):
        allow_owner(name, parent_fd)
        with opened(os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent_fd)) as fd:
            freed += _empty(fd)
        try:
            os.rmdir(name, dir_fd=parent_fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == _PASSES - 1:
                raise
        else:
            break
    return freed


def _empty(fd: int) -> int:
    """Remove everything in a directory; what cannot be removed is met again by its ``rmdir``."""
    freed = 0
    trouble: OSError | None = None
    for visit in walk(fd, open_up=True):
        if visit.is_directory and not visit.leaving:
            continue
        act = os.rmdir if visit.is_directory else os.unlink
        try:
            act(visit.name, dir_fd=visit.parent_fd)
        except FileNotFoundError:
            continue
        except OSError as error:
            is_busy = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
            trouble = trouble if is_busy else error
        else:
            freed += visit.info.st_blocks * 512 if visit.info.st_nlink == 1 or visit.leaving else 0
            _passed()
    if trouble:
        raise trouble
    return freed
