"""Put a whole file in place: temporary name, contents, times, then the real name.

A copy shares blocks with its original where the filesystem can (reflink). Hard links are never
used: a job that writes to its input in place would change the user's own file through one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from gateway.crash_points import CrashPoint, crash_point
from gateway.workspace.leftovers import part_name, sweep

_FICLONE = 0x40049409
"""``FICLONE`` of ``ioctl_ficlone(2)`` on x86 and arm64. Where the number means nothing the call
fails and bytes are copied."""
_CHUNK = 16 * 1024 * 1024
_READ = 1024 * 1024
_PERMISSIONS = 0o777
_NO_FAST_COPY = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM,
     errno.ETXTBSY, errno.EIO}
)  # fmt: skip

Tick = Callable[[int], None]


def no_tick(_count: int) -> None:
    """Tell nobody how many bytes were copied."""


@contextmanager
def draft(dir_fd: int, name: str, *, overwrite: bool, mode: int = 0o600) -> Iterator[int]:
    """Open a temporary file, and give it its name at a clean exit; yields the descriptor.

    A reader sees the old file, or none, or the whole new one. After an exception the temporary
    file is gone; after a SIGKILL too, where the filesystem knows files without a name. Elsewhere
    the next draft in that directory removes it.

    Raises
    ------
    FileExistsError
        At the end, if ``name`` exists and may not be overwritten.
    OSError
        Whatever the filesystem says.
    """
    sweep(dir_fd)
    part = part_name()
    fd, nameless = _open_part(dir_fd, part, mode)
    try:
        try:
            yield fd
            crash_point(CrashPoint.FILE_WRITTEN)
            if nameless:
                _link_nameless(fd, dir_fd, part if overwrite else name)
        finally:
            os.close(fd)
        if overwrite or not nameless:
            give_name(dir_fd, part, name, overwrite=overwrite)
        crash_point(CrashPoint.FILE_NAMED)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=dir_fd)


def _open_part(dir_fd: int, part: str, mode: int) -> tuple[int, bool]:
    """Open a file without a name if the filesystem has such files, else one called ``part``."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(".", flags | os.O_TMPFILE, mode, dir_fd=dir_fd), True
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
            raise
    return os.open(part, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=dir_fd), False


def _link_nameless(fd: int, dir_fd: int, name: str) -> None:
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=dir_fd, follow_symlinks=True)


def give_name(dir_fd: int, part: str, name: str, *, overwrite: bool) -> None:
    """Rename within a directory; without ``overwrite`` only to a free name."""
    crash_point(CrashPoint.PART_NAMED)
    if not overwrite:
        try:
            # link(2) fails where the name is taken, in one step; rename(2) does not.
            os.link(part, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
        except FileExistsError:
            # An NFS client that had to ask twice hears this of its own success.
            if not _same_file(dir_fd, part, name):
                raise
            return
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
                raise
            _must_be_free(dir_fd, name)
        else:
            return
    os.replace(part, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)


def _same_file(dir_fd: int, one: str, other: str) -> bool:
    infos = [os.stat(name, dir_fd=dir_fd, follow_symlinks=False) for name in (one, other)]
    return os.path.samestat(*infos)


def _must_be_free(dir_fd: int, name: str) -> None:
    """Check for filesystems without hard links, where one step is not to be had."""
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def copy_file(source_fd: int, target_fd: int, tick: Tick = no_tick) -> bool:
    """Copy contents, permissions and times; return whether blocks are shared.

    Set-user and set-group bits are dropped, the owner may always read and write. Times are kept
    to the nanosecond: engines that compare times see the order that the user's files had.
    """
    info = os.fstat(source_fd)
    cloned = _clone(source_fd, target_fd)
    if cloned:
        tick(info.st_size)
    else:
        _copy_bytes(source_fd, target_fd, tick)
    os.fchmod(target_fd, info.st_mode & _PERMISSIONS | 0o600)
    os.utime(target_fd, ns=(info.st_atime_ns, info.st_mtime_ns))
    return cloned


def _clone(source_fd: int, target_fd: int) -> bool:
    import fcntl

    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
    except OSError:
        return False
    return True


def _copy_bytes(source_fd: int, target_fd: int, tick: Tick) -> None:
    """Copy inside the kernel where it can, else through memory."""
    try:
        while moved := os.copy_file_range(source_fd, target_fd, _CHUNK):
            tick(moved)
    except OSError as error:
        if error.errno not in _NO_FAST_COPY:
            raise
    # Also after a clean end: some pseudo and network filesystems answer 0 at once.
    while chunk := os.read(source_fd, _READ):
        write_all(target_fd, chunk)
        tick(len(chunk))


def write_all(fd: int, data: bytes | bytearray) -> None:
    """Write all bytes, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
