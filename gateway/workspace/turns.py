"""Processes that do the same thing at once do it one after the other.

A convenience, not a proof: where a filesystem has no locks, nobody waits. What is done in a turn
must be right without it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_TAKEN = frozenset({errno.EACCES, errno.EAGAIN})


@contextmanager
def take_turns(path: Path, on_wait: Callable[[], object]) -> Iterator[None]:
    """Hold the lock of a file while the block runs; the end of the process gives it back.

    Parameters
    ----------
    path
        The file, made if it is missing, and left there.
    on_wait
        Called once before waiting for another process.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(fd, on_wait)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, on_wait: Callable[[], object]) -> None:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return
        if error.errno not in _TAKEN:
            raise
        on_wait()
        fcntl.lockf(fd, fcntl.LOCK_EX)
