"""Store what is sent to a workspace, with flat memory, whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import BinaryIO

from gateway.workspace.copying import draft, write_all
from gateway.workspace.paths import is_a_link, open_parent
from gateway.workspace.trouble import explain

_CHUNK = 1024 * 1024
_MODE = 0o644
"""Workspaces are closed to others; within, programs look at the bits that they are used to."""


class Upload:
    """A file that appears in the workspace when the ``with`` block ends well.

    Missing directories are made. A file of that name is replaced, as REANA does. After an
    exception there is the old file, or none. May be used from several threads, one call at a time.

    Parameters
    ----------
    announced
        The size that the sender announced; what cannot fit is refused at once.

    Raises
    ------
    UsageError
        If the name leads out of the workspace, through a symbolic link, or cannot be a file.
    NotFoundError
        If the workspace does not exist.
    SiteError
        If the filesystem is full or in the way.
    """

    def __init__(self, root: Path, name: str, announced: int = 0) -> None:
        self._root = root
        self._name = name
        self._announced = announced
        self._stack = ExitStack()
        self._fd = -1
        self._lock = Lock()
        self.size = 0

    def __enter__(self) -> Upload:
        try:
            parent, last = self._stack.enter_context(
                open_parent(self._root, self._name, create=True, follow=False)
            )
            self._must_be_replaceable(parent, last)
            _must_fit(parent, self._announced)
            self._fd = self._stack.enter_context(draft(parent, last, overwrite=True, mode=_MODE))
        except OSError as error:
            self._stack.close()
            raise self._explained(error) from error
        except BaseException:
            self._stack.close()
            raise
        return self

    def _must_be_replaceable(self, parent: int, last: str) -> None:
        """Refuse at once what could not be replaced after hours of sending."""
        try:
            mode = os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISLNK(mode):
            raise is_a_link(self._name)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))

    def write(self, chunk: bytes | bytearray) -> None:
        """Add bytes to the end."""
        try:
            with self._lock:
                write_all(self._fd, chunk)
        except OSError as error:
            raise self._explained(error) from error
        self.size += len(chunk)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A thread that still writes must not meet a descriptor that means another file by then.
        with self._lock:
            fd, self._fd = self._fd, -1
            try:
                if kind is None:
                    os.fsync(fd)
                self._stack.__exit__(kind, error, trace)
            except OSError as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise self._explained(failure) from failure

    def _explained(self, error: OSError) -> Exception:
        return explain(error, "write", self._root / self._name.lstrip("/"))


def _must_fit(parent: int, size: int) -> None:
    room = os.fstatvfs(parent)
    if room.f_blocks and size > room.f_bavail * room.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def store_upload(root: Path, name: str, stream: BinaryIO | Iterable[bytes]) -> int:
    """Store a stream as a file of the workspace and return its size in bytes.

    Raises
    ------
    UsageError, NotFoundError, SiteError
        As ``Upload``.
    """
    with Upload(root, name) as upload:
        for chunk in _chunks(stream):
            upload.write(chunk)
    return upload.size


def _chunks(stream: BinaryIO | Iterable[bytes]) -> Iterable[bytes]:
    """Read files in blocks, not in lines, which may be as long as the file."""
    read = getattr(stream, "read", None)
    return iter(lambda: read(_CHUNK), b"") if read else stream
