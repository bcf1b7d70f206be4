"""List the files of a workspace and what they occupy, as REANA does.

Generators with flat memory; links are listed as files and never followed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.errors import NotFoundError, UsageError
from gateway.workspace.choosing import choose, lstat_inside, walk_below
from gateway.workspace.paths import relative_parts
from gateway.workspace.trouble import wire_name
from gateway.workspace.walk import Visit

_SEARCH_KEYS = {"name": "names", "size": "sizes", "last-modified": "modified"}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One line of a listing.

    ``name`` is relative to the workspace and can always be sent as UTF-8: bytes that are no
    text are shown as hex escapes. ``size`` is in bytes, ``modified`` in seconds since the epoch.
    """

    name: str
    size: int
    modified: float
    is_directory: bool

    @property
    def last_modified(self) -> str:
        """Time of the last change as REANA writes it: UTC without a zone, whole seconds."""
        try:
            when = datetime.fromtimestamp(self.modified, UTC)
        except (OverflowError, ValueError, OSError):
            when = datetime.fromtimestamp(0, UTC)
        return when.strftime("%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True, slots=True)
class Filters:
    """Case-folded substrings that must all be in the name, size or time of a file."""

    names: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()

    @classmethod
    def from_search(cls, text: str | None) -> Filters:
        """Read the ``search`` parameter: a JSON object of lists.

        Raises
        ------
        UsageError
            If it is anything else.
        """
        if not text:
            return cls()
        try:
            return cls(**_search_values(json.loads(text)))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"the search {text[:200]!r} cannot be read: {error}") from error

    def accept(self, entry: FileEntry) -> bool:
        """Say whether an entry has everything that is looked for."""
        name, size, time = entry.name.casefold(), str(entry.size), entry.last_modified.casefold()
        return (
            all(text.casefold() in name for text in self.names)
            and all(text in size for text in self.sizes)
            and all(text.casefold() in time for text in self.modified)
        )


def _search_values(data: Any) -> dict[str, tuple[str, ...]]:
    values = {}
    for key, texts in data.items():
        if key not in _SEARCH_KEYS:
            raise ValueError(f"{key!r} is not one of {', '.join(_SEARCH_KEYS)}")
        items = texts if isinstance(texts, list) else [texts]
        values[_SEARCH_KEYS[key]] = tuple(str(item) for item in items)
    return values


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a listing; ``total`` counts all pages."""

    items: tuple[FileEntry, ...]
    total: int
    page: int
    has_next: bool
    has_prev: bool


def list_files(
    root: Path,
    pattern: str | None = None,
    *,
    filters: Filters | None = None,
    page: int = 1,
    size: int | None = None,
) -> Listing:
    """Return one page of the files that a pattern means; without ``size`` all of them.

    Raises
    ------
    NotFoundError
        If the workspace does not exist.
    UsageError
        If the pattern leads outside, or the page is no page.
    """
    if page < 1 or (size is not None and size < 1):
        raise UsageError("page and size must be at least 1")
    first = (page - 1) * size if size else 0
    wanted = filters or Filters()
    items: list[FileEntry] = []
    total = 0
    for entry in iter_files(root, pattern):
        if wanted.accept(entry):
            if total >= first and (size is None or len(items) < size):
                items.append(entry)
            total += 1
    more = size is not None and total > first + size
    return Listing(tuple(items), total, page, has_next=more, has_prev=page > 1)


def iter_files(root: Path, pattern: str | None = None) -> Iterator[FileEntry]:
    """List files one after the other, sorted within each directory.

    Without a pattern all files and no directories; with one, directories too.
    """
    everything = not relative_parts(pattern or "")
    for visit in choose(root, pattern or ""):
        if not (everything and visit.is_directory):
            yield _entry(visit)


def _entry(visit: Visit) -> FileEntry:
    info = visit.info
    return FileEntry(wire_name(visit.path), info.st_size, info.st_mtime, visit.is_directory)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one entry occupies: allocated bytes, for a directory with everything below it.

    ``name`` begins with ``/``; that of the workspace itself is empty.
    """

    name: str
    bytes: int


def disk_usage(
    root: Path, *, summarize: bool = False, patterns: Collection[str] = ()
) -> list[Usage]:
    """Return allocated bytes, in the order of ``du -a``; with ``summarize`` one sum.

    Patterns choose entries as in a listing; the sum is then that of the files chosen.

    Raises
    ------
    NotFoundError
        If the workspace does not exist.
    """
    if not root.is_dir():
        raise NotFoundError("Workspace does not exist.")
    if any(relative_parts(pattern) for pattern in patterns):
        chosen = {visit.path for pattern in patterns for visit in choose(root, pattern)}
        lines = [(path, size) for path, size in _usage(root) if path in chosen]
        if not summarize:
            return [Usage("/" + wire_name(path), size) for path, size in lines]
        return [Usage("", _sum_outermost(lines))]
    if summarize:
        return [Usage("", tree_bytes(root))]
    return [Usage("/" + wire_name(path) if path else "", size) for path, size in _usage(root)]


def _sum_outermost(lines: list[tuple[str, int]]) -> int:
    """Add up sizes, leaving out what a directory in the list has counted already."""
    names = {path for path, _ in lines}
    total = 0
    for path, size in lines:
        parts = path.split("/")
        if not any("/".join(parts[:depth]) in names for depth in range(1, len(parts))):
            total += size
    return total


def tree_bytes(root: Path) -> int:
    """Return the allocated bytes of a directory and all below it; 0 where there is none."""
    if not root.is_dir():
        return 0
    total = 0
    for _, total in _usage(root):  # noqa: B007 - the last line is that of the root
        pass
    return total


def _usage(root: Path) -> Iterator[tuple[str, int]]:
    """Yield path and allocated bytes, what is below before what is above, the root last."""
    seen: set[tuple[int, int]] = set()
    sums = [_allocated(lstat_inside(root, ""))]
    for visit in walk_below(root):
        if visit.is_directory and not visit.leaving:
            sums.append(_allocated(visit.info))
            continue
        size = sums.pop() if visit.is_directory else _once(visit, seen)
        sums[-1] += size
        yield visit.path, size
    yield "", sums[0]


def _once(visit: Visit, seen: set[tuple[int, int]]) -> int:
    """Return the size of a file; a second hard link to it costs nothing."""
    if visit.info.st_nlink > 1:
        identity = (visit.info.st_dev, visit.info.st_ino)
        if identity in seen:
            return 0
        seen.add(identity)
    return _allocated(visit.info)


def _allocated(info: os.stat_result) -> int:
    return info.st_blocks * 512
