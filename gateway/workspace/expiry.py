"""Remove what a retention rule is about."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from gateway.errors import NotFoundError
from gateway.workspace.choosing import either, walk_below
from gateway.workspace.leftovers import is_part
from gateway.workspace.paths import relative_parts
from gateway.workspace.removal import Removal
from gateway.workspace.trouble import wire_name
from gateway.workspace.walk import Visit


def expire(root: Path, pattern: str, keep: Iterable[str]) -> Removal:
    """Remove what a glob matches, but nothing that a name in ``keep`` covers; safe to repeat.

    A directory that matches goes with everything in it that is not kept. Links are removed, never
    followed.

    Raises
    ------
    NotFoundError
        If the workspace does not exist.
    """
    if not root.is_dir():
        raise NotFoundError("Workspace does not exist.")
    kept = tuple(keep)
    removal = Removal()
    if any(not relative_parts(name) for name in kept):
        return removal
    fits, is_kept = _covered([pattern]), _covered(kept)

    def note(path: str, error: OSError) -> None:
        removal.failed[wire_name(path)] = error.strerror or str(error)

    for visit in walk_below(root, on_error=note):
        if fits(visit.path) and not is_kept(visit.path) and not is_part(visit.name):
            _remove(visit, removal)
    return removal


def _covered(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a test whether a name, or a directory above it, is one of these."""
    tests = [either(pattern) for pattern in patterns]

    def covered(path: str) -> bool:
        parts = path.split("/")
        names = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        return any(test(name) for test in tests for name in names)

    return covered


def _remove(visit: Visit, removal: Removal) -> None:
    if visit.is_directory and not visit.leaving:
        return
    try:
        (os.rmdir if visit.is_directory else os.unlink)(visit.name, dir_fd=visit.parent_fd)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            removal.failed[wire_name(visit.path)] = error.strerror or str(error)
    else:
        removal.add(visit.path, 0 if visit.is_directory else visit.info.st_size)
