"""Which entries of a workspace a name, a directory or a glob from outside means."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from gateway.errors import NotFoundError, UsageError
from gateway.workspace.leftovers import is_part
from gateway.workspace.paths import open_inside, open_parent, relative_parts
from gateway.workspace.patterns import literal_prefix, matcher
from gateway.workspace.trouble import translated
from gateway.workspace.walk import OnError, Visit, walk

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


@contextmanager
def opened(fd: int) -> Iterator[int]:
    """Close a descriptor at the end."""
    try:
        yield fd
    finally:
        os.close(fd)


def is_directory(root: Path, name: str) -> bool:
    """Say whether a name means a directory inside the workspace, also through a link."""
    return _mode(root, name, follow=True, kind=stat.S_ISDIR)


def exact(root: Path, name: str) -> Iterator[Visit]:
    """Visit what has a name letter by letter and is no directory, if there is such a thing."""
    parts = relative_parts(name)
    if not parts or is_part(parts[-1]):
        return
    with ExitStack() as stack:
        try:
            parent, last = stack.enter_context(open_parent(root, name))
            info = os.stat(last, dir_fd=parent, follow_symlinks=False)
        except (NotFoundError, FileNotFoundError):
            return
        except UsageError as error:
            if isinstance(error.__cause__, NotADirectoryError):
                return
            raise
        if not stat.S_ISDIR(info.st_mode):
            yield Visit("/".join(parts), last, info, parent)


def is_link(root: Path, name: str) -> bool:
    """Say whether a name is that of a symbolic link."""
    return bool(relative_parts(name)) and _mode(root, name, follow=False, kind=stat.S_ISLNK)


def _mode(root: Path, name: str, *, follow: bool, kind: Callable[[int], bool]) -> bool:
    """Test the mode of an entry; what does not exist, or lies below a file, is of no kind."""
    try:
        return kind(lstat_inside(root, name, follow=follow).st_mode)
    except NotFoundError:
        return False
    except UsageError as error:
        if isinstance(error.__cause__, NotADirectoryError):
            return False
        raise


def lstat_inside(root: Path, name: str, *, follow: bool = False) -> os.stat_result:
    """Return the attributes of one entry; the last link is followed only with ``follow``.

    Raises
    ------
    NotFoundError, UsageError, SiteError
        As ``open_inside``.
    """
    if follow or not relative_parts(name):
        with opened(open_inside(root, name, os.O_PATH)) as fd:
            return os.fstat(fd)
    with open_parent(root, name) as (parent, last), translated("read", name):
        return os.stat(last, dir_fd=parent, follow_symlinks=False)


def walk_below(
    root: Path, start: str = "", *, on_error: OnError | None = None, open_up: bool = False
) -> Iterator[Visit]:
    """Walk a directory of the workspace; paths are relative to the workspace."""
    prefix = "/".join(relative_parts(start))
    with opened(open_inside(root, start, _DIRECTORY)) as fd, translated("read", start or "."):
        for visit in walk(fd, on_error=on_error, open_up=open_up):
            yield replace(visit, path=f"{prefix}/{visit.path}") if prefix else visit


def choose(root: Path, pattern: str) -> Iterator[Visit]:
    """Visit what a name, directory or glob means, in a fixed order; directories once.

    A directory means everything below it, not itself; the name of a file means that file, also
    if it could be read as a glob. Yields nothing where nothing fits. What is being written, or was
    when its writer was killed, is not there yet.

    Raises
    ------
    NotFoundError
        If the workspace does not exist.
    """
    if not root.is_dir():
        raise NotFoundError("Workspace does not exist.")
    if is_directory(root, pattern):
        below = walk_below(root, pattern)
        yield from (visit for visit in below if not visit.leaving and not is_part(visit.name))
        return
    found = False
    for visit in exact(root, pattern):
        found = True
        yield visit
    if not found:
        yield from _matching(root, pattern)


def _matching(root: Path, pattern: str) -> Iterator[Visit]:
    prefix = literal_prefix(pattern)
    if not is_directory(root, prefix):
        return
    fits = either(pattern)
    for visit in walk_below(root, prefix):
        if not visit.leaving and fits(visit.path) and not is_part(visit.name):
            yield visit


def either(pattern: str) -> Callable[[str], bool]:
    """Return a test of names: the pattern itself, literally, or what it matches as a glob."""
    literal = "/".join(relative_parts(pattern))
    fits = matcher(pattern)
    return lambda name: name == literal or fits(name)
