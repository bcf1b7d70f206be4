"""From a name that somebody sent to a file that certainly lies in the workspace.

The path is walked with directory descriptors, one component at a time, and symbolic links are
expanded here, by text: a link that another process puts in the way between two steps is not
followed by the kernel. This is what ``openat2(RESOLVE_BENEATH)`` does, which Python lacks.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import GatewayError, NotFoundError, UsageError
from gateway.workspace.trouble import explain, show_path, translated

MAX_PATH = 4096
MAX_NAME = 255
MAX_LINKS = 40
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def relative_parts(user_path: str) -> tuple[str, ...]:
    """Split a name from outside; leading slashes mean the workspace, as in REANA.

    Raises
    ------
    UsageError
        If it holds ``..``, a NUL, what no file name can hold, or is too long.
    """
    if "\0" in user_path:
        raise UsageError("a file name cannot contain a NUL character")
    try:
        size = len(os.fsencode(user_path))
    except UnicodeEncodeError as error:
        raise UsageError(f"{user_path!a} cannot be a file name") from error
    parts = tuple(part for part in user_path.split("/") if part not in ("", "."))
    if size > MAX_PATH or any(len(os.fsencode(part)) > MAX_NAME for part in parts):
        raise UsageError(f"the file name {show_path(user_path)[:60]}... is too long")
    if ".." in parts:
        raise UsageError(f"{show_path(user_path)} leads out of the workspace: '..' is not allowed")
    return parts


def resolve_inside(root: Path, user_path: str) -> Path:
    """Return where a name leads, with links followed as long as they stay inside.

    What does not exist yet is appended as it is. The answer is true at the moment of asking
    only: to act on a file use ``open_inside`` or ``open_parent``.

    Raises
    ------
    UsageError
        If the name or a link on the way leads out of the workspace.
    """
    parts = relative_parts(user_path)
    with _Descent(root, user_path) as descent:
        missing = descent.walk(parts, enter_last=False)
        return root.joinpath(*descent.names, *missing)


def open_inside(root: Path, user_path: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Open a file or directory of the workspace and return the descriptor.

    Links that stay inside are followed, also the last one. Never blocks on a FIFO.

    Raises
    ------
    NotFoundError
        If it does not exist.
    UsageError
        If the name or a link leads out of the workspace.
    SiteError
        If the filesystem refuses.
    """
    parts = relative_parts(user_path)
    safe = flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with _Descent(root, user_path) as descent, translated("open", user_path or "."):
        missing = descent.walk(parts, enter_last=False)
        if len(missing) > 1:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return os.open(missing[0] if missing else ".", safe, mode, dir_fd=descent.fd)


@contextmanager
def open_parent(
    root: Path, user_path: str, *, create: bool = False, follow: bool = True
) -> Iterator[tuple[int, str]]:
    """Yield a descriptor of the directory that holds a name, and the last component.

    The last component is not followed if it is a link.

    Parameters
    ----------
    create
        Make missing directories, readable for the owner only.
    follow
        Whether links to directories inside the workspace are followed, or refused.

    Raises
    ------
    NotFoundError, UsageError, SiteError
        As ``open_inside``; ``UsageError`` also for the workspace itself.
    """
    parts = relative_parts(user_path)
    if not parts:
        raise UsageError("a file name is needed, not the workspace itself")
    with _Descent(root, user_path, follow=follow) as descent:
        with translated("open", user_path):
            missing = descent.walk(parts[:-1])
            if missing and not create:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        with translated("create", user_path):
            for name in missing:
                descent.make(name)
        yield descent.fd, parts[-1]


def is_a_link(user_path: str) -> UsageError:
    """Say that a name, or a directory on the way to it, is a symbolic link."""
    return UsageError(
        f"{show_path(user_path)} leads through a symbolic link",
        hint="use the name that the link points to, or remove the link first",
    )


class _Descent:
    """A way down from the root: one open descriptor for every directory on it."""

    def __init__(self, root: Path, wanted: str, *, follow: bool = True) -> None:
        self._root = root
        self._wanted = wanted
        self._follow = follow
        self._fds: list[int] = []
        self.names: list[str] = []

    def __enter__(self) -> _Descent:
        try:
            self._fds.append(os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except FileNotFoundError as error:
            raise NotFoundError("Workspace does not exist.") from error
        except OSError as error:
            raise explain(error, "open", self._root) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._up_to(0)

    @property
    def fd(self) -> int:
        """The directory reached."""
        return self._fds[-1]

    def walk(self, parts: Sequence[str], *, enter_last: bool = True) -> list[str]:
        """Go down as far as there are directories; return the components not walked.

        Links are followed, also a last one. With ``enter_last`` false the last component is
        not entered, whatever it is.
        """
        todo = deque(parts)
        links = 0
        with translated("open", self._wanted or "."):
            while todo:
                name = todo.popleft()
                if name == "..":
                    self._up()
                elif (target := self._link(name)) is not None:
                    links += 1
                    self._expand(target, todo, links)
                elif not (todo or enter_last):
                    return [name]
                elif not self._down(name):
                    return self._missing([name, *todo])
        return []

    @staticmethod
    def _missing(rest: list[str]) -> list[str]:
        """Nobody may be led back up from a directory that is not there."""
        if ".." in rest:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return rest

    def make(self, name: str) -> None:
        """Make a directory, or use the one that somebody else just made, and enter it."""
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self.fd)
        self._enter(name)

    def _down(self, name: str) -> bool:
        """Enter a directory, and say whether it exists."""
        try:
            self._enter(name)
        except FileNotFoundError:
            return False
        return True

    def _enter(self, name: str) -> None:
        self._fds.append(os.open(name, _STEP, dir_fd=self.fd))
        self.names.append(name)

    def _link(self, name: str) -> str | None:
        """Return where a link points, or ``None`` if it is none."""
        try:
            return os.readlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTDIR):
                return None
            raise

    def _expand(self, target: str, todo: deque[str], links: int) -> None:
        """Put the target of a link in front of what is to walk."""
        if not self._follow:
            raise is_a_link(self._wanted)
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith("/"):
            target = self._below_root(target)
            self._up_to(1)
        todo.extendleft(part for part in reversed(target.split("/")) if part not in ("", "."))

    def _below_root(self, target: str) -> str:
        for root in (os.fspath(self._root), os.path.realpath(self._root)):
            if target == root or target.startswith(f"{root}/"):
                return target.removeprefix(root)
        raise self._outside()

    def _up(self) -> None:
        if len(self._fds) == 1:
            raise self._outside()
        self._up_to(len(self._fds) - 1)

    def _up_to(self, depth: int) -> None:
        while len(self._fds) > depth:
            os.close(self._fds.pop())
        del self.names[max(0, depth - 1) :]

    def _outside(self) -> GatewayError:
        wanted = show_path(self._wanted)
        return UsageError(
            f"{wanted} leads out of the workspace through a symbolic link",
            hint="copy the file into the workspace instead of linking it",
        )
