"""What the filesystem complains of, in words for people. The only place that reads errno."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import (
    ConflictError,
    GatewayError,
    NoRoomError,
    NotFoundError,
    SiteError,
    UsageError,
)
from gateway.vocabulary.units import show_bytes

_SITE_WORDS = {
    errno.ENOSPC: ("the filesystem is full", "free some space, or choose another shared_root"),
    errno.EDQUOT: ("your quota is used up", "remove files you do not need, or ask for more quota"),
    errno.EROFS: ("the filesystem is read-only", "choose a shared_root that you can write to"),
    errno.EACCES: ("permission denied", "check who owns it and its permissions"),
    errno.EPERM: ("not permitted", "check who owns it and its permissions"),
    errno.EIO: ("the filesystem reports an error", "try again, then tell the site"),
    errno.ESTALE: ("the file server lost track of it", "try again"),
    errno.EMFILE: ("too many open files", "raise the limit with `ulimit -n`"),
    errno.EFBIG: ("the file would be larger than allowed", "check `ulimit -f`"),
}
_USAGE_WORDS = {
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "too many symbolic links",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.EISDIR: "it is a directory",
    errno.EINVAL: "the filesystem does not take this name",
    errno.EILSEQ: "the filesystem does not take this name",
    errno.ENXIO: "it is not a regular file",
}
_CONFLICT_WORDS = {
    errno.EEXIST: "it exists already",
    errno.ENOTEMPTY: "the directory is not empty; something may still write to it",
    errno.EBUSY: "it is in use",
}
_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def explain(error: OSError, doing: str, path: Path | str) -> GatewayError:
    """Turn an ``OSError`` into an error for people.

    Parameters
    ----------
    doing
        A verb: ``write``, ``create``, ``read``, ``remove``.
    path
        What it was done to; also where free space is looked up.
    """
    code = error.errno or 0
    what = f"cannot {doing} {show_path(path)}"
    if code == errno.ENOENT:
        return NotFoundError(f"{what}: it does not exist")
    if code in _USAGE_WORDS:
        return UsageError(f"{what}: {_USAGE_WORDS[code]}")
    if code in _CONFLICT_WORDS:
        return ConflictError(f"{what}: {_CONFLICT_WORDS[code]}")
    words, hint = _SITE_WORDS.get(code, (error.strerror or str(error), ""))
    if code in _SPACE:
        return NoRoomError(f"{what}: {words} ({free_space(path)})", hint=hint)
    return SiteError(f"{what}: {words}", hint=hint)


@contextmanager
def translated(doing: str, path: Path | str) -> Iterator[None]:
    """Turn every ``OSError`` inside into an error for people."""
    try:
        yield
    except OSError as error:
        raise explain(error, doing, path) from error


def free_space(path: Path | str) -> str:
    """Say how much room is left where ``path`` is or would be."""
    place = Path(path)
    for candidate in (place, *place.parents):
        with suppress(OSError, ValueError):
            room = os.statvfs(candidate)
            free = show_bytes(room.f_bavail * room.f_frsize)
            return f"{free} and {room.f_favail} inodes free"
    return "free space unknown"


def wire_name(path: Path | str) -> str:
    """Return a path as text that can be sent as UTF-8; bytes that are no text as hex escapes."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return ascii(str(path))


def show_path(path: Path | str) -> str:
    """Return a path for a sentence: on one line, without control characters."""
    shown = wire_name(path)
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode()
