"""Whether a directory can hold a SQLite database, and with which journal.

Write-ahead logging needs shared memory between all processes that use the file, so it is for
local filesystems only (sqlite.org/wal.html); a rollback journal needs locks that work.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCAL_FILESYSTEMS = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "jfs", "reiserfs"}
)


def filesystem_type(path: Path, mounts: str | None = None) -> str:
    """Return the type of the filesystem that holds ``path``, ``""`` if it cannot be told.

    Parameters
    ----------
    path
        An existing file or directory.
    mounts
        Text in the format of ``/proc/mounts``; read from there by default.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(errors="replace")
        except OSError:
            return ""
    target = str(path.resolve())
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, kind = len(point), fields[2]
    return kind


def journal_mode(directory: Path) -> str:
    """Return the SQLite journal mode that is safe in ``directory``."""
    return "WAL" if filesystem_type(directory) in LOCAL_FILESYSTEMS else "DELETE"


def locks_work(directory: Path) -> bool:
    """Probe with a second process whether a POSIX lock keeps others out."""
    probe = directory / f".lock-probe.{os.getpid()}"
    with probe.open("w") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _refused_to_child(probe)
        except OSError:
            return False
        finally:
            probe.unlink(missing_ok=True)


def _refused_to_child(probe: Path) -> bool:
    """Whether a child process is refused the lock that this process holds."""
    child = os.fork()
    if child == 0:
        try:
            with probe.open("r+") as handle:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(1)
        except OSError:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
