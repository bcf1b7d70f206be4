"""Names of temporary files, and what becomes of those whose writer was killed.

Where the filesystem knows no files without a name (NFS, Lustre), a killed writer leaves its
temporary file behind. Its name says who wrote it; the next writer to that directory removes it.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

FORGOTTEN_S = 24 * 3600.0
"""Older temporary files of hosts and boots that cannot be asked have no writer any more."""
_NAME = re.compile(r"\.gateway-([0-9a-f]{12})-(\d+)-(\d*)-\d+\.part")
_MOST_SWEPT = 10_000
_serial = count()
_swept: set[tuple[int, int]] = set()


def part_name() -> str:
    """Return a temporary name that no other writer uses."""
    pid = os.getpid()
    return f".gateway-{_here()}-{pid}-{_started(pid)}-{next(_serial)}.part"


def is_part(name: str) -> bool:
    """Say whether a name is one of ``part_name``."""
    return _NAME.fullmatch(name) is not None


def sweep(dir_fd: int) -> None:
    """Remove what killed writers left in a directory; what cannot be removed stays.

    Done once for each directory in the life of a process, or each file would cost a listing.
    """
    info = os.fstat(dir_fd)
    directory = (info.st_dev, info.st_ino)
    if directory in _swept:
        return
    if len(_swept) >= _MOST_SWEPT:
        _swept.clear()
    _swept.add(directory)
    with suppress(OSError):
        for name in _names(dir_fd):
            with suppress(OSError):
                if is_part(name) and _is_abandoned(dir_fd, name):
                    os.unlink(name, dir_fd=dir_fd)


def _names(dir_fd: int) -> list[str]:
    """List a directory, also one that was opened for lookups only (``O_PATH``)."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def _is_abandoned(dir_fd: int, name: str) -> bool:
    found = _NAME.fullmatch(name)
    assert found is not None
    info = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    if info.st_uid != os.geteuid():
        return False
    if found[1] == _here():
        return _started(int(found[2])) != found[3]
    # Not the time of the contents: copies have that of their originals.
    return time.time() - info.st_ctime > FORGOTTEN_S


@cache
def _here() -> str:
    """Return what makes the number of a process unique: the boot, and the namespace of numbers."""
    words = ""
    with suppress(OSError):
        words = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        words += str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{os.uname().nodename} {words}".encode()).hexdigest()[:12]


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; nothing if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
