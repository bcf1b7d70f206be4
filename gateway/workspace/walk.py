"""Walk a directory tree without following links, with flat memory and two descriptors.

The descriptor of a directory is given back while its subdirectories are walked and found again
through ``..``, so a tree may be deeper than a path can be long or a process may open files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Visit:
    """One entry of the tree.

    Parameters
    ----------
    path
        Relative to the start, ``/``-separated.
    name
        Its last component.
    info
        As ``lstat`` gives it.
    parent_fd
        Directory that holds it; valid until the next step of the walk.
    leaving
        For a directory, the second visit, after everything below it.
    """

    path: str
    name: str
    info: os.stat_result
    parent_fd: int
    leaving: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory; a link to one is not."""
        return stat.S_ISDIR(self.info.st_mode)


OnError = Callable[[str, OSError], None]


def walk(
    start_fd: int, *, on_error: OnError | None = None, open_up: bool = False
) -> Iterator[Visit]:
    """Visit everything below a directory, sorted by name within each directory.

    Directories are visited twice, before and after what they hold. What vanishes meanwhile is
    passed over; what cannot be read goes to ``on_error``.

    Parameters
    ----------
    start_fd
        Stays open; the walk uses its own copy.
    open_up
        Give the owner all permissions on directories before they are entered.
    """
    pace = _Pace(os.open(".", _FLAGS, dir_fd=start_fd), on_error or _ignore, open_up)
    try:
        yield from pace.run()
    finally:
        os.close(pace.fd)


def _ignore(_path: str, _error: OSError) -> None:
    return


@dataclass(slots=True)
class _Level:
    """A directory on the way down: where it is, and what in it is still to visit."""

    name: str
    info: os.stat_result
    todo: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Pace:
    fd: int
    on_error: OnError
    open_up: bool
    levels: list[_Level] = field(default_factory=list)

    def run(self) -> Iterator[Visit]:
        self._begin(_Level("", os.fstat(self.fd)))
        while True:
            level = self.levels[-1]
            if level.todo:
                yield from self._visit(level.todo.pop())
            elif len(self.levels) > 1:
                self._ascend()
                yield self._seen(level.name, level.info, leaving=True)
            else:
                return

    def _visit(self, name: str) -> Iterator[Visit]:
        try:
            info = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            self.on_error(self._path(name), error)
            return
        yield self._seen(name, info)
        if stat.S_ISDIR(info.st_mode) and not self._descend(name, info):
            yield self._seen(name, info, leaving=True)

    def _seen(self, name: str, info: os.stat_result, *, leaving: bool = False) -> Visit:
        return Visit(self._path(name), name, info, self.fd, leaving)

    def _path(self, name: str) -> str:
        return "/".join([*(level.name for level in self.levels[1:]), name])

    def _descend(self, name: str, info: os.stat_result) -> bool:
        """Enter a directory; say whether that went well."""
        try:
            if self.open_up and info.st_mode & stat.S_IRWXU != stat.S_IRWXU:
                allow_owner(name, self.fd)
            below = os.open(name, _FLAGS, dir_fd=self.fd)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self.on_error(self._path(name), error)
            return False
        os.close(self.fd)
        self.fd = below
        return self._begin(_Level(name, info))

    def _begin(self, level: _Level) -> bool:
        self.levels.append(level)
        try:
            level.todo = sorted(os.listdir(self.fd), reverse=True)
        except OSError as error:
            self.on_error(self._path(""), error)
        return True

    def _ascend(self) -> None:
        """Go back up, and stop where somebody moved the directory meanwhile."""
        self.levels.pop()
        above = os.open("..", _FLAGS, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = above
        expected, found = self.levels[-1].info, os.fstat(above)
        if (expected.st_dev, expected.st_ino) != (found.st_dev, found.st_ino):
            raise OSError(errno.ESTALE, "a directory was moved while it was read")


def allow_owner(name: str, parent_fd: int) -> None:
    """Give the owner of a directory all permissions on it, never through a link."""
    fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
    try:
        with suppress(PermissionError):
            os.chmod(f"/proc/self/fd/{fd}", 0o700)  # noqa: PTH101 - a descriptor, not a path
    finally:
        os.close(fd)
