"""Parts of a file: what a ``Range`` header asks for (RFC 9110, section 14). Pure."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file from ``start`` up to, and without, ``end``."""

    start: int
    end: int
    size: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.end - self.start

    @property
    def content_range(self) -> str:
        """The header of an answer with a part."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


class NoSuchPartError(Exception):
    """The file has no such bytes."""


def asked_part(header: str | None, size: int) -> Part | None:
    """Return the part that is asked for, ``None`` for the whole file.

    What is malformed or asks for several parts may be answered with the whole file, and is.

    Raises
    ------
    NoSuchPartError
        If the file has no byte of it.
    """
    found = _ONE_RANGE.fullmatch(header or "")
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= end:
        raise NoSuchPartError
    return Part(start, end, size)


def entity_tag(info: os.stat_result) -> str:
    """Return a tag that is another one after every change of a file."""
    return f'"{info.st_ino:x}-{info.st_size:x}-{info.st_mtime_ns:x}-{info.st_ctime_ns:x}"'


def is_unchanged(if_range: str | None, tag: str) -> bool:
    """Say whether a part may be sent.

    A date is never good enough: a file may change twice in a second, and two halves of different
    files would be joined. Who sends one gets the whole file, which is always right.
    """
    return if_range is None or if_range == tag
